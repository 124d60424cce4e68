"""One account's watcher: what it publishes as its state, what it executes, and what a failure does to it."""

import asyncio
import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise

import pytest
from builders import CALL, CALL_TEXT, PUT, TUESDAY, a_policy, a_position, an_order, at, our_order, replace
from order_builders import an_exit_order
from shell_fakes import NoEpisodeStore, World, a_broker_failure

from sellctl.core.config.schema import (
    AssetKind,
    Pullback,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    StrategyOneConfig,
    TrailingStopConfig,
)
from sellctl.core.decision.risk_checks import MAX_NON_URGENT_ORDERS_PER_MINUTE
from sellctl.core.errors import (
    AuthError,
    BrokerAnswer,
    BrokerError,
    BusyError,
    FailureKind,
    JournalError,
    NotFoundError,
    RateLimitedError,
    Refusal,
    RequestRejectedError,
    SellctlError,
    UnknownOutcomeError,
)
from sellctl.core.manual.verb import Verb
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.episode import Episode
from sellctl.core.model.event import EventKind, Severity
from sellctl.core.model.gain import Basis
from sellctl.core.model.market import Split
from sellctl.core.model.plan import DecisionState, Reason, Urgency
from sellctl.core.model.position import OverrideChange, Position
from sellctl.core.model.snapshot import AccountFacts, InvalidRow
from sellctl.core.sell_watcher import WatcherOptions
from sellctl.core.tracking.quote_history import Source
from sellctl.core.watching.manual_requests import CommandRequest, ManualRequests

DUE = ("1.20", "1.22")  # over the target of 10%
OVER_THE_STOP = ("0.70", "0.72")
MSFT_CALL = "MSFT261218C00400000"


def polled(world: World, *prices: tuple[str, str]) -> World:
    """After a poll at each of these prices, ten seconds apart."""

    async def polls() -> None:
        for price in prices or (("1.00", "1.02"),):
            world.quoted(*price)
            await world.poll()
            world.clock.seconds += 10

    asyncio.run(polls())
    return world


def polled_prices(world: World, bid: str, ask: str) -> None:
    """Two quotes that agree on a new price, without a poll of the account."""

    async def refresh() -> None:
        for _ in range(2):
            world.clock.seconds += 2
            world.quoted(bid, ask)
            await world.prices.refresh([a_position(CALL).instrument])

    asyncio.run(refresh())


def a_request(verb: Verb = Verb.CLOSE, symbol: str = CALL) -> CommandRequest:
    return CommandRequest("1", verb, symbol, ("main",), "sellctl close")


def test_a_poll_publishes_one_immutable_state() -> None:
    world = World()
    before = world.watcher.state
    polled(world)
    after = world.watcher.state
    assert (before.plan, before.polled_at, before.has_polled) == (None, None, False)
    assert after.plan is not None
    assert after.snapshot is not None
    assert (after.polled_at, after.problem, after.acted) == (1000.0, None, False)
    assert after.market == after.snapshot.market
    assert after.facts == AccountFacts("main", "PA1")


def test_a_target_that_is_met_sends_one_order_with_its_intent_first() -> None:
    world = polled(World(), DUE)
    (order,) = world.broker.sent
    assert order.symbol == CALL
    assert world.journal.intents == [order.client_order_id]
    assert len(world.journal.plans) == 1
    assert world.watcher.state.acted
    assert world.watcher.state.pending_symbols == (CALL,)
    assert world.watcher.state.is_expedited


def test_what_works_is_not_sent_again() -> None:
    world = polled(World(), DUE, DUE, DUE)
    assert len(world.broker.sent) == 1


def test_after_the_first_read_todays_orders_are_asked_for_only_when_an_order_is_due() -> None:
    quiet, due = polled(World(), *[("1.00", "1.02")] * 3), polled(World(), ("1.00", "1.02"), DUE)
    assert quiet.broker.requests.count("all orders") == 1
    assert "history" not in quiet.broker.requests
    assert (due.broker.requests.count("history"), due.broker.requests.count("contract")) == (1, 0)
    assert due.broker.requests.index("history") < due.broker.requests.index("submit")


def test_a_stop_waits_for_a_second_quote_and_the_first_plan_is_told_as_confirmed() -> None:
    world = polled(World(), OVER_THE_STOP)
    assert world.broker.sent == []
    assert world.watcher.state.is_unconfirmed
    polled(world, OVER_THE_STOP)
    state = world.watcher.state
    assert [order.symbol for order in world.broker.sent] == [CALL]
    assert not state.is_unconfirmed
    assert state.first_plan is not None
    assert state.first_plan.submits


def polled_with(world: World, *reads: tuple[Position, ...], seconds: float = 10.0) -> World:
    """After polls that show these positions, so many seconds apart."""

    async def polls() -> None:
        for held in reads:
            world.broker.held = held
            world.quoted("1.00", "1.02")
            await world.poll()
            world.clock.seconds += seconds

    asyncio.run(polls())
    return world


