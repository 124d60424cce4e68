"""A restart: what the journal holds of an open order, through the same table as live events."""

from decimal import Decimal

from builders import CALL, at

from sellctl.core.model.intent import Intent, OpenOrder, Outcome
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
