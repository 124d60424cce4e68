"""The structures that the user names, as they are held, and what is wrong with those that are not. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from math import gcd

from msgspec import Struct

from sellctl.core.model.gain import SHARES_PER_CONTRACT
from sellctl.core.model.instrument import StructureKind, a_stock, an_option
from sellctl.core.model.order import Order
from sellctl.core.model.position import ExitAfter, Position
from sellctl.core.structures.kinds import Leg, kind_of_legs
from sellctl.core.structures.names import structure_name
from sellctl.core.structures.recognition import held_leg, shape_of

Numbered = tuple[str, int]  # a symbol, and its contracts or hundreds of shares per unit


class NamedStructure(Struct, frozen=True):
    """One structure of the user: `name` is "" when it has none, `order` the client id of its opening order, or ""."""

    name: str
    legs: tuple[Numbered, ...] = ()
    order: str = ""

    @property
    def title(self) -> str:
        """What a sentence calls it."""
        return self.name or self.order or " + ".join(symbol for symbol, _ in self.legs)


class HeldNames(Struct, frozen=True):
    """The names under which structures of the user are held, each with the user's own name for it ("": none).

    `problems` has one sentence for each that is held in part only.
    """

    names: Mapping[str, str]
    problems: tuple[str, ...] = ()


def held_names(
    named: Iterable[NamedStructure], positions: Iterable[Position], leaving: Mapping[str, ExitAfter]
) -> HeldNames:
    """The structures of the user among these positions. Of one that is `leaving`, what is left is no problem."""
    held = {position.symbol: position for position in positions}
    names: dict[str, str] = {}
    problems: list[str] = []
    used: set[str] = set()
    for structure in named:
        if not structure.legs or not any(symbol in held for symbol, _ in structure.legs):
            continue
        symbols = {symbol for symbol, _ in structure.legs}
        taken = sorted(symbols & used)
        misfits = tuple(_misfits(structure.legs, held))
        if taken:
            problems.append(f"structure {structure.title}: {taken[0]} is a leg of another one that you name before it")
        elif not misfits:
            used |= symbols
            names[_name_now(structure.legs, held)] = structure.name
        elif symbols.isdisjoint(leaving):
            rest = "its other legs are treated as if you had not named it"
            problems.append(f"structure {structure.title}: {' and '.join(misfits)}; {rest}")
    return HeldNames(names, tuple(problems))


def legs_per_unit(legs: Iterable[Order]) -> tuple[Numbered, ...]:
    """Legs of a multi-leg order with their contracts, or hundreds of shares, per unit; none when one is unknown."""
    quantities = {leg.symbol: _contracts(leg) for leg in legs}
    if not all(quantities.values()):
        return ()
    divisor = gcd(*quantities.values()) or 1
    return tuple((symbol, qty // divisor) for symbol, qty in quantities.items())


def _contracts(leg: Order) -> int:
    qty = leg.qty if leg.qty is not None and leg.qty.is_finite() else Decimal(0)
    return int(qty if an_option(leg.symbol) else qty / SHARES_PER_CONTRACT)


def _misfits(legs: Iterable[Numbered], held: Mapping[str, Position]) -> Iterator[str]:
    """What is wrong with each leg that is not held, or not enough of it for one unit."""
    for symbol, ratio in legs:
        position = held.get(symbol)
        if position is None:
            yield f"{symbol} is not held"
        elif abs(held_leg(position).ratio) < ratio:
            each = ratio if position.instrument.is_option else ratio * SHARES_PER_CONTRACT
            yield f"{position.qty:f} {symbol} held are fewer than the {each} of one unit"


def _name_now(legs: Iterable[Numbered], held: Mapping[str, Position]) -> str:
    """The name of a structure with these legs on the sides on which they are held."""
    sides = ((symbol, ratio if held[symbol].is_long else -ratio) for symbol, ratio in legs)
    shape = shape_of(Leg(an_option(symbol) or a_stock(symbol), ratio) for symbol, ratio in sides)
    return structure_name(kind_of_legs(shape) or StructureKind.CUSTOM, shape)