A_SHORT, ITS_COVER = a_position(CALL, "1", short=True), a_position("AAPL261218C00210000", "1")


def test_a_short_without_cover_is_bought_back_when_a_second_read_ten_seconds_later_agrees() -> None:
    world = polled_with(World(), (), (A_SHORT,))
    assert (world.broker.sent, world.watcher.state.is_confirming_a_short) == ([], True)
    polled_with(world, (A_SHORT,))
    assert [order.symbol for order in world.broker.sent] == [CALL]
    assert not world.watcher.state.is_confirming_a_short


def test_a_short_that_is_without_cover_when_the_process_starts_is_bought_back_at_once() -> None:
    assert [order.symbol for order in polled_with(World(), (A_SHORT,)).broker.sent] == [CALL]


def test_a_short_whose_cover_one_list_has_left_out_is_not_bought_back() -> None:
    both = (A_SHORT, ITS_COVER)
    assert polled_with(World(), (), (A_SHORT,), (A_SHORT,), both, both, seconds=4.0).broker.sent == []


@pytest.mark.parametrize(("lists_without_it", "sold"), [(1, []), (2, []), (3, [CALL])])
def test_a_long_is_sold_once_three_lists_agree_that_the_short_it_covered_is_gone(
    lists_without_it: int, sold: list[str]
) -> None:
    long, its_short = a_position(CALL), a_position("AAPL261127C00200000", "1", short=True)
    world = polled_with(World(), (long, its_short))
    world.watcher.take_request(a_request())
    polled_with(world, *((long,),) * lists_without_it, seconds=1.5)
    assert [order.symbol for order in world.broker.sent] == sold


def test_newer_quotes_are_no_second_read() -> None:
    world = polled_with(World(), (), (A_SHORT,))
    asyncio.run(a_re_evaluation(world, "1.00", "1.02", seconds=10.0))
    assert (world.broker.sent, world.watcher.state.is_confirming_a_short) == ([], True)


def test_a_dry_run_decides_and_sends_and_writes_nothing() -> None:
    world = polled(World(options=WatcherOptions(mode=RunMode.DRY_RUN)), DUE)
    state = world.watcher.state
    assert state.plan is not None
    assert state.plan.submits
    assert (world.broker.sent, world.journal.plans, world.journal.notes) == ([], [], [])
    assert not state.is_expedited


def test_only_the_symbols_asked_for_are_executed() -> None:
    world = World(options=WatcherOptions(only=frozenset({PUT})))
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "1"))
    world.quoted(*DUE, symbol=PUT)
    polled(world, DUE)
    assert [order.symbol for order in world.broker.sent] == [PUT]
    assert world.watcher.state.is_expedited


def test_stale_only_sends_no_exit() -> None:
    world = polled(World(options=WatcherOptions(mode=RunMode.STALE_ONLY)), DUE)
    assert world.broker.sent == []
    assert not world.watcher.state.is_expedited


def test_of_an_account_that_may_not_be_acted_on_nothing_is_used() -> None:
    def busy(_facts: AccountFacts) -> None:
        raise BusyError("PA1 is in use by sellctl watch.")

    world = World(admit=busy)
    working = our_order(CALL)
    world.broker.orders[working.client_order_id] = working
    polled(world, DUE)
    state = world.watcher.state
    assert isinstance(state.problem, BusyError)
    assert (state.facts, state.snapshot, state.pending_symbols) == (None, None, ())
    assert (world.broker.sent, world.journal.notes, world.journal.plans) == ([], [], [])


def test_the_first_failure_of_a_row_is_published_and_so_is_the_recovery() -> None:
    world = World()
    world.market_clock = World().market_clock
    world.broker.fails = a_broker_failure()
    polled(world, DUE, DUE)
    state = world.watcher.state
    assert (state.failures, state.acted) == (2, False)
    assert world.texts == ["degraded: the network is down"]
    world.broker.fails = None
    polled(world)
    assert world.texts[1:] == ["recovered: the account responds again"]
    assert (world.watcher.state.problem, world.watcher.state.failures) == (None, 0)


def test_a_bug_stays_the_accounts_own() -> None:
    world = World()
    world.market_clock = World().market_clock
    world.broker.fails = ZeroDivisionError()
    polled(world)
    assert "Internal error: ZeroDivisionError." in str(world.watcher.state.problem)


def test_without_a_journal_nothing_is_sent() -> None:
    world = World()
    world.journal.fails = JournalError("the disk is full")
    polled(world, DUE)
    assert world.broker.sent == []
    assert isinstance(world.watcher.state.problem, JournalError)


def test_a_decision_on_several_underlyings_is_written_down_at_once() -> None:
    world = World()
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "1"), a_position(MSFT_CALL, "2"))
    world.quoted(*DUE, PUT)
    world.quoted(*DUE, MSFT_CALL)
    polled(world, DUE)
    assert world.journal.decisions == [(f"send {CALL}", f"send {PUT}", f"send {MSFT_CALL}")]
    assert [order.symbol for order in world.broker.sent] == [CALL, PUT, MSFT_CALL]


