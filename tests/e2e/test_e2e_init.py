"""`init` sets up an account by options alone: keys found, presets, the file, and the dry run. Nothing is ever sent."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_scenes import CALL, a_day, at
from stage import CommandResult, Play, Stage

from sellctl import private_files
from sellctl.alpaca import connect
from sellctl.core.model.instrument import contract_text, symbol_of
from sellctl.setup.presets import PRESET_NAMES

PUT, SHORT = "AAPL261218P00180000", "TSLA261218P00380000"
HELD = a_day(
    {CALL: (3, "1.00"), PUT: (2, "1.00"), SHORT: (-1, "2.00"), "INTC": (100, "30.00")},
    {
        CALL: at("1.60", "1.62"),  # at +60%
        PUT: at("1.00", "1.02"),
        SHORT: at("1.90", "1.92"),
        "INTC": at("31.00", "31.02"),
        "AAPL": at("200.00", "200.02"),
        "TSLA": at("400.00", "400.02"),
    },
)
QUIET = a_day({CALL: (3, "1.00")}, {CALL: at("1.00", "1.02"), "AAPL": at("200.00", "200.02")})
KEYS = {"ALPACA_API_KEY": "k", "ALPACA_SECRET_KEY": "s"}


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("ALPACA_PROFILE", "ALPACA_PAPER_TRADE", "ALPACA_CONFIG_DIR", "SELLCTL_CONFIG", "SELLCTL_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of the scenario in the environment."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def alpaca(monkeypatch: pytest.MonkeyPatch) -> Callable[[Stage, Stage], None]:
    """Puts two simulators in the place of Alpaca's paper and live addresses."""

    def redirect(paper: Stage, live: Stage) -> None:
        monkeypatch.setattr(connect, "PAPER_TRADING_URL", paper.server.url)
        monkeypatch.setattr(connect, "LIVE_TRADING_URL", live.server.url)
        monkeypatch.setattr(connect, "DATA_URL", paper.server.url)

    return redirect


Alpaca = Callable[[Stage, Stage], None]


def out_of(stage: Stage) -> Path:
    return stage.folder / "new" / "mine.yml"


def init(stage: Stage, *arguments: str, simulated: bool = True) -> CommandResult:
    address = ("--simulator", stage.server.url) if simulated else ()
    return stage.run("init", *address, "--out", str(out_of(stage)), *arguments)


def using(stage: Stage, *command: str) -> CommandResult:
    """A command with the file that was written: the last --config counts."""
    return stage.run("--config", str(out_of(stage)), *command)


def a_profile(folder: Path, text: str, name: str = "paper", mode: int = 0o600) -> Path:
    profiles = folder / ".config" / "alpaca" / "profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    profiles.chmod(0o700)
    path = profiles / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def refuses(stage: Stage, result: CommandResult, status: int, *texts: str) -> None:
    """One sentence and the status, and nothing was written or sent."""
    assert result.status == status, result
    for text in texts:
        assert text in result.err
    assert "Traceback" not in result.err
    assert not out_of(stage).parent.exists()
    assert stage.sent() == []


# --- what it does


@pytest.mark.usefixtures("keys")
def test_with_keys_in_the_environment_it_needs_no_question(play: Play) -> None:
    stage = play(HELD)
    result = init(stage, "--preset", "long-options")
    assert result.status == 0, result
    assert "Keys: the environment (ALPACA_API_KEY)." in result.err
    assert "Account: PA1, SIMULATED." in result.err
    assert "It holds 4 positions now." in result.err
    assert f"Start: sellctl --config {out_of(stage)} watch" in result.out.splitlines()[-1]


@pytest.mark.usefixtures("keys")
def test_it_sends_nothing_and_writes_no_state(play: Play) -> None:
    stage = play(HELD)  # a target is reached and a naked short is to be bought back
    assert init(stage, "--preset", "day-trader").status == 0
    assert stage.orders() == []
    assert stage.sent() == []
    assert not stage.state.exists()


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_the_file_of_each_preset_is_private_commented_and_passes_the_check(play: Play, preset: str) -> None:
    stage = play(HELD)
    assert init(stage, "--preset", preset).status == 0
    path, text = out_of(stage), out_of(stage).read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o777 == 0o600
    assert text.count("#") > 10
    assert not re.search(r"_key: [^$]", text)
    checked = using(stage, "config", "check")
    assert checked.status == 0, checked
    assert checked.out.startswith(f"ok: {path}")


