"""`doctor` checks everything that a trading day requires, sends nothing and writes nothing.

It ends in READY or NOT READY with the one thing to do next, and takes no cause for another.
"""

import asyncio
import re
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from alternative_broker import AlternativeBroker, position
from postgres_fixtures import PostgresLocation
from stage import CALL, CommandResult, Play, Program, Stage, three_calls

from sellctl.core.leases.model import Renewal
from sellctl.journal.leases.postgres_table import PostgresLeaseTable
from sellctl.service.state_folder import StateFolder

HELD = three_calls(more_prices="SPY: [{fixed: {bid: 600.00, ask: 600.02}}]")
SUBSCRIPTION = {"status": 403, "message": "subscription does not permit querying recent data"}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def examined(stage: Program, status: int) -> dict[str, Any]:
    result = stage.run("doctor", "--format", "json")
    assert result.status == status, result
    return {check["what"]: check for check in result.document["checks"]}


def last_line(result: CommandResult) -> str:
    return result.out.splitlines()[-1]


def at_address(folder: Path, trading: str, data: str = "") -> Program:
    program = Program(folder)
    program.write(
        f"accounts:\n  main:\n    api_key: k\n    secret_key: s\n"
        f"    endpoints: {{trading: '{trading}', data: '{data or trading}'}}\n"
    )
    return program


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- the verdict


def test_doctor_checks_everything_and_changes_nothing(play: Play) -> None:
    stage = play(HELD)
    checks = examined(stage, 0)
    states = {what: check["state"] for what, check in checks.items()}
    assert states == {
        "configuration": "ok",
        "time-zone data": "ok",
        "journal": "ok",
        "clock": "warning",  # the simulator's, in a configuration that doesn't say so
        "account main": "ok",
        "account main, options": "ok",
        "account main, shorting": "warning",
        "stock quotes": "warning",
        "option quotes": "warning",
        "streams": "ok",
    }
    assert "feed iex" in checks["stock quotes"]["found"]
    assert all(check["to do"] for check in checks.values() if check["state"] != "ok")
    assert stage.sent() == []
    assert not stage.state.exists()


def test_an_account_with_positions_that_nothing_will_close_says_how_many(play: Play) -> None:
    stage = play(HELD, "simulator: true\nsell_module: {strategy_one: {applies_to: [stock]}}\n")
    assert examined(stage, 0)["account main"]["found"].endswith("simulated, 1 position, 1 NOT MANAGED")


def test_its_last_line_is_ready_with_the_command_that_starts(play: Play) -> None:
    stage = play(HELD, "simulator: true\n")
    assert last_line(stage.run("doctor")) == f"READY. Next: sellctl --config {stage.config} watch"
    document = stage.run("doctor", "--format", "json").document
    assert (document["ready"], document["next"]) == (True, f"sellctl --config {stage.config} watch")


def test_a_format_for_machines_stays_whole(play: Play) -> None:
    stage = play(HELD, "simulator: true\n")
    result = stage.run("doctor", "--format", "csv")
    assert all(line.count(",") >= 3 for line in result.out.splitlines())
    assert result.err.splitlines()[-1].startswith("READY.")


def test_a_halt_comes_before_watching(play: Play) -> None:
    stage = play(HELD, "simulator: true\n")
    stage.run("halt", "--reason", "earnings")
    result = stage.run("doctor")
    assert result.status == 0
    assert re.fullmatch(r'READY\. Next: sellctl .* resume --reason "\.\.\." lifts the halt', last_line(result))