@pytest.mark.parametrize("due", [CALL, MSFT_CALL], ids=["same underlying", "another underlying"])
def test_a_stale_order_whose_cancel_takes_long_is_cancelled_after_an_exit_of_another_symbol(due: str) -> None:
    world = with_a_stale_order()
    begin = world.clock.seconds
    world.quoted(*DUE, due)

    async def scene() -> None:
        poll = asyncio.ensure_future(world.poll())
        for _ in range(30):
            await asyncio.sleep(0)
        assert (len(world.broker.sent), world.clock.seconds) == (1, begin)
        await poll

    asyncio.run(scene())
    assert ([order.symbol for order in world.broker.sent], world.broker.cancelled) == ([due], [])
    world.clock.seconds += 2
    asyncio.run(world.poll())
    assert world.broker.cancelled == ["id-of-old"]


def test_while_a_stale_order_is_being_cancelled_ticks_act_on_every_other_symbol() -> None:
    world = with_a_stale_order()
    world.watcher.orders_streamed(is_connected=True)

    async def scene() -> None:
        poll = asyncio.ensure_future(world.poll())
        for _ in range(30):
            await asyncio.sleep(0)
        world.clock.seconds += 1
        for symbol in (PUT, CALL):
            await tick(world, symbol)
        assert not poll.done()
        await poll

    asyncio.run(scene())
    assert [order.symbol for order in world.broker.sent] == [CALL]
    assert world.watcher.state.acted


def test_while_an_order_is_on_its_way_a_later_poll_leaves_its_underlying_out_and_does_not_wait() -> None:
    world = World()
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "1"), a_position(MSFT_CALL, "2"))
    for symbol in (PUT, MSFT_CALL):
        world.quoted("1.00", "1.02", symbol)
    answered = world.broker.order_gates[CALL] = asyncio.Event()

    async def scene() -> None:
        world.quoted(*DUE)
        first = asyncio.ensure_future(world.poll())
        for _ in range(30):
            await asyncio.sleep(0)
        world.clock.seconds += 2
        for symbol in (PUT, MSFT_CALL):
            world.quoted(*DUE, symbol)
        await world.poll()
        assert (first.done(), world.watcher.is_executing) == (False, True)
        assert [order.symbol for order in world.broker.sent] == [CALL, MSFT_CALL]
        assert world.watcher.state.acted
        answered.set()
        await first
        world.clock.seconds += 2
        await world.poll()

    asyncio.run(scene())
    assert [order.symbol for order in world.broker.sent] == [CALL, MSFT_CALL, PUT]


async def tick(world: World, symbol: str) -> None:
    """A streamed quote over the target, with today's orders known."""
    world.quoted(*DUE, symbol)
    world.prices.accept({symbol: world.quotes.quote(symbol)}, {symbol: a_position(symbol).instrument}, Source.STREAM)
    view = world.watcher.view_for_tick(["AAPL"])
    assert view is not None
    newest = [replace(h, quote=world.prices.newest(h.symbol)) for h in view.snapshot.holdings]
    snapshot = replace(view.snapshot, market=world.market_clock.now(), holdings=tuple(newest))
    view = replace(view, snapshot=snapshot)
    await world.watcher.act_on_tick(view, world.watcher.decide(view.snapshot))


def with_a_stale_order() -> World:
    """Three options, none of them due, and an old order for one, whose cancel is answered after eight seconds."""
    world = World()
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "1"), a_position(MSFT_CALL, "2"))
    for symbol in (CALL, PUT, MSFT_CALL):
        world.quoted("1.00", "1.02", symbol)
    old = an_order(PUT, limit="9.00", client_order_id="old", submitted=at("11:00"))
    world.broker.orders["old"] = replace(old, id="id-of-old")
    world.broker.cancel_takes = 8.0
    return world


def test_a_request_to_close_is_evidence_and_the_next_poll_executes_it() -> None:
    world = polled(World())
    world.watcher.take_request(a_request())
    assert world.texts == [f"{CALL_TEXT}: close requested by sellctl close"]
    assert world.journal.notes == [("main", "request", {"symbol": CALL, "verb": "close", "by": "sellctl close"})]
    polled(world)
    assert [order.symbol for order in world.broker.sent] == [CALL]


def a_request_to_set(symbol: str = CALL, **change: object) -> CommandRequest:
    return CommandRequest("7", Verb.SET, symbol, ("main",), "alice", change=OverrideChange(**change))  # type: ignore[arg-type]


def test_rules_that_are_set_are_on_disk_before_they_are_evidence_and_decide_at_once() -> None:
    saved: list[int] = []

    class Store(NoEpisodeStore):
        async def save(self, account: str, episodes: Mapping[str, Episode]) -> None:
            saved.append(len(world.journal.notes))
            await super().save(account, episodes)

    world = World(episode_store=Store())
    low = ("0.85", "0.87")
    polled(world, low, low)
    assert world.broker.sent == []
    world.watcher.take_request(a_request_to_set(stop="10%"))
    notes = len(world.journal.notes)
    polled(world, low)
    assert notes in saved
    assert world.journal.notes[notes:] == [
        ("main", "override", {"symbol": CALL, "id": "7", "by": "alice", "what": "stop 10%"})
    ]
    assert [order.symbol for order in world.broker.sent] == [CALL]


