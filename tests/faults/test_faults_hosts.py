"""Days with three hosts: accounts change hands, each exit happens once, and the mutants of the leases are found."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from builders import replace

from faults.hosts.draws import ACCOUNTS, HOSTS, HostsDay, PlannedTrouble, Trouble, draw_day, positions
from faults.hosts.mutants import HOST_MUTANTS
from faults.hosts.run import HostsStage, play_hosts
from faults.hosts.table import MemoryTable
from faults.mutants import mutated
from faults.patching import patched
from sellctl.core.leases.model import Renewal

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")


def a_hosts_day(*troubles: PlannedTrouble, seed: int = 5, latency: float = 0.2) -> HostsDay:
    """A day on which only these things happen to the hosts."""
    return replace(draw_day(seed), troubles=troubles, latency=latency, skews=dict.fromkeys(HOSTS, dt.timedelta(0)))


def played(day: HostsDay, folder: Path) -> HostsStage:
    stage = HostsStage(day, folder)
    stage.play()
    return stage


def violations(stage: HostsStage) -> list[str]:
    return [str(violation) for violation in stage.findings.found]


def test_on_a_calm_day_each_host_has_its_share_and_every_exit_happens_once(tmp_path: Path) -> None:
    stage = played(a_hosts_day(), tmp_path)
    held = [host.runtime.leased.keeper.held for host in stage.all_hosts if host.runtime and host.runtime.leased]
    assert violations(stage) == []
    assert sorted(len(accounts) for accounts in held) == [3, 3, 4]
    assert frozenset().union(*held) == frozenset(ACCOUNTS)


def test_the_accounts_of_a_host_that_crashes_are_taken_over_within_fifteen_seconds(tmp_path: Path) -> None:
    stage = played(a_hosts_day(PlannedTrouble(Trouble.CRASH, "one", 20.0, 75.0)), tmp_path)
    assert violations(stage) == []
    assert stage.checker.takeovers >= 3
    assert 5 < stage.checker.slowest <= 15


def test_the_accounts_of_a_host_that_is_asked_to_end_are_taken_over_at_once(tmp_path: Path) -> None:
    stage = played(a_hosts_day(PlannedTrouble(Trouble.SIGTERM, "two", 20.0, 75.0)), tmp_path)
    assert violations(stage) == []
    assert stage.checker.slowest <= 3


def test_leases_that_a_host_keeps_although_it_was_asked_to_end_are_found(tmp_path: Path) -> None:
    stage = HostsStage(a_hosts_day(PlannedTrouble(Trouble.SIGTERM, "two", 40.0, 75.0)), tmp_path)
    release = MemoryTable._release  # noqa: SLF001  a planted bug replaces it

    def unless_leaving(table: MemoryTable, renewal: Renewal, registration: int) -> None:
        if not renewal.is_leaving:
            release(table, renewal, registration)

    with patched(MemoryTable, "_release", unless_leaving):
        stage.play()
    assert any("no host has watched" in text and "for 3 s" in text for text in violations(stage))


@pytest.mark.parametrize("trouble", [Trouble.NO_DATABASE, Trouble.HANGING, Trouble.PAUSE, Trouble.SUSPENDED])
def test_a_host_that_comes_back_after_its_lease_sends_nothing_that_another_host_sends(
    trouble: Trouble, tmp_path: Path
) -> None:
    stage = played(a_hosts_day(PlannedTrouble(trouble, "three", 15.0, 50.0)), tmp_path)
    assert violations(stage) == []
    assert stage.checker.slowest <= 30


@pytest.mark.parametrize("seed", [2, 8, 11, 16, 289, 1187, 1290])
def test_a_day_with_troubles_of_all_kinds_violates_nothing(seed: int) -> None:
    assert not play_hosts(seed).violations


def test_the_same_seed_plays_the_same_day() -> None:
    one, two = play_hosts(9), play_hosts(9)
    assert (one.requests, one.takeovers, one.slowest) == (two.requests, two.takeovers, two.slowest)


@pytest.mark.parametrize(("name", "seed"), [
    ("lease by host clock", 101),
    ("renewed after its end", 11),
    ("sent before the commit", 2),
    ("halt of one host", 2),
    ("left to a host that hangs", 8),
])  # fmt: skip
def test_a_planted_bug_of_the_leases_is_found(name: str, seed: int) -> None:
    with mutated(next(mutant for mutant in HOST_MUTANTS if mutant.name == name)):
        assert play_hosts(seed).violations


@pytest.mark.parametrize(
    ("name", "trouble", "to", "latency", "invariant"),
    [
        ("no fencing", PlannedTrouble(Trouble.NO_DATABASE, "one", 20.0, 60.0), "2.60", 0.2, "E2"),
        ("released too early", PlannedTrouble(Trouble.SIGTERM, "two", 22.0, 60.0), "1.40", 0.8, "E1"),
    ],
)
def test_a_planted_bug_is_found_where_everything_is_due_at_the_worst_moment(  # noqa: PLR0917  one row each
    name: str, trouble: PlannedTrouble, to: str, latency: float, invariant: str, tmp_path: Path
) -> None:
    held = tuple(each for number, name in enumerate(ACCOUNTS) for each in positions(name, number, 22.0, Decimal(to)))
    day = replace(a_hosts_day(trouble, latency=latency), held=held)
    assert violations(played(day, tmp_path / "sound")) == []
    with mutated(next(mutant for mutant in HOST_MUTANTS if mutant.name == name)):
        assert any(text.startswith(invariant) for text in violations(played(day, tmp_path / "mutated")))
