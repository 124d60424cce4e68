"""All accounts together: what they share, what a slow or failing one costs the others, and how runs end."""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal

import pytest
from builders import CALL, PUT, a_policy, a_position, at, our_order
from shell_fakes import NOON, FakeBroker, FakeStream, World, a_broker_failure

from sellctl.core.config.schema import (
    Pullback,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    TrailingStopConfig,
)
from sellctl.core.errors import AuthError, BusyError, ConfigError, UnknownOutcomeError
from sellctl.core.events import EventPublisher
from sellctl.core.manual.verb import Verb
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import EventKind, Severity
from sellctl.core.model.order import Order
from sellctl.core.model.snapshot import AccountFacts
from sellctl.core.scheduler import RUN_ONCE_SECONDS, AccountScheduler
from sellctl.core.sell_watcher import WatcherOptions
from sellctl.core.structures.named import FoundAccount
from sellctl.core.tick_handler import TickHandler
from sellctl.core.watching.manual_requests import CommandRequest
from sellctl.core.watching.poll_schedule import (
    CLOSED_SECONDS,
    EXPEDITED_SECONDS,
    FOLLOW_UP_SECONDS,
    REEVALUATION_SECONDS,
)
from sellctl.core.watching.problem_alerts import REMINDER_INTERVAL_SECONDS

DUE = ("1.20", "1.22")
A_TRAIL = StrategyConfig("trail", rules=RulesConfig(trailing_stop=TrailingStopConfig(Pullback(Decimal("0.2")))))


def two_accounts() -> tuple[World, FakeBroker, AccountScheduler]:
    world = World()
    other = FakeBroker(world.clock, "other")
    other.held = (a_position(PUT, "1"),)
    world.quoted("1.00", "1.02", PUT)
    return world, other, world.a_scheduler(world.watcher, world.a_watcher(other))


def watched(world: World, scheduler: AccountScheduler, polls: int, *, each: object = None) -> list[float]:
    """Watch for so many polls; the waits after them."""
    waits: list[float] = []
    stop = asyncio.Event()

    def after_poll(wait: float) -> None:
        waits.append(wait)
        if callable(each):
            each(len(waits))
        if len(waits) == polls:
            stop.set()

    asyncio.run(scheduler.watch(stop, after_poll))
    assert world.clock.seconds >= 1000.0
    return waits


def test_a_poll_reads_one_clock_for_all_accounts_and_each_accounts_positions() -> None:
    world, other, scheduler = two_accounts()
    asyncio.run(scheduler.poll())
    assert world.broker.requests.count("clock") + other.requests.count("clock") == 1
    assert (world.broker.requests.count("positions"), other.requests.count("positions")) == (1, 1)
    assert [state.plan is not None for state in scheduler.states] == [True, True]
    assert len(scheduler.first_plans) == 2
    assert scheduler.market is not None


def test_a_slow_account_keeps_no_other_waiting_and_is_used_by_a_later_poll() -> None:
    world, other, scheduler = two_accounts()

    async def polls() -> list[bool]:
        other.gate = asyncio.Event()
        await scheduler.poll()
        before = [state.plan is not None for state in scheduler.states]
        other.gate.set()
        await scheduler.poll()
        return before

    assert asyncio.run(polls()) == [True, False]
    assert [state.plan is not None for state in scheduler.states] == [True, True]
    assert other.requests.count("positions") == 1
    assert world.broker.requests.count("positions") == 2


def watched_for(world: World, scheduler: AccountScheduler, seconds: float, *, each: object = None) -> None:
    """Watch for so many seconds."""
    stop = asyncio.Event()
    rounds: list[float] = []

    def after_poll(wait: float) -> None:
        rounds.append(wait)
        if callable(each):
            each(len(rounds))
        if world.clock.seconds >= 1000 + seconds:
            stop.set()

    asyncio.run(scheduler.watch(stop, after_poll))


