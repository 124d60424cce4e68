"""The walk of non-urgent exits from the mid to the touch."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import (
    CALL,
    TODAYS_CALL,
    a_holding,
    a_market,
    a_policy,
    a_snapshot,
    an_exit,
    at,
    our_order,
    replace,
    the_decision,
)
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.config.schema import ExecutionConfig, Style, WalkConfig, WalksConfig
from sellctl.core.decision.alerts import OVERDUE_AFTER
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.engine import decide
from sellctl.core.decision.pricing import REPRICE_AFTER, WIDE_WALK, ladder, price_step, tick_of, walk_of
from sellctl.core.decision.risk_checks import MAX_NON_URGENT_ORDERS_PER_MINUTE
from sellctl.core.model.plan import ExitSignal, PositionDecision, Reason, Urgency
from sellctl.core.model.position import Holding, OrderCount, PositionState

SPY = "SPY261218C00600000"
WALK = WalkConfig()


def a_signal(holding: Holding, urgency: Urgency = Urgency.PROFIT, worst_price: str | None = None) -> ExitSignal:
    judged = DecisionContext.of(a_snapshot(holding), a_policy()).holdings[0]
    limit = None if worst_price is None else Decimal(worst_price)
    return ExitSignal(judged, holding.position.qty, Reason.TAKE_PROFIT, "why", urgency, worst_price=limit)


def prices(signal: ExitSignal, walk: WalkConfig = WALK) -> list[str]:
    """What each step is sent at, until it goes on for ever."""
    step_count = price_step(signal, 1, Style.SMART, protective_market=False, walk=walk).step_count
    limits = [
        price_step(signal, step, Style.SMART, protective_market=False, walk=walk).limit
        for step in range(1, step_count + 1)
    ]
    return [f"{limit:f}" for limit in limits if limit is not None]


def test_a_target_walks_from_the_mid_to_the_bid_in_even_steps() -> None:
    assert prices(a_signal(a_holding(SPY, bid="2.00", ask="2.60"))) == ["2.30", "2.20", "2.10", "2.00"]


def test_a_cover_walks_from_the_mid_to_the_ask() -> None:
    assert prices(a_signal(a_holding(SPY, bid="2.00", ask="2.60", short=True))) == ["2.30", "2.40", "2.50", "2.60"]


def test_a_time_exit_goes_through_the_bid_when_it_failed_there_again_and_again() -> None:
    walked = prices(a_signal(a_holding(SPY, bid="2.00", ask="2.60"), Urgency.TIME))
    assert walked == ["2.30", "2.20", "2.10", "2.00", "2.00", "2.00", "1.80"]


@pytest.mark.parametrize("urgency", [Urgency.FORCED, Urgency.PROTECTIVE])
def test_urgent_exits_never_walk_on_an_ordinary_spread(urgency: Urgency) -> None:
    assert walk_of(a_signal(a_holding(SPY, bid="2.00", ask="2.40"), urgency), WALK) == ()


def test_a_forced_exit_never_walks_however_wide_the_spread_is() -> None:
    assert walk_of(a_signal(a_holding(SPY, bid="0.05", ask="1.50"), Urgency.FORCED), WIDE_WALK) == ()


def on_a_wide_quote(step: int, *, clock: str = "12:00", short: bool = False) -> PositionDecision:
    """The decision on the quote 0.05/1.50 (for a short 0.50/1.95), wide for a minute, at a step of the exit."""
    minute = dt.timedelta(seconds=60)
    under_way = an_exit(Urgency.PROTECTIVE, step=step - 1, seconds=3).exit if step > 1 else None
    state = PositionState(wide_for=minute, exit=under_way, confirmed_uncovered=Decimal(short))
    bid, ask = ("0.50", "1.95") if short else ("0.05", "1.50")
    held = a_holding(SPY, bid=bid, ask=ask, short=short, state=state)
    return the_decision(a_snapshot(held, market=a_market(clock)), a_policy())


def limits(*, short: bool = False) -> list[str]:
    decisions = [on_a_wide_quote(step, short=short) for step in range(1, 12)]
    return [f"{decision.submit.limit_price}" for decision in decisions if decision.submit]


def test_a_stop_on_a_wide_quote_starts_at_the_mid_and_is_at_the_bid_within_six_steps() -> None:
    walk = ["0.78", "0.66", "0.54", "0.42", "0.30", "0.18"]
    assert limits() == [*walk, "0.05", "0.05", "0.05", "0.04", "0.04"]
    assert on_a_wide_quote(1).alert


def test_the_walk_of_a_protective_exit_ends_before_it_counts_as_not_filled() -> None:
    rungs = len(ladder(Urgency.PROTECTIVE, Style.SMART, protective_market=False))
    assert REPRICE_AFTER * (WIDE_WALK.steps - 1 + rungs) < OVERDUE_AFTER


def test_a_cover_on_a_wide_quote_walks_up_to_the_ask() -> None:
    assert limits(short=True)[:7] == ["1.22", "1.34", "1.46", "1.58", "1.70", "1.82", "1.95"]


def test_in_the_last_minute_of_the_session_a_stop_on_a_wide_quote_is_sent_at_the_bid() -> None:
    late = on_a_wide_quote(1, clock="15:59:30")
    assert late.submit is not None
    assert late.submit.limit_price == Decimal("0.05")


@pytest.mark.parametrize(
    ("bid", "ask", "inside"),
    [
        ("1.00", "1.00", []),  # locked
        ("1.10", "1.12", []),  # one tick, less than 1%: not worth a walk
        ("1.10", "1.13", ["1.12", "1.11"]),
        ("0.05", "0.07", ["0.06"]),  # one tick, and a sixth of the price
        ("1.00", "1.01", []),  # nothing lies in between
        (None, "1.00", []),
        ("1.00", None, []),
    ],
)
def test_the_walk_is_as_long_as_the_spread_has_room(bid: str | None, ask: str | None, inside: list[str]) -> None:
    assert [f"{price:f}" for price in walk_of(a_signal(a_holding(SPY, bid=bid, ask=ask)), WALK)] == inside


def test_steps_lie_on_the_tick_in_our_favour_and_each_price_is_sent_once() -> None:
    nickels = a_holding(CALL, bid="1.00", ask="1.30")  # unknown: the coarser tick
    assert prices(a_signal(nickels)) == ["1.15", "1.10", "1.05", "1.00"]
    assert prices(a_signal(a_holding(CALL, bid="1.00", ask="1.10"))) == ["1.05", "1.00"]


def test_a_target_never_goes_below_the_price_that_met_it() -> None:
    signal = a_signal(a_holding(SPY, bid="2.00", ask="2.60"), worst_price="2.15")
    assert prices(signal) == [
        "2.30",
        "2.20",
        "2.15",
        "2.15",
    ]


@pytest.mark.parametrize(
    ("walk", "expected"),
    [
        (WalkConfig(steps=1), ["2.00"]),
        (WalkConfig(steps=2), ["2.30", "2.00"]),
        (WalkConfig(steps=3, final=Decimal("0.8")), ["2.30", "2.18", "2.06"]),
        (WalkConfig(steps=1, final=Decimal("0.5")), ["2.15"]),
    ],
)
def test_steps_and_the_final_share_are_the_users(walk: WalkConfig, expected: list[str]) -> None:
    assert prices(a_signal(a_holding(SPY, bid="2.00", ask="2.60")), walk) == expected


def test_a_target_that_ends_inside_the_spread_begins_anew() -> None:
    signal = a_signal(a_holding(SPY, bid="2.00", ask="2.60"))
    walk = WalkConfig(steps=3, final=Decimal("0.8"))
    again = price_step(signal, 4, Style.SMART, protective_market=False, walk=walk)
    assert (again.limit, again.step, again.is_last) == (Decimal("2.30"), 1, False)


CENTS = st.integers(1, 2000).map(lambda cents: Decimal(cents) / 100)


@given(
    symbol=st.sampled_from([CALL, SPY, "AAPL"]),
    bid=CENTS,
    spread=st.integers(0, 300).map(lambda cents: Decimal(cents) / 100),
    short=st.booleans(),
    steps=st.integers(1, 6),
    final=st.sampled_from(["0", "0.5", "0.9", "1"]).map(Decimal),
    worst_price=st.none() | CENTS,
)
def test_a_walk_stays_inside_the_spread_goes_one_way_and_keeps_its_worst_price(
    *, symbol: str, bid: Decimal, spread: Decimal, short: bool, steps: int, final: Decimal, worst_price: Decimal | None
) -> None:
    holding = a_holding(symbol, bid=str(bid), ask=str(bid + spread), short=short)
    signal = a_signal(holding, worst_price=None if worst_price is None else str(worst_price))
    inside = walk_of(signal, WalkConfig(steps=steps, final=final))
    assert list(inside) == sorted(set(inside), reverse=not short)
    for price in inside:
        assert bid < price < bid + spread
        assert price % tick_of(signal.holding, price) == 0
        assert worst_price is None or (price <= worst_price if short else price >= worst_price)


@pytest.mark.parametrize(
    ("penny", "bid", "tick"),
    [
        (True, "2.00", "0.01"),
        (True, "3.00", "0.05"),
        (False, "2.01", "0.05"),
        (False, "3.05", "0.1"),
        (None, "2.00", "0.05"),
    ],
)
def test_the_penny_programme_is_the_brokers_word_where_it_gives_one(bid: str, tick: str, *, penny: bool | None) -> None:
    holding = a_holding(CALL, bid=bid, ask="4.00", state=PositionState(penny=penny))
    assert tick_of(a_signal(holding).holding, Decimal(bid)) == Decimal(tick)


# --- on the way -------------------------------------------------------------------------------------------------------

WIDE_TARGET = {"bid": "1.20", "ask": "1.30", "entry": "1.00"}


def a_step(step: int, *, seconds: float, limit: str, **more: object) -> list[str]:
    """Why the order of a step gives way; empty when it stays."""
    state = an_exit(3, step=step, seconds=seconds, limit=limit)
    state = replace(state, **more)  # type: ignore[arg-type]
    holding = a_holding(SPY, available="0", state=state, **WIDE_TARGET)  # type: ignore[arg-type]
    decision = the_decision(a_snapshot(holding, orders=(our_order(SPY, limit=limit, submitted=at("11:59:57")),)))
    return [cancel.why for cancel in decision.cancel_first]


def test_the_next_step_comes_after_its_seconds_and_the_last_one_rests_at_the_bid() -> None:
    assert a_step(1, seconds=5.9, limit="1.25") == []
    assert a_step(1, seconds=6, limit="1.25") == ["to reprice"]
    assert a_step(4, seconds=60, limit="1.20") == []


def test_an_order_is_not_cancelled_while_its_successor_could_not_be_sent() -> None:
    most_a_symbol = MAX_NON_URGENT_ORDERS_PER_MINUTE[0]
    assert a_step(1, seconds=6, limit="1.25", order_count=OrderCount(most_a_symbol, most_a_symbol)) == []


def test_the_seconds_of_a_step_are_the_users() -> None:
    slow = WalksConfig(profit=WalkConfig(every=dt.timedelta(seconds=20)))
    policy = a_policy(execution=ExecutionConfig(walk=slow))
    working = our_order(SPY, limit="1.25")
    for seconds, replaced in ((19, False), (20, True)):
        holding = a_holding(SPY, state=an_exit(3, seconds=seconds, limit="1.25"), **WIDE_TARGET)
        assert bool(the_decision(a_snapshot(holding, orders=(working,)), policy).cancel_first) is replaced


def test_a_crowd_of_exits_walks_less_so_that_all_come_out_within_a_minute() -> None:
    def limits(count: int) -> set[str]:
        symbols = [f"SPY261218C00{600 + number}000" for number in range(count)]
        plan = decide(a_snapshot(*(a_holding(symbol, bid="2.00", ask="2.50") for symbol in symbols)), a_policy())
        return {str(decision.submit.limit_price) for decision in plan.submits if decision.submit}

    assert limits(7) == {"2.25"}
    assert limits(20) == {"2.00"}


@pytest.mark.parametrize(("of_others", "limit"), [(26, "2.25"), (29, "2.00")])
def test_what_other_exits_have_sent_within_the_minute_shortens_a_walk_too(of_others: int, limit: str) -> None:
    snapshot = replace(
        a_snapshot(a_holding(SPY, bid="2.00", ask="2.50")), order_count=OrderCount(all=of_others, non_urgent=of_others)
    )
    decision = the_decision(snapshot)
    assert decision.submit is not None
    assert str(decision.submit.limit_price) == limit


# --- halted and one-sided markets -------------------------------------------------------------------------------------


def test_a_marketable_limit_stays_alone_under_a_quote_that_stands_still_and_somebody_hears_of_it() -> None:
    """A halt: the quote is older than the order that could trade at it."""
    stop = a_holding(SPY, bid="0.70", ask="0.72", quoted_at=at("11:59:50"), state=an_exit(1, seconds=6, limit="0.70"))
    working = our_order(SPY, limit="0.70", submitted=at("11:59:54"))
    decision = the_decision(a_snapshot(stop, orders=(working,)))
    assert decision.cancel_first == ()
    assert decision.alert
    assert "is trading halted?" in decision.sentence
    fresh = replace(stop, state=an_exit(1, seconds=1, limit="0.70"))
    assert not the_decision(a_snapshot(fresh, orders=(working,))).alert
    moved = replace(stop, quote=replace(stop.quote, at=at("11:59:59")))  # type: ignore[type-var]
    assert the_decision(a_snapshot(moved, orders=(working,))).cancel_first
    later = replace(stop, state=an_exit(1, seconds=31, limit="0.70"))
    assert the_decision(a_snapshot(later, orders=(working,))).cancel_first


@pytest.mark.parametrize(("seconds", "times"), [(44.9, 0), (45, 1), (224, 1), (225, 2), (405, 3)])
def test_a_stop_that_is_not_out_should_be_heard_of_after_45_s_and_every_three_minutes(
    seconds: float, times: int
) -> None:
    working = our_order(SPY, limit="0.63")
    stop = a_holding(SPY, bid="0.70", ask="0.72", state=an_exit(1, step=9, limit="0.63", due=seconds))
    assert the_decision(a_snapshot(stop, orders=(working,))).overdue == times


def test_a_target_that_is_not_out_is_no_emergency() -> None:
    target = a_holding(SPY, state=an_exit(3, step=9, limit="1.25", due=600), **WIDE_TARGET)
    assert the_decision(a_snapshot(target, orders=(our_order(SPY, limit="1.25"),))).overdue == 0


def test_a_time_exit_on_a_one_sided_market_goes_straight_to_the_bid() -> None:
    one_sided = a_holding(TODAYS_CALL, bid="1.00", ask=None)
    decision = the_decision(a_snapshot(one_sided, market=a_market("14:56")))
    assert decision.submit is not None
    assert decision.submit.limit_price == Decimal("1.00")


def test_a_step_that_is_more_urgent_starts_its_own_ladder_at_the_bid() -> None:
    walking = PositionState(exit=an_exit(3, step=2).exit)
    stop = a_holding(SPY, bid="0.70", ask="0.90", state=walking)
    decision = the_decision(a_snapshot(stop))
    assert decision.submit is not None
    assert decision.submit.limit_price == Decimal("0.70")
