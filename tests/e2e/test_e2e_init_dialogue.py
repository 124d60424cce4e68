"""The dialogue of `init` on a terminal: what it asks, what it hides, and that an interrupt leaves nothing behind."""

from pathlib import Path

import pytest
from e2e_scenes import CALL, a_day, at
from stage import Play, Stage
from terminal import CTRL_C, CTRL_D, Terminal

QUIET = a_day({CALL: (3, "1.00")}, {CALL: at("1.00", "1.02"), "AAPL": at("200.00", "200.02")})
KEYS = {"ALPACA_API_KEY": "k", "ALPACA_SECRET_KEY": "canary-secret-Zx81"}
NO_KEYRING = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
PRESET = "Preset ["
KEY_ID, SECRET = "Key ID (hidden): ", "Secret (hidden): "  # the final space is shown when typing is hidden


def staged(play: Play) -> Stage:
    return play(QUIET.replace("secret: s", f"secret: {KEYS['ALPACA_SECRET_KEY']}"))


def out_of(stage: Stage) -> Path:
    return stage.folder / "new" / "mine.yml"


def dialogue(stage: Stage, *arguments: str, env: dict[str, str] | None = None) -> Terminal:
    command = ("init", "--simulator", stage.server.url, "--out", str(out_of(stage)), *arguments)
    return Terminal(command, stage.folder, NO_KEYRING | (env or {}))


def files_of(stage: Stage) -> dict[str, str]:
    folder = out_of(stage).parent
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} if folder.exists() else {}


def test_the_preset_is_chosen_by_its_number_or_name_after_a_look_at_the_positions(play: Play) -> None:
    stage = staged(play)
    with dialogue(stage, env=KEYS) as terminal:
        shown = terminal.wait_for(PRESET)
        assert "Account: PA1, SIMULATED." in shown
        assert "What each preset would do now" in shown
        assert "stop $0.70" in shown
        assert max(map(len, shown.splitlines())) <= 80
        terminal.answer("5\n")
        assert "Answer with a number or a name" in terminal.wait_for(PRESET)
        terminal.answer("3\n")
        assert terminal.end() == 0
        assert "Dry run: what would be done now" in terminal.shown
        assert terminal.shown.rstrip().splitlines()[-1].startswith("Start: sellctl")
    assert "preset premium-seller" in files_of(stage)["mine.yml"]
    assert stage.sent() == []


def test_keys_are_typed_unseen_and_stored_in_private_files(play: Play) -> None:
    stage = staged(play)
    with dialogue(stage) as terminal:
        terminal.wait_for(KEY_ID)
        terminal.answer("k\n")
        terminal.wait_for(SECRET)
        terminal.answer(f"{KEYS['ALPACA_SECRET_KEY']}\n")
        terminal.wait_for(PRESET)
        assert "canary" not in terminal.shown
        terminal.answer("long-options\n")
        assert terminal.end() == 0
        assert "canary" not in terminal.shown
    files = files_of(stage)
    assert files["main.secret_key"] == f"{KEYS['ALPACA_SECRET_KEY']}\n"
    assert "canary" not in files["mine.yml"]
    assert "secret_key: file:main.secret_key" in files["mine.yml"]
    assert {path.stat().st_mode & 0o777 for path in out_of(stage).parent.iterdir()} == {0o600}
    assert out_of(stage).parent.stat().st_mode & 0o777 == 0o700
    assert CALL in stage.run("--config", str(out_of(stage)), "positions").out


def test_one_of_several_profiles_is_chosen(play: Play) -> None:
    stage = staged(play)
    profiles = stage.folder / ".config" / "alpaca" / "profiles"
    profiles.mkdir(parents=True, mode=0o700)
    for name, key in (("income", "gone"), ("swing", "k")):
        path = profiles / f"{name}.yaml"
        path.write_text(f"api_key: {key}\nsecret_key: {KEYS['ALPACA_SECRET_KEY']}\n", encoding="utf-8")
        path.chmod(0o600)
    with dialogue(stage) as terminal:
        terminal.wait_for("Which profile of Alpaca's command line [income]")
        terminal.answer("swing\n")
        terminal.wait_for(PRESET)
        terminal.answer("\n")
        assert terminal.end() == 0
    assert "profile: swing" in files_of(stage)["mine.yml"]


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D], ids=["Ctrl-C", "Ctrl-D"])
@pytest.mark.parametrize("question", [KEY_ID, SECRET, PRESET])
def test_an_interrupt_leaves_nothing_behind(play: Play, question: str, key: str) -> None:
    stage = staged(play)
    with dialogue(stage) as terminal:
        for each, answer in ((KEY_ID, "k\n"), (SECRET, f"{KEYS['ALPACA_SECRET_KEY']}\n"), (PRESET, "")):
            terminal.wait_for(each)
            if each == question:
                break
            terminal.answer(answer)
        assert terminal.end_by(key) == 130
        assert "sellctl: interrupted. Nothing was written." in terminal.shown
        assert "Traceback" not in terminal.shown
    assert not out_of(stage).parent.exists()


@pytest.mark.parametrize(("answer", "status"), [("n\n", 5), ("\n", 5), (CTRL_C, 130)], ids=["no", "default", "Ctrl-C"])
def test_an_existing_file_stays_unless_the_answer_is_yes(play: Play, answer: str, status: int) -> None:
    stage = staged(play)
    out_of(stage).parent.mkdir()
    out_of(stage).write_text("# mine\n", encoding="utf-8")
    with dialogue(stage, env=KEYS) as terminal:
        assert "already exists. A backup is kept." in " ".join(terminal.wait_for("Replace it? [y/N]").split())
        assert terminal.end_by(answer) == status
    assert files_of(stage) == {"mine.yml": "# mine\n"}


def test_an_existing_file_is_replaced_and_kept_after_a_yes(play: Play) -> None:
    stage = staged(play)
    out_of(stage).parent.mkdir()
    out_of(stage).write_text("# mine\n", encoding="utf-8")
    with dialogue(stage, "--preset", "long-options", env=KEYS) as terminal:
        terminal.wait_for("Replace it? [y/N]")
        terminal.answer("y\n")
        assert terminal.end() == 0
    files = files_of(stage)
    assert files["mine.yml.bak"] == "# mine\n"
    assert files["mine.yml"].startswith("# Written by `sellctl init`")


def test_keys_that_are_refused_are_not_stored(play: Play) -> None:
    stage = staged(play)
    with dialogue(stage) as terminal:
        for question in (KEY_ID, SECRET):
            terminal.wait_for(question)
            terminal.answer("canary-wrong\n")
        assert terminal.end() == 3
        assert "canary" not in terminal.shown
    assert files_of(stage) == {}
