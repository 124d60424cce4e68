"""Recognises the structures among the positions on one underlying. Pure, and the same for every order of the rows.

The kinds with more legs come first, and of one kind the narrowest. Each contract belongs to at most one structure; what
remains is single.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import combinations, product
from math import gcd

from msgspec import Struct

from sellctl.core.model.gain import SHARES_PER_CONTRACT
from sellctl.core.model.instrument import AssetClass, Instrument, Right, StructureKind
from sellctl.core.model.position import Position
from sellctl.core.structures.kinds import Leg, kind_of_legs

# In this order what is held is put together.
KINDS = (
    StructureKind.IRON_BUTTERFLY,
    StructureKind.IRON_CONDOR,
    StructureKind.BUTTERFLY,
    StructureKind.COLLAR,
    StructureKind.RATIO,
    StructureKind.VERTICAL,
    StructureKind.CALENDAR,
    StructureKind.DIAGONAL,
    StructureKind.COVERED_CALL,
    StructureKind.STRADDLE,
    StructureKind.STRANGLE,
)
WITH_LEGS = frozenset({*KINDS, StructureKind.CUSTOM})
SPREADS = frozenset({StructureKind.VERTICAL, StructureKind.CALENDAR, StructureKind.DIAGONAL})
_IN_STRUCTURES = frozenset({AssetClass.STOCK, AssetClass.OPTION})
_FEWEST_LEGS = 2
_KEPT = 4096  # sets of legs whose structures are kept
# On one underlying; of more, only pairs are put together, because the combinations grow too many.
_MOST_LEGS_COMBINED = 24

Shape = tuple[Leg, ...]  # the legs of one unit, sorted by symbol


class Structure(Struct, frozen=True):
    """Legs on one underlying that are held together, `units` times. They are sorted by symbol."""

    kind: StructureKind
    legs: Shape
    units: int

    @property
    def underlying(self) -> str:
        """The underlying of every leg."""
        return self.legs[0].instrument.underlying


def shape_of(legs: Iterable[Leg]) -> Shape:
    """The legs of one unit: sorted, and with their ratios in lowest terms."""
    every = _sorted(legs)
    divisor = gcd(*(leg.ratio for leg in every)) or 1
    return tuple(Leg(leg.instrument, leg.ratio // divisor) for leg in every)


def structures_of(
    positions: Iterable[Position], *, kinds: Container[StructureKind] = KINDS, alone: Container[str] = ()
) -> tuple[Structure, ...]:
    """The structures of these `kinds` among positions on any underlyings, without the symbols that stay `alone`."""
    held: defaultdict[str, dict[str, Leg]] = defaultdict(dict)
    for position in positions:
        leg = held_leg(position)
        if leg.ratio and leg.symbol not in alone:
            held[leg.instrument.underlying][leg.symbol] = leg
    wanted = _in_order(kinds)
    by_underlying = (_sorted(held[underlying].values()) for underlying in sorted(held))
    return tuple(structure for legs in by_underlying for structure in _put_together(legs, wanted))


def put_together(legs: Iterable[Leg], kinds: Container[StructureKind]) -> tuple[Structure, ...]:
    """The structures of these `kinds` among legs on one underlying."""
    return _put_together(_sorted(legs), _in_order(kinds))


def _in_order(kinds: Container[StructureKind]) -> tuple[StructureKind, ...]:
    return tuple(kind for kind in KINDS if kind in kinds)


def _sorted(legs: Iterable[Leg]) -> tuple[Leg, ...]:
    return tuple(sorted(legs, key=lambda leg: leg.symbol))


@lru_cache(_KEPT)
def _put_together(legs: tuple[Leg, ...], kinds: tuple[StructureKind, ...]) -> tuple[Structure, ...]:
    """The same of sorted legs and kinds. Kept, because single legs are the same in most polls."""
    rest = _Rest({leg.symbol: leg for leg in legs})
    for kind in kinds:
        if len(rest.legs) < _FEWEST_LEGS:
            break
        for shape in sorted(_candidates(kind, rest.legs), key=_width):
            rest.take(kind, shape)
    return tuple(rest.structures)


class _Rest:
    """What is held and belongs to no structure yet, in contracts or hundreds of shares."""

    def __init__(self, held: Mapping[str, Leg]) -> None:
        self._left = dict(held)
        self._units: Counter[Shape] = Counter()
        self._kinds: dict[Shape, StructureKind] = {}

    @property
    def legs(self) -> tuple[Leg, ...]:
        """What is left, sorted by symbol."""
        return tuple(self._left[symbol] for symbol in sorted(self._left))

    @property
    def structures(self) -> list[Structure]:
        """What was taken, in the order of the first unit of each."""
        return [Structure(kind, shape, self._units[shape]) for shape, kind in self._kinds.items()]

    def take(self, kind: StructureKind, shape: Shape) -> None:
        """Take as many units of a shape as are left."""
        units = min(_units_in(self._left.get(leg.symbol), leg) for leg in shape)
        if units <= 0:
            return
        for leg in shape:
            left = self._left[leg.symbol].ratio - units * leg.ratio
            if left:
                self._left[leg.symbol] = Leg(leg.instrument, left)
            else:
                del self._left[leg.symbol]
        self._kinds.setdefault(shape, kind)
        self._units[shape] += units


def _units_in(held: Leg | None, leg: Leg) -> int:
    """How many units of a leg are held on its side."""
    return 0 if held is None or held.ratio * leg.ratio <= 0 else held.ratio // leg.ratio


def held_leg(position: Position) -> Leg:
    """All that is held of one symbol, as a leg; with a ratio of 0 where it can be part of no structure."""
    return Leg(position.instrument, held_units(position))


def held_units(position: Position) -> int:
    """Contracts, or hundreds of shares, below zero when short; 0 where the position can be part of no structure."""
    instrument, qty = position.instrument, position.qty
    if instrument.asset_class not in _IN_STRUCTURES or not qty.is_finite():
        return 0
    contracts = qty if instrument.is_option else qty // SHARES_PER_CONTRACT
    if contracts != contracts.to_integral_value():
        return 0
    return int(contracts) if position.is_long else -int(contracts)


# --- candidates -------------------------------------------------------------------------------------------------------


def _candidates(kind: StructureKind, legs: Sequence[Leg]) -> Iterator[Shape]:
    """Every shape of a kind whose legs are among these, once each."""
    few = legs if len(legs) <= _MOST_LEGS_COMBINED else ()
    options = [leg for leg in legs if leg.instrument.option]
    shares = [leg for leg in legs if not leg.instrument.option]
    if kind in {StructureKind.IRON_CONDOR, StructureKind.IRON_BUTTERFLY}:
        tried = _irons([leg for leg in few if leg.instrument.option])
    elif kind is StructureKind.BUTTERFLY:
        tried = (_unit(three, largest=2) for three in combinations([leg for leg in few if leg.instrument.option], 3))
    elif kind is StructureKind.COLLAR:
        tried = (_unit((share, *two)) for share in shares for two in combinations(options, 2))
    elif kind is StructureKind.COVERED_CALL:
        tried = (_unit((share, option)) for share in shares for option in options)
    elif kind is StructureKind.RATIO:
        tried = _ratios(options)
    else:
        tried = (_unit(two) for two in combinations(options, 2))
    return (shape for shape in tried if kind_of_legs(shape) is kind)


def _irons(options: Sequence[Leg]) -> Iterator[Shape]:
    """Verticals of puts with verticals of calls."""
    verticals = [_unit(two) for alike in _alike(options) for two in combinations(alike, 2)]
    verticals = [shape for shape in verticals if kind_of_legs(shape) is StructureKind.VERTICAL]
    puts = [shape for shape in verticals if _right(shape) is Right.PUT]
    calls = [shape for shape in verticals if _right(shape) is Right.CALL]
    return (shape_of((*put, *call)) for put, call in product(puts, calls))


def _ratios(options: Sequence[Leg]) -> Iterator[Shape]:
    """Two legs with all of their contracts, where these are all that is left of one right and expiration."""
    return (shape_of(legs) for legs in _alike(options) if len(legs) == 2)  # noqa: PLR2004  two legs


def _alike(options: Sequence[Leg]) -> list[list[Leg]]:
    """The options of each right and expiration."""
    alike: defaultdict[tuple[object, ...], list[Leg]] = defaultdict(list)
    for leg in options:
        if option := leg.instrument.option:
            alike[option.expires, option.right].append(leg)
    return list(alike.values())


def _unit(legs: Sequence[Leg], largest: int = 1) -> Shape:
    """One of each leg on its side; of the middle one of three so many as `largest`."""
    every = sorted(legs, key=_by_strike)
    middle = 1 if largest > 1 else None
    return shape_of(
        Leg(leg.instrument, _sign(leg) * (largest if index == middle else 1)) for index, leg in enumerate(every)
    )


def _sign(leg: Leg) -> int:
    return 1 if leg.ratio > 0 else -1


def _right(shape: Shape) -> Right | None:
    option = shape[0].instrument.option
    return option.right if option else None


def _by_strike(leg: Leg) -> tuple[Decimal, str]:
    return _strike_of(leg.instrument), leg.symbol


def _strike_of(instrument: Instrument) -> Decimal:
    return instrument.option.strike if instrument.option else Decimal(0)


def _width(shape: Shape) -> tuple[int, Decimal, Decimal, tuple[str, ...]]:
    """How far the legs lie apart: in days, then in strikes, those of one right first."""
    terms = [leg.instrument.option for leg in shape if leg.instrument.option]
    days = max(each.expires for each in terms) - min(each.expires for each in terms)
    by_right = [[each.strike for each in terms if each.right is right] for right in Right]
    apart = sum((_span(strikes) for strikes in by_right), Decimal(0))
    return days.days, apart, _span([each.strike for each in terms]), _names(shape)


def _span(strikes: Sequence[Decimal]) -> Decimal:
    return max(strikes) - min(strikes) if strikes else Decimal(0)


def _names(shape: Shape) -> tuple[str, ...]:
    return tuple(leg.symbol for leg in shape)