def test_nothing_is_set_for_a_position_that_is_gone_and_that_is_evidence() -> None:
    world = polled(World())
    world.watcher.take_request(a_request_to_set(PUT, stop="10%"))
    polled(world)
    ((_, kind, detail),) = [note for note in world.journal.notes if note[1] == "override"]
    assert (kind, detail["problem"]) == ("override", "it is not held")


def test_a_dry_run_sets_nothing() -> None:
    world = World(options=WatcherOptions(mode=RunMode.DRY_RUN))
    world.watcher.requests.take(a_request_to_set(stop="10%"))
    polled(world)
    assert world.journal.notes == []
    assert not world.watcher.positions.episodes.has_overrides


def test_that_the_time_of_what_was_set_is_over_is_told_once() -> None:
    world = polled(World())
    end = world.clock.now() + dt.timedelta(minutes=1)
    world.watcher.take_request(a_request_to_set(stop="10%", until=end))
    polled(world)
    for _ in range(3):
        world.clock.seconds += 40
        polled(world)
    assert [text for text in world.texts if "and ended" in text] == [
        f"{CALL_TEXT}: set by hand until now, and ended: stop 10% until Tue 24 Nov 2026 12:01 ET, set by alice"
    ]


def test_a_request_ends_when_its_position_is_gone() -> None:
    world = polled(World())
    world.watcher.take_request(a_request(symbol=PUT))
    polled(world)
    assert world.watcher.requests.closing == frozenset()


def test_a_panic_closes_what_is_held_when_it_begins() -> None:
    world = polled(World(requests=ManualRequests(panic_is_pending=True)))
    (order,) = world.broker.sent
    plan = world.watcher.state.plan
    assert order.symbol == CALL
    assert plan is not None
    assert [d.signal.reason for d in plan.decisions if d.signal] == [Reason.PANIC]
    assert world.watcher.requests == ManualRequests(panic=frozenset({CALL}))


def test_another_policy_holds_from_the_next_poll_on() -> None:
    world = polled(World(), ("1.05", "1.07"))
    assert world.broker.sent == []
    lower = a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(profit_rate=Decimal("1.03"))))
    world.watcher.take_policy(lower, Basis.MID)
    polled(world, ("1.05", "1.07"))
    assert [order.symbol for order in world.broker.sent] == [CALL]


def test_targets_are_cancelled_when_a_run_ends_and_protective_exits_are_not() -> None:
    target, stop = polled(World(), DUE, DUE), polled(World(), OVER_THE_STOP, OVER_THE_STOP, OVER_THE_STOP)
    for world, cancels in ((target, 1), (stop, 0)):
        world.broker.cancelled.clear()
        asyncio.run(world.watcher.cancel_targets("the run is over"))
        assert len(world.broker.cancelled) == cancels


# --- ticks ------------------------------------------------------------------------------------------------------------


def test_a_tick_acts_on_what_the_last_poll_saw() -> None:
    world = polled(World())
    view = world.watcher.view_for_tick(["AAPL"])
    assert view is not None
    assert view.snapshot.on_tick
    assert [holding.symbol for holding in view.snapshot.holdings] == [CALL]
    assert view.observed_at == 1000.0


@pytest.mark.parametrize("mode", [RunMode.DRY_RUN, RunMode.STALE_ONLY])
def test_no_tick_acts_where_a_poll_would_not(mode: RunMode) -> None:
    assert polled(World(options=WatcherOptions(mode=mode))).watcher.view_for_tick(["AAPL"]) is None
    assert World().watcher.view_for_tick(["AAPL"]) is None


def test_no_tick_acts_on_a_price_that_has_moved_by_todays_split_until_a_poll_has_rested_the_rules() -> None:
    world = polled(World())
    world.splits.begin(TUESDAY)
    world.splits.answered(["AAPL"], [Split("AAPL", Decimal(2), TUESDAY)])
    assert world.watcher.view_for_tick(["AAPL"]) is not None
    polled_prices(world, "0.50", "0.52")
    assert world.watcher.view_for_tick(["AAPL"]) is None
    polled(world, ("0.50", "0.52"), ("0.50", "0.52"))
    assert world.broker.sent == []
    assert any("today's 2:1 split of AAPL may not be reflected in the position yet" in text for text in world.texts)


def test_after_an_order_the_view_of_its_underlying_has_expired_until_the_next_poll() -> None:
    world = polled(World(), DUE)
    assert not world.watcher.accepts_ticks("AAPL")
    assert world.watcher.accepts_ticks("MSFT")
    polled(world, DUE)
    assert world.watcher.accepts_ticks("AAPL")


