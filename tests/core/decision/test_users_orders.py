from decimal import Decimal

import pytest
from builders import (
    CALL,
    TODAYS_CALL,
    a_holding,
    a_market,
    a_policy,
    a_snapshot,
    an_order,
    at,
    our_order,
    replace,
    the_decision,
)

from sellctl.core.config.schema import (
    ExecutionConfig,
    Preempt,
    SellModuleConfig,
    ShortAction,
    ShortPositionsConfig,
    Style,
)
from sellctl.core.model.order import Order, OrderType, PositionIntent
from sellctl.core.model.plan import DecisionState, PositionDecision, Urgency
from sellctl.core.model.snapshot import AccountFacts

# An exit of each class, on a holding whose quantity the user's own order holds.
EXITS = {
    Urgency.FORCED: (a_holding(TODAYS_CALL, available="0"), "15:30"),
    Urgency.PROTECTIVE: (a_holding(bid="0.70", ask="0.72", available="0"), "12:00"),
    Urgency.TIME: (a_holding(TODAYS_CALL, available="0"), "14:55"),
    Urgency.PROFIT: (a_holding(bid="1.20", ask="1.22", available="0"), "12:00"),
}


def an_exit_of(urgency: Urgency, take_over: Preempt, status: str = "new") -> PositionDecision:
    holding, clock = EXITS[urgency]
    resting = an_order(holding.symbol, status=status, submitted=at(clock))
    snapshot = a_snapshot(holding, orders=(resting,), market=a_market(clock))
    decision = the_decision(snapshot, a_policy(SellModuleConfig(take_over=take_over)))
    assert decision.signal is not None
    assert decision.signal.urgency is urgency
    return decision


@pytest.mark.parametrize(
    ("take_over", "takes"),
    [
        (Preempt.NEVER, set()),
        (Preempt.FORCED, {Urgency.FORCED}),
        (Preempt.PROTECTIVE, {Urgency.FORCED, Urgency.PROTECTIVE}),
    ],
)
@pytest.mark.parametrize("urgency", Urgency)
def test_the_class_of_an_exit_says_whether_it_cancels_the_users_own_order(
    urgency: Urgency, take_over: Preempt, takes: set[Urgency]
) -> None:
    decision = an_exit_of(urgency, take_over)
    assert decision.submit is None
    if urgency in takes:
        assert (decision.state, decision.alert) == (DecisionState.CLOSING, True)
        assert [cancel.order.client_order_id for cancel in decision.cancel_first] == ["by-hand"]
        assert "cancelling your order first: sell 1 limit $1.50 is working (new)" in decision.sentence
    else:
        assert (decision.state, decision.cancel_first) == (DecisionState.BLOCKED, ())
        assert "blocked by your order: sell 1 limit $1.50 is working (new)" in decision.sentence
        assert decision.alert is (urgency <= Urgency.PROTECTIVE)


def test_a_cancel_that_is_under_way_is_waited_for() -> None:
    decision = an_exit_of(Urgency.FORCED, Preempt.FORCED, "pending_cancel")
    assert (decision.state, decision.cancel_first, decision.alert) == (DecisionState.BLOCKED, (), True)
    assert "waiting for the cancel of" in decision.sentence


def test_what_the_users_order_leaves_free_is_sold_while_its_cancel_hangs() -> None:
    holding = a_holding(TODAYS_CALL, "5", available="3")
    hanging = an_order(TODAYS_CALL, qty="2", status="pending_cancel")
    decision = the_decision(a_snapshot(holding, orders=(hanging,), market=a_market("15:30")))
    assert decision.submit is not None
    assert decision.submit.qty == 3


def test_what_the_users_order_leaves_free_is_sold() -> None:
    holding = a_holding(qty="5", available="3", bid="1.20", ask="1.22")
    decision = the_decision(a_snapshot(holding, orders=(an_order(qty="2"),)))
    assert decision.submit is not None
    assert decision.submit.qty == 3
    assert "the rest is not sent: the broker reports 3 of 5 as free" in decision.sentence


def test_an_order_that_does_not_hinder_is_not_cancelled() -> None:
    """Three contracts short, one of them uncovered: the user's own cover of two leaves enough."""
    short = a_holding("AAPL261218C00210000", "3", short=True, available="1")
    cover = a_holding("AAPL270115C00200000", "2")
    users = an_order(short.symbol, "buy", "2", limit="0.10")
    policy = a_policy(SellModuleConfig(take_over=Preempt.PROTECTIVE))
    decision = the_decision(a_snapshot(short, cover, orders=(users,)), policy, short.symbol)
    assert decision.cancel_first == ()
    assert decision.submit is not None
    assert decision.submit.qty == 1


