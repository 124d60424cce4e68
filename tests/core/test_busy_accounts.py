"""Accounts with many exits under way: the request budget lasts, stops leave in time, and walks keep their rhythm."""

import datetime as dt
from itertools import pairwise

import pytest
from busy_accounts import LATENCY, BusyAccounts, Change, after

from sellctl.sim.settings import Settings

BUDGET, READS = 180, 135  # requests per minute of a key, and the part that is not kept for orders
STEP = 6.0  # seconds between two prices of a walk
TARGET, STOP, BACK = ("1.20", "1.40"), ("0.70", "0.72"), ("1.00", "1.02")
polled_or_streamed = pytest.mark.parametrize("streams", [True, False], ids=["streamed", "polled"])


@polled_or_streamed
def test_ten_accounts_with_four_walking_targets_each_keep_their_steps_and_their_reads(*, streams: bool) -> None:
    begins = {number: 20 + number % 4 * 0.9 + number // 4 * 0.7 for number in range(40)}
    held = {f"a{account}": range(4 * account, 4 * account + 4) for account in range(10)}
    changes = {number: [Change(seconds, *TARGET)] for number, seconds in begins.items()}
    busy = BusyAccounts(held, changes, streams=streams).watch(80)
    for account, numbers in held.items():
        for number in numbers:
            steps = busy.sent(account, number)
            assert len(steps) == 3, number  # the third is at the bid, and fills
            late = [later - earlier - STEP for earlier, later in pairwise(steps)]
            assert max(late) < 2, (number, steps)
        assert busy.longest_gap(account) < 6
        assert busy.shortest_gap(account) > 0.9
        assert busy.most_reads(account, 10) <= 10
        assert busy.busiest_minute(account) < READS
    assert busy.problems == []


@pytest.mark.parametrize(
    ("quote", "left_open"), [(("2.40", "2.80"), 0), (("0.70", "0.76"), 2)], ids=["targets", "stops"]
)
def test_a_single_run_takes_few_requests_although_each_exit_takes_four_steps_and_nothing_fills(
    quote: tuple[str, str], left_open: int
) -> None:
    accounts, each = 10, 20
    held = {f"a{account}": range(each * account, each * (account + 1)) for account in range(accounts)}
    due = {account: numbers[:2] for account, numbers in held.items()}
    changes = {number: [Change(-60, *quote)] for numbers in due.values() for number in numbers}
    busy = BusyAccounts(held, changes, streams=False, fills=False)
    for account, numbers in held.items():
        busy.with_a_stale_order(account, numbers[-1])
    busy.run_once()
    sent = [busy.sent(account, number) for account, numbers in due.items() for number in numbers]
    assert {len(steps) for steps in sent} == {4}
    assert busy.requests_until(max(steps[0] for steps in sent)) <= 7 * accounts + 50
    assert busy.requests_until() <= 31 * accounts + 50
    assert {len(account.open_orders) for account in busy.exchange.accounts.values()} == {left_open}


@pytest.mark.parametrize("falls_at", [20.0, 21.3, 22.9, 24.45])
@pytest.mark.parametrize("slow_by", [0.0, 3.0])
def test_stops_that_fall_at_once_leave_with_their_second_quote_whatever_else_is_read_then(
    falls_at: float, slow_by: float
) -> None:
    held = {f"a{account}": range(4 * account, 4 * account + 4) for account in range(6)}
    stops = [(account, number) for account, numbers in held.items() if account != "a0" for number in numbers[:2]]
    busy = BusyAccounts(held, {number: [Change(falls_at, *STOP)] for _, number in stops})
    busy.brokers["a0"].slow_by = slow_by
    busy.watch(30)
    took = {busy.sent(account, number)[0] - falls_at for account, number in stops}
    assert 1.5 < min(took) <= max(took) <= 1.6 + 3 * LATENCY  # a streamed quote, a polled one, and the order


def test_stops_four_seconds_apart_leave_in_time_while_eight_targets_walk_in_an_account_of_forty_positions() -> None:
    stops = {number: 20.0 + 4 * (number - 8) for number in range(8, 16)}
    changes = {number: [Change(20 + number, *TARGET)] for number in range(8)}
    changes |= {number: [Change(seconds, *STOP)] for number, seconds in stops.items()}
    busy = BusyAccounts({"main": range(40)}, changes).watch(80)
    assert {number: busy.sent("main", number)[0] - at < 2.5 for number, at in stops.items()} == dict.fromkeys(
        stops, True
    )
    assert all(len(busy.sent("main", number)) == 3 for number in range(8))
    assert busy.longest_gap("main") < 6
    assert busy.busiest_minute("main") <= BUDGET


def test_stops_leave_in_time_while_a_target_is_reached_twice_a_second_for_a_minute() -> None:
    stops = {number: 20.0 + 4 * (number - 25) for number in range(25, 40)}
    turns = [(0.0, TARGET), (12.5, BACK), (25.0, TARGET), (37.5, BACK), (50.0, TARGET)]
    changes = {n: [Change(20 + 0.5 * n + seconds, *quote) for seconds, quote in turns] for n in range(25)}
    changes |= {number: [Change(seconds, *STOP)] for number, seconds in stops.items()}
    busy = BusyAccounts({"main": range(40)}, changes).watch(90)
    assert {number: busy.sent("main", number)[0] - at < 2.5 for number, at in stops.items()} == dict.fromkeys(
        stops, True
    )
    assert busy.longest_gap("main") < 6
    assert busy.most_reads("main", 10) <= 10
    assert busy.busiest_minute("main") <= BUDGET


@polled_or_streamed
@pytest.mark.parametrize("cancels_after", [0.0, 0.3, 0.8, 3.0])
def test_each_price_of_a_stop_follows_soon_after_the_cancel_of_the_one_before_has_ended(
    cancels_after: float, *, streams: bool
) -> None:
    settings = Settings(rate_limit=0, cancel_delay=dt.timedelta(seconds=cancels_after))
    busy = BusyAccounts(
        {"main": range(2)}, {1: [Change(20, *STOP)]}, streams=streams, fills=False, settings=settings
    ).watch(60)
    steps = busy.sent("main", 1)
    assert len(steps) == 4
    assert max(later - earlier for earlier, later in pairwise(steps)) < 3 + cancels_after + 1.7
    assert busy.most_reads("main", 10) <= 11  # the end of a stop's cancel may be looked for once in between
    assert not any(one.path == "look-up" for one in busy.requests["main"])


def test_checks_every_second_without_a_stream_slow_down_a_little_and_never_stop() -> None:
    busy = BusyAccounts({"main": [1]}, interval=1.0, streams=False).watch(240)
    assert busy.longest_gap("main") < 4
    assert len(busy.reads("main")) > 240 / 2
    assert busy.busiest_minute("main") < READS
    assert busy.problems == []


def test_a_stop_on_a_busy_account_finds_requests_left_for_its_own_reads() -> None:
    busy = BusyAccounts({"main": range(2)}, {1: [Change(30, *STOP)]})
    budget = busy.brokers["main"].budget

    def use_up() -> None:
        while budget.take(for_order=False) == 0:
            pass

    busy.exchange.schedule(after(12), use_up)
    busy.watch(60)
    assert busy.sent("main", 1)[0] < 30 + 2.5
    assert busy.longest_gap("main") < 6