@pytest.mark.parametrize(
    ("problem", "accepted"),
    [(AuthError("401"), False), (RateLimitedError("429", answer=BrokerAnswer(429, None, "slow down")), True)],
)
def test_no_tick_acts_while_the_account_fails_unless_only_its_reads_wait_for_their_budget(
    problem: BrokerError, *, accepted: bool
) -> None:
    world = polled(World())
    world.broker.fails = problem
    assert asyncio.run(world.watcher.observe()) is None
    assert world.watcher.accepts_ticks("AAPL") is accepted


def test_no_tick_acts_between_a_panic_and_its_poll() -> None:
    world = polled(World())
    world.watcher.take_request(a_request(Verb.PANIC, ""))
    assert not world.watcher.accepts_ticks("AAPL")


class InterruptedEpisodeStore(NoEpisodeStore):
    """While it stores, ticks send as many orders as the account may send in a minute."""

    world: World | None = None

    async def save(self, account: str, episodes: Mapping[str, Episode]) -> None:
        await super().save(account, episodes)
        if self.world is not None:
            for number in range(MAX_NON_URGENT_ORDERS_PER_MINUTE[1]):
                order = an_exit_order(at=self.world.clock.seconds, urgency=Urgency.PROFIT)
                self.world.watcher.orders.book.add_recorded(replace(order, client_order_id=f"sellctl-{number}"))


def test_orders_that_ticks_send_while_a_poll_stores_its_positions_count_in_the_polls_decision() -> None:
    episode_store = InterruptedEpisodeStore()
    world = episode_store.world = World(episode_store=episode_store)
    polled(world, DUE)
    assert world.broker.sent == []
    assert world.watcher.state.plan is not None
    assert "orders for this account within a minute" in world.watcher.state.plan.decisions[0].sentence


def test_a_tick_whose_view_has_expired_sends_nothing() -> None:
    world = polled(World())
    view = world.watcher.view_for_tick(["AAPL"])
    assert view is not None
    plan = world.watcher.decide(view.snapshot)
    polled(world, DUE)
    asyncio.run(world.watcher.act_on_tick(view, plan))
    assert len(world.broker.sent) == 1


def test_an_order_of_ours_that_the_broker_shows_is_adopted() -> None:
    world = World()
    world.broker.orders["sellctl-abc"] = replace(our_order(CALL, qty="3"), submitted_at=at("11:59"))
    polled(world)
    assert world.watcher.state.pending_symbols == (CALL,)
    assert [event.kind for event in world.events] == [EventKind.ADOPTED]
    assert [event.severity for event in world.events] == [Severity.INFO]


@pytest.mark.parametrize(("unreadable", "sent"), [(CALL, [PUT]), ("", [])])
def test_an_unreadable_order_of_today_holds_back_its_own_symbol_or_all_when_it_names_none(
    unreadable: str, sent: list[str]
) -> None:
    world = World()
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "3"))
    world.broker.unreadable_orders = (InvalidRow(unreadable, "its status is not text"),)
    world.quoted(*DUE, CALL)
    world.quoted(*DUE, PUT)
    for _ in range(3):
        asyncio.run(world.poll())
        world.clock.seconds += 5
    assert [order.symbol for order in world.broker.sent] == sent
    assert len([text for text in world.texts if "rder of today can't be read" in text]) == 1


# --- refusals ---------------------------------------------------------------------------------------------------------

ANSWER = BrokerAnswer(403, None, "forbidden.")


@pytest.mark.parametrize(
    "refusal",
    [
        AuthError("main: the broker refuses the key (403: forbidden.)."),
        UnknownOutcomeError("main: the broker answered with status 401.", kind=FailureKind.GATEWAY),
        RateLimitedError("main: too many requests.", answer=ANSWER),
        NotFoundError("main: no such contract.", answer=ANSWER),
        *(RequestRejectedError("main: no.", answer=ANSWER, refusal=kind) for kind in Refusal),
    ],
    ids=["a 403 without a code", "a bare 401", "429", "404", *Refusal],
)
def test_an_order_that_is_refused_in_whatever_shape_goes_out_three_times_and_then_once_a_minute(
    refusal: Exception,
) -> None:
    world = World()
    world.broker.refuses = refusal
    sent_at: list[float] = []

    async def five_minutes() -> None:
        world.quoted(*OVER_THE_STOP)
        begin = world.clock.seconds
        while world.clock.seconds < begin + 300:
            await world.poll()
            sent_at.extend([world.clock.seconds - begin] * (len(world.broker.sent) - len(sent_at)))
            world.clock.seconds += 1.5

    asyncio.run(five_minutes())
    assert len([at for at in sent_at if at < 60]) == 3
    assert all(later - earlier >= 60 for earlier, later in pairwise(sent_at[2:]))
    assert len(sent_at) >= 6


# --- a stop that stays ------------------------------------------------------------------------------------------------


def refused(world: World) -> None:
    world.broker.refuses = AuthError("main: the broker refuses the key (403: forbidden.).")


