"""Who may send when: leases are measured from before the renewal, and end by the database's clock."""

import asyncio
import datetime as dt

import pytest
from builders import replace
from lease_builders import ACCOUNTS, World

from sellctl.core.errors import LeaseLostError
from sellctl.core.leases.model import Renewal
from sellctl.core.leases.timing import (
    CALL_SECONDS,
    HANDOVER_SECONDS,
    LEASE_SECONDS,
    LEFT_SECONDS,
    MARGIN_SECONDS,
    RENEW_SECONDS,
    UNABLE_SECONDS,
)

HOUR = dt.timedelta(hours=1)


def test_a_host_alone_takes_every_account() -> None:
    world = World()
    host, told = world.a_host("one")
    world.rounds(host)
    assert host.held == ACCOUNTS
    assert told.news == ["+a", "+b", "+c", "+d"]
    assert [permit.begin() for permit in told.permits.values()] == [1, 1, 1, 1]


def test_a_second_host_gets_half_of_the_accounts_and_both_keep_theirs() -> None:
    world = World()
    (one, _), (two, told) = world.a_host("one"), world.a_host("two")
    world.rounds(one)
    world.rounds(one, two)
    assert (len(one.held), len(two.held)) == (2, 2)
    assert one.held | two.held == ACCOUNTS
    assert {permit.fence for permit in told.permits.values()} == {2}
    before = one.held
    world.rounds(one, two, times=20)
    assert one.held == before


def test_a_host_stops_sending_a_margin_before_its_lease_ends() -> None:
    world = World()
    host, told = world.a_host("one")
    world.rounds(host)
    world.time.seconds += LEASE_SECONDS - MARGIN_SECONDS - 0.01
    told.permits["a"].require()
    world.time.seconds += 0.02
    with pytest.raises(LeaseLostError, match="This host has no lease of account a now: nothing is sent"):
        told.permits["a"].require()


def test_a_slow_answer_makes_a_lease_shorter_and_never_longer() -> None:
    world = World()
    host, told = world.a_host("one")
    world.rounds(host)
    asked_at = world.time.seconds
    world.database.slow = 1.5
    world.rounds(host, times=1)
    world.time.seconds = asked_at + LEASE_SECONDS - MARGIN_SECONDS - 0.01
    told.permits["a"].require()
    world.time.seconds += 0.02
    with pytest.raises(LeaseLostError):
        told.permits["a"].require()


@pytest.mark.parametrize("wrong_by", [HOUR, -HOUR])
def test_a_host_whose_clock_is_wrong_by_an_hour_holds_its_leases_as_long_as_any(wrong_by: dt.timedelta) -> None:
    world = World()
    host, told = world.a_host("one", wrong_by=wrong_by)
    world.rounds(host)
    told.permits["a"].require()
    world.time.seconds += LEASE_SECONDS
    with pytest.raises(LeaseLostError):
        told.permits["a"].require()


def test_a_frozen_host_that_wakes_after_its_lease_may_not_send_before_it_has_asked_anybody() -> None:
    world = World()
    (one, told), (two, _) = world.a_host("one"), world.a_host("two")
    world.rounds(one)
    world.time.seconds += LEASE_SECONDS + 1
    world.rounds(two)
    assert two.held == ACCOUNTS
    for permit in told.permits.values():
        with pytest.raises(LeaseLostError):
            permit.require()
    world.rounds(one, times=1)
    assert not one.held
    assert told.news[-4:] == ["-a", "-b", "-c", "-d"]


def test_a_lease_that_has_ended_is_acquired_again_under_the_next_fencing_number() -> None:
    world = World()
    host, told = world.a_host("one")
    world.rounds(host)
    world.time.seconds += LEASE_SECONDS + 1
    world.rounds(host)
    assert told.permits["a"].begin() == 2
    assert told.news[:8] == ["+a", "+b", "+c", "+d", "-a", "-b", "-c", "-d"]


def test_the_permit_of_an_earlier_lease_allows_nothing_once_the_account_is_held_again() -> None:
    world = World()
    host, told = world.a_host("one")
    world.rounds(host)
    earlier = told.permits["a"]
    world.time.seconds += LEASE_SECONDS + 1
    world.rounds(host)
    with pytest.raises(LeaseLostError):
        earlier.require()