def test_an_account_that_fails_for_a_moment_is_tried_again_every_five_seconds_at_most_and_the_others_go_on() -> None:
    world, other, scheduler = two_accounts()
    other.fails = a_broker_failure()
    watched_for(world, scheduler, 120)
    assert 120 / 5 <= other.requests.count("account") <= 120 / 5 + 3  # after 1, 2 and then always 5 seconds
    assert 120 / 5 <= world.broker.requests.count("positions") <= 120 / 5 + 1


def test_an_account_whose_key_is_refused_is_tried_ever_more_rarely() -> None:
    world, other, scheduler = two_accounts()
    other.fails = AuthError("The key is refused.")
    watched_for(world, scheduler, 200)
    assert other.requests.count("account") == 6  # after 1, 5, 15 and then always 60 seconds


def test_after_an_order_the_account_decides_on_newer_quotes_twice_a_second_and_is_read_more_rarely() -> None:
    world = World()
    world.quoted(*DUE)
    assert watched(world, world.a_scheduler(), 2) == [REEVALUATION_SECONDS, REEVALUATION_SECONDS]
    again = World()
    again.quoted(*DUE)
    watched_for(again, again.a_scheduler(), 4)
    assert again.broker.requests.count("positions") == 3  # at once, and after 1.5 seconds each


def test_an_expedited_poll_asks_only_the_account_with_something_under_way_and_no_clock() -> None:
    world, other, scheduler = two_accounts()
    world.quoted(*DUE)
    watched_for(world, scheduler, EXPEDITED_SECONDS + 1)
    assert world.broker.requests.count("positions") == 2
    assert other.requests.count("positions") == 1
    assert world.broker.requests.count("clock") == 1


def test_a_slow_account_delays_no_other_accounts_next_read() -> None:
    world, other, scheduler = two_accounts()
    other.gate = asyncio.Event()
    watched_for(world, scheduler, 31)
    assert world.broker.requests.count("positions") >= 6
    assert other.requests.count("positions") == 1


def test_waking_one_account_reads_it_alone_and_waking_all_reads_all_but_none_twice_a_second() -> None:
    for account, polls in (("other", (1, 2)), ("", (2, 2))):
        world, other, scheduler = two_accounts()

        def wake(polled: int, scheduler: AccountScheduler = scheduler, account: str = account) -> None:
            if polled <= 3:
                scheduler.wake(account)

        watched_for(world, scheduler, FOLLOW_UP_SECONDS, each=wake)
        assert (world.broker.requests.count("positions"), other.requests.count("positions")) == polls


def test_while_the_market_is_closed_only_the_clock_is_read_once_per_minute() -> None:
    world = World()
    world.broker.is_open = False
    waits = watched(world, world.a_scheduler(), 3)
    assert waits == [CLOSED_SECONDS] * 3
    assert world.broker.requests.count("positions") == 1
    assert world.broker.requests.count("clock") == 3


def test_without_a_clock_nothing_is_decided() -> None:
    world = World()
    world.quoted(*DUE)
    scheduler = world.a_scheduler()
    world.broker.fails = a_broker_failure()
    asyncio.run(scheduler.poll())
    assert scheduler.problem is world.broker.fails
    assert world.broker.sent == []


def test_a_price_that_jumps_is_polled_a_second_time_soon() -> None:
    world = World()
    scheduler = world.a_scheduler()

    def jump(polled: int) -> None:
        world.quoted("9.00", "9.02") if polled == 1 else None

    waits = watched(world, scheduler, 2, each=jump)
    assert waits == pytest.approx([5.0, scheduler.prices.confirmation_delay])
    assert world.broker.sent == []