def out_of_budget(world: World) -> None:
    world.broker.refuses = RateLimitedError("main: the budget is used up.", answer=ANSWER, is_ours=True)


def unanswered(world: World) -> None:
    world.broker.refuses = UnknownOutcomeError("main: the broker did not answer in time.")


def rejecting(world: World) -> None:
    world.broker.rejects = True


def trading_is_blocked(world: World) -> None:
    world.broker.facts = replace(world.broker.facts, blocked="trading_blocked")


def trading_is_refused(world: World) -> None:
    world.broker.refuses = RequestRejectedError("main: no.", answer=ANSWER, refusal=Refusal.ACCOUNT)


def the_users_order_is_in_the_way(world: World) -> None:
    world.broker.held = (a_position(CALL, "3", available="0"),)
    world.broker.orders["by-hand"] = an_order(CALL, qty="3", client_order_id="by-hand", time_in_force="gtc")


def quotes_end(world: World) -> None:
    world.broker.refuses = AuthError("main: the broker refuses the key (403: forbidden.).")
    world.at_later_polls = lambda: world.quoted("", "")


def the_account_can_not_be_read(world: World) -> None:
    world.broker.refuses = AuthError("main: the broker refuses the key (403: forbidden.).")
    world.at_later_polls = lambda: setattr(world.broker, "unreadable", a_broker_failure())


def the_journal_can_not_be_written(world: World) -> None:
    world.journal.fails = JournalError("The disk is full.")


@pytest.mark.parametrize(
    "what_keeps_it",
    [
        refused,
        out_of_budget,
        unanswered,
        rejecting,
        trading_is_blocked,
        trading_is_refused,
        the_users_order_is_in_the_way,
        quotes_end,
        the_account_can_not_be_read,
        the_journal_can_not_be_written,
    ],
)
def test_a_stop_that_stays_is_critical_after_45_s_and_every_three_minutes_whatever_keeps_it(
    what_keeps_it: Callable[[World], None],
) -> None:
    world = World()
    what_keeps_it(world)
    begin, began_at = world.clock.seconds, world.clock.now()

    async def eight_minutes() -> None:
        world.quoted(*OVER_THE_STOP)
        while world.clock.seconds < begin + 480:
            if world.clock.seconds == begin + 30:
                world.at_later_polls()
            await world.poll()
            world.clock.seconds += 3

    asyncio.run(eight_minutes())
    late = [event for event in world.events if event.severity is Severity.CRITICAL and "still not closed" in event.text]
    assert [(event.at - began_at).total_seconds() for event in late] == pytest.approx([45, 225, 405], abs=5)
    assert all(event.symbol == CALL for event in late)


def test_a_stop_that_is_no_longer_true_is_not_overdue() -> None:
    world = World()
    refused(world)
    for price in (OVER_THE_STOP, ("1.00", "1.02")):
        polled(world, *[price] * 6)
    told = world.texts.copy()
    polled(world, *[("1.00", "1.02")] * 30)
    assert not any("still not closed" in text for text in world.texts[len(told) :])


# --- lost quotes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "price",
    [("1.00", ""), ("", "1.02"), ("1.10", "1.02"), ("", ""), None],
    ids=["no ask", "no bid", "crossed", "no side", "the same old quote"],
)
def test_quotes_that_are_lost_for_five_minutes_are_one_alert_and_their_return_is_told(
    price: tuple[str, str] | None,
) -> None:
    world = World()
    world.broker.held = (a_position("AAPL", "10"),)
    world.policy = world.watcher.policy = a_policy(
        SellModuleConfig(strategy_one=StrategyOneConfig(applies_to=(AssetKind.STOCK,)))
    )

    async def polls(seconds: float) -> None:
        ends = world.clock.seconds + seconds
        while world.clock.seconds < ends:
            await world.poll()
            world.clock.seconds += 5

    def told() -> list[str]:
        return [event.kind.value for event in world.events if "quote" in event.text]

    world.quoted("1.00", "1.02", "AAPL")
    asyncio.run(polls(10))
    if price is None:
        world.quotes.prices.clear()
    else:
        world.quoted(*price, "AAPL")
    asyncio.run(polls(290))
    assert told() == []
    asyncio.run(polls(900))
    assert told() == ["alert"]
    assert world.watcher.state.plan is not None
    assert [each.state for each in world.watcher.state.plan.decisions] == [DecisionState.NO_QUOTE]
    world.quoted("1.00", "1.02", "AAPL")
    asyncio.run(polls(20))
    assert told() == ["alert", "recovered"]
    assert [each.state for each in world.watcher.state.plan.decisions] == [DecisionState.WATCHING]


@pytest.mark.parametrize("symbol", ["XYZ+", "=1+1", "[red]", "../../x", "__class__", "%s{}"])
def test_a_strange_symbol_spoils_itself_only(symbol: str) -> None:
    world = World()
    world.broker.held = (a_position(symbol, "7"), *world.broker.held)
    polled(world, DUE)
    assert [order.symbol for order in world.broker.sent] == [CALL]
    assert world.watcher.state.problem is None


