"""Commands and the control API reach the host of an account from any machine; what has no lease sends nothing."""

import contextlib
import json
import os
import resource
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alternative_broker import AlternativeBroker, position
from postgres_fixtures import PostgresLocation
from postgres_proxy import Proxy
from stage import CommandResult, Program, end_of

from sellctl.api.tokens import fresh_secret
from sellctl.core.manual.verb import Verb
from sellctl.journal.verify import verify
from sellctl.service.state_folder import StateFolder

if TYPE_CHECKING:
    import subprocess

CALL = "AAPL261218C00200000"
PATIENCE = 30.0
SECRET = fresh_secret()


def until(what: Callable[[], object], seconds: float = PATIENCE) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, "it never came to pass"
        time.sleep(0.05)


@dataclass(frozen=True)
class Machines:
    """A broker, a database, and machines that share both, each with a state folder of its own."""

    folder: Path
    broker: AlternativeBroker
    journal: PostgresLocation
    stack: contextlib.ExitStack

    def machine(self, name: str) -> Program:
        program = Program(self.folder / name)
        if not program.folder.exists():
            program.folder.mkdir()
            program.write(
                f"accounts:\n  main:\n    api_key: k\n    secret_key: s\n"
                f"    endpoints: {{trading: '{self.broker.url}', data: '{self.broker.url}'}}\n"
                f"sell_module: {{check_interval: 1}}\njournal: {{url: '{self.journal.url}'}}\n"
                f"api: {{secret: '{SECRET}', requests_a_second: 1000}}\n"
            )
        return program

    def spawn(self, name: str, *arguments: str) -> "subprocess.Popen[str]":
        process = self.machine(name).spawn(*arguments)
        self.stack.callback(end_of, process)
        self.stack.callback(process.kill)
        return process

    def host(self, name: str) -> "subprocess.Popen[str]":
        """Start a host, and wait until it watches the account."""
        process = self.spawn(name, "watch", "--format", "log", "--host-id", name)
        until(lambda: any(self.machine(name).state.glob("account-*.holder")))
        return process

    def run(self, name: str, *arguments: str) -> CommandResult:
        return self.machine(name).run(*arguments)

    def fall(self, bid: float) -> None:
        """The call's price: it cost 1.00, so that its stop is below 0.75."""
        self.broker.quotes[CALL] = (bid, bid + 0.02)


def behind_a_proxy(machines: Machines, name: str) -> Proxy:
    """A machine that reaches the database by a proxy only."""
    port = urllib.parse.urlsplit(machines.journal.url).port
    assert port is not None
    program, proxy = machines.machine(name), Proxy(port)
    program.write(program.config.read_text().replace(f":{port}/", f":{proxy.port}/"))
    return proxy


def rows(journal: PostgresLocation, table: str) -> list[tuple[Any, ...]]:
    import psycopg  # noqa: PLC0415  an extra

    with psycopg.connect(journal.conninfo, autocommit=True) as connection:
        return connection.execute(f"SELECT * FROM {table}".encode()).fetchall()  # noqa: S608  the test's own


@pytest.fixture
def machines(tmp_path: Path, postgres: PostgresLocation) -> Iterator[Machines]:
    broker = AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.00, 1.02)}, keys=frozenset({"k"}))
    with broker, contextlib.ExitStack() as stack:
        yield Machines(tmp_path, broker, postgres, stack)
    assert verify(postgres).fault == ""


# --- what has no lease sends nothing ----------------------------------------------------------------------------------


def test_a_run_beside_a_host_sends_nothing_and_names_the_host(machines: Machines) -> None:
    machines.host("one")
    machines.broker.quotes[CALL] = (1.00, 1.02)
    result = machines.run("elsewhere", "run-once")
    assert result.status == 6
    assert "Account main is watched by host one: nothing is sent from here." in result.err
    assert machines.run("elsewhere", "run-once", "--if-busy", "skip").status == 0
    stale = machines.run("elsewhere", "cancel-stale")
    assert (stale.status, "watched by host one" in stale.err) == (6, True)
    assert machines.broker.orders == []
    shown = machines.run("elsewhere", "positions")
    assert (shown.status, "No watcher" in shown.err) == (0, False)


def test_a_watcher_without_leases_ends_once_a_host_watches_its_account(machines: Machines) -> None:
    watcher = machines.spawn("elsewhere", "watch", "--format", "log")
    until(lambda: any(machines.machine("elsewhere").state.glob("account-*.holder")))
    machines.host("one")
    assert watcher.wait(PATIENCE) == 6
    machines.fall(0.70)
    until(lambda: machines.broker.orders)
    until(lambda: not machines.broker.positions)
    assert [order["qty"] for order in machines.broker.orders] == ["3"]