def test_a_host_without_the_database_stops_in_time_and_says_so_once() -> None:
    world = World()
    host, told = world.a_host("one")
    world.rounds(host)
    world.database.down = True
    world.rounds(host)
    told.permits["a"].require()
    world.time.seconds += LEASE_SECONDS - MARGIN_SECONDS
    world.rounds(host)
    assert not host.held
    problems = [text for text in told.news if text.startswith("Leases")]
    assert problems == [
        "Leases can't be renewed, and without them this host sends nothing: The database can't be reached."
    ]


def test_a_second_process_of_the_same_name_takes_nothing_and_says_why() -> None:
    world = World()
    (one, _), (other, told) = world.a_host("one", "first"), world.a_host("one", "second")
    world.rounds(one, other)
    assert (one.held, other.held) == (ACCOUNTS, frozenset())
    (problem,) = told.news
    assert problem == (
        "Another process watches as host one: this one takes no account until that has ended. "
        "Give each its own --host-id."
    )


def test_a_host_that_starts_again_after_a_crash_takes_over_from_itself_once_its_lease_has_ended() -> None:
    world = World()
    (one, _), (again, told) = world.a_host("one", "first"), world.a_host("one", "second")
    world.rounds(one)
    world.rounds(again)
    assert not again.held
    world.time.seconds += LEASE_SECONDS
    world.rounds(again)
    assert again.held == ACCOUNTS
    assert told.permits["a"].begin() == 2


def test_a_host_that_leaves_gives_each_account_back_once_nothing_of_it_is_on_its_way() -> None:
    world = World()
    (one, told), (two, _) = world.a_host("one"), world.a_host("two")
    world.rounds(one)
    told.sending = {"a"}
    one.leave()
    world.rounds(one, two)
    assert one.held == {"a"}
    assert two.held == ACCOUNTS - {"a"}
    told.permits["a"].require()  # what is recorded may still leave
    with pytest.raises(LeaseLostError):
        told.permits["a"].begin()
    told.sending = set()
    world.rounds(one, two)
    assert two.held == ACCOUNTS
    assert [host.name for host in asyncio.run(world.database.view()).hosts] == ["two"]


def test_a_host_that_leaves_ends_once_it_holds_nothing_also_without_the_database() -> None:
    for down in (False, True):
        world = World()
        host, _ = world.a_host("one")
        world.rounds(host)
        host.leave()
        world.database.down = down
        world.time.seconds += LEASE_SECONDS if down else 0.0
        asyncio.run(asyncio.wait_for(host.run(), 5))
        assert not host.held


def test_a_surplus_account_with_an_exit_under_way_is_handed_over_after_that_or_after_a_minute() -> None:
    world = World()
    (one, told), (two, _) = world.a_host("one"), world.a_host("two")
    world.rounds(one)
    told.busy = set(ACCOUNTS)
    world.rounds(one, two)
    assert one.held == ACCOUNTS
    told.busy = {"a", "b", "c"}
    world.rounds(one, two)
    assert two.held == {"d"}
    for _ in range(int(HANDOVER_SECONDS / RENEW_SECONDS) + 2):
        world.time.seconds += RENEW_SECONDS
        world.rounds(one, two, times=1)
    assert len(two.held) == 2


def test_an_account_whose_release_was_asked_for_is_not_sent_for_although_no_answer_came() -> None:
    world = World()
    host, told = world.a_host("one")
    world.rounds(host)
    host.leave()
    world.database.down = True
    world.rounds(host, times=1)
    with pytest.raises(LeaseLostError):
        told.permits["a"].require()


def test_a_release_that_arrives_late_takes_nothing_that_was_acquired_since() -> None:
    world = World()
    host, _ = world.a_host("one")
    world.rounds(host)
    table = world.database.table
    lease = table.lease_of("a")
    assert lease is not None
    late = asyncio.run(world.database.view())
    world.time.seconds += LEASE_SECONDS + 1
    world.rounds(host)
    registration = late.hosts[0].registration
    table.renew_now(Renewal("one", "one", registration, ACCOUNTS, release=(("a", lease.fence),)))
    now = table.lease_of("a")
    assert now is not None
    assert now.fence == 2


def test_a_halt_of_one_host_is_known_to_the_others_with_their_next_renewal_and_so_is_its_end() -> None:
    world = World()
    (one, told), (two, other) = world.a_host("one"), world.a_host("two")
    world.rounds(one, two)
    told.halt = "earnings"
    world.rounds(one, two, times=2)
    assert (one.halted, two.halted) == ("earnings", "earnings")
    assert told.halts == [("", 0, False), ("earnings", 1, True), ("earnings", 1, False)]
    world.database.table.resume()
    world.rounds(one, two, times=1)
    assert (one.halted, two.halted) == ("", "")
    assert (told.halts[-1], other.halts[-1]) == (("", 1, False), ("", 1, False))


