import datetime as dt
from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_policy, a_position, a_snapshot, an_order, our_order, replace, the_decision
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.sizing import Size, size_of
from sellctl.core.model.order import Order, PositionIntent, Side
from sellctl.core.model.plan import DecisionState, ExitSignal, PositionDecision, Reason, SizeError, SubmitOrder, Urgency
from sellctl.core.model.position import Holding, PositionState

STOCK = "AAPL"
TARGET = {"bid": "1.20", "ask": "1.22"}


def sized(holding: Holding, *orders: Order, asked: str | None = None) -> Size:
    qty = Decimal(asked) if asked else holding.position.qty
    signal = ExitSignal(holding, qty, Reason.STOP_LOSS, "stop", Urgency.PROTECTIVE)
    return size_of(signal, DecisionContext.of(a_snapshot(holding, orders=orders), a_policy()))


@pytest.mark.parametrize(
    ("holding", "asked", "qty", "why"),
    [
        (a_holding(qty="5"), None, "5", ""),
        (a_holding(qty="5"), "2", "2", ""),
        (a_holding(qty="5"), "9", "5", ""),
        (a_holding(qty="5", available="3"), None, "3", "the broker reports 3 of 5 as free"),
        (a_holding(qty="5", available="9"), None, "5", ""),
        (a_holding(qty="5", available=None), None, "5", ""),
        (a_holding(qty="5", available="0"), None, "0", "the broker reports 0 of 5 as free"),
        (a_holding(qty="5", available="-1"), None, "0", "the broker reports -1 of 5 as free"),
        (a_holding(qty="5", state=PositionState(qty_left=Decimal(2))), None, "2", "our own fills leave 2 of it"),
        (a_holding(qty="5", state=PositionState(qty_left=Decimal(0))), None, "0", "our own fills leave 0 of it"),
        (a_holding(qty="0.5"), None, "0", "the rest is smaller than the smallest order"),
        (a_holding(qty="2.9"), None, "2", ""),
        (a_holding(STOCK, "2.9999999999"), None, "2.999999999", ""),
        (a_holding(STOCK, "0.0000000001"), None, "0", "the rest is smaller than the smallest order"),
    ],
)
def test_the_smallest_limit_counts_and_is_named(holding: Holding, asked: str | None, qty: str, why: str) -> None:
    size = sized(holding, asked=asked)
    assert (size.qty, size.why) == (Decimal(qty), why)


@pytest.mark.parametrize(
    ("order", "left"),
    [
        (an_order(qty="2"), "3"),
        (an_order(qty="2", filled_qty=Decimal(1)), "4"),
        (an_order(qty="2", status="filled"), "5"),
        (an_order(qty="2", status="pending_cancel"), "3"),
        (an_order(qty="2", status="a_status_of_tomorrow"), "3"),
        (an_order(side="buy", qty="2", position_intent=PositionIntent.BUY_TO_OPEN), "5"),
        (replace(an_order(), qty=None), "0"),  # a notional order claims nobody knows how much
        (replace(an_order("", qty="2"), side=None, legs=(an_order(qty="2"),), order_class="mleg"), "3"),
        (replace(an_order("", qty="2"), side=None, legs=(an_order(STOCK, qty="2"),), order_class="mleg"), "5"),
        (replace(an_order("", qty="2"), side=None, order_class="mleg"), "0"),  # nor does one whose legs aren't shown
        (replace(an_order(qty="2"), order_class="oco", legs=(an_order(qty="2", status="held"),)), "3"),
        (
            replace(
                an_order(side="buy", qty="2", position_intent=PositionIntent.BUY_TO_OPEN),
                order_class="bracket",
                legs=(an_order(qty="2", status="held"), an_order(qty="2", status="held")),
            ),
            "5",  # its exits hold nothing until its entry fills
        ),
        (
            replace(
                an_order(side="buy", qty="2", status="filled", position_intent=PositionIntent.BUY_TO_OPEN),
                order_class="bracket",
                legs=(an_order(qty="2"), an_order(qty="2", status="held")),
            ),
            "3",
        ),
    ],
)
def test_what_open_orders_may_still_take_is_never_sold_again(order: Order, left: str) -> None:
    assert sized(a_holding(qty="5", available=None), order).qty == Decimal(left)


def test_an_order_whose_fate_is_unknown_sends_nothing_more() -> None:
    decision = the_decision(a_snapshot(a_holding(qty="5", state=PositionState(unresolved=Decimal(1)), **TARGET)))  # type: ignore[arg-type]
    assert (decision.state, decision.submit, decision.cancel_first) == (DecisionState.CLOSING, None, ())
    assert "outcome of an order is unknown" in decision.sentence