@pytest.mark.usefixtures("keys")
def test_an_option_on_its_last_day_is_shown_with_the_time_at_which_it_is_closed(play: Play) -> None:
    todays = "AAPL261124C00200000"
    prices = {todays: at("1.00", "1.02"), "AAPL": at("200.00", "200.02")}
    shown = init(play(a_day({todays: (2, "1.00")}, prices)), "--yes").err
    assert "AAPL 24 Nov 26 200 C  closed today at 14:55 ET  expires today" in shown
    assert re.search(r"AAPL 24 Nov 26 200 C( +closed today){4}", shown)
    assert "stop $" not in shown


@pytest.mark.parametrize(
    ("given", "hint"), [("long-option", "Did you mean long-options?"), ("x", "There are: long-options, day-trader,")]
)
def test_a_preset_that_there_is_not_is_refused_with_the_one_that_was_meant(play: Play, given: str, hint: str) -> None:
    stage = play(QUIET)
    refuses(stage, init(stage, "--preset", given), 2, f"No preset is called {given}. {hint}")


@pytest.mark.usefixtures("keys")
def test_it_lists_what_has_no_stop_under_the_defaults_and_the_presets_that_have_one(play: Play) -> None:
    result = init(play(HELD), "--preset", "stock-swing")
    lines = result.err.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("position") and "qty" in line)
    listed = {re.split(r"  +", line)[0]: line for line in lines[head + 1 : lines.index("", head)]}
    assert "INTC" in listed
    assert "NOT MANAGED" in listed["INTC"]
    assert "stock-swing" in listed["INTC"]
    assert "rules cover options only" in listed["INTC"]
    assert contract_text(CALL) not in listed


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_a_preset_does_what_was_shown_of_it(play: Play, preset: str) -> None:
    """The column of a preset agrees with the dry run under its file."""
    stage = play(HELD)
    result = init(stage, "--preset", preset)
    lines = result.err.splitlines()
    head = next(line for line in lines if line.startswith("position") and "day-trader" in line)
    start, column = lines.index(head), head.index(preset)
    rows = lines[start + 1 : start + 5]
    names = [re.split(r"  +", line)[0] for line in rows]
    shown = {
        symbol_of(name) or name: line[column : column + 12].strip() for name, line in zip(names, rows, strict=True)
    }
    plans = using(stage, "run-once", "--dry-run", "--format", "csv").out.splitlines()[1:]
    due = {row.split(",")[2] for row in plans if ",closing," in row}
    assert {symbol for symbol, text in shown.items() if text == "exit now"} == due
    assert due, "the scene has something to close"


@pytest.mark.usefixtures("keys")
def test_the_presets_differ_in_what_they_would_close(play: Play) -> None:
    result = init(play(HELD), "--preset", "long-options")
    closed = result.err[result.err.index("closed by") :]
    call = next(line for line in closed.splitlines() if line.startswith(contract_text(CALL)))
    short = next(line for line in closed.splitlines() if line.startswith(contract_text(SHORT)))
    assert "long-options" in call
    assert "premium-seller" not in short  # it keeps cash-secured puts


@pytest.mark.usefixtures("keys")
def test_it_ends_in_the_dry_run_of_the_file(play: Play) -> None:
    stage = play(HELD)
    result = init(stage, "--preset", "long-options")
    same = using(stage, "run-once", "--dry-run")
    assert same.out in result.out
    assert CALL in same.out


OF_STOCK = {"INTC": (100, "30.00")}
OF_OPTIONS = {CALL: (3, "1.00"), PUT: (2, "1.00"), "INTC": (100, "30.00")}
OF_PREMIUM = {SHORT: (-1, "2.00")}


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("held", "preset", "why"),
    [
        (OF_STOCK, "stock-swing", "its own rules have a stop for 1 of 1 position"),
        (OF_OPTIONS, "long-options", "its own rules have a stop for 2 of 3 positions"),
        (OF_PREMIUM, "premium-seller", "its own rules have a stop for 1 of 1 position"),
        ({}, "long-options", "the first of four: no position is held"),
    ],
    ids=["stock", "mostly options", "sold options", "nothing"],
)
def test_yes_takes_the_preset_whose_rules_are_for_most_of_what_is_held_and_says_why(
    play: Play, held: dict[str, tuple[int, str]], preset: str, why: str
) -> None:
    prices = {
        CALL: at("1.00", "1.02"),
        PUT: at("1.00", "1.02"),
        SHORT: at("1.90", "1.92"),
        "INTC": at("31.00", "31.02"),
        "AAPL": at("200.00", "200.02"),
        "TSLA": at("400.00", "400.02"),
    }
    result = init(play(a_day(held, prices)), "--yes")
    assert result.status == 0, result
    assert f"Suggested: {preset} ({why})." in result.err
    assert f"Preset: {preset}." in result.err


