"""`sellctl watch --host-id`: hosts share the accounts, and without a journal that they share it is one clear error."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from alternative_broker import AlternativeBroker, position
from postgres_fixtures import PostgresLocation
from stage import Play, Program, end_of, three_calls

from sellctl.core.leases.timing import LEASE_SECONDS
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


def test_the_account_of_a_host_that_is_asked_to_end_is_taken_over_before_its_lease_could_have_ended(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.00, 1.02)}, keys=frozenset({"k"})) as broker:
        names = ("one", "two")
        programs = [a_host(name, tmp_path, broker, postgres) for name in names]
        hosts = [
            program.spawn("watch", "--format", "log", "--host-id", name)
            for program, name in zip(programs, names, strict=True)
        ]
        try:
            until(lambda: any(is_held(each.state) for each in programs), 30)
            until(lambda: len(programs[0].run("fleet", "--format", "json").document["hosts"]) == len(names), 30)
            first = next(number for number, each in enumerate(programs) if is_held(each.state))
            hosts[first].terminate()
            asked_at = time.monotonic()
            until(lambda: is_held(programs[1 - first].state), LEASE_SECONDS)
            assert time.monotonic() - asked_at < LEASE_SECONDS
            ended = end_of(hosts[first])
            assert ended.status == 0
        finally:
            for host in hosts:
                host.kill()
                end_of(host)
    assert broker.orders == []


def test_a_close_on_the_machine_of_a_host_is_carried_out_by_the_host(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.00, 1.02)}, keys=frozenset({"k"})) as broker:
        one = a_host("one", tmp_path, broker, postgres)
        host = one.spawn("watch", "--format", "log", "--host-id", "one")
        try:
            until(lambda: is_held(one.state), 30)
            closed = one.run("close", CALL, "--yes")
            assert (closed.status, "main: passed to host one." in closed.err) == (0, True)
        finally:
            host.kill()
            end_of(host)
    assert [order["qty"] for order in broker.orders] == ["3"]
    assert verify(postgres).fault == ""


def is_held(state: Path) -> bool:
    """Whether a process has locked the account in its state folder."""
    return any(state.glob("account-*.holder"))


# --- a halt of all hosts ----------------------------------------------------------------------------------------------

HALTED_WITHIN = 2.0  # seconds from the command's end; it is told to the hosts before that
NOWHERE = "postgresql+psycopg://sellctl:s3cret@127.0.0.1:1/journal"


def out_of_reach(program: Program, journal: PostgresLocation) -> None:
    """Let the program's configuration name a server that isn't there."""
    program.write(program.config.read_text().replace(journal.url, NOWHERE))


def test_a_halt_given_with_another_state_folder_halts_a_running_host_and_a_resume_lets_it_send(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.00, 1.02)}, keys=frozenset({"k"})) as broker:
        elsewhere = a_host("elsewhere", tmp_path, broker, postgres)
        one = a_host("one", tmp_path, broker, postgres)
        with (one.folder / "out").open("w") as log:
            host = one.spawn("--log-file", str(one.folder / "log"), "watch", "--host-id", "one", stdout=log.fileno())
        try:
            until(lambda: is_held(one.state), 30)
            halted = elsewhere.run("halt", "--reason", "fed day")
            assert halted.status == 0
            assert "All hosts that share the journal are halted." in halted.err
            until(lambda: "all hosts are halted: fed day" in (one.folder / "log").read_text(), HALTED_WITHIN + BUSY)
            broker.quotes[CALL] = (0.70, 0.72)  # its stop
            until(lambda: "halted (fed day)" in (one.folder / "log").read_text(), 10 + BUSY)
            assert broker.orders == []
            assert not (one.state / "halted").exists()
            assert "HALTED: no host sends new orders (fed day)." in elsewhere.run("fleet").err
            assert "HALTED: no new orders are sent (fed day)" in elsewhere.run("positions").err
            resumed = elsewhere.run("resume", "--reason", "over")
            assert (resumed.status, "by all hosts that share the journal" in resumed.err) == (0, True)
            until(lambda: broker.orders, 10 + BUSY)
        finally:
            host.kill()
            end_of(host)
    assert [order["qty"] for order in broker.orders] == ["3"]


def test_a_halt_made_on_a_hosts_own_machine_is_lifted_there_by_a_resume_on_another(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.00, 1.02)}, keys=frozenset({"k"})) as broker:
        elsewhere, one = (a_host(name, tmp_path, broker, postgres) for name in ("elsewhere", "one"))
        host = one.spawn("watch", "--format", "log", "--host-id", "one")
        try:
            until(lambda: is_held(one.state), 30)
            assert one.run("halt", "--reason", "fed day").status == 0
            assert elsewhere.run("fleet", "--format", "json").document["halted"] == "fed day"
            assert elsewhere.run("resume", "--reason", "over").status == 0
            until(lambda: not (one.state / "halted").exists(), HALTED_WITHIN + BUSY)
            assert elsewhere.run("fleet", "--format", "json").document["halted"] == ""
        finally:
            host.kill()
            end_of(host)


def test_while_all_hosts_are_halted_a_run_without_leases_sends_nothing_either(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.30, 1.32)}, keys=frozenset({"k"})) as broker:
        elsewhere, here = (a_host(name, tmp_path, broker, postgres) for name in ("elsewhere", "here"))
        assert elsewhere.run("halt", "--reason", "fed day").status == 0
        assert (elsewhere.state / "halted").exists()
        result = here.run("run-once")
        assert "halted (fed day)" in f"{result.out}{result.err}"
        assert broker.orders == []
        assert here.run("resume", "--reason", "over").status == 0
        assert elsewhere.run("run-once").status in {0, 4}
        assert len(broker.orders) == 1
        assert not (elsewhere.state / "halted").exists()


def test_a_halt_that_cannot_be_told_to_others_halts_this_machine_and_the_status_is_that_of_half_done(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.00, 1.02)}, keys=frozenset({"k"})) as broker:
        here = a_host("here", tmp_path, broker, postgres)
        out_of_reach(here, postgres)
        halted = here.run("halt", "--reason", "fed day")
        assert halted.status == 4
        assert "only this machine is halted, other hosts that share the journal are not: " in halted.err
        assert "Halted: no new orders are sent." in halted.err
        assert "All hosts" not in halted.err
        assert (here.state / "halted").exists()
        assert "s3cret" not in halted.err
        resumed = here.run("resume", "--reason", "over")
        assert resumed.status == 4
        assert "only this machine's halt is lifted; one of all hosts that share the journal stays" in resumed.err
        assert not (here.state / "halted").exists()
        unknown = here.run("resume", "--reason", "over")
        assert (unknown.status, "can't be reached" in unknown.err) == (1, True)


def test_a_resume_needs_a_reason_also_where_only_all_hosts_are_halted(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.00, 1.02)}, keys=frozenset({"k"})) as broker:
        elsewhere, here = (a_host(name, tmp_path, broker, postgres) for name in ("elsewhere", "here"))
        assert "Trading was not halted." in here.run("resume").err
        assert elsewhere.run("halt").status == 0
        refused = here.run("resume")
        assert (refused.status, "Lifting a halt needs a reason." in refused.err) == (2, True)
