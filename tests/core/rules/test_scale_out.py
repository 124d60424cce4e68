"""Scale-out: slices of the original quantity, each sold once."""

from decimal import Decimal

import pytest
from builders import a_market, at_price, replace

from sellctl.core.config.schema import (
    ScaleStep,
)
from sellctl.core.model.position import PositionState
from sellctl.core.rules.scale_out import ScaleOut

D = Decimal
NOON = a_market("12:00")


SLICES = ScaleOut((ScaleStep(D("0.5"), D("0.5")), ScaleStep(D(1), D("0.25"))))


@pytest.mark.parametrize(
    ("price", "held", "sells"),
    [
        ("1.49", "8", None),
        ("1.50", "8", 4),
        ("1.50", "6", 2),
        ("1.50", "4", None),
        ("2.00", "4", 2),
        ("2.00", "2", None),
    ],
)
def test_a_slice_sells_what_is_left_of_it_and_never_twice(price: str, held: str, sells: int | None) -> None:
    once = replace(at_price(price, qty=held), state=PositionState(original_qty=D(8)))
    signal = SLICES.evaluate(once, NOON)
    assert (None if signal is None else signal.qty) == sells


def test_a_fill_that_the_position_does_not_show_yet_counts_as_sold() -> None:
    stale = replace(at_price("1.50", qty="8"), state=PositionState(original_qty=D(8), qty_left=D(4)))
    assert SLICES.evaluate(stale, NOON) is None


def test_less_than_one_contract_sells_nothing_and_shares_are_divided() -> None:
    assert SLICES.evaluate(at_price("1.50", qty="1"), NOON) is None
    signal = SLICES.evaluate(at_price("1.50", qty="1", symbol="AAPL"), NOON)
    assert signal is not None
    assert signal.qty == D("0.5")
