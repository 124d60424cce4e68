"""Which accounts are due to be read, re-evaluated or quoted, without any of them being read."""

import asyncio

from shell_fakes import World

from sellctl.core.watching.due_accounts import Due, DueAccounts
from sellctl.core.watching.poll_schedule import FOLLOW_UP_SECONDS

INTERVAL = 5.0
NOBODY = frozenset[str]()
MAIN = frozenset({"main"})


def accounts_of(world: World) -> DueAccounts:
    return DueAccounts([world.watcher], world.prices, INTERVAL, lambda _account: False)


def read(accounts: DueAccounts, world: World, at: float) -> None:
    """A read that takes no time, and whose answer is used."""
    accounts.read_began(world.watcher, at)
    accounts.read_ended("main", at)
    accounts.read_used("main")


def test_an_account_is_due_again_an_interval_after_its_read() -> None:
    world = World()
    accounts = accounts_of(world)
    assert accounts.due(0, ordinary=True) == Due(MAIN, NOBODY, MAIN)
    read(accounts, world, at=0)
    assert accounts.next_at(ordinary=True) == INTERVAL
    assert accounts.due(INTERVAL - 0.1, ordinary=False).reads == NOBODY
    assert accounts.due(INTERVAL, ordinary=False).reads == MAIN


def test_an_account_whose_read_is_not_used_yet_is_never_due() -> None:
    world = World()
    accounts = accounts_of(world)
    accounts.read_began(world.watcher, 0)
    accounts.read_ended("main", 1)
    assert accounts.due(2 * INTERVAL, ordinary=True).reads == NOBODY
    accounts.read_used("main")
    assert accounts.due(2 * INTERVAL, ordinary=True).reads == MAIN


def test_a_requested_read_comes_at_the_pace_of_reads_and_one_at_once_comes_now() -> None:
    world = World()
    accounts = accounts_of(world)
    read(accounts, world, at=0)
    accounts.request(["main"])
    assert accounts.due(FOLLOW_UP_SECONDS - 0.1, ordinary=False).reads == NOBODY
    assert accounts.due(FOLLOW_UP_SECONDS, ordinary=False).reads == MAIN
    accounts.request_at_once(["main"])
    assert accounts.due(0.1, ordinary=False).reads == MAIN
    assert accounts.read_began(world.watcher, 0.1)  # urgent
    assert not accounts.any_at_once


def test_a_requested_ordinary_poll_is_due_until_its_request_was_taken() -> None:
    accounts = accounts_of(World())
    accounts.ordinary_began(0)
    assert not accounts.is_ordinary_due(1)
    accounts.request_ordinary()
    assert accounts.is_ordinary_due(1)
    assert accounts.take_ordinary_request()
    assert not accounts.take_ordinary_request()
    assert not accounts.is_ordinary_due(1)


def test_a_single_run_re_evaluates_nothing() -> None:
    world = World()
    accounts = accounts_of(world)
    asyncio.run(world.poll())
    read(accounts, world, at=0)
    accounts.request(["main"])
    assert accounts.due(0.1, ordinary=False).reevaluations == NOBODY
    accounts.set_reevaluates(reevaluates=True)
    due = accounts.due(0.1, ordinary=False)
    assert due.reevaluations == MAIN
    accounts.quoted(due, 0.1)
    assert accounts.due(0.1, ordinary=False).reevaluations == NOBODY