def test_nothing_is_decided_on_what_can_not_be_remembered() -> None:
    world = World(episode_store=NoEpisodeStore(is_broken=True))
    polled(world, DUE)
    assert world.journal.intents == []
    assert isinstance(world.watcher.state.problem, JournalError)


# --- re-evaluations ---------------------------------------------------------------------------------------------------


async def a_re_evaluation(world: World, bid: str, ask: str, seconds: float = 1.6) -> None:
    """Re-evaluate at a newer quote, so many seconds later."""
    world.clock.seconds += seconds
    world.quoted(bid, ask)
    await world.prices.refresh([a_position(CALL, "3").instrument])
    await world.watcher.reevaluate(world.market_clock.now())


def reevaluated(world: World, *quotes: tuple[str, str]) -> None:
    """Poll once at a price that fires nothing; then re-evaluate at each of these quotes, 1.6 seconds apart."""

    async def reevaluations() -> None:
        await world.poll()
        for bid, ask in quotes:
            await a_re_evaluation(world, bid, ask)

    asyncio.run(reevaluations())


def test_a_look_sends_what_newer_quotes_make_due_without_reading_the_account() -> None:
    world = World()
    reevaluated(world, DUE)
    assert [order.symbol for order in world.broker.sent] == [CALL]
    assert world.broker.requests.count("positions") == 1
    assert world.watcher.state.acted


def test_a_look_confirms_a_stop_with_its_second_quote() -> None:
    world = World()
    reevaluated(world, ("0.70", "0.72"))
    assert world.broker.sent == []
    assert world.watcher.state.is_pressing
    again = World()
    reevaluated(again, ("0.70", "0.72"), ("0.70", "0.71"))
    assert [order.symbol for order in again.broker.sent] == [CALL]


def test_a_re_evaluation_decides_nothing_either_on_what_can_not_be_remembered() -> None:
    world = World()

    async def run() -> None:
        await world.poll()
        world.episode_store.is_broken = True
        await a_re_evaluation(world, *DUE)

    asyncio.run(run())
    assert world.journal.intents == []


def test_after_an_order_a_re_evaluation_sends_nothing_more_until_the_account_was_read() -> None:
    world = World()
    reevaluated(world, DUE, ("1.30", "1.32"), ("1.40", "1.42"), ("1.50", "1.52"), ("1.60", "1.62"))
    assert len(world.broker.sent) == 1


def test_a_re_evaluation_cancels_an_order_that_is_to_be_repriced_once_although_no_read_has_shown_it_yet() -> None:
    world = World()
    reevaluated(world, DUE, *(7 * [("1.30", "1.32")]))
    assert world.broker.cancelled == [world.broker.orders[world.broker.sent[0].client_order_id].id]
    assert world.watcher.state.awaits_read
    assert world.journal.plans[-1].cancels  # on record, as every decision that acts
    assert [order.limit_price for order in world.watcher.state.open_orders] == [world.broker.sent[0].limit_price]


def test_the_first_plan_shows_what_a_re_evaluation_has_confirmed() -> None:
    world = World()

    async def run() -> None:
        world.quoted("0.70", "0.72")
        await world.poll()
        await a_re_evaluation(world, "0.70", "0.72")

    asyncio.run(run())
    first = world.watcher.state.first_plan
    assert first is not None
    assert [decision.submit is not None for decision in first.decisions] == [True]


# --- working orders ---------------------------------------------------------------------------------------------------


def test_orders_that_are_followed_cost_one_request_and_a_read_is_awaited_once_one_has_ended() -> None:
    world = polled(World(), DUE)
    world.broker.requests.clear()
    asyncio.run(world.watcher.follow())
    assert (world.broker.requests, world.watcher.state.awaits_read) == (["history"], False)
    (name, order), *_ = world.broker.orders.items()
    world.broker.orders[name] = replace(order, status="filled", filled_qty=order.qty)
    asyncio.run(world.watcher.follow())
    assert (world.watcher.state.pending_symbols, world.watcher.state.awaits_read) == ((), True)
    assert not world.watcher.accepts_ticks("AAPL")


def test_an_order_that_the_list_of_todays_orders_lacks_is_looked_for_by_a_read() -> None:
    world = polled(World(), DUE)
    world.broker.orders.clear()
    asyncio.run(world.watcher.follow())
    assert world.watcher.state.awaits_read


def test_a_cancel_that_an_exit_waits_for_is_looked_for_until_it_has_been_pending_for_five_reads() -> None:
    world = World()
    reevaluated(world, DUE, *(7 * [("1.30", "1.32")]))
    (name, order), *_ = world.broker.orders.items()
    world.broker.orders[name] = replace(order, status="pending_cancel")
    awaited = []
    for _ in range(7):
        polled(world, ("1.30", "1.32"))
        awaited.append((world.watcher.state.awaits_read, world.watcher.state.reads_in_vain))
    assert awaited == [(True, 1), (True, 2), (True, 3), (True, 4), (True, 5), (False, 6), (False, 7)]