def test_a_halt_that_the_table_could_not_be_told_of_is_told_once_it_answers() -> None:
    world = World()
    (one, told), (two, _) = world.a_host("one"), world.a_host("two")
    world.rounds(one, two)
    told.halt, world.database.down = "earnings", True
    world.rounds(one, times=2)
    assert (told.halt, one.halted) == ("earnings", "")
    world.database.down = False
    world.rounds(one, two, times=1)
    assert (told.halt, two.halted) == ("", "earnings")


def test_a_host_whose_renewals_arrive_without_an_answer_loses_its_accounts_all_the_same() -> None:
    world = World()
    host, _ = world.a_host("one")
    world.rounds(host)
    world.database.answers_lost = True
    for _ in range(40):
        world.time.seconds += CALL_SECONDS
        world.rounds(host, times=1)
    assert not host.held
    assert world.database.table.view_now().hosts == ()
    world.database.answers_lost = False
    world.rounds(host)
    assert host.held == ACCOUNTS


def test_a_host_that_can_not_watch_an_account_leaves_all_free_ones_to_others() -> None:
    world = World()
    (one, told), (two, _) = world.a_host("one"), world.a_host("two")
    told.unreadable = set(ACCOUNTS)
    world.rounds(one, times=4)
    world.rounds(one, two)
    assert (one.held, two.held) == (frozenset(), ACCOUNTS)
    told.unreadable = set()
    for _ in range(int(UNABLE_SECONDS / RENEW_SECONDS) + 5):
        world.time.seconds += RENEW_SECONDS
        world.rounds(one, two, times=1)
    assert (len(one.held), len(two.held)) == (2, 2)


def test_a_free_account_that_another_host_leaves_for_some_seconds_is_taken_and_not_given_to_that_host() -> None:
    world = World()
    (one, told), silent = world.a_host("one"), Renewal("silent", "silent", 0, ACCOUNTS)
    silent = replace(silent, registration=world.database.table.renew_now(silent).registration)

    def some_time(seconds: float) -> None:
        """The other host renews, and takes nothing."""
        for _ in range(int(seconds / RENEW_SECONDS)):
            world.time.seconds += RENEW_SECONDS
            world.database.table.renew_now(silent)
            world.rounds(one, times=2)

    world.rounds(one)
    some_time(LEFT_SECONDS - RENEW_SECONDS)
    assert len(one.held) == 2
    some_time(2 * RENEW_SECONDS)
    assert one.held == ACCOUNTS
    some_time(UNABLE_SECONDS / 2)
    assert one.held == ACCOUNTS
    assert sorted(told.news) == ["+a", "+b", "+c", "+d"]  # each was gained once, none was lost
    some_time(UNABLE_SECONDS)
    assert len(one.held) >= 2


def test_a_host_that_takes_again_what_is_its_own_gets_its_share_back() -> None:
    world = World()
    (one, _), (two, _) = world.a_host("one"), world.a_host("two")
    world.rounds(two, times=1)  # it is registered, and has taken nothing yet
    world.rounds(one)
    world.time.seconds += LEFT_SECONDS
    world.rounds(one)
    assert one.held == ACCOUNTS
    for _ in range(int(UNABLE_SECONDS / RENEW_SECONDS)):
        world.time.seconds += RENEW_SECONDS
        world.rounds(one, two)
    assert (len(one.held), len(two.held)) == (2, 2)


def test_the_times_fit_together() -> None:
    after_a_crash = LEASE_SECONDS + RENEW_SECONDS + CALL_SECONDS
    assert after_a_crash <= 15
    last_renewal, on_its_way = LEASE_SECONDS - MARGIN_SECONDS, 8
    assert last_renewal + on_its_way + after_a_crash <= 30
    assert 3 * (CALL_SECONDS + RENEW_SECONDS) > LEASE_SECONDS - MARGIN_SECONDS > 2 * (CALL_SECONDS + RENEW_SECONDS)


def test_an_account_that_can_not_be_watched_is_given_back() -> None:
    world = World()
    (one, told), (two, _) = world.a_host("one"), world.a_host("two")
    told.unreadable = {"a"}
    world.rounds(one, two, times=1)
    world.rounds(one, times=1)
    assert one.held == ACCOUNTS
    with pytest.raises(LeaseLostError):
        told.permits["a"].require()
    world.rounds(one, times=1)
    assert "-a" in told.news
