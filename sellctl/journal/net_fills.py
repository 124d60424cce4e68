"""The fills of a structure's legs as fills of the structure: a unit is closed once all of its legs are. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_FLOOR, Decimal

from msgspec.structs import replace

from sellctl.core.model.exit_record import CONTRACT, LegFill, Part
from sellctl.core.structures.names import legs_named

_ZERO = Decimal(0)


def per_unit(structure: str) -> dict[str, Decimal]:
    """How many contracts or shares of each leg one unit has, by the structure's name; empty when it isn't one."""
    return {
        leg.symbol: Decimal(leg.ratio) * (1 if leg.instrument.is_option else CONTRACT) for leg in legs_named(structure)
    }


def netted(legs: Mapping[str, Decimal], fills: Iterable[LegFill], sign: int) -> Iterator[Part]:
    """The units that the fills complete, oldest first, each at the net price of the fills that it consists of.

    `legs` is how much of each leg one unit has. The price is what a unit brought; with a `sign` of -1, what it cost.
    """
    waiting: dict[str, deque[LegFill]] = {symbol: deque() for symbol in legs}
    for fill in fills:
        for each in _of_legs(fill):
            waiting[each.symbol].append(each)
        units = min(_units(waiting[symbol], qty) for symbol, qty in legs.items())
        if units:
            taken = [each for symbol, qty in legs.items() for each in _taken(waiting[symbol], units * qty)]
            yield Part(fill.at, units, _net_price(taken, units, sign), by_legs=True)


def _of_legs(fill: LegFill) -> Iterator[LegFill]:
    """The fill of a part of a structure as one of each of its legs: the first one has all of the net price."""
    legs = per_unit(fill.symbol) or {fill.symbol: Decimal(1)}
    first = next(iter(legs))
    for symbol, qty in legs.items():
        price = None if fill.price is None else fill.price / qty if symbol == first else _ZERO
        yield replace(fill, symbol=symbol, qty=fill.qty * qty, price=price)


def _units(fills: Iterable[LegFill], qty: Decimal) -> Decimal:
    return (sum((fill.qty for fill in fills), _ZERO) / qty).to_integral_value(ROUND_FLOOR)


def _taken(fills: deque[LegFill], qty: Decimal) -> Iterator[LegFill]:
    """The oldest fills of so much, removed from the others; the last one may be a part of its fill."""
    while qty > 0:
        fill = fills.popleft()
        if fill.qty > qty:
            fills.appendleft(replace(fill, qty=fill.qty - qty))
            fill = replace(fill, qty=qty)
        qty -= fill.qty
        yield fill


def _net_price(fills: Iterable[LegFill], units: Decimal, sign: int) -> Decimal | None:
    total = _ZERO
    for fill in fills:
        if fill.price is None:
            return None
        total += fill.price * fill.qty * fill.unit
    return total / CONTRACT / units * sign
