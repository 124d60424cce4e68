"""Held structures as one position: their legs as holdings, and the whole at net prices. Pure.

A structure bought for a debit is long and one sold for a credit is short, so that every rule on price, gain and time
applies to it. A symbol belongs to at most one of them; what it has beyond that is single.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.model.gain import SHARES_PER_CONTRACT
from sellctl.core.model.instrument import AssetClass, Instrument, Right, StructureKind
from sellctl.core.model.plan import MOST_LEGS
from sellctl.core.model.position import Direction, ExitAfter, Holding, Position, PositionState, Prices
from sellctl.core.structures.coverage import Cover
from sellctl.core.structures.kinds import Leg, kind_of_legs
from sellctl.core.structures.names import kind_named, legs_named, structure_name
from sellctl.core.structures.net_prices import net_entry, net_prices
from sellctl.core.structures.parts import parts_of
from sellctl.core.structures.recognition import Shape, Structure, held_units, shape_of, structures_of

WITH_SHARES = frozenset({StructureKind.COVERED_CALL, StructureKind.COLLAR})
_ZERO = Decimal(0)
_KEPT = 16_384  # shapes to keep: every poll needs that of every structure
_NOTHING_LEAVES: Mapping[str, ExitAfter] = MappingProxyType({})


class HeldStructure(Struct, frozen=True):
    """A structure, the holdings of its legs by symbol, and all of it as one holding at net prices.

    `quantities` say how many contracts or shares of each leg belong to it. The `whole` has the structure's name as its
    symbol, the units as its quantity, and the terms of the option that expires first, of several that of a short one.
    `part_of` is the name of the structure that leaves in parts, of which this is one; "" for any other.
    """

    structure: Structure
    name: str
    holdings: Mapping[str, Holding]
    quantities: Mapping[str, Decimal]
    whole: Holding
    part_of: str = ""

    @property
    def kind(self) -> StructureKind:
        """The kind of structure."""
        return self.structure.kind

    @property
    def shorts(self) -> tuple[str, ...]:
        """The symbols of the short legs."""
        return tuple(leg.symbol for leg in self.structure.legs if leg.ratio < 0)

    @property
    def units(self) -> int:
        """How many times its legs are held together."""
        return self.structure.units

    def qty_of(self, symbol: str, units: Decimal | None = None) -> Decimal:
        """How many contracts or shares of a leg belong to it, or to so many of its units."""
        qty = self.quantities[symbol]
        return qty if units is None else qty * units / self.units

    def others(self, symbol: str) -> tuple[str, ...]:
        """The symbols of its legs without this one."""
        return tuple(leg.symbol for leg in self.structure.legs if leg.symbol != symbol)

    def at(self, prices_of: Callable[[Holding], Prices | None]) -> Holding | None:
        """The whole at other prices of its legs; None when those of a leg are None."""
        found = {symbol: prices_of(holding) for symbol, holding in self.holdings.items()}
        known = {symbol: each for symbol, each in found.items() if each is not None}
        if len(known) < len(found):
            return None
        prices = _whole_prices(self.structure, known, self.whole.position.direction, self.whole.state.wide_for)
        return replace(self.whole, prices=prices)


def held_structures(  # noqa: PLR0913  each is something that recognition depends on
    holdings: Iterable[Holding],
    known: Iterable[str],
    states: Mapping[str, PositionState],
    kinds: Collection[StructureKind],
    leaving: Mapping[str, ExitAfter] = _NOTHING_LEAVES,
    *,
    first: Iterable[str] = (),
) -> tuple[HeldStructure, ...]:
    """The structures among the holdings, those with a `known` name first. `states` are their stored states by name.

    Only `kinds` are looked for, and before them the names that come `first`, of any kind. What is `leaving` with a
    structure forms no new one, and what is kept of it isn't part of that structure.
    """
    by_symbol = {holding.symbol: holding for holding in holdings}
    wanted = [name for name in first if legs_named(name)]
    wanted += [name for name in known if legs_named(name) and kind_named(name) in kinds]
    apart = _apart(by_symbol, wanted, kinds, leaving)
    return tuple(_held(name, structure, by_symbol, states) for name, structure in apart)


def held_parts(
    name: str,
    holdings: Mapping[str, Holding],
    whole: HeldStructure | None,
    leaving: Mapping[str, ExitAfter] = _NOTHING_LEAVES,
) -> tuple[HeldStructure, ...]:
    """The parts as which a structure with this name leaves, because it has more legs than one order may have.

    They consist of what is `leaving` with it and, while it is held `whole`, of its legs. Empty when it leaves in no
    parts. Each of them counts as many units as are held of all its legs.
    """
    named = legs_named(name)
    if len(named) <= MOST_LEGS or not all(leg.instrument.is_option for leg in named):
        return ()
    sides: list[Leg] = []
    quantities: dict[str, Decimal] = {}
    for leg in named:
        holding, mark = holdings.get(leg.symbol), leaving.get(leg.symbol)
        if holding is None:
            continue
        is_leaving = mark is not None and mark.structure == name
        qty = holding.position.qty - mark.kept if mark and is_leaving else _in(whole, leg.symbol)
        if qty > 0:
            quantities[leg.symbol] = qty
            sides.append(Leg(leg.instrument, leg.ratio if holding.position.is_long else -leg.ratio))
    return tuple(_parts(name, sides, quantities, holdings))


def kind_of(holding: Holding, cover: Cover, structures: Mapping[str, HeldStructure]) -> StructureKind | None:
    """The structure of which an option is a part; None for anything else."""
    if not holding.position.instrument.is_option:
        return None
    if holding.symbol in structures:
        return structures[holding.symbol].kind
    return kind_alone(holding, cover)


def kind_alone(holding: Holding, cover: Cover) -> StructureKind | None:
    """What an option is outside of structures; None for anything else."""
    option = holding.position.instrument.option
    if option is None:
        return None
    if holding.position.is_long:
        return StructureKind.SINGLE
    if option.right is Right.PUT:
        return StructureKind.SHORT_PUT
    contracts_covered_by_options = cover.contracts_covered_by_options.get(holding.symbol, _ZERO)
    by_shares = holding.position.qty - cover.uncovered.get(holding.symbol, _ZERO) - contracts_covered_by_options
    return StructureKind.COVERED_CALL if by_shares > 0 else StructureKind.SINGLE


def rest_of(holding: Holding, structure: HeldStructure, cover: Cover) -> Holding | None:
    """What of a leg's holding is outside of its structure; None when it is nothing."""
    rest = holding.position.qty - structure.qty_of(holding.symbol)
    if rest <= 0:
        return None
    return replace(holding, position=replace(holding.position, qty=rest), structure=kind_alone(holding, cover))