def test_doctor_fits_a_terminal_of_80_columns(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stage = play(HELD, "simulator: true\n")
    table = stage.run("doctor", "--format", "table").out
    assert max(map(len, table.splitlines())) <= 80 or f"--config {stage.config}" in table.splitlines()[-1]
    assert max(map(len, table.splitlines()[:-1])) <= 80


# --- the clock


def test_doctor_does_not_compare_a_simulated_clock_with_this_machine(play: Play) -> None:
    stage = play(HELD)
    stage.write(f"simulator: true\n{stage.config.read_text()}")
    clock = examined(stage, 0)["clock"]
    assert (clock["state"], clock["to do"]) == ("ok", "")
    assert clock["found"].startswith("simulated: ")


def test_a_simulator_is_recognised_where_the_configuration_does_not_say_so(play: Play) -> None:
    clock = examined(play(HELD), 0)["clock"]
    assert clock["found"] == "simulated: Tue 2026-11-24 12:00 in New York"
    assert "simulator: true" in clock["to do"]


def test_a_clock_that_is_wrong_is_named_as_that(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.0, 1.02)}, keys=frozenset({"k"})) as broker:
        program = at_address(tmp_path, broker.url)
        checks = examined(program, 1)
        assert checks["clock"]["state"] == "bad"
        assert "the broker" in checks["clock"]["found"]
        assert checks["account main"]["state"] == "ok"
        assert last_line(program.run("doctor")).startswith("NOT READY. Next: clock: set the clock")


# --- no account


def test_doctor_names_a_key_that_is_refused(play: Play) -> None:
    stage = play(HELD)
    stage.write(stage.config.read_text().replace("secret_key: s", "secret_key: wrong"))
    account = examined(stage, 3)["account main"]
    assert account["state"] == "bad"
    assert f"api_key and secret_key ({stage.config}:4" in account["to do"]
    assert last_line(stage.run("doctor")).startswith("NOT READY. Next: account main: correct api_key and secret_key")


@pytest.mark.parametrize("status", [401, 403])
def test_both_statuses_of_a_refused_key_end_in_3(play: Play, status: int) -> None:
    stage = play(HELD)
    stage.inject_fault("H07", status=status)
    account = examined(stage, 3)["account main"]
    assert f"refuses the key ({status}" in account["found"]


def test_what_depends_on_the_account_is_not_checked_and_no_problem_of_its_own(play: Play) -> None:
    stage = play(HELD)
    stage.inject_fault("H07", status=401)
    checks = examined(stage, 3)
    assert [what for what, check in checks.items() if check["state"] == "bad"] == ["account main"]
    skipped = {what for what, check in checks.items() if check["state"] == "not checked"}
    assert skipped == {"clock", "stock quotes", "option quotes", "streams"}
    assert not [check for check in checks.values() if "subscription" in check["to do"]]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_broker_that_fails_is_not_a_wrong_key(play: Play, status: int) -> None:
    stage = play(HELD)
    stage.inject_fault("H05", status=status, times=None)
    account = examined(stage, 1)["account main"]
    assert f"answered with status {status}" in account["found"]
    assert "the broker's servers fail: the key was not refused" in account["to do"]


def test_a_time_out_is_not_a_wrong_key(play: Play) -> None:
    stage = play(HELD)
    stage.inject_fault("H01", times=None)
    account = examined(stage, 1)["account main"]
    assert "did not answer in time" in account["found"]
    assert "slow: the key was not refused" in account["to do"]


def test_a_host_that_refuses_connections_is_named(tmp_path: Path) -> None:
    account = examined(at_address(tmp_path, f"http://127.0.0.1:{closed_port()}"), 1)["account main"]
    assert "can't be reached" in account["found"]
    assert "check the network and firewall, and endpoints" in account["to do"]


def test_a_name_that_is_not_resolved_is_a_matter_of_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_name_server(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_name_server)
    account = examined(at_address(tmp_path, "https://alpaca.invalid"), 1)["account main"]
    assert "the host name alpaca.invalid can't be resolved" in account["found"]
    assert "name server (DNS)" in account["to do"]


def test_a_proxy_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    account = examined(at_address(tmp_path, "https://alpaca.invalid"), 1)["account main"]
    assert "the proxy did not connect" in account["found"]
    assert "correct HTTPS_PROXY" in account["to do"]


def test_a_certificate_that_is_not_trusted_is_named(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {}) as broker:
        account = examined(at_address(tmp_path, broker.url.replace("http:", "https:")), 1)["account main"]
    assert "no trusted certificate" in account["found"]
    assert "what intercepts TLS" in account["to do"]


