"""What contrib/compose.yml does, on one machine without containers: its commands, configuration and database."""

import json
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from container_file import COMPOSE, COMPOSE_CONFIG, OURS, is_healthy
from postgres_fixtures import PostgresLocation
from stage import CALL, CommandResult, Play, Program, Stage, end_of

from benchmarks.postgres_server import PASSWORD
from sellctl.api.tokens import fresh_secret
from sellctl.core.leases.timing import LEASE_SECONDS

if TYPE_CHECKING:
    import subprocess

PATIENCE = 60.0
HOSTS = [name for name, each in OURS.items() if each["command"][0] == "watch"]
SCENARIO = f"""\
    start: "2026-11-24 12:00"
    accounts:
      main:
        key: PK1
        secret: simulated
        number: PA1
        positions: [{{symbol: {CALL}, qty: 3, entry: 1.00}}]
    prices:
      {CALL}: [{{fixed: {{bid: 1.00, ask: 1.02}}}}]
    """
KEYS = {"ALPACA_API_KEY": "PK1", "ALPACA_SECRET_KEY": "simulated", "SELLCTL_DB_PASSWORD": PASSWORD}
KEYS["SELLCTL_API_SECRET"] = fresh_secret()  # these are keys.env


def until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < ends, "it never came to pass"
        time.sleep(0.05)


class Composed:
    """The services of compose.yml that run sellctl, each as a process with a state folder of its own."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.programs = {name: Program(folder / name) for name in OURS}
        self.processes: dict[str, subprocess.Popen[str]] = {}
        for program in self.programs.values():
            program.folder.mkdir()
            program.write(yaml.safe_dump(dict(config)), mode=0o644)

    def up(self) -> None:
        for name, program in self.programs.items():
            self.processes[name] = program.spawn(*OURS[name]["command"], env=KEYS)

    def exec(self, name: str, *arguments: str) -> CommandResult:
        """A command beside a service, with its environment."""
        return self.programs[name].shell(*arguments, env=KEYS)

    def holder(self) -> str:
        """The host that watches the account, by the fleet's list; "" without one."""
        [account] = self.exec("one", "fleet", "--format", "json").document["accounts"]
        return str(account["host"] or "")

    def down(self) -> None:
        for process in self.processes.values():
            process.kill()
            end_of(process)


@contextmanager
def composed(folder: Path, stage: Stage, journal: PostgresLocation) -> Iterator[Composed]:
    """Compose's configuration, with the addresses of the simulated broker and of the test's database."""
    config = yaml.safe_load(COMPOSE_CONFIG.read_text())
    config["accounts"]["main"]["endpoints"] = {"trading": stage.server.url, "data": stage.server.url}
    config["journal"]["url"] = journal.url.replace(PASSWORD, "${SELLCTL_DB_PASSWORD}")
    config["sell_module"] = {"check_interval": 1}
    config["api"] = {"port": a_free_port()}  # without containers no network is in between
    services = Composed(folder, config)
    try:
        yield services
    finally:
        services.down()


def test_the_hosts_of_compose_share_the_account_are_healthy_and_take_over_within_the_time_that_compose_gives(
    tmp_path: Path, play: Play, postgres: PostgresLocation
) -> None:
    stage = play(SCENARIO, speed=1)
    with composed(tmp_path, stage, postgres) as services:
        services.up()
        until(lambda: all(is_healthy(each.state) for each in services.programs.values()))
        until(services.holder)
        fleet = services.exec("two", "fleet")
        assert (fleet.status, "2 hosts, 1 account" in fleet.err) == (0, True), fleet.err

        first = services.holder()
        [other] = {*HOSTS} - {first}
        asked_at = time.monotonic()
        services.processes[first].send_signal(signal.SIGTERM)
        until(lambda: services.holder() == other)
        assert time.monotonic() - asked_at < LEASE_SECONDS
        assert services.processes[first].wait(seconds(COMPOSE["services"][first]["stop_grace_period"])) == 0
        assert not is_healthy(services.programs[first].state)
        assert is_healthy(services.programs[other].state)


def test_what_is_closed_on_the_host_that_watches_the_account_is_closed_once(
    tmp_path: Path, play: Play, postgres: PostgresLocation
) -> None:
    stage = play(SCENARIO, speed=1)
    with composed(tmp_path, stage, postgres) as services:
        services.up()
        until(services.holder)
        holder = services.holder()
        until(lambda: any(services.programs[holder].state.glob("account-*.holder")))
        closed = services.exec(holder, "close", CALL, "--yes")
        assert closed.status == 0, closed.err
        until(lambda: stage.held(CALL) == 0)
        assert sum(int(order.filled_qty) for order in stage.orders()) == 3
        verified = services.exec("two", "history", "--verify")
        assert verified.status == 0, verified.err


def test_the_api_of_compose_shows_what_the_hosts_watch_and_halts_them_with_a_token_made_in_its_container(
    tmp_path: Path, play: Play, postgres: PostgresLocation
) -> None:
    stage = play(SCENARIO, speed=1)
    with composed(tmp_path, stage, postgres) as services:
        services.up()
        until(lambda: all(is_healthy(each.state) for each in services.programs.values()))
        port = yaml.safe_load(services.programs["api"].config.read_text())["api"]["port"]
        token = services.exec("api", "token", "create", "--role", "operator", "--sub", "me").out.strip()

        def ask(path: str, body: bytes | None = None) -> Any:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            url = f"http://127.0.0.1:{port}/api/v1/sell/{path}"
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
                return json.load(answer)

        until(lambda: ask("status")["looks"])
        assert CALL in json.dumps(ask("positions"))
        ask("halt", b'{"reason": "fed day"}')
        until(lambda: services.exec("two", "fleet", "--format", "json").document["halted"] == "fed day")
    assert stage.orders() == []


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))