@pytest.mark.usefixtures("keys")
def test_the_default_rules_that_it_compares_with_are_named(play: Play) -> None:
    said = init(play(QUIET), "--yes").err
    assert "The default rules (target +10%, stop -20%; option) have a stop for each of them." in said


@pytest.mark.usefixtures("keys")
def test_an_account_without_positions_is_set_up_too(play: Play) -> None:
    result = init(play(a_day({}, {"AAPL": at("200.00", "200.02")})), "--preset", "premium-seller")
    assert result.status == 0, result
    assert "It holds 0 positions now." in result.err


@pytest.mark.usefixtures("keys")
def test_the_account_can_have_another_name(play: Play) -> None:
    stage = play(QUIET)
    assert init(stage, "--preset", "long-options", "--account", "swing").status == 0
    assert "swing (simulated)" in using(stage, "config", "check").out


@pytest.mark.usefixtures("keys")
def test_without_out_it_writes_the_file_that_sellctl_reads(play: Play, tmp_path: Path) -> None:
    stage = play(QUIET)
    stage.config.unlink()
    (tmp_path / "xdg").mkdir()
    result = stage.shell("init", "--simulator", stage.server.url, "--preset", "long-options", env=KEYS)
    assert result.status == 0, result
    assert stage.config.read_text(encoding="utf-8").startswith("# Written by `sellctl init`")


# --- profiles


def test_a_profile_is_found_named_in_the_file_and_used(play: Play) -> None:
    stage = play(QUIET)
    profile = a_profile(stage.folder, "api_key: k\nsecret_key: s\npaper_trade: true\n")
    before = profile.read_bytes()
    result = init(stage, "--preset", "long-options")
    assert result.status == 0, result
    assert "Keys: profile paper." in result.err
    assert "    profile: paper\n" in out_of(stage).read_text(encoding="utf-8")
    assert CALL in using(stage, "positions").out
    assert profile.read_bytes() == before


