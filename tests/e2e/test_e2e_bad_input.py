"""Invalid input gives one clear sentence with a remedy, the documented status, no traceback, and no order."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from alternative_broker import AlternativeBroker, position
from stage import CommandResult, Program

CALL = "AAPL261218C00200000"
ACCOUNT = """\
accounts:
  main:
    api_key: alternative-key
    secret_key: alternative-secret
    endpoints: {trading: 'URL', data: 'URL'}
"""
ONE = f"{ACCOUNT}sell_module: {{strategy_one: "
COMMANDS = [["run-once"], ["positions"], ["cancel-stale"], ["close", CALL]]


@pytest.fixture
def broker() -> Iterator[AlternativeBroker]:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}) as one:
        yield one


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "SELLCTL_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)


def is_one_clear_message(result: CommandResult, *texts: str) -> None:
    assert "Traceback" not in result.out + result.err
    assert result.out == ""
    for text in texts:
        assert text in result.err
    assert len(result.err.strip().splitlines()) <= 3, result.err


MISTAKES = {
    "tabs": ("accounts:\n\tmain: {}\n", "tab", "config.yml:2"),
    "a duplicate key": (f"{ACCOUNT}sell_module: {{}}\nsell_module: {{}}\n", "sell_module", "config.yml:7"),
    "an unknown key": (f"{ACCOUNT}sell_module: {{check_intervall: 5}}\n", "check_intervall", "check_interval"),
    "a percentage for a ratio": (f"{ONE}{{profit_rate: 10%}}}}\n", "profit_rate", "1.1"),
    "a target below entry": (f"{ONE}{{profit_rate: 0.9}}}}\n", "profit_rate", "above 1"),
    "a stop above entry": (f"{ONE}{{stop_loss_rate: 1.2}}}}\n", "stop_loss_rate", "1"),
    "no accounts": ("accounts: {}\n", "account", "api_key"),
    "half a key pair": ("accounts: {main: {api_key: abc}}\n", "secret_key", "main"),
    "an unset variable": (
        "accounts: {main: {api_key: '${NOT_SET_HERE}', secret_key: abc}}\n", "NOT_SET_HERE", "export"),
    "nothing but blanks": ("   \n", "config.yml", ""),
    "a list": ("- a\n- b\n", "config.yml", ""),
    "an address that is none": (ACCOUNT.replace("URL", "ht!tp:/x"), "endpoints", ""),
}  # fmt: skip


@pytest.mark.parametrize("command", [["run-once"], ["positions"], ["config", "check"]], ids=" ".join)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file_is_reported_in_one_sentence_with_a_remedy(
    tmp_path: Path, broker: AlternativeBroker, mistake: str, command: list[str]
) -> None:
    text, *arguments = MISTAKES[mistake]
    program = Program(tmp_path)
    program.write(text.replace("URL", broker.url))
    result = program.run(*command)
    assert result.status == 2, result
    is_one_clear_message(result, *arguments)
    assert broker.requests == []


def test_a_missing_file_is_named_and_the_message_says_how_to_create_one(tmp_path: Path) -> None:
    result = Program(tmp_path).run("run-once")
    assert result.status == 2
    is_one_clear_message(result, "config.yml", "sellctl init")


def test_without_configuration_and_keys_the_message_lists_the_ways_to_start(tmp_path: Path) -> None:
    process = Program(tmp_path).shell("config", "check")
    assert process.status == 2
    is_one_clear_message(process, "sellctl init")


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_file_with_keys_that_others_can_read_is_refused(tmp_path: Path, broker: AlternativeBroker, mode: int) -> None:
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", broker.url), mode)
    result = program.run("run-once")
    assert result.status == 2
    is_one_clear_message(result, "chmod 600")
    assert broker.requests == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_account_that_is_not_configured_is_named_with_those_that_are(
    tmp_path: Path, broker: AlternativeBroker, command: list[str]
) -> None:
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", broker.url))
    result = program.run(*command, "--account", "mian")
    assert result.status == 2
    is_one_clear_message(result, "mian", "main")
    assert broker.requests == []


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_unreachable_host_is_named_at_once(tmp_path: Path, command: list[str]) -> None:
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", f"http://127.0.0.1:{closed_port()}"))
    result = program.run(*command)
    assert result.status == 1
    assert re.search(r"main .*can't be reached.*endpoints", result.err)
    assert result.err.count("can't be reached") == 1, result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_html_instead_of_json_is_an_error_and_nothing_is_sold(
    tmp_path: Path, broker: AlternativeBroker, command: list[str]
) -> None:
    broker.override = lambda _method, _path: (200, "<html><body>Please log in</body></html>")
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", broker.url))
    result = program.run(*command)
    assert result.status == 1
    assert "not JSON" in result.err
    assert "Traceback" not in result.err
    assert broker.sent == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_refused_key_exits_3_and_the_message_names_it_and_what_to_check(
    tmp_path: Path, broker: AlternativeBroker, command: list[str]
) -> None:
    broker.keys = frozenset()
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", broker.url))
    result = program.run(*command)
    assert result.status == 3
    assert "main" in result.err
    assert "Check api_key and secret_key" in result.err
    assert "Traceback" not in result.err


def test_a_key_of_another_account_number_is_refused_before_anything_is_sent(
    tmp_path: Path, broker: AlternativeBroker
) -> None:
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", broker.url).replace("    api_key", "    account_number: PA1\n    api_key"))
    result = program.run("run-once")
    assert result.status == 5
    assert "belongs to ALT1, not to PA1" in result.err
    assert broker.sent == []


def test_real_money_needs_live_and_nothing_is_requested_before(tmp_path: Path, broker: AlternativeBroker) -> None:
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", broker.url).replace("    api_key", "    paper: false\n    api_key"))
    result = program.run("run-once")
    assert (result.status, broker.requests) == (5, [])
    is_one_clear_message(result, "--live", "--dry-run")
    assert program.run("run-once", "--dry-run").status == 0
    assert broker.sent == []
    unasked = program.run("--live", "run-once")
    assert (unasked.status, broker.sent) == (5, [])
    assert "--yes" in unasked.err
    assert program.run("--live", "run-once", "--yes").status == 0
    assert len(broker.sent) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["close"],
        ["run-once", "--format", "xml"],
        ["nonsense"],
        ["watch", "--format", "csv"],
        ["run-once", "--if-busy", "x"],
    ],
    ids=" ".join,
)
def test_an_invalid_argument_exits_2_without_a_traceback(tmp_path: Path, arguments: list[str]) -> None:
    result = Program(tmp_path).run(*arguments)
    assert result.status == 2
    assert "Traceback" not in result.err
