"""Pairs of option legs as one position: verticals, calendars and diagonals, valued at their net price.

A pair is a short option and a long that covers only this short, and is its only cover; a condor is two pairs. A pair
bought for a debit is long and one sold for a credit is short, so that every rule on price, gain and time applies to it.
Its prices are the net prices of both legs; its option is that of the short leg, which never expires later.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.model.instrument import AssetClass, Instrument, Right, StructureKind, an_option
from sellctl.core.model.position import Direction, Holding, Position, PositionState, Prices
from sellctl.core.structures.coverage import Cover

_JOINER = "+"
PAIRS = frozenset({StructureKind.VERTICAL, StructureKind.CALENDAR, StructureKind.DIAGONAL})


class Pair(Struct, frozen=True):
    """A short leg, the long leg that covers it, and both as one holding."""

    kind: StructureKind
    short: Holding
    long: Holding
    combined: Holding


def pair_name(short: str, long: str) -> str:
    """The symbol under which the episode of a pair is stored."""
    return f"{short}{_JOINER}{long}"


def is_pair_name(name: str) -> bool:
    """Whether two option symbols are joined here. A broker's symbol may contain any character, also the joiner."""
    return bool(legs_of(name))


def legs_of(name: str) -> tuple[str, ...]:
    """The short and the long leg of a pair by its name; empty when it is not the name of a pair."""
    short, joiner, long = name.partition(_JOINER)
    return (short, long) if joiner and an_option(short) and an_option(long) else ()


def pairs_of(holdings: Iterable[Holding], cover: Cover, states: Mapping[str, PositionState]) -> tuple[Pair, ...]:
    """Every pair among the holdings."""
    known = {holding.symbol: holding for holding in holdings}
    found = []
    for short, longs in cover.longs_by_short.items():
        if len(longs) == 1 and cover.shorts_by_long[longs[0]] == (short,):
            pair = _pair(known[short], known[longs[0]], states)
            found += [pair] if pair else []
    return tuple(found)


def pair_at(pair: Pair, short: Prices, long: Prices) -> Holding:
    """A pair as one holding, at other prices of its legs."""
    return replace(pair.combined, prices=_net_prices(short, long, pair.combined.position.direction))


def kind_of(holding: Holding, cover: Cover, pairs: Mapping[str, Pair]) -> StructureKind | None:
    """The structure of which an option is a part; None for anything else."""
    option = holding.position.instrument.option
    if option is None:
        return None
    if holding.symbol in pairs:
        return pairs[holding.symbol].kind
    if holding.position.is_long:
        return StructureKind.SINGLE
    if holding.symbol in cover.longs_by_short and option.right is Right.CALL:
        return StructureKind.COVERED_CALL
    return StructureKind.SHORT_PUT if option.right is Right.PUT else StructureKind.SINGLE


def _pair(short: Holding, long: Holding, states: Mapping[str, PositionState]) -> Pair | None:
    first, second = short.position.instrument.option, long.position.instrument.option
    if first is None or second is None:
        return None
    if first.expires == second.expires:
        kind = StructureKind.VERTICAL
    else:
        kind = StructureKind.CALENDAR if first.strike == second.strike else StructureKind.DIAGONAL
    return Pair(kind, short, long, _combined(kind, short, long, states))


def _combined(kind: StructureKind, short: Holding, long: Holding, states: Mapping[str, PositionState]) -> Holding:
    name = pair_name(short.symbol, long.symbol)
    instrument = short.position.instrument
    net = _net_entry(short.position, long.position)
    direction = Direction.SHORT if net is not None and net < 0 else Direction.LONG
    qty = min(short.position.qty, long.position.qty)
    position = Position(
        instrument=Instrument(name, AssetClass.OPTION, instrument.underlying, instrument.option),
        direction=direction,
        qty=qty,
        available=qty,
        entry_price=abs(net) if net else None,
    )
    prices = _net_prices(short.prices, long.prices, direction)
    state = states.get(name) or _from_legs(short.state, long.state)
    return Holding(position, None, state, prices, short.underlying, kind)


def _net_entry(short: Position, long: Position) -> Decimal | None:
    """The net debit per unit, negative for a credit; None when a leg's entry is unknown."""
    if short.entry_price is None or long.entry_price is None:
        return None
    return long.entry_price - short.entry_price


def _net_prices(short: Prices, long: Prices, direction: Direction) -> Prices:
    """Net bid and ask: a debit pair is closed at the bid, a credit pair at the ask."""
    if short.bid is None or short.ask is None or long.bid is None or long.ask is None:
        return Prices(problem=short.problem or long.problem or "a leg has no price")
    worse, better = long.bid - short.ask, long.ask - short.bid
    bid, ask = (worse, better) if direction is Direction.LONG else (-better, -worse)
    wide = short.wide or long.wide
    settled = wide and all(prices.wide_settled for prices in (short, long) if prices.wide)
    return Prices(bid=bid, ask=ask, problem="", wide=wide, wide_settled=settled)


def _from_legs(short: PositionState, long: PositionState) -> PositionState:
    """The state of a pair without an episode: it counts as opened when its later leg was."""
    first_seen = _later(short.first_seen, long.first_seen)
    return PositionState(
        first_seen=first_seen,
        opened_at=_later(short.opened_at, long.opened_at),
        opening_order_id=short.opening_order_id or long.opening_order_id,
    )


def _later(one: dt.datetime | None, other: dt.datetime | None) -> dt.datetime | None:
    return None if one is None or other is None else max(one, other)
