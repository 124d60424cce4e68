"""Real money needs `paper: false`, --live, and once per key a person's consent to what the first run would send."""

import pytest
from stage import CALL, Play, Stage, three_calls
from terminal import CTRL_C, CTRL_D, Terminal

from sellctl.core.model.instrument import contract_text

STOPPED = three_calls("0.70", "0.72")
QUESTION = "This is the first run that acts with real money (main). Continue?"


def live(play: Play) -> Stage:
    """A live account of which everything is due at its stop."""
    stage = play(STOPPED)
    stage.write(stage.config.read_text().replace("    endpoints:", "    paper: false\n    endpoints:"))
    return stage


def on_a_terminal(stage: Stage, *command: str) -> Terminal:
    return Terminal(tuple(stage.arguments(*command)), stage.folder)


@pytest.mark.parametrize("command", ["run-once", "watch"])
def test_real_money_is_not_traded_without_the_option(play: Play, command: str) -> None:
    stage = live(play)
    result = stage.run(command)
    assert (result.status, stage.sent()) == (5, [])
    assert "trades real money, and --live was not given" in result.err


@pytest.mark.parametrize("command", ["run-once", "watch"])
def test_without_a_terminal_the_first_run_is_refused_and_nothing_is_sent(play: Play, command: str) -> None:
    stage = live(play)
    result = stage.run("--live", command)
    assert (result.status, stage.sent()) == (5, [])
    assert "The first run with real money must be confirmed. Add --yes to confirm." in result.err


def test_the_variable_stands_for_the_option_but_not_for_the_consent(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live(play)
    monkeypatch.setenv("SELLCTL_LIVE", "1")
    assert (stage.run("run-once").status, stage.sent()) == (5, [])


def test_a_dry_run_needs_no_consent_and_gives_none(play: Play) -> None:
    stage = live(play)
    assert stage.run("--live", "run-once", "--dry-run").status == 0
    assert (stage.run("--live", "run-once").status, stage.sent()) == (5, [])


def test_the_orders_are_shown_before_the_question_and_a_no_sends_none(play: Play) -> None:
    stage = live(play)
    with on_a_terminal(stage, "--live", "run-once") as terminal:
        shown = terminal.wait_for(QUESTION)
        assert "Orders that would be sent now" in shown
        assert contract_text(CALL) in shown
        terminal.answer("n\n")
        assert terminal.end() == 5
        assert "Nothing was sent." in terminal.shown
    assert stage.sent() == []


def test_a_yes_counts_for_this_run_and_all_later_ones_with_the_key(play: Play) -> None:
    stage = live(play)
    with on_a_terminal(stage, "--live", "run-once") as terminal:
        terminal.wait_for(QUESTION)
        terminal.answer("y\n")
        assert terminal.end() == 0
    assert stage.held(CALL) == 0
    assert stage.run("--live", "run-once").status == 0


def test_another_key_needs_its_own_consent(play: Play) -> None:
    stage = live(play)
    assert stage.run("--live", "run-once", "--yes").status == 0
    stage.write(stage.config.read_text().replace("api_key: k", "api_key: another"))
    assert stage.run("--live", "run-once").status == 5


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["Ctrl-C", "Ctrl-D"])
def test_an_interrupt_is_no_consent(play: Play, key: str) -> None:
    stage = live(play)
    with on_a_terminal(stage, "--live", "run-once") as terminal:
        terminal.wait_for(QUESTION)
        assert terminal.end_by(key) == 130
        assert "interrupted. Nothing was sent." in terminal.shown
        assert "Traceback" not in terminal.shown
    assert stage.sent() == []
    assert stage.run("--live", "run-once").status == 5
