"""Which accounts are due to be read, re-evaluated or quoted, without any of them being read."""

import asyncio

from builders import CALL, PUT, a_position
from shell_fakes import World

from sellctl.core.watching.due_accounts import Due, DueAccounts
from sellctl.core.watching.poll_schedule import FOLLOW_UP_SECONDS, FOLLOWED_SECONDS, RARER

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


def test_an_account_that_is_requested_is_re_evaluated_until_its_read_is_due() -> None:
    world = World()
    accounts = accounts_of(world)
    asyncio.run(world.poll())
    read(accounts, world, at=0)
    accounts.request(["main"])
    due = accounts.due(0.1, ordinary=False)
    assert due.reevaluations == MAIN
    accounts.quoted(due, 0.1)
    assert accounts.due(0.1, ordinary=False).reevaluations == NOBODY


def test_a_single_run_follows_working_orders_ever_more_rarely_and_reads_for_no_other_reason() -> None:
    world = World()
    world.quoted("1.20", "1.22")
    accounts = accounts_of(world)
    asyncio.run(world.poll())
    read(accounts, world, at=0)
    at, followed = 0.0, []
    while at < 45:
        due = accounts.due(at, ordinary=False)
        assert due.reads == NOBODY
        accounts.quoted(due, at)
        if due.follows:
            followed.append(at)
            accounts.followed(due.follows, at)
        at += 0.5
    assert followed == [FOLLOWED_SECONDS, FOLLOWED_SECONDS * (1 + RARER), FOLLOWED_SECONDS * (1 + RARER + RARER**2)]


def test_a_single_run_gets_newer_quotes_only_of_what_is_under_way() -> None:
    world = World()
    world.broker.held = (a_position(CALL, "1"), a_position(PUT, "1"))
    world.quoted("1.20", "1.22")
    world.quoted("1.00", "1.02", PUT)
    accounts = accounts_of(world)
    asyncio.run(world.poll())
    accounts.holds("main", [position.instrument for position in world.broker.held])
    read(accounts, world, at=0)
    due = accounts.due(2, ordinary=False)
    assert [each.symbol for each in accounts.instruments_due(due)] == [CALL]
    accounts.set_single_run(single_run=False)
    assert {each.symbol for each in accounts.instruments_due(due)} == {CALL, PUT}
