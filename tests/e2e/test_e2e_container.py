"""The container's health check says whether a watcher works."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from alternative_broker import AlternativeBroker, position
from container_file import is_healthy
from postgres_fixtures import PostgresLocation
from postgres_proxy import a_proxy
from stage import CALL, Play, Program, end_of, three_calls

from benchmarks.postgres_server import Server

PATIENCE = 60.0


def until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < ends, "it never came to pass"
        time.sleep(0.05)


def last_checked(state: Path, seconds_ago: float) -> None:
    """Let the last check be that long ago."""
    then = time.time() - seconds_ago
    os.utime(state / "healthy", (then, then))


def test_a_watcher_is_healthy_while_it_checks_its_accounts(play: Play) -> None:
    stage = play(three_calls(), "sell_module: {check_interval: 1}", speed=1)
    stage.state.mkdir(mode=0o700)
    assert not is_healthy(stage.state)
    watcher = stage.spawn("watch", "--format", "log")
    until(lambda: is_healthy(stage.state))
    last_checked(stage.state, 240)
    until(lambda: is_healthy(stage.state))
    assert stage.run("run-once", "--dry-run").status == 0
    assert is_healthy(stage.state), "another command has ended it"
    watcher.send_signal(signal.SIGTERM)
    assert end_of(watcher).status == 0
    assert not is_healthy(stage.state)


def test_a_watcher_that_hangs_is_unhealthy(play: Play) -> None:
    stage = play(three_calls(), "sell_module: {check_interval: 1}", speed=1)
    watcher = stage.spawn("watch", "--format", "log")
    until(lambda: is_healthy(stage.state))
    watcher.send_signal(signal.SIGSTOP)
    last_checked(stage.state, 240)
    assert not is_healthy(stage.state)
    watcher.kill()
    assert end_of(watcher).status == -signal.SIGKILL


def renewed(state: Path) -> bool:
    """Whether checks of the next three seconds renew what was an old health."""
    last_checked(state, 240)
    time.sleep(3)
    return is_healthy(state)


def of(broker: AlternativeBroker, journal: str = "") -> str:
    """The configuration of one account at this broker, which is checked each second."""
    return (
        f"accounts:\n  main: {{api_key: k, secret_key: s, "
        f"endpoints: {{trading: '{broker.url}', data: '{broker.url}'}}}}\n"
        f"sell_module: {{check_interval: 1}}\n{journal}"
    )


def test_a_watcher_whose_only_key_is_refused_from_now_on_is_unhealthy_until_it_is_accepted_again(
    tmp_path: Path,
) -> None:
    program = Program(tmp_path)
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.00, 1.02)}, keys=frozenset({"k"})) as broker:
        program.write(of(broker))
        watcher = program.spawn("watch", "--format", "log")
        try:
            until(lambda: is_healthy(program.state))
            broker.keys = frozenset()
            until(lambda: not renewed(program.state))
            broker.keys = frozenset({"k"})
            until(lambda: renewed(program.state))
        finally:
            watcher.kill()
            end_of(watcher)


def test_a_watcher_whose_broker_is_out_of_reach_is_healthy_since_a_new_one_would_reach_it_no_sooner(
    tmp_path: Path,
) -> None:
    program = Program(tmp_path)
    with AlternativeBroker((), {}) as broker:
        program.write(of(broker))
    watcher = program.spawn("watch", "--format", "log")
    try:
        until(lambda: is_healthy(program.state))
    finally:
        watcher.kill()
        end_of(watcher)


def test_hosts_are_healthy_without_an_account_and_without_the_database(
    tmp_path: Path, postgres: PostgresLocation, server: Server
) -> None:
    programs = [Program(tmp_path / name) for name in ("one", "two")]
    with (
        AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.00, 1.02)}, keys=frozenset({"k"})) as broker,
        a_proxy(server.port) as proxy,
    ):
        journal = f"journal: {{url: '{postgres.url.replace(str(server.port), str(proxy.port))}'}}\n"
        hosts = []
        try:
            for each in programs:
                each.folder.mkdir()
                each.write(of(broker, journal))
                hosts.append(each.spawn("watch", "--format", "log", "--host-id", each.folder.name))
            until(lambda: all(is_healthy(each.state) for each in programs))
            until(lambda: sum(map(is_held, programs)) == 1)
            assert all(renewed(each.state) for each in programs)
            proxy.lose_answers(refuse=True)
            proxy.cut()
            until(lambda: not any(map(is_held, programs)))
            assert all(renewed(each.state) for each in programs)
            assert [host.poll() for host in hosts] == [None, None]
        finally:
            for host in hosts:
                host.kill()
                end_of(host)


def is_held(program: Program) -> bool:
    """Whether a process has locked the account in its state folder."""
    return any(program.state.glob("account-*.holder"))
