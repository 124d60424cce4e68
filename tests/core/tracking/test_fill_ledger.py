"""What our own fills have left of a position, and when the ledger speaks."""

from decimal import Decimal

from builders import a_position, an_order, at, our_order, replace
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.model.position import Direction
from sellctl.core.tracking.fill_ledger import LEDGER_SECONDS, Ledger, net_qty_from_other_orders

NOON = at("12:00")


def opened(held: str = "10") -> Ledger:
    ledger = Ledger()
    ledger.open(Decimal(held), NOON, 0.0)
    return ledger


def test_a_ledger_without_fills_speaks_for_a_while_only() -> None:
    assert opened().left(LEDGER_SECONDS) == 10
    assert opened().left(LEDGER_SECONDS + 0.1) is None
    assert Ledger().left(0.0) is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 5)), max_size=8))
def test_fills_count_once_in_any_order_and_however_often(fills: list[tuple[str, int]]) -> None:
    ledger = opened()
    for order, cumulative in fills:
        ledger.fill(order, Decimal(cumulative), 1.0)
    most = {name: max((qty for order, qty in fills if order == name), default=0) for name in "ab"}
    assert ledger.filled == sum(most.values())


def test_the_next_order_of_the_same_exit_goes_on_with_the_same_ledger() -> None:
    ledger = opened()
    ledger.fill("a", Decimal(4), 1.0)
    ledger.open(Decimal(10), NOON, 30.0)
    assert ledger.left(30.0) == 6


def test_the_orders_of_others_change_what_is_expected() -> None:
    sold = replace(an_order(qty="3"), filled_qty=Decimal(3), filled_at=at("12:01"))
    earlier = replace(sold, filled_at=at("11:59"))
    ours = replace(our_order(), filled_qty=Decimal(5), filled_at=at("12:01"))
    assert net_qty_from_other_orders((sold, earlier, ours), a_position().direction, NOON) == -3
    assert net_qty_from_other_orders((sold,), Direction.SHORT, NOON) == 3