def test_an_account_that_goes_on_failing_alerts_again_and_a_key_that_never_worked_does_not() -> None:
    for worked, alerts in ((True, 2), (False, 0)):
        world, other, scheduler = two_accounts()

        async def failing(
            other: FakeBroker = other,
            scheduler: AccountScheduler = scheduler,
            world: World = world,
            *,
            worked: bool = worked,
        ) -> None:
            if worked:
                await scheduler.poll()
            other.fails = AuthError("The key is refused.")
            for _ in range(8):
                await scheduler.poll()
                world.clock.seconds += REMINDER_INTERVAL_SECONDS / 3

        asyncio.run(failing())
        heard = [event for event in world.events if event.kind is EventKind.ALERT]
        assert [event.severity for event in heard] == [Severity.CRITICAL] * alerts
        assert all(event.text == "still not watched: The key is refused." for event in heard)


def test_a_manual_request_is_carried_out_at_once_also_while_its_account_backs_off() -> None:
    world = World()
    scheduler = world.a_scheduler()
    asked_at: list[float] = []

    def fail_and_ask(polled: int) -> None:
        if polled == 1:
            world.broker.fails = AuthError("The key is refused.")
        if world.broker.requests.count("positions") + world.broker.requests.count("account") == 5 and not asked_at:
            world.broker.fails = None
            asked_at.append(world.clock.seconds)
            world.watcher.take_request(CommandRequest("1", Verb.CLOSE, CALL, ("main",)))
            scheduler.read_at_once(["main"])

    watched_for(world, scheduler, 40, each=fail_and_ask)
    assert [order.symbol for order in world.broker.sent][:1] == [CALL]
    first = next(order for order in world.broker.orders.values())
    assert first.submitted_at is not None
    assert (first.submitted_at - NOON).total_seconds() + 1000 - asked_at[0] < 1


# --- the broker's clock -----------------------------------------------------------------------------------------------


def test_a_clock_that_fails_is_told_once_and_bridged_so_that_no_observation_is_thrown_away() -> None:
    world = World()
    scheduler = world.a_scheduler()

    async def polls() -> None:
        await scheduler.poll()
        world.broker.clock_fails = UnknownOutcomeError("status 503")
        world.quoted(*DUE)
        for _ in range(3):
            world.clock.seconds += 20
            await scheduler.poll()
        world.broker.clock_fails = None
        world.clock.seconds += 20
        await scheduler.poll()

    asyncio.run(polls())
    assert [order.symbol for order in world.broker.sent][:1] == [CALL]
    assert scheduler.problem is None
    told = [event.text for event in world.events if "clock" in event.text]
    assert told == [
        "the broker's clock can't be read, its last answer and the calendar are used: status 503",
        "the broker's clock can be read again",
    ]


def test_a_clock_that_was_never_read_is_told_once() -> None:
    world = World()
    world.broker.clock_fails = UnknownOutcomeError("status 503")
    watched_for(world, world.a_scheduler(), 20)
    assert [event.text for event in world.events if "clock" in event.text] == [
        "the broker's clock can't be read: status 503"
    ]


def test_a_clock_that_was_never_read_raises_alerts_until_it_is() -> None:
    world = World()
    scheduler = world.a_scheduler()
    world.broker.clock_fails = UnknownOutcomeError("status 503")

    async def polls() -> None:
        for _ in range(8):
            await scheduler.poll()
            world.clock.seconds += REMINDER_INTERVAL_SECONDS / 3
        world.broker.clock_fails = None
        for _ in range(8):
            await scheduler.poll()
            world.clock.seconds += REMINDER_INTERVAL_SECONDS / 3

    asyncio.run(polls())
    heard = [event for event in world.events if event.kind is EventKind.ALERT]
    assert [(event.severity, event.account) for event in heard] == [(Severity.CRITICAL, "main")] * 2
    assert heard[0].text == "still not watched: the broker's clock can't be read: status 503"


def test_a_host_that_cannot_be_reached_is_told_by_its_account_and_not_again_by_the_clock() -> None:
    world = World()
    world.broker.fails = UnknownOutcomeError("can't be reached")
    watched_for(world, world.a_scheduler(), 20)
    assert [event.text for event in world.events] == ["can't be reached"]


