"""`sellctl watch --host-id`: hosts share the accounts, and without a journal that they share it is one clear error."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from alternative_broker import AlternativeBroker, position
from postgres_fixtures import PostgresLocation
from stage import Play, Program, end_of, three_calls

from sellctl.journal.verify import verify


def test_a_host_id_needs_a_journal_that_hosts_share(play: Play) -> None:
    stage = play(three_calls("1.00"))
    result = stage.run("watch", "--host-id", "one")
    assert result.status == 2
    assert result.err.endswith(
        "--host-id needs a journal that hosts share, and this one is a file of this machine. "
        "Give `journal: {url: ...}` a PostgreSQL database, or leave --host-id out on a single machine."
    )
    assert result.out == ""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--host-id", "one two"), "The host id isn't a name."),
        (("--host-id", "x" * 65), "The host id isn't a name."),
        (("--host-id", "one", "--dry-run"), "--host-id and --dry-run contradict each other"),
    ],
)
def test_a_host_id_that_means_nothing_is_refused(play: Play, arguments: tuple[str, ...], sentence: str) -> None:
    result = play(three_calls("1.00")).run("watch", *arguments)
    assert result.status == 2
    assert sentence in result.err


CALL = "AAPL261218C00200000"
TAKEN_OVER_WITHIN = 15.0  # seconds after a crash
BUSY = 10.0  # more seconds, for a machine that runs other tests


def a_host(name: str, folder: Path, broker: AlternativeBroker, journal: PostgresLocation) -> Program:
    """A machine with a state folder of its own, on the journal that all hosts share."""
    program = Program(folder / name)
    program.folder.mkdir()
    program.write(
        f"accounts:\n  main:\n    api_key: k\n    secret_key: s\n"
        f"    endpoints: {{trading: '{broker.url}', data: '{broker.url}'}}\n"
        f"sell_module: {{check_interval: 1}}\njournal: {{url: '{journal.url}'}}\n"
    )
    return program


def until(what: Callable[[], object], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, "it never came to pass"
        time.sleep(0.05)


def test_the_account_of_a_host_that_is_killed_is_taken_over_and_its_exit_is_sent_once(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.00, 1.02)}, keys=frozenset({"k"})) as broker:
        names = ("one", "two")
        hosts = [
            a_host(name, tmp_path, broker, postgres).spawn("watch", "--format", "log", "--host-id", name)
            for name in names
        ]
        holders = [tmp_path / name / "state" for name in names]
        try:
            until(lambda: any(map(is_held, holders)), 30)
            first = next(number for number, state in enumerate(holders) if is_held(state))
            hosts[first].kill()
            hosts[first].wait()
            killed_at = time.monotonic()
            broker.quotes[CALL] = (0.70, 0.72)  # its stop
            until(lambda: broker.orders, TAKEN_OVER_WITHIN + BUSY)
            assert time.monotonic() - killed_at < TAKEN_OVER_WITHIN + BUSY
            until(lambda: not broker.positions, 10)
        finally:
            for host in hosts:
                host.kill()
                end_of(host)
    assert [order["qty"] for order in broker.orders] == ["3"]
    assert verify(postgres).fault == ""


def is_held(state: Path) -> bool:
    """Whether a process has locked the account in its state folder."""
    return any(state.glob("account-*.holder"))