def test_when_the_last_host_has_ended_a_run_without_leases_sends_again(machines: Machines) -> None:
    host = machines.host("one")
    host.terminate()
    host.wait(PATIENCE)
    machines.fall(1.30)
    assert machines.run("elsewhere", "run-once").status in {0, 4}
    assert len(machines.broker.orders) == 1


# --- exempt -----------------------------------------------------------------------------------------------------------


def test_what_is_exempt_on_one_machine_is_on_every_host_and_so_is_what_is_managed_again(machines: Machines) -> None:
    machines.host("one")
    assert machines.run("elsewhere", "exempt", "AAPL").status == 0
    until(lambda: "AAPL" in (machines.machine("one").state / "exempt.json").read_text())
    machines.fall(0.70)
    time.sleep(3)  # a stop is confirmed and sent in less
    assert machines.broker.orders == []
    assert "exempt" in machines.run("third", "positions", "--format", "json").out
    assert machines.run("third", "manage", "AAPL").status == 0
    until(lambda: not machines.broker.positions)
    assert [order["qty"] for order in machines.broker.orders] == ["3"]


def test_what_was_exempt_before_the_journal_was_shared_stays_exempt(machines: Machines) -> None:
    state = machines.machine("one").state
    state.mkdir(mode=0o700)
    (state / "exempt.json").write_text(json.dumps({"symbols": [CALL]}))
    (state / "exempt.json").chmod(0o600)
    machines.fall(0.70)
    machines.host("one")
    until(lambda: "shared" in (state / "exempt.json").read_text())
    assert "is exempt already" in machines.run("elsewhere", "exempt", CALL).err
    time.sleep(2)
    assert machines.broker.orders == []


def test_what_another_machine_alone_had_exempt_reaches_the_hosts_when_it_is_exempt_again(machines: Machines) -> None:
    machines.host("one")
    state = machines.machine("elsewhere").state
    state.mkdir(mode=0o700)
    (state / "exempt.json").write_text(json.dumps({"symbols": [CALL]}))
    (state / "exempt.json").chmod(0o600)
    assert machines.run("elsewhere", "exempt", CALL).status == 0
    machines.fall(0.70)
    time.sleep(3)  # a stop is confirmed and sent in less
    assert machines.broker.orders == []


