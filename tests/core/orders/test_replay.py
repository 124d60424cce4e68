"""A restart: what the journal holds of an open order, through the same table as live events."""

from decimal import Decimal

from builders import CALL, at, replace

from sellctl.core.model.intent import Intent, OpenOrder, Outcome
from sellctl.core.model.order import OrderLeg, PositionIntent, Side
from sellctl.core.orders.managed_order import ManagedState
from sellctl.core.orders.replay import restored

INTENT = Intent("sellctl-abc", CALL, Decimal(10), "stop_loss", 1, 2, Decimal("0.70"), at("12:00"))


def test_an_order_without_an_answer_is_unknown_with_its_whole_quantity() -> None:
    order = restored(OpenOrder(INTENT))
    assert (order.state, order.unresolved, order.step, order.reason) == (ManagedState.UNKNOWN, 10, 2, "stop_loss")


def test_fills_and_the_brokers_id_that_were_written_down_are_known_again() -> None:
    outcomes = (
        Outcome("unknown", {"error": "timed out"}),
        Outcome("lookup_failed", {"error": "timed out"}),
        Outcome("not_found", {"times": 1}),
        Outcome("accepted", {"order_id": "b1", "status": "new"}),
        Outcome("fill", {"filled_qty": "4", "order_id": "b1"}),
        Outcome("cancel", {"why": "re-priced"}),
        Outcome("adopted", {"status": "new", "symbol": CALL}),
        Outcome("fill", {"filled_qty": "6", "order_id": "b1"}),
    )
    order = restored(OpenOrder(INTENT, outcomes))
    assert (order.state, order.order_id, order.filled, order.unresolved) == (ManagedState.UNKNOWN, "b1", 6, 10)
    assert order.cancel is None


def test_the_legs_of_a_multi_leg_order_are_known_again() -> None:
    legs = (
        OrderLeg(CALL, Decimal(1), Side.SELL, PositionIntent.SELL_TO_CLOSE),
        OrderLeg("AAPL261218C00210000", Decimal(2), Side.BUY, PositionIntent.BUY_TO_CLOSE),
    )
    order = restored(OpenOrder(replace(INTENT, symbol="AAPL-ratio-261218-200-210x2C", legs=legs, side=Side.BUY)))
    assert (order.symbol, order.legs, order.side) == ("AAPL-ratio-261218-200-210x2C", legs, Side.BUY)
    assert order.symbols == (CALL, "AAPL261218C00210000")
