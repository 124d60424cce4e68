"""The structures that multi-leg orders have opened, as far as their legs are held as they were opened. Pure."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from msgspec import Struct

from sellctl.core.model.instrument import StructureKind, a_stock, an_option
from sellctl.core.model.order import Order, PositionIntent, Side
from sellctl.core.model.position import Position
from sellctl.core.structures.kinds import Leg, kind_of_legs
from sellctl.core.structures.named import Numbered, legs_per_unit
from sellctl.core.structures.names import structure_name
from sellctl.core.structures.recognition import put_together, shape_of

_OPENING = frozenset({PositionIntent.BUY_TO_OPEN, PositionIntent.SELL_TO_OPEN})
_KEPT = 4096  # sets of legs whose names are kept: every poll needs those of every order
_AFTER_ALL = dt.datetime.max.replace(tzinfo=dt.UTC)


class OpenedStructure(Struct, frozen=True):
    """A structure that an order has opened, by its name, and when the order filled last."""

    name: str
    at: dt.datetime


def opened_structures(
    orders: Iterable[Order], positions: Iterable[Position], kinds: Collection[StructureKind]
) -> tuple[OpenedStructure, ...]:
    """What these orders have opened and is held; first what filled first, so that it comes before what shares a symbol.

    Only `kinds` are looked for: an order of another kind says that what can be put together of its legs belongs
    together. An order of ours opens nothing.
    """
    held = {position.symbol: position for position in positions}
    filled = [order for order in orders if order.filled_qty > 0 and not order.is_ours]
    wanted, found = frozenset(kinds), dict[str, OpenedStructure]()
    for order in sorted(filled, key=lambda order: (_filled_at(order), order.id)):
        for name in _names(_legs_opened(order, held), wanted):
            found.setdefault(name, OpenedStructure(name, _filled_at(order)))
    return tuple(found.values())


def _filled_at(order: Order) -> dt.datetime:
    return order.last_fill_at or _AFTER_ALL


def _legs_opened(order: Order, held: Mapping[str, Position]) -> tuple[Numbered, ...]:
    """The legs that an order has opened, short ones below zero; none when one isn't held on its side any more.

    A leg without an intent counts where it is held on its side: the position has grown by it.
    """
    kept = {leg.symbol for leg in order.legs if _is_held(leg, held)}
    opened = [leg for leg in order.legs if leg.position_intent in _OPENING or _is_unsaid(leg, kept)]
    if not all(leg.symbol in kept for leg in opened):
        return ()
    return tuple((symbol, ratio if held[symbol].is_long else -ratio) for symbol, ratio in legs_per_unit(opened))


def _is_unsaid(leg: Order, kept: Collection[str]) -> bool:
    return leg.position_intent is None and leg.symbol in kept


def _is_held(leg: Order, held: Mapping[str, Position]) -> bool:
    """Whether a leg's symbol is held on the side on which an opening leg would have brought it."""
    position = held.get(leg.symbol)
    return position is not None and leg.side is (Side.BUY if position.is_long else Side.SELL)


@lru_cache(_KEPT)
def _names(legs: tuple[Numbered, ...], kinds: frozenset[StructureKind]) -> tuple[str, ...]:
    """The structure of these legs if its kind is looked for, else those that can be put together of them."""
    shape = shape_of(Leg(an_option(symbol) or a_stock(symbol), ratio) for symbol, ratio in legs)
    kind = kind_of_legs(shape)
    if kind and kind in kinds:
        return (structure_name(kind, shape),)
    return tuple(structure_name(each.kind, each.legs) for each in put_together(shape, kinds))
