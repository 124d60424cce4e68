"""The structures that the user names, as they are held, and what is wrong with those that are not. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import product
from math import gcd

from msgspec import Struct

from sellctl.core.model.gain import SHARES_PER_CONTRACT
from sellctl.core.model.instrument import StructureKind, a_stock, an_option
from sellctl.core.model.order import Order
from sellctl.core.model.position import ExitAfter, Position
from sellctl.core.structures.kinds import Leg, kind_of_legs
from sellctl.core.structures.names import legs_named, structure_name
from sellctl.core.structures.recognition import held_leg, shape_of

Numbered = tuple[str, int]  # a symbol, and its contracts or hundreds of shares per unit
_MOST_LEGS_OF_A_KIND = 4  # with more it is of no kind, whatever the sides


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


class FoundAccount(Struct, frozen=True):
    """What a process finds in an account when it begins.

    `uncertain` are the symbols that can't be read, "" when that may be any; `ordered` are those of open orders, with
    the same meaning of "". `whole` are the names of structures that were held with all of their legs.
    """

    name: str
    positions: tuple[Position, ...]
    uncertain: frozenset[str] = frozenset()
    ordered: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()


def never_whole(structure: NamedStructure, accounts: Sequence[FoundAccount]) -> str:
    """What is missing of a structure of which only a part is held, and was from the beginning; "" otherwise.

    Also "" when an account may hold all of it, or is about to: a leg can't be read, or an open order may bring it. What
    an order opened, and what was whole before, was no mistake.
    """
    found: list[tuple[str, ...]] = []
    for account in accounts:
        if structure.order or _may_be_whole(structure, account):
            return ""
        held = {position.symbol: position for position in account.positions}
        if any(symbol in held for symbol, _ in structure.legs):
            at = f" in account {account.name}" if len(accounts) > 1 else ""
            found.append(tuple(f"{misfit}{at}" for misfit in _misfits(structure.legs, held)))
    fewest = min(found, key=len, default=())
    return " and ".join(fewest)


def _may_be_whole(structure: NamedStructure, account: FoundAccount) -> bool:
    """Whether an account holds all of a structure, did so before, or may do so."""
    legs = frozenset(structure.legs)
    held = {position.symbol: position for position in account.positions}
    lacking = {symbol for symbol, ratio in legs if any(_misfits([(symbol, ratio)], held))}
    was_whole = any(frozenset((leg.symbol, leg.ratio) for leg in legs_named(name)) == legs for name in account.whole)
    can_be_read = account.uncertain.isdisjoint({"", *(symbol for symbol, _ in legs)})
    is_being_opened = not account.ordered.isdisjoint({"", *lacking})
    return not lacking or was_whole or is_being_opened or not can_be_read


def _misfits(legs: Iterable[Numbered], held: Mapping[str, Position]) -> Iterator[str]:
    """What is wrong with each leg that is not held, or not enough of it for one unit."""
    for symbol, ratio in legs:
        position = held.get(symbol)
        if position is None:
            yield f"{symbol} is not held"
        elif abs(held_leg(position).ratio) < ratio:
            each = ratio if position.instrument.is_option else ratio * SHARES_PER_CONTRACT
            yield f"one unit has {each} {symbol}, and {position.qty:f} {'is' if position.qty == 1 else 'are'} held"


def possible_names(structure: NamedStructure) -> frozenset[str]:
    """The names that it may have, on whichever sides its legs are held or were."""
    legs = structure.legs
    sides = product((True, False), repeat=len(legs)) if len(legs) <= _MOST_LEGS_OF_A_KIND else [(True,) * len(legs)]
    return frozenset(_name_on(legs, each) for each in sides)


def _name_now(legs: Iterable[Numbered], held: Mapping[str, Position]) -> str:
    """The name of a structure with these legs on the sides on which they are held."""
    every = tuple(legs)
    return _name_on(every, [held[symbol].is_long for symbol, _ in every])


def _name_on(legs: Iterable[Numbered], are_long: Iterable[bool]) -> str:
    sides = ((symbol, ratio if is_long else -ratio) for (symbol, ratio), is_long in zip(legs, are_long, strict=True))
    shape = shape_of(Leg(an_option(symbol) or a_stock(symbol), ratio) for symbol, ratio in sides)
    return structure_name(kind_of_legs(shape) or StructureKind.CUSTOM, shape)