# --- once -------------------------------------------------------------------------------------------------------------


def test_a_single_run_with_nothing_to_do_polls_once() -> None:
    world = World()
    asyncio.run(world.a_scheduler().run_once())
    assert world.broker.requests.count("positions") == 1


def test_a_single_run_follows_its_order_for_45_seconds_and_then_cancels_the_target() -> None:
    world = World()
    world.quoted(*DUE)
    asyncio.run(world.a_scheduler().run_once())
    assert RUN_ONCE_SECONDS <= world.clock.seconds - 1000 <= RUN_ONCE_SECONDS + 5
    assert world.broker.sent
    assert all(order.is_terminal for order in world.broker.orders.values())


def test_a_dry_run_waits_for_no_best_price_and_a_run_that_acts_establishes_it() -> None:
    reads = {}
    for mode in (RunMode.DRY_RUN, RunMode.ACT):
        world = World(policy=a_policy(SellModuleConfig(strategies=(A_TRAIL,))), options=WatcherOptions(mode=mode))
        asyncio.run(world.a_scheduler().run_once())
        reads[mode] = len(world.quotes.requested)
    assert reads == {RunMode.DRY_RUN: 1, RunMode.ACT: 2}


def test_a_dry_run_confirms_a_stop_with_its_second_quote_however_slow_the_first_one_was() -> None:
    world = World(options=WatcherOptions(mode=RunMode.DRY_RUN))
    world.quoted("0.70", "0.72")
    world.quotes.first_delay = 0.4
    asyncio.run(world.a_scheduler().run_once())
    assert len(world.quotes.requested) == 2
    assert world.watcher.state.plan is not None
    assert [each.holding.symbol for each in world.watcher.state.plan.submits] == [CALL]


def test_a_dry_run_of_a_close_by_hand_waits_for_no_rule() -> None:
    world = World(options=WatcherOptions(mode=RunMode.DRY_RUN))
    world.quoted("0.70", "0.72")
    world.watcher.take_request(CommandRequest("1", Verb.CLOSE, CALL, ("main",)))
    asyncio.run(world.a_scheduler().run_once())
    assert len(world.quotes.requested) == 1
    assert world.watcher.state.plan is not None
    assert [each.holding.symbol for each in world.watcher.state.plan.submits] == [CALL]


def test_a_single_run_tries_once_more_what_may_be_over_in_a_moment() -> None:
    world = World()
    world.broker.fails = UnknownOutcomeError("a time-out")
    asyncio.run(world.a_scheduler().run_once())
    assert world.broker.requests.count("clock") == 2


def test_a_single_run_gives_an_account_that_others_hold_up_at_once() -> None:
    def busy(_facts: AccountFacts) -> None:
        raise BusyError("PA1 is in use.")

    world = World(admit=busy)
    asyncio.run(world.a_scheduler().run_once())
    assert world.broker.requests.count("account") == 1


def test_a_request_that_comes_while_watching_is_executed_by_the_poll_that_it_wakes() -> None:
    world = World()
    scheduler = world.a_scheduler()

    def close(polled: int) -> None:
        if polled == 1:
            world.watcher.take_request(CommandRequest("1", Verb.CLOSE, CALL, ("main",)))
            scheduler.read_at_once(["main"])

    watched(world, scheduler, 2, each=close)
    assert [order.symbol for order in world.broker.sent] == [CALL]
    assert world.clock.seconds < 1005


def test_an_interval_holds_from_the_next_poll_on() -> None:
    world = World()
    scheduler = world.a_scheduler()
    scheduler.set_interval(dt.timedelta(seconds=7))
    assert watched(world, scheduler, 1) == [7.0]
    assert at("12:00") <= world.clock.now()


class ForgetfulBroker(FakeBroker):
    """A broker that answers no look-up."""

    async def order_by_client_id(self, client_order_id: str) -> Order:
        raise a_broker_failure(f"no answer about {client_order_id}")