def test_nothing_is_cancelled_for_an_exit_that_could_not_be_sent_anyway() -> None:
    """A forced exit of a long that covers a short, and one on an account that may not trade."""
    long, short = a_holding(TODAYS_CALL, available="0"), a_holding("AAPL261124C00210000", short=True)
    resting = an_order(TODAYS_CALL, submitted=at("15:30"))
    covering = a_snapshot(long, short, orders=(resting,), market=a_market("15:30"))
    forbidden = AccountFacts("main", "PA1", blocked="trading_blocked")
    blocked = a_snapshot(long, orders=(resting,), market=a_market("15:30"), account=forbidden)
    for snapshot in (covering, blocked):
        decision = the_decision(snapshot, symbol=TODAYS_CALL)
        assert (decision.state, decision.cancel_first) == (DecisionState.DENIED, ())


def test_without_a_known_order_the_brokers_word_is_the_reason() -> None:
    decision = the_decision(a_snapshot(a_holding(available="0", bid="0.70", ask="0.72")))
    assert decision.state is DecisionState.DENIED
    assert decision.alert
    assert "not sent: the broker reports 0 of 1 as free" in decision.sentence


# --- the wash-trade rule ----------------------------------------------------------------------------------------------

BUY = {"side": "buy", "position_intent": PositionIntent.BUY_TO_OPEN}


@pytest.mark.parametrize(
    ("opposite", "refused"),
    [
        (an_order(limit="1.19", **BUY), False),  # type: ignore[arg-type]
        (an_order(limit="1.20", **BUY), True),  # type: ignore[arg-type]  could meet our limit of 1.20
        (an_order(limit=None, **BUY), True),  # type: ignore[arg-type]
        (replace(an_order(limit="1.00", **BUY), type=OrderType.STOP_LIMIT), False),  # type: ignore[arg-type]
        (replace(an_order(limit="1.30", **BUY), type=OrderType.STOP_LIMIT), True),  # type: ignore[arg-type]
        (replace(an_order(limit=None, **BUY), type=OrderType.STOP, stop_price=Decimal(2)), True),  # type: ignore[arg-type]
        (replace(an_order(limit=None, **BUY), type=OrderType.TRAILING_STOP), False),  # type: ignore[arg-type]
        (replace(an_order(limit="1.30", **BUY), order_class="bracket"), False),  # type: ignore[arg-type]
        (replace(an_order(limit="1.30", **BUY), status="canceled"), False),  # type: ignore[arg-type]
        (an_order("AAPL", limit="1.30", **BUY), False),  # type: ignore[arg-type]
    ],
)
def test_an_opposite_order_that_could_meet_ours_blocks_it(opposite: Order, *, refused: bool) -> None:
    decision = the_decision(a_snapshot(a_holding(bid="1.20", ask="1.22"), orders=(opposite,)))
    assert (decision.submit is None) is refused
    if refused:
        assert decision.state is DecisionState.BLOCKED
        assert "the wash-trade rule forbids" in decision.sentence


def test_any_opposite_limit_blocks_a_market_order() -> None:
    market = a_policy(execution=ExecutionConfig(style=Style.MARKET))
    far = an_order(limit="0.01", **BUY)  # type: ignore[arg-type]
    assert (
        the_decision(a_snapshot(a_holding(bid="1.20", ask="1.22"), orders=(far,)), market).state
        is DecisionState.BLOCKED
    )


def test_a_cover_is_blocked_by_the_users_sale_at_or_below_its_price() -> None:
    for limit, blocked in (("1.02", True), ("1.03", False)):
        sale = an_order(limit=limit, position_intent=PositionIntent.SELL_TO_OPEN)
        decision = the_decision(a_snapshot(a_holding(short=True), orders=(sale,)))
        assert (decision.state is DecisionState.BLOCKED) is blocked


def test_a_cover_first_ends_a_sale_of_ours() -> None:
    decision = the_decision(a_snapshot(a_holding(short=True), orders=(our_order(),)))
    assert (decision.submit, decision.state) == (None, DecisionState.CLOSING)
    assert [cancel.order.client_order_id for cancel in decision.cancel_first] == ["sellctl-abc"]
    assert "does not close a short position" in decision.sentence


def test_a_multi_leg_order_that_closes_the_holding_blocks_it_and_one_that_opens_more_does_not() -> None:
    def spread(leg: Order) -> Order:
        return replace(an_order("", limit="0.50"), side=None, order_class="mleg", legs=(leg,), position_intent=None)

    opening = spread(an_order(CALL, **BUY))  # type: ignore[arg-type]
    target = {"bid": "1.20", "ask": "1.22"}
    held = a_holding(available="0", **target)  # type: ignore[arg-type]
    assert the_decision(a_snapshot(held, orders=(spread(an_order(CALL)),))).state is DecisionState.BLOCKED
    assert the_decision(a_snapshot(a_holding(**target), orders=(opening,))).submit is not None  # type: ignore[arg-type]


def test_shorts_that_are_ignored_are_not_covered_by_force() -> None:
    ignore = SellModuleConfig(short_positions=ShortPositionsConfig(ShortAction.IGNORE))
    assert the_decision(a_snapshot(a_holding(short=True)), a_policy(ignore)).submit is None
