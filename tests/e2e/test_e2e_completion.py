"""Tab completes accounts, symbols, structures and reasons from the files at hand, without a request or a traceback."""

from pathlib import Path

import pytest
from stage import CALL, Play, Program, Stage, three_calls
from typer.testing import CliRunner

from sellctl.app import app

STRUCTURES = "sell_module: {structures: [{name: Income, legs: [MSFT261218C00450000, MSFT261218C00460000]}]}"
TWO_ACCOUNTS = """
accounts:
  main: {api_key: k, secret_key: 'file:gone'}
  Income: {api_key: k, secret_key: 'file:gone'}
"""
KEYS = {"ALPACA_API_KEY": "k", "ALPACA_SECRET_KEY": "s"}
NO_KEYS = dict.fromkeys((*KEYS, "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"))


def completions(program: Program, line: str, **variables: str) -> list[str]:
    """What bash would offer at the end of a line."""
    words = ["sellctl", *program.arguments(), *line.split(" ")]
    tab = {"_SELLCTL_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    ended = CliRunner().invoke(app, env={**NO_KEYS, **tab, **variables}, prog_name="sellctl")
    assert ended.stderr == ""
    assert isinstance(ended.exception, SystemExit | None)
    return ended.stdout.split()


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.fixture
def stage(play: Play) -> Stage:
    """A simulated account whose calls were watched once."""
    stage = play(three_calls(), STRUCTURES)
    assert stage.run("run-once").status == 0
    return stage


@pytest.mark.parametrize("command", ["positions", "run-once", "watch", "close X", "panic", "doctor", "strategies"])
def test_accounts_come_from_the_configuration(program: Program, command: str) -> None:
    program.write(TWO_ACCOUNTS)
    assert completions(program, f"{command} --account ") == ["Income", "main"]
    assert completions(program, f"{command} -a m") == ["main"]


@pytest.mark.parametrize("name", ["'$(id)'", "'a;id'", "'`id`'", "'\\$(id)'", '"a\\nb"', "'-x'", "'a b'", '"\\e[2J"'])
def test_a_name_that_a_shell_would_take_for_more_than_a_word_is_not_offered(program: Program, name: str) -> None:
    program.write(f"accounts:\n  main: {{api_key: k, secret_key: s}}\n  {name}: {{api_key: k, secret_key: s}}\n")
    assert completions(program, "positions --account ") == ["main"]


@pytest.mark.parametrize("command", ["history", "report"])
def test_accounts_on_record_are_offered_for_what_is_on_record(play: Play, command: str) -> None:
    stage = play(three_calls(bid="2.00", ask="2.02"))
    assert stage.run("run-once").status == 0
    stage.write("accounts: {renamed: {api_key: k, secret_key: s}}")
    assert completions(stage, f"{command} --account ") == ["main", "renamed"]


def test_keys_of_the_environment_are_account_main(program: Program) -> None:
    program.write("sell_module: {check_interval: 5}\n")
    assert completions(program, "positions --account ", **KEYS) == ["main"]
    assert completions(program, "positions --account ", ALPACA_API_KEY="k") == []


@pytest.mark.parametrize("command", ["close", "positions", "explain"])
def test_what_was_held_at_the_last_check_is_offered_without_a_request(stage: Stage, command: str) -> None:
    before = len(stage.server.requests)
    assert completions(stage, f"{command} ") == [CALL, "Income"]
    assert completions(stage, f"{command} aapl") == [CALL.lower()]
    assert len(stage.server.requests) == before


def test_an_underlying_can_be_exempted(stage: Stage) -> None:
    assert completions(stage, "exempt A") == ["AAPL", CALL]


def test_what_is_exempt_can_be_managed_again(stage: Stage) -> None:
    assert completions(stage, "manage ") == []
    assert stage.run("exempt", "AAPL").status == 0
    assert completions(stage, "manage ") == ["AAPL"]


def test_the_presets_are_offered(stage: Stage) -> None:
    assert completions(stage, "init --preset s") == ["stock-swing"]


@pytest.mark.parametrize("command", ["history", "report"])
def test_symbols_on_record_are_offered(play: Play, command: str) -> None:
    stage = play(three_calls(bid="2.00", ask="2.02"))
    assert stage.run("run-once").status == 0
    assert completions(stage, f"{command} A") == [CALL]
    assert completions(stage, f"{command} B") == []


@pytest.mark.parametrize("command", ["history", "report"])
def test_reasons_are_offered(program: Program, command: str) -> None:
    assert completions(program, f"{command} --reason s") == ["scale_out", "short_strike", "stop_loss", "structure"]


LINES = ("close ", "exempt ", "manage ", "history ", "history --account ", "positions --account ")


@pytest.mark.parametrize("line", LINES)
def test_damaged_files_have_no_completions_and_no_traceback(stage: Stage, line: str) -> None:
    stage.write("accounts: [\n")
    for file in ("journal.sqlite", "exempt.json"):
        (stage.state / file).write_bytes(b"\xff no database and no object" * 1000)
    assert completions(stage, line) == []


@pytest.mark.parametrize("line", LINES)
def test_without_any_files_there_is_no_traceback(program: Program, line: str) -> None:
    assert completions(program, line) == []


def test_what_can_be_read_is_offered_beside_a_damaged_journal(stage: Stage) -> None:
    (stage.state / "journal.sqlite").write_bytes(b"no database" * 1000)
    assert completions(stage, "positions --account ") == ["main"]
    assert completions(stage, "history --account ") == ["main"]
    assert completions(stage, "close ") == ["Income"]


def test_a_folder_in_place_of_the_files_has_no_completions(program: Program) -> None:
    (program.state / "journal.sqlite").mkdir(parents=True)
    (program.state / "exempt.json").mkdir()
    program.config.mkdir()
    assert [completions(program, line) for line in ("close ", "manage ")] == [[], []]