def test_a_gateway_that_refuses_is_not_the_broker(tmp_path: Path) -> None:
    def gateway(_method: str, _path: str) -> tuple[int, Any]:
        return 403, "<html>denied by policy</html>"

    with AlternativeBroker(position(CALL, 3, 1.0), {}, override=gateway, keys=frozenset({"k"})) as broker:
        account = examined(at_address(tmp_path, broker.url), 1)["account main"]
    assert "a gateway or proxy refuses the request, not Alpaca" in account["to do"]


def test_one_refused_account_of_two_ends_in_3_and_the_rest_is_checked(play: Play) -> None:
    stage = play(HELD)
    text = stage.config.read_text()
    second = text.removeprefix("accounts:\n").replace("  main:", "  old:").replace("api_key: k", "api_key: gone")
    stage.write(text + second)
    checks = examined(stage, 3)
    assert (checks["account main"]["state"], checks["account old"]["state"]) == ("ok", "bad")
    assert checks["option quotes"]["state"] == "warning"


# --- quotes


def test_a_feed_that_is_not_granted_is_a_matter_of_the_subscription(play: Play) -> None:
    stage = play(HELD)
    stage.inject_fault("H21", times=None, path="/v1beta1/options/quotes/latest", **SUBSCRIPTION)
    checks = examined(stage, 1)
    assert checks["option quotes"]["to do"] == "check the data subscription of the key"
    assert checks["stock quotes"]["state"] == "warning"


def test_quotes_that_can_not_be_reached_are_not_a_matter_of_the_subscription(play: Play) -> None:
    stage = play(HELD)
    url = stage.server.url
    stage.write(stage.config.read_text().replace(f"data: '{url}'", f"data: 'http://127.0.0.1:{closed_port()}'"))
    checks = examined(stage, 1)
    assert checks["account main"]["state"] == "ok"
    assert "can't be reached" in checks["option quotes"]["found"]
    assert "subscription" not in checks["option quotes"]["to do"]


def test_doctor_checks_the_login_at_the_streams(play: Play) -> None:
    stage = play(HELD)
    server = stage.server
    text = stage.config.read_text()
    streams = f"stock_stream: '{server.stream_url}/v2/iex', trading_stream: '{server.stream_url}/stream'"
    stage.write(text.replace(f"data: '{server.url}'", f"data: '{server.url}', {streams}"))
    stage.inject_fault("W09", code=406, path="/v2/iex")
    checks = examined(stage, 0)
    assert checks["stream, orders of main"]["found"] == "connected"
    assert "(406)" in checks["stream, stock quotes"]["found"]
    assert checks["stream, stock quotes"]["to do"] == "stop the program that uses the connection"


@pytest.mark.parametrize(("command", "state"), [("watch", "ok"), ("serve", "ok"), ("run-once", "warning")])
def test_a_stream_that_the_users_own_watcher_uses_is_no_warning(play: Play, command: str, state: str) -> None:
    stage = play(HELD)
    server, text = stage.server, stage.config.read_text()
    streams = f"stock_stream: '{server.stream_url}/v2/iex', trading_stream: '{server.stream_url}/stream'"
    stage.write(text.replace(f"data: '{server.url}'", f"data: '{server.url}', {streams}"))
    stage.inject_fault("W09", code=406, path="/v2/iex")
    watcher = StateFolder(stage.state)
    watcher.lock("PA1", command)
    try:
        found = examined(stage, 0)["stream, stock quotes"]
    finally:
        watcher.release()
    assert found["state"] == state
    assert (f"used by `sellctl {command}` (process " in found["found"]) is (state == "ok")