def test_what_is_exempt_elsewhere_is_not_sold_by_a_host_whose_disk_is_full(machines: Machines) -> None:
    host = machines.host("one")
    resource.prlimit(host.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    assert machines.run("elsewhere", "exempt", CALL).status == 0
    machines.fall(0.70)
    time.sleep(3)
    assert machines.broker.orders == []


def test_without_the_database_nothing_is_exempt_or_managed_and_the_command_says_so(machines: Machines) -> None:
    elsewhere = machines.machine("elsewhere")
    elsewhere.write(
        elsewhere.config.read_text().replace(machines.journal.url, "postgresql+psycopg://x:y@127.0.0.1:1/n")
    )
    result = elsewhere.run("exempt", "AAPL", "--not-held")
    assert (result.status, "can't be reached" in result.err) == (1, True)


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_close_from_another_machine_is_carried_out_once_by_the_host(machines: Machines) -> None:
    machines.host("one")
    result = machines.run("elsewhere", "close", CALL, "--yes")
    assert result.status == 0, result.err
    assert "main: passed to host one." in result.err
    assert [order["qty"] for order in machines.broker.orders] == ["3"]


@pytest.mark.parametrize("verb", [("close", CALL), ("panic",)], ids=["close", "panic"])
def test_a_halt_of_a_machine_that_was_lifted_on_another_one_is_in_the_way_of_nothing(
    machines: Machines, verb: tuple[str, ...]
) -> None:
    machines.host("one")
    assert machines.run("third", "halt", "--reason", "fed day").status == 0
    assert machines.run("elsewhere", "resume", "--reason", "over").status == 0
    result = machines.run("third", *verb, "--yes")
    assert (result.status, "HALTED" in result.err) == (0, False), result.err
    assert not machines.broker.positions
    assert "HALTED" not in machines.run("third", "positions").err


def test_a_part_is_closed_and_what_is_left_stays(machines: Machines) -> None:
    machines.host("one")
    result = machines.run("elsewhere", "close", CALL, "--qty", "1", "--yes")
    assert result.status == 0, result.err
    assert [order["qty"] for order in machines.broker.orders] == ["1"]


def test_a_panic_from_another_machine_closes_also_while_all_hosts_are_halted(machines: Machines) -> None:
    machines.host("one")
    assert machines.run("third", "halt", "--reason", "fed day").status == 0
    result = machines.run("elsewhere", "panic", "--yes")
    assert result.status == 0, result.err
    assert "main: passed to host one." in result.err
    assert not machines.broker.positions


def test_a_stop_that_is_set_from_another_machine_is_the_hosts(machines: Machines) -> None:
    machines.host("one")
    result = machines.run("elsewhere", "set", CALL, "--stop", "10%", "--yes")
    assert result.status == 0, result.err
    assert "main: AAPL" in result.err
    machines.fall(0.88)
    until(lambda: not machines.broker.positions)


def test_a_close_after_which_the_database_is_away_says_that_its_outcome_is_unknown(machines: Machines) -> None:
    host = machines.host("one")
    with contextlib.closing(behind_a_proxy(machines, "elsewhere")) as proxy:
        host.send_signal(signal.SIGSTOP)
        closing = machines.spawn("elsewhere", "close", CALL, "--qty", "1", "--yes")
        until(lambda: rows(machines.journal, "requests"))
        proxy.stall()
        _, said = closing.communicate(timeout=PATIENCE)
        host.send_signal(signal.SIGCONT)
    assert closing.returncode == 1
    assert "Whether host one carries it out is unknown: " in said
    until(lambda: machines.broker.orders)


def test_a_request_that_was_left_on_a_hosts_disk_long_ago_is_not_carried_out(machines: Machines) -> None:
    state = StateFolder(machines.machine("one").state)
    file = state.ask(Verb.CLOSE, symbol=CALL, accounts=("main",), by="sellctl close")  # and it was killed
    os.utime(file, (time.time() - 86_400,) * 2)
    machines.host("one")
    until(lambda: not file.exists())
    time.sleep(2)
    assert machines.broker.orders == []


def test_a_close_while_a_host_takes_over_waits_for_it(machines: Machines) -> None:
    first = machines.host("one")
    machines.spawn("two", "watch", "--format", "log", "--host-id", "two")
    until(lambda: len(machines.run("elsewhere", "fleet", "--format", "json").document["hosts"]) == 2)
    first.kill()
    result = machines.run("elsewhere", "close", CALL, "--yes")
    assert result.status == 0, result.err
    assert "main: passed to host" in result.err
    assert [order["qty"] for order in machines.broker.orders] == ["3"]


# --- halts ------------------------------------------------------------------------------------------------------------


def test_a_halt_with_a_reason_that_is_not_text_halts_all_hosts_and_ends_none(machines: Machines) -> None:
    host = machines.host("one")
    assert machines.run("elsewhere", "halt", "--reason", "fed \udcff day").status == 0
    assert machines.run("third", "fleet", "--format", "json").document["halted"] == "fed ? day"
    assert machines.run("third", "resume", "--reason", "over").status == 0
    StateFolder(machines.machine("one").state).halt("a \udcff day", "ana")
    until(lambda: machines.run("third", "fleet", "--format", "json").document["halted"] == "a ? day", 5)
    assert host.poll() is None


# --- the control API beside hosts -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Observer:
    """A `serve --observe` process."""

    url: str
    token: str

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def post(self, path: str, **body: object) -> Any:
        return self._call("POST", path, json.dumps(body).encode())

    def confirmed(self, path: str, **body: object) -> Any:
        shown = self.post(path, dry_run=True, **body)
        return self.post(path, confirm=shown["confirm"])

    def _call(self, method: str, path: str, body: bytes | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1/sell/{path}", body, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  loopback
            return json.load(answer)


def observing(machines: Machines) -> Observer:
    process = machines.spawn("api", "serve", "--observe", "--port", "0")
    assert process.stderr is not None
    line = next(line for line in process.stderr if "listens on" in line)
    token = machines.run("api", "token", "create", "--sub", "ann", "--role", "admin").out.strip()
    observer = Observer(line.split("listens on ")[1].split()[0].rstrip("."), token)
    until(lambda: observer.get("status")["looks"])
    return observer


def test_the_api_beside_hosts_shows_every_account_and_sends_nothing_itself(machines: Machines) -> None:
    api = observing(machines)
    machines.fall(0.70)
    time.sleep(3)
    assert machines.broker.orders == []
    status = api.get("status")
    assert status["state"] == "watching"
    with pytest.raises(urllib.error.HTTPError) as refused:  # no host watches the account
        api.confirmed("close", symbol=CALL)
    assert "no host watches account main now" in refused.value.read().decode()
    machines.host("one")
    until(lambda: not machines.broker.positions)
    assert [order["qty"] for order in machines.broker.orders] == ["3"]


def test_a_close_over_the_api_is_carried_out_by_the_host(machines: Machines) -> None:
    machines.host("one")
    api = observing(machines)
    until(lambda: machines.run("elsewhere", "fleet", "--format", "json").document["accounts"])
    outcome = api.confirmed("close", symbol=CALL)
    assert outcome["is_done"] or outcome["is_pending"], (
        outcome
    )  # it waits for the host, and doesn't deny what that sends
    until(lambda: not machines.broker.positions)
    until(lambda: api.get("close/" + outcome["id"])["is_done"])
    assert [order["qty"] for order in machines.broker.orders] == ["3"]


def test_a_close_over_the_api_is_not_said_to_be_over_while_a_host_may_still_take_it(machines: Machines) -> None:
    host = machines.host("one")
    api = observing(machines)
    until(lambda: machines.run("elsewhere", "fleet", "--format", "json").document["accounts"])
    shown = api.post("close", dry_run=True, symbol=CALL)
    host.send_signal(signal.SIGSTOP)
    outcome = api.post("close", confirm=shown["confirm"])
    host.send_signal(signal.SIGCONT)
    assert (outcome["is_pending"], outcome["is_done"]) == (True, False)
    assert outcome["sentence"] == "0 of 1 position closed; under way."
    until(lambda: api.get("close/" + outcome["id"])["is_done"])
    assert [order["qty"] for order in machines.broker.orders] == ["3"]


def test_a_halt_over_the_api_halts_the_hosts_and_its_resume_lets_them_send(machines: Machines) -> None:
    machines.host("one")
    api = observing(machines)
    api.post("halt", reason="fed day")
    until(lambda: machines.run("elsewhere", "fleet", "--format", "json").document["halted"] == "fed day", 5)
    machines.fall(0.70)
    time.sleep(3)
    assert machines.broker.orders == []
    assert api.post("resume", reason="over")["halted"] == ""
    until(lambda: not machines.broker.positions)


def test_a_halt_that_was_made_at_a_machine_is_not_lifted_over_the_api(machines: Machines) -> None:
    machines.host("one")
    api = observing(machines)
    assert machines.run("elsewhere", "halt", "--reason", "fed day").status == 0
    until(lambda: api.get("status")["halted"], 5)
    with pytest.raises(urllib.error.HTTPError) as refused:
        api.post("resume", reason="over")
    assert "fed day" in refused.value.read().decode()
    assert machines.run("third", "resume", "--reason", "over").status == 0
    until(lambda: not api.get("status")["halted"], 5)


def test_a_resume_over_the_api_is_not_said_to_lift_the_halt_that_a_machine_made_since(machines: Machines) -> None:
    machines.host("one")
    api = observing(machines)
    api.post("halt", reason="fed day")
    assert machines.run("elsewhere", "halt", "--reason", "earnings").status == 0
    with pytest.raises(urllib.error.HTTPError) as refused:
        api.post("resume", reason="over")
    assert "another one keeps all hosts halted: earnings." in refused.value.read().decode()
    assert machines.run("third", "fleet", "--format", "json").document["halted"] == "earnings"


def test_a_halt_over_the_api_says_when_the_hosts_cannot_be_told_and_tells_them_later(machines: Machines) -> None:
    with contextlib.closing(behind_a_proxy(machines, "api")) as proxy:
        api = observing(machines)
        proxy.stall()
        assert "Only this machine is halted" in api.post("halt", reason="fed day")["sentence"]
        assert not machines.run("third", "fleet", "--format", "json").document["halted"]
        proxy.flow()
        until(lambda: machines.run("third", "fleet", "--format", "json").document["halted"] == "fed day")
        until(lambda: resumed(api))
        assert not machines.run("third", "fleet", "--format", "json").document["halted"]


def resumed(api: Observer) -> bool:
    """Lift the halt; False while the journal can't record that yet."""
    with contextlib.suppress(urllib.error.HTTPError):
        return bool(api.post("resume", reason="over")["changed"])
    return False


def test_exempt_and_set_over_the_api_reach_the_host(machines: Machines) -> None:
    machines.host("one")
    api = observing(machines)
    api.confirmed("set", symbol=CALL, stop="10%")
    api.post("exempt", symbol="AAPL")
    until(lambda: "AAPL" in (machines.machine("one").state / "exempt.json").read_text())
    machines.fall(0.88)
    time.sleep(3)
    assert machines.broker.orders == []
    api.post("manage", symbol="AAPL")
    until(lambda: not machines.broker.positions)


def test_observing_needs_a_journal_that_hosts_share(machines: Machines) -> None:
    program = machines.machine("alone")
    program.write(program.config.read_text().replace(f"journal: {{url: '{machines.journal.url}'}}", ""))
    result = program.run("serve", "--observe", "--port", "0")
    assert result.status == 2
    assert "--observe needs a journal that hosts share, and this one is a file of this machine." in result.err
