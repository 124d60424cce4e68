from decimal import Decimal

import pytest
from builders import (
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

from sellctl.core.config.schema import ExecutionConfig, Style
from sellctl.core.model.order import OrderType
from sellctl.core.model.plan import DecisionState, PositionDecision, Urgency
from sellctl.core.model.snapshot import AccountFacts

# What the rules want now, by class: the same contract, other quotes and another time of day.
WANTED = {
    Urgency.FORCED: ({"bid": "1.00", "ask": "1.02"}, "15:30"),
    Urgency.PROTECTIVE: ({"bid": "1.00", "ask": "1.02"}, "15:05"),
    Urgency.TIME: ({"bid": "1.00", "ask": "1.02"}, "14:56"),
    Urgency.PROFIT: ({"bid": "1.20", "ask": "1.22"}, "12:00"),
}


def meeting(
    working: Urgency, wanted: Urgency, *, seconds: float = 1, limit: str = "1.00", status: str = "new"
) -> PositionDecision:
    """An exit of one class works, sent so many seconds ago, and the rules now want one of another class."""
    sides, clock = WANTED[wanted]
    state = an_exit(working, seconds=seconds, limit=limit)
    order = our_order(TODAYS_CALL, limit=limit, submitted=at(clock), status=status)
    holding = a_holding(TODAYS_CALL, available="0", state=state, **sides)  # type: ignore[arg-type]
    decision = the_decision(a_snapshot(holding, orders=(order,), market=a_market(clock)))
    assert decision.signal is not None
    assert decision.signal.urgency is wanted
    assert decision.submit is None
    assert decision.state is DecisionState.CLOSING
    return decision


@pytest.mark.parametrize("wanted", Urgency)
@pytest.mark.parametrize("working", Urgency)
def test_a_lower_class_cancels_a_working_exit_and_never_the_other_way_round(working: Urgency, wanted: Urgency) -> None:
    decision = meeting(working, wanted)
    assert bool(decision.cancel_first) is (wanted < working)
    if wanted < working:
        assert "a more urgent reason: expires today" in decision.sentence


@pytest.mark.parametrize("wanted", Urgency)
@pytest.mark.parametrize("working", Urgency)
def test_a_less_urgent_reason_never_reprices_a_more_urgent_exit(working: Urgency, wanted: Urgency) -> None:
    decision = meeting(working, wanted, seconds=60, limit="0.90")
    assert bool(decision.cancel_first) is (wanted <= working)


@pytest.mark.parametrize(
    ("urgency", "seconds", "limit", "repriced"),
    [
        (Urgency.PROTECTIVE, 2.9, "0.90", False),
        (Urgency.PROTECTIVE, 3, "0.90", True),
        (Urgency.PROTECTIVE, 3, "1.00", True),  # the next step, at the same price
        (Urgency.TIME, 3, "1.00", False),  # its only step, at the touch
        (Urgency.TIME, 3, "1.05", True),
        (Urgency.PROFIT, 3, "1.20", False),
        (Urgency.PROFIT, 3, "1.30", True),
    ],
)
def test_an_exit_is_repriced_from_a_fresh_quote_after_three_seconds(
    urgency: Urgency, seconds: float, limit: str, *, repriced: bool
) -> None:
    decision = meeting(urgency, urgency, seconds=seconds, limit=limit)
    assert bool(decision.cancel_first) is repriced
    if not repriced:
        assert f"sell 1 limit ${limit} is working (new)" in decision.sentence


@pytest.mark.parametrize("urgency", Urgency)
def test_a_cancel_is_asked_once_and_its_word_awaited(urgency: Urgency) -> None:
    decision = meeting(Urgency.PROFIT, urgency, seconds=60, status="pending_cancel")
    assert decision.cancel_first == ()
    assert "waiting until the broker has cancelled it" in decision.sentence


def test_an_order_in_a_status_new_to_us_does_not_hold_a_forced_exit_up_for_ever() -> None:
    assert meeting(Urgency.PROFIT, Urgency.FORCED, status="a_status_of_tomorrow").cancel_first


def test_an_exit_that_can_not_be_priced_anew_is_not_cancelled() -> None:
    """Nothing says what the contract is worth: the working order is better than none."""
    holding = a_holding(TODAYS_CALL, bid=None, ask=None, available="0", state=an_exit(Urgency.TIME, seconds=60))
    working = our_order(TODAYS_CALL, limit="1.00")
    decision = the_decision(a_snapshot(holding, orders=(working,), market=a_market("15:05")))
    assert decision.cancel_first == ()


@pytest.mark.parametrize("urgency", [Urgency.FORCED, Urgency.PROTECTIVE, Urgency.TIME])
def test_a_working_market_order_is_not_replaced_by_a_limit_while_it_may_fill(urgency: Urgency) -> None:
    sides, clock = WANTED[urgency]
    holding = a_holding(TODAYS_CALL, state=an_exit(3, seconds=14, limit=None), **sides)  # type: ignore[arg-type]
    working = our_order(TODAYS_CALL, limit=None)
    assert working.type is OrderType.MARKET
    assert the_decision(a_snapshot(holding, orders=(working,), market=a_market(clock))).cancel_first == ()


@pytest.mark.parametrize("urgency", [Urgency.FORCED, Urgency.PROTECTIVE, Urgency.TIME])
def test_a_reason_that_turns_false_does_not_cancel_an_exit(urgency: Urgency) -> None:
    holding = a_holding(bid="1.00", ask="1.02", state=an_exit(urgency, seconds=60))
    decision = the_decision(a_snapshot(holding, orders=(our_order(limit="0.79"),)))
    assert (decision.state, decision.cancel_first) == (DecisionState.CLOSING, ())
    assert decision.sentence == "closing (an earlier reason): sell 1 limit $0.79 is working (new)"


@pytest.mark.parametrize(
    ("sides", "seconds", "cancelled"),
    [
        ({"bid": "1.05", "ask": "1.07"}, 3, True),
        ({"bid": "1.05", "ask": "1.07"}, 2.9, False),
        ({"bid": None, "ask": None}, 60, False),  # nobody knows
        ({"bid": "1.05", "ask": "3.00"}, 60, False),  # a wide spread says little
    ],
)
def test_a_target_that_is_no_longer_met_is_cancelled(
    sides: dict[str, str | None], seconds: float, *, cancelled: bool
) -> None:
    holding = a_holding(state=an_exit(Urgency.PROFIT, seconds=seconds), **sides)  # type: ignore[arg-type]
    decision = the_decision(a_snapshot(holding, orders=(our_order(limit="1.10"),)))
    assert decision.state is DecisionState.CLOSING
    assert bool(decision.cancel_first) is cancelled
    if cancelled:
        assert decision.sentence == "our order is cancelled because the target is no longer met"


def test_after_a_restart_an_exit_is_adopted_and_repriced_by_the_orders_own_age() -> None:
    stop = a_holding(bid="0.70", ask="0.72", available="0")
    fresh = our_order(limit="0.75", submitted=at("11:59:58"))
    old = our_order(limit="0.75", submitted=at("11:59:57"))
    assert the_decision(a_snapshot(stop, orders=(fresh,))).cancel_first == ()
    assert the_decision(a_snapshot(stop, orders=(old,))).cancel_first != ()


def test_an_exit_from_before_a_restart_without_a_reason_now_is_shown() -> None:
    decision = the_decision(a_snapshot(a_holding(available="0"), orders=(our_order(),)))
    assert (decision.state, decision.cancel_first) == (DecisionState.CLOSING, ())
    assert decision.sentence == "closing (an earlier exit): sell 1 limit $1.50 is working (new)"


def test_an_order_of_ours_that_would_open_a_position_now_ends_at_once() -> None:
    """The long was sold elsewhere and a short opened: our sale must not add to it."""
    flipped = a_holding(short=True)
    decision = the_decision(a_snapshot(flipped, a_holding("AAPL", "100"), orders=(our_order(),)), symbol=flipped.symbol)
    assert [cancel.order.client_order_id for cancel in decision.cancel_first] == ["sellctl-abc"]


@pytest.mark.parametrize(
    "account", [AccountFacts("main", "PA1", blocked="trading_blocked"), AccountFacts("main", "PA1", paper=False)]
)
def test_a_working_exit_is_not_cancelled_where_no_new_one_could_be_sent(account: AccountFacts) -> None:
    holding = a_holding(bid="0.70", ask="0.72", state=an_exit(3, seconds=60))
    decision = the_decision(a_snapshot(holding, orders=(our_order(),), account=account))
    assert (decision.state, decision.cancel_first) == (DecisionState.CLOSING, ())
    assert "not changed" in decision.sentence


def test_the_ladder_goes_on_while_the_exit_stays_as_urgent_and_starts_anew_when_that_changes() -> None:
    stop = {"bid": "2.00", "ask": "2.02", "entry": "3.00"}
    fourth = the_decision(a_snapshot(a_holding(state=an_exit(1, step=3), **stop)))  # type: ignore[arg-type]
    first = the_decision(a_snapshot(a_holding(state=an_exit(3, step=3), **stop)))  # type: ignore[arg-type]
    assert fourth.submit is not None
    assert first.submit is not None
    assert (fourth.submit.limit_price, first.submit.limit_price) == (Decimal("1.80"), Decimal("2.00"))
    assert "(price 4 of 4)" in fourth.sentence


def test_market_style_sends_market_orders_for_every_class() -> None:
    market = a_policy(execution=ExecutionConfig(style=Style.MARKET))
    for sides, clock in WANTED.values():
        holding = a_holding(TODAYS_CALL, **sides)  # type: ignore[arg-type]
        decision = the_decision(a_snapshot(holding, market=a_market(clock)), market)
        assert decision.submit is not None
        assert (decision.submit.type, decision.submit.limit_price) == (OrderType.MARKET, None)
        assert "sell 1 at market" in decision.sentence


def test_two_orders_of_ours_are_both_ended() -> None:
    orders = (our_order(limit="0.90"), replace(our_order(limit="0.90"), id="other", client_order_id="sellctl-other"))
    holding = a_holding(qty="2", bid="0.70", ask="0.72", state=an_exit(1, seconds=5))
    assert len(the_decision(a_snapshot(holding, orders=orders)).cancel_first) == 2


# --- market orders ----------------------------------------------------------------------------------------------------

MARKET_STYLE = a_policy(execution=ExecutionConfig(style=Style.MARKET))


def a_market_order_works(
    seconds: float, *, step: int = 1, quoted: str = "11:59:59", submitted: str = "11:58:00"
) -> PositionDecision:
    """The stop's market order was sent so many seconds ago, and has not filled."""
    state = an_exit(Urgency.PROTECTIVE, step=step, seconds=seconds, limit=None)
    holding = a_holding(bid="0.70", ask="0.72", available="0", quoted_at=at(quoted), state=state)
    working = our_order(limit=None, submitted=at(submitted))
    return the_decision(a_snapshot(holding, orders=(working,)), MARKET_STYLE)


@pytest.mark.parametrize(
    ("seconds", "step", "renewed"),
    [(14.9, 1, False), (15, 1, True), (29.9, 2, False), (30, 2, True), (59.9, 9, False), (60, 9, True)],
)
def test_a_market_order_that_does_not_fill_while_the_quote_moves_is_renewed_less_and_less_often_and_told(
    seconds: float, step: int, *, renewed: bool
) -> None:
    decision = a_market_order_works(seconds, step=step)
    assert bool(decision.cancel_first) is decision.alert is renewed
    if renewed:
        assert "cancelled because the market order does not fill although the quote moves" in decision.sentence


def test_a_market_order_stays_and_is_told_while_the_quote_stands_still_as_in_a_trading_halt() -> None:
    for seconds in (15, 600):
        decision = a_market_order_works(seconds, step=1, quoted="11:57:59")
        assert decision.cancel_first == ()
        assert decision.alert
        assert "sell 1 market is working (new); it does not fill and the quote stands still: is trading halted?" in (
            decision.sentence
        )
    assert not a_market_order_works(14.9, quoted="11:57:59").alert


def test_a_market_order_is_not_renewed_while_nobody_bids_and_that_is_told() -> None:
    state = an_exit(Urgency.TIME, seconds=60, limit=None)
    holding = a_holding(TODAYS_CALL, available="0", bid=None, ask="0.05", state=state)
    working = our_order(TODAYS_CALL, limit=None, submitted=at("14:54"))
    decision = the_decision(a_snapshot(holding, orders=(working,), market=a_market("14:56")), MARKET_STYLE)
    assert decision.cancel_first == ()
    assert decision.alert
    assert "it does not fill: no bid" in decision.sentence


def test_panics_market_order_becomes_a_limit_of_one_tick_once_nobody_bids() -> None:
    state = an_exit(Urgency.FORCED, step=5, seconds=60, limit=None)
    holding = a_holding(available="0", bid=None, ask="0.10", quoted_at=at("11:59:59"), state=state)
    working = our_order(limit=None, submitted=at("11:58:00"))
    snapshot = replace(a_snapshot(holding, orders=(working,)), panic=frozenset({holding.symbol}))
    assert the_decision(snapshot).cancel_first
    after = replace(a_snapshot(replace(holding, position=a_holding().position)), panic=frozenset({holding.symbol}))
    order = the_decision(after).submit
    assert order is not None
    assert order.limit_price == Decimal("0.05")