def test_the_profile_of_the_option_the_variable_or_the_file_is_used(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = play(QUIET)
    for name in ("paper", "old"):
        a_profile(stage.folder, "api_key: gone\nsecret_key: gone\n", name)
    a_profile(stage.folder, "api_key: k\nsecret_key: s\n", "swing")
    assert init(stage, "--preset", "long-options", "--profile", "swing").status == 0
    out_of(stage).unlink()
    (stage.folder / ".config" / "alpaca" / "config.yaml").write_text("default_profile: swing\n", encoding="utf-8")
    assert init(stage, "--preset", "long-options").status == 0
    out_of(stage).unlink()
    monkeypatch.setenv("ALPACA_PROFILE", "old")
    assert init(stage, "--preset", "long-options").status == 3


# --- paper and live


def test_a_key_of_the_paper_address_is_paper(play: Play, alpaca: Alpaca, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, other = play(QUIET), play(QUIET.replace("key: k", "key: other"))
    alpaca(stage, other)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    result = init(stage, "--preset", "long-options", simulated=False)
    assert result.status == 0, result
    text = out_of(stage).read_text(encoding="utf-8")
    assert "paper: true" in text
    assert "account_number: PA1" in text
    assert "simulator" not in text


def live_keys(play: Play, alpaca: Alpaca, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A key that only the live address accepts."""
    other, stage = play(QUIET.replace("key: k", "key: other")), play(QUIET)
    alpaca(other, stage)
    monkeypatch.setattr(connect, "DATA_URL", stage.server.url)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    return stage


def test_a_live_key_is_told_from_paper_and_needs_an_option_of_its_own(
    play: Play, alpaca: Alpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live_keys(play, alpaca, monkeypatch)
    result = init(stage, "--preset", "long-options", "--yes", simulated=False)
    refuses(stage, result, 5, "Account: PA1, REAL MONEY.", "--real-money")


def test_a_live_account_that_was_set_up_still_needs_live_and_the_consent(
    play: Play, alpaca: Alpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = live_keys(play, alpaca, monkeypatch)
    result = init(stage, "--preset", "long-options", "--real-money", simulated=False)
    assert result.status == 0, result
    assert "paper: false" in out_of(stage).read_text(encoding="utf-8")
    assert result.out.splitlines()[-1] == f"Start: sellctl --config {out_of(stage)} --live watch"
    assert "--live was not given" in using(stage, "run-once").err
    refused = using(stage, "--live", "run-once")
    assert (refused.status, stage.sent()) == (5, [])
    assert "must be confirmed" in refused.err


def test_a_key_that_both_addresses_refuse_ends_in_3(
    play: Play, alpaca: Alpaca, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = play(QUIET)
    alpaca(stage, play(QUIET))
    monkeypatch.setenv("ALPACA_API_KEY", "k")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "wrong")
    result = init(stage, "--preset", "long-options", simulated=False)
    refuses(stage, result, 3, "refuses the key from the environment (ALPACA_API_KEY), for paper and for live")


def test_a_source_that_says_live_for_a_paper_key_is_refused(play: Play, alpaca: Alpaca) -> None:
    stage, other = play(QUIET), play(QUIET.replace("key: k", "key: other"))
    alpaca(stage, other)
    a_profile(stage.folder, "api_key: k\nsecret_key: s\npaper_trade: false\n", "live")
    result = init(stage, "--preset", "long-options", simulated=False)
    refuses(stage, result, 2, "profile live says live, and Alpaca accepts its key for paper only.")


# --- bad input

BAD_PROFILES = {
    "only a token": ("access_token: tok\n", 0o600, "has only a token (OAuth), and sellctl needs a key pair."),
    "half a pair": ("secret_key: s\n", 0o600, "has no api_key."),
    "readable by others": ("api_key: k\nsecret_key: s\n", 0o644, "Others can read the file"),
    "no YAML": ("api_key: {k\n", 0o600, "paper.yaml:2:1"),
}


@pytest.mark.parametrize("case", BAD_PROFILES)
def test_a_profile_that_cannot_be_used_is_one_sentence(play: Play, case: str) -> None:
    stage = play(QUIET)
    text, mode, sentence = BAD_PROFILES[case]
    a_profile(stage.folder, text, mode=mode)
    refuses(stage, init(stage, "--yes"), 2, sentence)


def test_a_folder_that_others_can_read_is_refused(play: Play) -> None:
    stage = play(QUIET)
    folder = a_profile(stage.folder, "api_key: k\nsecret_key: s\n").parent
    folder.chmod(0o755)
    refuses(stage, init(stage, "--yes"), 2, f"Others can read the folder {folder}.", f"chmod 700 {folder}")


def test_an_unknown_profile_is_refused_with_those_that_exist(play: Play) -> None:
    stage = play(QUIET)
    a_profile(stage.folder, "api_key: k\nsecret_key: s\n")
    refuses(stage, init(stage, "--yes", "--profile", "papr"), 2, "There is no profile papr", "There are: paper.")


def test_half_a_pair_in_the_environment_is_refused(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALPACA_API_KEY", "k")
    stage = play(QUIET)
    refuses(stage, init(stage, "--yes"), 2, "ALPACA_API_KEY is set and ALPACA_SECRET_KEY isn't.")


@pytest.mark.usefixtures("keys")
def test_a_profile_that_the_environment_would_replace_is_refused(play: Play) -> None:
    stage = play(QUIET)
    a_profile(stage.folder, "api_key: another\nsecret_key: s\n")
    result = init(stage, "--yes", "--profile", "paper")
    refuses(stage, result, 2, "ALPACA_API_KEY holds another key than profile paper, and would win over it.")


@pytest.mark.usefixtures("keys")
def test_two_pairs_in_the_environment_that_differ_are_refused(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APCA_API_KEY_ID", "other")
    monkeypatch.setenv("APCA_API_SECRET_KEY", "other")
    stage = play(QUIET)
    refuses(stage, init(stage, "--yes"), 2, "ALPACA_API_KEY and APCA_API_KEY_ID hold different keys.")


def test_the_variable_against_the_profile_is_refused(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = play(QUIET)
    a_profile(stage.folder, "api_key: k\nsecret_key: s\n")
    monkeypatch.setenv("ALPACA_PAPER_TRADE", "false")
    refuses(stage, init(stage, "--yes"), 2, "ALPACA_PAPER_TRADE says live, and profile paper is for paper.")


def test_without_keys_and_without_a_terminal_it_says_what_to_export(play: Play) -> None:
    stage = play(QUIET)
    refuses(stage, init(stage, "--yes"), 2, "no terminal to ask for keys", "Export ALPACA_API_KEY")


@pytest.mark.usefixtures("keys")
def test_without_a_preset_and_without_a_terminal_it_names_the_option(play: Play) -> None:
    stage = play(QUIET)
    refuses(stage, init(stage), 2, "There is no terminal to ask which preset to use. Add --preset (long-options,")


def test_several_profiles_without_a_default_and_without_a_terminal_are_named(play: Play) -> None:
    stage = play(QUIET)
    for name in ("income", "swing"):
        a_profile(stage.folder, "api_key: k\nsecret_key: s\n", name)
    refuses(stage, init(stage, "--yes"), 2, "which profile to use (income, swing)", "--profile NAME")


@pytest.mark.usefixtures("keys")
def test_an_account_that_can_not_be_read_leaves_nothing_behind(play: Play) -> None:
    stage = play(QUIET)
    stage.inject_fault("H05", status=503, times=None)
    refuses(stage, init(stage, "--yes"), 1, "main: reading the account failed", "answered with status 503")


@pytest.mark.usefixtures("keys")
def test_an_interrupt_while_the_file_is_written_says_that_it_is(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = play(QUIET)
    monkeypatch.setattr(private_files, "sync_folder", lambda _folder: os.kill(os.getpid(), signal.SIGINT))
    result = init(stage, "--yes")
    assert result.status == 130
    assert f"interrupted. {out_of(stage)} is written." in result.err
    assert using(stage, "config", "check").status == 0


@pytest.mark.usefixtures("keys")
def test_positions_that_can_not_be_read_leave_nothing_behind(play: Play) -> None:
    stage = play(QUIET)
    stage.inject_fault("H05", status=503, times=None, path="/v2/positions")
    refuses(stage, init(stage, "--yes"), 1, "main: reading the positions failed")


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1", "http://", "http://127.0.0.1:notaport", "https://api.alpaca.markets", "http://192.0.2.1:9001"],
)
def test_an_address_that_is_none_is_refused(play: Play, url: str) -> None:
    stage = play(QUIET)
    result = stage.run("init", "--yes", "--simulator", url, "--out", str(out_of(stage)))
    refuses(stage, result, 2, f"{url} isn't the address of a simulator on this machine.")


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("name", ["auto", "a b", ""])
def test_a_name_that_no_account_can_have_is_refused(play: Play, name: str) -> None:
    stage = play(QUIET)
    refuses(stage, init(stage, "--yes", "--account", name), 2, "can't be the name of an account.")


# --- an existing file


@pytest.mark.usefixtures("keys")
def test_an_existing_file_is_never_replaced_without_asking(play: Play) -> None:
    stage = play(QUIET)
    out_of(stage).parent.mkdir()
    out_of(stage).write_text("# mine\n", encoding="utf-8")
    result = init(stage, "--preset", "long-options")
    assert result.status == 2
    assert "already exists. Add --yes to replace it (a backup is kept), or --out FILE." in result.err
    assert [path.name for path in out_of(stage).parent.iterdir()] == ["mine.yml"]
    assert out_of(stage).read_text(encoding="utf-8") == "# mine\n"
    assert stage.server.requests == []


@pytest.mark.usefixtures("keys")
def test_every_file_that_is_replaced_is_kept(play: Play) -> None:
    stage = play(QUIET)
    out_of(stage).parent.mkdir()
    for text in ("# first\n", "# second\n"):
        out_of(stage).write_text(text, encoding="utf-8")
        assert init(stage, "--yes").status == 0
    kept = {path.name: path.read_text(encoding="utf-8") for path in out_of(stage).parent.glob("*.bak*")}
    assert kept == {"mine.yml.bak": "# first\n", "mine.yml.bak2": "# second\n"}


@pytest.mark.usefixtures("keys")
def test_a_file_that_can_not_be_replaced_stays_with_its_account(play: Play) -> None:
    stage = play(QUIET)
    out_of(stage).parent.mkdir()
    out_of(stage).write_text("# mine\n", encoding="utf-8")
    stage.inject_fault("H07", status=401)
    assert init(stage, "--yes").status == 3
    assert [path.name for path in out_of(stage).parent.iterdir()] == ["mine.yml"]


@pytest.mark.usefixtures("keys")
def test_a_folder_in_the_place_of_the_file_is_refused_before_anything_is_asked(play: Play) -> None:
    stage = play(QUIET)
    out_of(stage).mkdir(parents=True)
    result = init(stage, "--yes")
    assert (result.status, stage.server.requests) == (2, [])
    assert "mine.yml is not a file." in result.err