def test_the_end_of_a_watch_waits_until_the_outcome_of_an_order_is_known_and_sends_none_again() -> None:
    world = World()
    world.quoted(*DUE)
    world.broker.refuses = UnknownOutcomeError("no answer")
    watched(world, world.a_scheduler(), 1)
    assert world.watcher.state.unknown_orders == ()
    assert len(world.broker.sent) == 1
    assert 1010 <= world.clock.seconds <= 1015


def test_the_end_of_a_watch_leaves_an_order_that_nobody_knows_of_to_the_next_run() -> None:
    world = World()
    broker = ForgetfulBroker(world.clock)
    watcher = world.a_watcher(broker)
    world.quoted(*DUE)
    broker.refuses = UnknownOutcomeError("no answer")
    watched(world, world.a_scheduler(watcher), 1)
    assert len(watcher.state.unknown_orders) == 1
    assert world.clock.seconds <= 1015


def is_unlisted_work(world: World) -> None:
    """An order of ours works that the list of open orders doesn't show: today's orders keep the exit waiting."""
    working = our_order(CALL, status="done_for_day")
    world.broker.orders[working.client_order_id] = working
    world.broker.is_listed = lambda order: order is not working


def has_just_sold(world: World) -> None:
    """Another watcher's order has filled, and the positions don't show it yet: the exit waits for that."""
    sold = our_order(CALL, filled_qty=Decimal(1), status="filled", filled_at=at("12:00") + dt.timedelta(seconds=9))
    world.broker.orders[sold.client_order_id] = sold


@pytest.mark.parametrize("waits", [is_unlisted_work, has_just_sold])
@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "polled"])
def test_ticks_and_looks_on_an_exit_that_todays_orders_keep_waiting_do_not_read_them_again_and_again(
    waits: Callable[[World], None], *, streams: bool
) -> None:
    world, stream = World(), FakeStream()
    waits(world)
    world.broker.load = 0.4  # nothing is read ahead of need
    publish = EventPublisher("", world.clock.now, world.events.append, world.journal)
    ticks = TickHandler([world.watcher], stream, world.prices, world.market_clock, world.clock, publish)

    def next_tick(_round: int) -> None:
        world.clock.seconds += 0.1
        world.quoted("0.70", "0.72")
        if streams:
            ticks.quotes_received([world.quotes.quote()])

    watched_for(world, world.a_scheduler(tick_handler=ticks if streams else None), 15, each=next_tick)
    assert world.broker.sent == []
    assert world.broker.requests.count("history") <= world.broker.requests.count("positions") + 1


# --- the start check --------------------------------------------------------------------------------------------------


def a_check(found: list[list[str]]) -> Callable[[Sequence[FoundAccount]], None]:
    """A check that notes the accounts it sees and refuses them."""

    def check(accounts: Sequence[FoundAccount]) -> None:
        found.append([account.name for account in accounts])
        raise ConfigError("structure my-calls: a leg is not held.")

    return check


def test_the_start_check_is_made_once_with_every_account_and_before_any_decision() -> None:
    found: list[list[str]] = []
    _, _, scheduler = two_accounts()
    scheduler.start_check = a_check(found)
    with pytest.raises(ConfigError):
        asyncio.run(scheduler.watch(asyncio.Event(), lambda _wait: None))
    assert [state.plan for state in scheduler.states] == [None, None]
    asyncio.run(scheduler.poll())
    assert found == [["main", "other"]]


def test_it_concludes_nothing_when_an_account_could_not_be_read() -> None:
    found: list[list[str]] = []
    _, other, scheduler = two_accounts()
    scheduler.start_check = a_check(found)
    other.fails = a_broker_failure()
    asyncio.run(scheduler.poll())
    other.fails = None
    asyncio.run(scheduler.poll())
    assert found == []
    assert scheduler.states[0].plan is not None