# --- which structures are held ----------------------------------------------------------------------------------------


def _apart(
    holdings: Mapping[str, Holding],
    known: Iterable[str],
    kinds: Collection[StructureKind],
    leaving: Mapping[str, ExitAfter],
) -> Iterator[tuple[str, Structure]]:
    """Structures without a common symbol, with their names: the first of several that have one."""
    used: set[str] = set()
    for name in known:
        structure = _named(name, holdings, leaving)
        if structure and used.isdisjoint(leg.symbol for leg in structure.legs):
            used.update(leg.symbol for leg in structure.legs)
            yield name, structure
    found: tuple[Structure, ...] | None = None
    while found is None or found:
        positions = (holding.position for symbol, holding in holdings.items() if symbol not in used)
        found = structures_of(positions, kinds=kinds, alone=leaving)
        for structure in found:
            if used.isdisjoint(leg.symbol for leg in structure.legs):
                used.update(leg.symbol for leg in structure.legs)
                name = structure_name(structure.kind, structure.legs)
                yield name, _named(name, holdings, leaving) or structure  # all units, as no other has these symbols


def _named(name: str, holdings: Mapping[str, Holding], leaving: Mapping[str, ExitAfter]) -> Structure | None:
    """The structure with a name as it is held now; None when a leg isn't held any more."""
    sides: list[bool] = []
    units: list[int] = []
    for leg in legs_named(name):
        holding, mark = holdings.get(leg.symbol), leaving.get(leg.symbol)
        if holding is None:
            return None
        kept = mark.kept if mark and mark.structure == name else _ZERO
        held = held_units(replace(holding.position, qty=holding.position.qty - kept) if kept else holding.position)
        sides.append(held > 0)
        units.append(abs(held) // leg.ratio)
    shape, least = _shape_named(name, tuple(sides)), min(units)
    return Structure(kind_named(name), shape, least) if shape and least else None


@lru_cache(_KEPT)
def _shape_named(name: str, are_long: tuple[bool, ...]) -> Shape:
    """The legs of a name on these sides; empty when they are another kind then."""
    legs = zip(legs_named(name), are_long, strict=True)
    shape = shape_of(Leg(leg.instrument, leg.ratio if is_long else -leg.ratio) for leg, is_long in legs)
    return shape if (kind_of_legs(shape) or StructureKind.CUSTOM) is kind_named(name) else ()


# --- the whole --------------------------------------------------------------------------------------------------------


def _in(whole: HeldStructure | None, symbol: str) -> Decimal:
    return whole.qty_of(symbol) if whole else _ZERO


def _parts(
    name: str, legs: Iterable[Leg], quantities: Mapping[str, Decimal], holdings: Mapping[str, Holding]
) -> Iterator[HeldStructure]:
    for shape in parts_of(shape_of(legs)):
        units = min(int(quantities[leg.symbol]) // abs(leg.ratio) for leg in shape)
        if units > 0:
            kind = kind_of_legs(shape) or StructureKind.CUSTOM
            part = _held(structure_name(kind, shape), Structure(kind, shape, units), holdings, {})
            yield replace(part, part_of=name)


def _held(
    name: str, structure: Structure, by_symbol: Mapping[str, Holding], states: Mapping[str, PositionState]
) -> HeldStructure:
    holdings = {leg.symbol: by_symbol[leg.symbol] for leg in structure.legs}
    quantities = {leg.symbol: _qty_in(leg, structure.units) for leg in structure.legs}
    return HeldStructure(structure, name, holdings, quantities, _whole(structure, name, holdings, states.get(name)))


def _qty_in(leg: Leg, units: int) -> Decimal:
    return Decimal(abs(leg.ratio) * units * (1 if leg.instrument.is_option else SHARES_PER_CONTRACT))


def _whole(structure: Structure, name: str, holdings: Mapping[str, Holding], state: PositionState | None) -> Holding:
    net = net_entry(structure.legs, {symbol: each.position.entry_price for symbol, each in holdings.items()})
    direction = Direction.SHORT if net is not None and net < 0 else Direction.LONG
    terms = _terms(structure, holdings)
    position = Position(
        instrument=Instrument(name, AssetClass.OPTION, structure.underlying, terms.position.instrument.option),
        direction=direction,
        qty=Decimal(structure.units),
        available=Decimal(structure.units),
        entry_price=abs(net) if net else None,
        contradiction="its legs net to $0.00" if net == 0 else "",
    )
    own_state = state or from_legs(structure, {symbol: each.state for symbol, each in holdings.items()})
    leg_prices = {symbol: each.prices for symbol, each in holdings.items()}
    prices = _whole_prices(structure, leg_prices, direction, own_state.wide_for)
    shorts = tuple(leg.instrument.option for leg in structure.legs if leg.ratio < 0 and leg.instrument.option)
    return Holding(position, None, own_state, prices, terms.underlying, structure.kind, shorts)


def _terms(structure: Structure, holdings: Mapping[str, Holding]) -> Holding:
    """The leg whose terms count: it expires first, and of several is short and deepest in the money."""
    options = [(holdings[leg.symbol], leg) for leg in structure.legs if leg.instrument.option]
    return min(options, key=lambda each: (_expires(each[1]), each[1].ratio > 0, -_inside(each[0]), each[1].symbol))[0]


def _expires(leg: Leg) -> dt.date:
    return leg.instrument.option.expires if leg.instrument.option else dt.date.max


def _inside(holding: Holding) -> Decimal:
    """How far an option is in the money; 0 while that is unknown."""
    option, price = holding.position.instrument.option, holding.underlying.mid
    if option is None or price is None:
        return _ZERO
    return price - option.strike if option.right is Right.CALL else option.strike - price


def _whole_prices(
    structure: Structure, prices: Mapping[str, Prices], direction: Direction, wide_for: dt.timedelta
) -> Prices:
    """Net bid and ask: a debit is closed at the bid, a credit at the ask."""
    net = net_prices(structure.legs, prices, wide_for)
    if direction is Direction.LONG or net.bid is None or net.ask is None:
        return net
    return replace(net, bid=-net.ask, ask=-net.bid)


def from_legs(structure: Structure, states_of_legs: Mapping[str, PositionState]) -> PositionState:
    """What the states of its legs say of a structure: it counts as opened when its last leg was."""
    legs = sorted(structure.legs, key=lambda leg: (leg.ratio > 0, leg.symbol))
    states = [states_of_legs[leg.symbol] for leg in legs]
    return PositionState(
        first_seen=_latest(state.first_seen for state in states),
        opened_at=_latest(state.opened_at for state in states),
        opening_order_id=next((state.opening_order_id for state in states if state.opening_order_id), ""),
    )


def _latest(times: Iterable[dt.datetime | None]) -> dt.datetime | None:
    every = tuple(times)
    known = [at for at in every if at is not None]
    return max(known) if known and len(known) == len(every) else None
