"""Each question of a command: Ctrl-C and Ctrl-D end it with one sentence, and nothing was done."""

from collections.abc import Mapping

import pytest
from stage import CALL, Play, Stage, three_calls
from terminal import CTRL_C, CTRL_D, Terminal

from sellctl.service.proposals import Action, Proposal, Proposals

KEYS = {"ALPACA_API_KEY": "k", "ALPACA_SECRET_KEY": "s"}
BOTH = pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["Ctrl-C", "Ctrl-D"])


def ends_at_its_question(
    stage: Stage,
    arguments: list[str],
    question: str,
    key: str,
    says: str,
    *,
    environment: Mapping[str, str] | None = None,
) -> None:
    """The command asks this at 80 columns, ends by this key with this sentence, and nothing was sent."""
    with Terminal(tuple(arguments), stage.folder, environment or {}) as terminal:
        shown = terminal.wait_for(question)
        assert max(map(len, shown.splitlines())) <= 80
        assert terminal.end_by(key) == 130
        assert terminal.shown.strip().splitlines()[-1] == f"sellctl: interrupted. {says}".strip()
        assert "Traceback" not in terminal.shown
        assert "Aborted" not in terminal.shown
    assert (stage.sent(), stage.held(CALL)) == ([], 3)


@BOTH
@pytest.mark.parametrize(
    ("command", "question", "says"),
    [
        (("close", CALL), "? [y/N]", "Nothing was sent."),
        (("panic",), "at any price? [y/N]", "Nothing was sent."),
        (("set", CALL, "--stop", "40%"), "Set it? [y/N]", "Nothing was set."),
        (("resume",), "Why is it safe again?", ""),
    ],
)
def test_at_the_question_of_a_verb(play: Play, command: tuple[str, ...], question: str, says: str, key: str) -> None:
    stage = play(three_calls())
    if command == ("resume",):
        assert stage.run("halt").status == 0
    ends_at_its_question(stage, stage.arguments(*command), question, key, says)
    (position,) = stage.run("positions", CALL, "--format", "json").document["positions"]
    assert position["set_by_hand"] is None
    assert (stage.state / "halted").exists() is (command == ("resume",))


@BOTH
def test_at_the_question_about_a_proposal(play: Play, key: str) -> None:
    stage = play(three_calls())
    proposal = Proposal(Action.EXEMPT, "mcp", (f"exempt {CALL}",), name=CALL)
    code = Proposals(stage.state).add(proposal)
    ends_at_its_question(stage, stage.arguments("confirm", code), "Do that? [y/N]", key, "Nothing was done.")
    assert not (stage.state / "exempt.json").exists()


@BOTH
def test_at_the_question_whether_a_report_is_replaced(play: Play, key: str) -> None:
    stage = play(three_calls())
    assert stage.run("run-once").status == 0
    report = stage.folder / "a-report-with-a-name-that-is-long-enough-to-break-the-line.html"
    report.write_text("mine")
    arguments = stage.arguments("report", "--html", report.name)
    ends_at_its_question(stage, arguments, "Replace it? [y/N]", key, "Nothing was written.")
    assert report.read_text() == "mine"


@BOTH
def test_at_the_question_whether_a_configuration_is_replaced(play: Play, key: str) -> None:
    stage = play(three_calls())
    out = stage.folder / "mine.yml"
    out.write_text("# mine\n")
    arguments = ["init", "--out", out.name, "--simulator", stage.server.url]
    ends_at_its_question(stage, arguments, "Replace it? [y/N]", key, "Nothing was written.", environment=KEYS)
    assert out.read_text() == "# mine\n"