def test_no_exit_waits_for_the_cancel_of_a_stale_order_of_another_symbol() -> None:
    for symbol, waits in ((PUT, False), (CALL, True)):
        world = World()
        world.broker.held = (a_position(PUT, "1"), a_position(CALL, "1"))
        world.quoted("1.00", "1.02", PUT)
        stale = replace(an_order(symbol), submitted_at=at("11:00"), limit_price=Decimal(9))
        world.broker.orders[stale.client_order_id] = stale
        polled(world, DUE)
        assert world.broker.cancelled == [stale.id] * waits
        assert world.watcher.state.awaits_read is waits


def test_a_look_acts_while_a_read_fails_for_a_moment_and_not_while_the_key_is_refused() -> None:
    for error, sent in ((UnknownOutcomeError("status 503"), 1), (AuthError("The key is refused."), 0)):
        world = World()

        async def failing(world: World = world, error: Exception = error) -> None:
            await world.poll()
            world.broker.fails = error
            assert await world.watcher.observe() is None
            world.broker.fails = None
            await a_re_evaluation(world, *DUE, seconds=2)

        asyncio.run(failing())
        assert len(world.broker.sent) == sent


def test_a_stop_that_a_reevaluation_has_sent_is_critical_after_45_s_although_no_read_comes_through() -> None:
    world = World()
    reevaluated(world, OVER_THE_STOP, ("0.70", "0.71"))
    assert len(world.broker.sent) == 1

    async def minute() -> None:
        world.broker.fails = UnknownOutcomeError("status 503")
        for _ in range(30):
            world.clock.seconds += 2
            assert await world.watcher.observe() is None

    asyncio.run(minute())
    assert len([text for text in world.texts if "still not closed" in text]) == 1


A_TRAIL = SellModuleConfig(
    strategies=(StrategyConfig(rules=RulesConfig(trailing_stop=TrailingStopConfig(Pullback(Decimal("0.2"))))),)
)


def test_a_look_during_the_search_for_openings_uses_the_newer_read_and_changes_no_episode() -> None:
    world = World(policy=a_policy(A_TRAIL))
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "1"))
    world.quoted("1.00", "1.02", PUT)
    episodes = world.watcher.positions.episodes

    async def reduced_by_hand() -> None:
        await world.poll()
        world.broker.held = (a_position(CALL, "2", "1.01"), a_position(PUT, "1"))
        world.clock.seconds += 2
        searching = world.broker.history_gate = asyncio.Event()
        poll = asyncio.ensure_future(world.poll())
        for _ in range(20):
            await asyncio.sleep(0)
        await world.watcher.reevaluate(world.market_clock.now())
        searching.set()
        await poll

    asyncio.run(reduced_by_hand())
    after = episodes.known[CALL]
    assert (after.qty, after.original_qty) == (Decimal(2), Decimal(3))


def test_of_looks_at_the_same_time_one_reads_todays_orders() -> None:
    world = World()

    async def looks() -> None:
        await world.poll()
        world.quoted(*DUE)
        world.clock.seconds += 2
        await world.prices.refresh([a_position(CALL, "3").instrument])
        reading = world.broker.history_gate = asyncio.Event()
        under_way = [asyncio.ensure_future(world.watcher.reevaluate(world.market_clock.now())) for _ in range(5)]
        for _ in range(20):
            await asyncio.sleep(0)
        reading.set()
        await asyncio.gather(*under_way)

    asyncio.run(looks())
    assert world.broker.requests.count("history") == 1
    assert len(world.broker.sent) == 1


def test_an_exit_that_falls_due_while_another_ones_data_is_read_waits_until_its_own_orders_are_known() -> None:
    world = World()
    world.broker.held = (a_position(CALL, "3"), a_position(PUT, "1"))
    world.quoted("1.00", "1.02", PUT)
    ended = our_order(PUT, status="canceled")
    world.broker.orders[ended.client_order_id] = ended

    async def due_meanwhile() -> None:
        await world.poll()
        world.clock.seconds += 5
        world.quoted(*DUE)
        reading = world.broker.history_gate = asyncio.Event()
        poll = asyncio.ensure_future(world.poll())
        for _ in range(20):
            await asyncio.sleep(0)
        world.clock.seconds += 1
        world.quoted(*DUE, PUT)
        await world.prices.refresh([a_position(PUT, "1").instrument])
        reading.set()
        await poll

    asyncio.run(due_meanwhile())
    assert [order.symbol for order in world.broker.sent] == [CALL]


def test_a_list_of_rules_to_resume_that_can_not_be_read_is_told_once_and_stops_no_exit() -> None:
    def unreadable() -> frozenset[str]:
        raise SellctlError("thawed-main.json can't be read: Permission denied.")

    world = polled(World(options=WatcherOptions(resumed=unreadable)), ("1.00", "1.02"), DUE, DUE)
    assert [order.symbol for order in world.broker.sent] == [CALL]
    assert len([text for text in world.texts if "suspended rules can't be resumed" in text]) == 1