NUMBERS = st.decimals(0, 20, places=1)


@given(
    symbol=st.sampled_from([CALL, STOCK]),
    held=st.decimals("0.1", 20, places=1),
    available=st.none() | NUMBERS,
    asked=st.decimals("0.1", 30, places=1),
    left=st.none() | NUMBERS,
    unresolved=NUMBERS,
    orders=st.lists(st.tuples(NUMBERS, st.sampled_from(["new", "pending_cancel", "held"])), max_size=3),
)
def test_an_order_is_never_larger_than_what_is_free_held_and_left(
    *,
    symbol: str,
    held: Decimal,
    available: Decimal | None,
    asked: Decimal,
    left: Decimal | None,
    unresolved: Decimal,
    orders: list[tuple[Decimal, str]],
) -> None:
    state = PositionState(qty_left=left, unresolved=unresolved)
    holding = a_holding(symbol, str(held), available=None if available is None else str(available), state=state)
    working = [an_order(symbol, qty=str(qty), status=status) for qty, status in orders]
    size = sized(holding, *working, asked=str(asked))
    claimed = sum(qty for qty, _ in orders)
    assert 0 <= size.qty <= size.wanted <= min(held, asked)
    if size.qty > 0:
        assert size.qty + claimed + unresolved <= held
        assert available is None or size.qty <= available
        assert left is None or size.qty + claimed <= left
        assert size.qty % (1 if symbol == CALL else Decimal("1e-9")) == 0


@pytest.mark.parametrize("qty", ["0", "-1", "3.1", "NaN", "Infinity"])
def test_the_only_constructor_refuses_any_other_quantity(qty: str) -> None:
    with pytest.raises((SizeError, ArithmeticError)):
        SubmitOrder.closing(a_position(qty="5"), Decimal(qty), Decimal(3), client_order_id="x", limit_price=None)


def test_more_free_than_held_is_refused_too() -> None:
    with pytest.raises(SizeError):
        SubmitOrder.closing(a_position(qty="5"), Decimal(5), Decimal(9), client_order_id="x", limit_price=None)


# --- after a fill -----------------------------------------------------------------------------------------------------


def after_a_fill(seconds: float, *, left: str | None = None, asked: float = 0, **order: object) -> PositionDecision:
    """A target met so many seconds after a fill, on positions that were `asked` for so many seconds ago."""
    holding = a_holding(qty="2", state=PositionState(qty_left=Decimal(left) if left else None), **TARGET)  # type: ignore[arg-type]
    noon = a_snapshot(holding).market.now
    filled_at = noon - dt.timedelta(seconds=seconds)
    filled = replace(our_order(status="filled", filled_qty=Decimal(1), filled_at=filled_at), **order)  # type: ignore[arg-type]
    snapshot = a_snapshot(holding, history=(filled,))
    return the_decision(replace(snapshot, positions_at=noon - dt.timedelta(seconds=asked)))


@pytest.mark.parametrize(("seconds", "waits"), [(0, True), (9.9, True), (10, False), (-9, True), (-11, False)])
def test_an_order_waits_until_the_position_shows_the_last_fill(seconds: float, *, waits: bool) -> None:
    decision = after_a_fill(seconds)
    assert (decision.submit is None) is waits
    assert ("waiting until the position shows it" in decision.sentence) is waits


def test_what_counts_is_when_the_positions_were_asked_for_not_when_the_order_is_due() -> None:
    assert after_a_fill(11, asked=3).submit is None  # a slow look-up stood between
    assert after_a_fill(2, asked=14).submit is None  # filled after they were asked for
    assert after_a_fill(13, asked=3).submit is not None


@pytest.mark.parametrize("available", ["2", "0", None])
def test_a_position_that_our_own_fills_have_closed_is_waited_for_and_not_denied(available: str | None) -> None:
    state = PositionState(qty_left=Decimal(0))
    decision = the_decision(a_snapshot(a_holding(qty="2", available=available, state=state, **TARGET)))  # type: ignore[arg-type]
    assert (decision.state, decision.unconfirmed, decision.submit) == (DecisionState.CLOSING, True, None)
    assert "an order of ours has just filled: waiting until the position shows it" in decision.sentence


def test_our_ledger_knows_the_fill_already_and_does_not_wait() -> None:
    decision = after_a_fill(1, left="1")
    assert decision.submit is not None
    assert decision.submit.qty == 1


def test_a_fill_of_the_users_own_order_is_waited_for_too() -> None:
    assert after_a_fill(1, client_order_id="by-hand").submit is None


def test_a_fill_that_opened_more_is_not_waited_for() -> None:
    assert after_a_fill(1, side=Side.BUY, position_intent=PositionIntent.BUY_TO_OPEN).submit is not None
