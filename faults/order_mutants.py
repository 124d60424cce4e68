"""Mutants of the one multi-leg order that closes a structure."""

# ruff: noqa: SLF001  a mutant replaces private functions deliberately
# ruff: noqa: E501  one mutant per row

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from faults.mutant_searches import Mutant, by_exit
from faults.structure_draws import BUTTERFLY
from sellctl.core.decision.multi_leg import steps, ways
from sellctl.core.decision.sizing import Size
from sellctl.core.model.plan import ClosedLeg, SubmitOrder
from sellctl.core.model.position import Position

_CLOSING = vars(SubmitOrder)["closing_structure"].__func__


def _closing_with(
    legs_of: Callable[[list[ClosedLeg]], Iterable[ClosedLeg]] = iter, sign: int = 1
) -> "classmethod[Any, Any, SubmitOrder]":
    """An order with other legs than those that were asked for, or with its net limit times `sign`."""

    def closing(  # noqa: PLR0913  those of the method
        cls: type[SubmitOrder],
        whole: Position,
        legs: Iterable[ClosedLeg],
        units: Decimal,
        *,
        client_order_id: str,
        limit_price: Decimal | None,
    ) -> SubmitOrder:
        limit = None if limit_price is None else sign * limit_price
        each = tuple(legs_of(list(legs)))
        order: SubmitOrder = _CLOSING(cls, whole, each, units, client_order_id=client_order_id, limit_price=limit)
        return order

    return classmethod(closing)


def _one_of_each(legs: list[ClosedLeg]) -> Iterable[ClosedLeg]:
    return (replace(leg, ratio=Decimal(1)) for leg in legs)


def _two_of_the_first(legs: list[ClosedLeg]) -> Iterable[ClosedLeg]:
    first = legs[0]
    return (replace(first, ratio=2 * first.ratio), *legs[1:])


def _all_units(units: Decimal, *_rest: Any) -> Size:
    return Size(units, units)


def _checks_without(left_out: Any) -> tuple[Any, ...]:
    return tuple(check for check in ways._CHECKS if check is not left_out)


ORDER_MUTANTS: tuple[Mutant, ...] = (
    Mutant("wrong sign", "the net limit of the one order has the wrong sign", ((SubmitOrder, "closing_structure", _closing_with(sign=-1)),), by_exit()),
    Mutant("wrong ratio", "each leg of the one order has one contract per unit", ((SubmitOrder, "closing_structure", _closing_with(_one_of_each)),), by_exit(kind=BUTTERFLY)),
    Mutant("another wrong ratio", "the first leg of the one order counts twice", ((SubmitOrder, "closing_structure", _closing_with(_two_of_the_first)),), by_exit()),
    Mutant("units claimed twice", "what open orders and fills take of a structure's legs is ignored", ((steps, "units_of", _all_units),), by_exit()),
    Mutant("refused again", "a structure whose multi-leg order was refused never leaves by legs", ((ways, "_CHECKS", _checks_without(ways._was_refused)),), by_exit("O18")),
)  # fmt: skip
