"""Every bad input: one clear sentence with what to do, the documented status, no traceback, and nothing sent."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Program, Said
from stranger import Stranger, position

CALL = "AAPL261218C00200000"
ACCOUNT = """\
accounts:
  main:
    api_key: stranger-key
    secret_key: stranger-secret
    endpoints: {trading: 'URL', data: 'URL'}
"""
ONE = f"{ACCOUNT}sell_module: {{strategy_one: "
COMMANDS = [["run-once"], ["positions"], ["cancel-stale"], ["close", CALL]]


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with Stranger(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}) as one:
        yield one


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "SELLCTL_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.chdir(tmp_path)


def is_one_clear_word(said: Said, *words: str) -> None:
    assert "Traceback" not in said.out + said.err
    assert said.out == ""
    for word in words:
        assert word in said.err
    assert len(said.err.strip().splitlines()) <= 3, said.err


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
def test_a_mistake_in_the_file_is_one_sentence_with_what_to_do(
    tmp_path: Path, stranger: Stranger, mistake: str, command: list[str]
) -> None:
    text, *words = MISTAKES[mistake]
    program = Program(tmp_path)
    program.write(text.replace("URL", stranger.url))
    said = program.run(*command)
    assert said.status == 2, said
    is_one_clear_word(said, *words)
    assert stranger.asked == []


def test_a_missing_file_is_named_with_how_to_write_one(tmp_path: Path) -> None:
    said = Program(tmp_path).run("run-once")
    assert said.status == 2
    is_one_clear_word(said, "config.yml", "sellctl config init")


def test_without_configuration_and_keys_the_ways_to_begin_are_named(tmp_path: Path) -> None:
    process = Program(tmp_path).shell("config", "check")
    assert process.status == 2
    is_one_clear_word(process, "sellctl config init")


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_keys_in_a_file_that_others_can_read_are_refused(tmp_path: Path, stranger: Stranger, mode: int) -> None:
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", stranger.url), mode)
    said = program.run("run-once")
    assert said.status == 2
    is_one_clear_word(said, "chmod 600")
    assert stranger.asked == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_account_that_is_not_configured_is_named_with_those_that_are(
    tmp_path: Path, stranger: Stranger, command: list[str]
) -> None:
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", stranger.url))
    said = program.run(*command, "--account", "mian")
    assert said.status == 2
    is_one_clear_word(said, "mian", "main")
    assert stranger.asked == []


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_host_that_can_not_be_reached_is_named_at_once(tmp_path: Path, command: list[str]) -> None:
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", f"http://127.0.0.1:{closed_port()}"))
    said = program.run(*command)
    assert said.status == 1
    assert re.search(r"main .*can't be reached.*endpoints", said.err)
    assert said.err.count("can't be reached") == 1, said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_html_in_place_of_json_is_an_error_and_sells_nothing(
    tmp_path: Path, stranger: Stranger, command: list[str]
) -> None:
    stranger.before = lambda _method, _path: (200, "<html><body>Please log in</body></html>")
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", stranger.url))
    said = program.run(*command)
    assert said.status == 1
    assert "not JSON" in said.err
    assert "Traceback" not in said.err
    assert stranger.sent == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_refused_key_exits_3_and_says_which_and_what_to_check(
    tmp_path: Path, stranger: Stranger, command: list[str]
) -> None:
    stranger.keys = frozenset()
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", stranger.url))
    said = program.run(*command)
    assert said.status == 3
    assert "main" in said.err
    assert "Check api_key and secret_key" in said.err
    assert "Traceback" not in said.err


def test_a_key_of_another_account_number_is_refused_before_anything_is_sent(tmp_path: Path, stranger: Stranger) -> None:
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", stranger.url).replace("    api_key", "    account_number: PA1\n    api_key"))
    said = program.run("run-once")
    assert said.status == 5
    assert "belongs to STRANGE1, not to PA1" in said.err
    assert stranger.sent == []


def test_real_money_needs_live_and_nothing_is_asked_before(tmp_path: Path, stranger: Stranger) -> None:
    program = Program(tmp_path)
    program.write(ACCOUNT.replace("URL", stranger.url).replace("    api_key", "    paper: false\n    api_key"))
    said = program.run("run-once")
    assert (said.status, stranger.asked) == (5, [])
    is_one_clear_word(said, "--live", "--dry-run")
    assert program.run("run-once", "--dry-run").status == 0
    assert stranger.sent == []
    unasked = program.run("--live", "run-once")
    assert (unasked.status, stranger.sent) == (5, [])
    assert "--yes" in unasked.err
    assert program.run("--live", "run-once", "--yes").status == 0
    assert len(stranger.sent) == 1


@pytest.mark.parametrize(
    "words",
    [
        ["close"],
        ["run-once", "--format", "xml"],
        ["nonsense"],
        ["watch", "--format", "csv"],
        ["run-once", "--if-busy", "x"],
    ],
    ids=" ".join,
)
def test_a_wrong_word_on_the_command_line_exits_2_without_a_traceback(tmp_path: Path, words: list[str]) -> None:
    said = Program(tmp_path).run(*words)
    assert said.status == 2
    assert "Traceback" not in said.err
