"""What the bench with real hosts finds wrong with what was sold."""

from decimal import Decimal

from faults.hosts.real import KEPT_QTY, QTY, sale_errors

SOLD_ONCE = {"a": QTY, "b": QTY}
STAYED = {"a": KEPT_QTY, "b": KEPT_QTY}


def test_one_whole_sale_of_each_is_right() -> None:
    assert sale_errors(SOLD_ONCE, STAYED) == []


def test_what_is_sold_twice_or_in_part_is_an_error() -> None:
    assert sale_errors({"a": 2 * QTY, "b": Decimal(1)}, STAYED) == ["account a: 6 of 3 sold", "account b: 1 of 3 sold"]


def test_what_had_to_stay_and_did_not_is_an_error() -> None:
    assert sale_errors(SOLD_ONCE, STAYED | {"b": Decimal(0)}) == ["account b: 0 of INTC held"]