def test_beside_a_host_its_stream_is_no_warning_and_nothing_is_to_be_started(
    play: Play, postgres: PostgresLocation
) -> None:
    stage = play(HELD, f'journal: {{url: "{postgres.url}"}}\n')
    server, text = stage.server, stage.config.read_text()
    stage.write(
        text.replace(f"data: '{server.url}'", f"data: '{server.url}', stock_stream: '{server.stream_url}/v2/iex'")
    )
    stage.inject_fault("W09", code=406, path="/v2/iex")

    async def register() -> None:
        table = PostgresLeaseTable(postgres.conninfo)
        try:
            await table.renew(Renewal("one", "process", 0, frozenset({"main"})))
        finally:
            await table.close()

    asyncio.run(register())
    result = stage.run("doctor", "--format", "json").document
    assert (result["ready"], result["next"]) == (True, "nothing, host one is watching")
    stream = next(each for each in result["checks"] if each["what"] == "stream, stock quotes")
    assert (stream["state"], stream["found"]) == ("ok", "the key's only connection is used by one of the hosts")


def test_doctor_checks_the_option_stream_with_an_option_that_is_held(play: Play) -> None:
    stage = play(HELD)
    server, text = stage.server, stage.config.read_text()
    stream = f"option_stream: '{server.stream_url}/v1beta1/indicative'"
    stage.write(text.replace(f"data: '{server.url}'", f"data: '{server.url}', {stream}"))
    stage.inject_fault("W09", code=406, path="/v1beta1/indicative")
    assert "(406)" in examined(stage, 0)["stream, option quotes"]["found"]


# --- a profile that the environment overrides


def test_a_key_that_wins_over_the_profile_is_warned_about(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = play(HELD)
    a_profile(tmp_path, monkeypatch, "another", "one")
    stage.write(stage.config.read_text().replace("    api_key: k\n    secret_key: s\n", "    profile: paper\n"))
    monkeypatch.setenv("ALPACA_API_KEY", "k")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "s")
    configuration = examined(stage, 0)["configuration"]
    assert configuration["state"] == "warning"
    assert "ALPACA_API_KEY holds another key than profile paper, and wins." in configuration["found"]


def a_profile(folder: Path, monkeypatch: pytest.MonkeyPatch, key: str, secret: str) -> None:
    profiles = folder / "alpaca" / "profiles"
    profiles.mkdir(parents=True, mode=0o700)
    path = profiles / "paper.yaml"
    path.write_text(f"api_key: {key}\nsecret_key: {secret}\n", encoding="utf-8")
    path.chmod(0o600)
    monkeypatch.setenv("ALPACA_CONFIG_DIR", str(folder / "alpaca"))


def test_an_account_is_read_with_its_profile(play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage: Stage = play(HELD)
    a_profile(tmp_path, monkeypatch, "k", "s")
    stage.write(stage.config.read_text().replace("    api_key: k\n    secret_key: s\n", "    profile: paper\n"))
    assert examined(stage, 0)["account main"]["state"] == "ok"
    assert CALL in stage.run("positions").out


# --- notifications


def test_an_extra_that_notifications_need_and_that_is_missing_is_the_next_thing_to_do(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    stage = play(HELD, "notify: [{url: 'json://127.0.0.1:1/'}]\n")
    check = examined(stage, 2)["notifications"]
    assert check["state"] == "bad"
    assert check["found"] == "The key notify needs the extra notify, which isn't installed."
    result = stage.run("doctor")
    assert last_line(result).startswith("NOT READY. Next: notifications: Run: ")
    assert "sellctl[notify]" in last_line(result)


def test_recipients_that_can_be_used_are_counted_and_get_nothing(play: Play) -> None:
    pytest.importorskip("apprise")
    with socket.socket() as recipient:
        recipient.bind(("127.0.0.1", 0))
        recipient.listen()
        recipient.settimeout(0)
        url = f"127.0.0.1:{recipient.getsockname()[1]}/"
        stage = play(HELD, f"notify: [{{url: 'json://{url}'}}]\nwatch: {{heartbeat: 'http://{url}'}}\n")
        check = examined(stage, 0)["notifications"]
        assert check["found"] == "1 recipient, a heartbeat; nothing was sent"
        with pytest.raises(BlockingIOError):
            recipient.accept()
