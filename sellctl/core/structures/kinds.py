"""Which kind of structure a set of legs on one underlying is. Pure."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct

from sellctl.core.model.instrument import Instrument, OptionContract, Right, StructureKind

_LARGEST_RATIO = 3  # contracts on one side of a ratio spread for each one on the other


class Leg(Struct, frozen=True):
    """One leg of a structure. `ratio` is contracts, or hundreds of shares, per unit; negative when the leg is short."""

    instrument: Instrument
    ratio: int

    @property
    def symbol(self) -> str:
        """The symbol as the broker writes it."""
        return self.instrument.symbol


class _Option(NamedTuple):
    """What counts of an option's leg, in the order in which the legs of a structure are told apart."""

    expires: dt.date
    strike: Decimal
    right: Right
    ratio: int
    root: str


def kind_of_legs(legs: Sequence[Leg]) -> StructureKind | None:
    """The kind of a structure with these legs, their ratios in lowest terms; None when they form none that is known."""
    if len({leg.symbol for leg in legs}) < len(legs):
        return None
    options = sorted(_option(leg.instrument.option, leg.ratio) for leg in legs if leg.instrument.option)
    shares = [leg.ratio for leg in legs if leg.instrument.option is None]
    if shares:
        return _with_shares(options) if shares == [1] else None
    match options:
        case [low, high]:
            return _of_two(low, high)
        case [below, middle, above]:
            return _of_three(below, middle, above)
        case [_, _, _, _]:
            return _of_four(options)
    return None


def _with_shares(options: Sequence[_Option]) -> StructureKind | None:
    """Options on one hundred shares per unit."""
    match sorted(options, key=lambda option: option.right):
        case [call] if call.right is Right.CALL and call.ratio == -1:
            return StructureKind.COVERED_CALL
        case [call, put] if (call.right, put.right) == (Right.CALL, Right.PUT) and _expire_together(options):
            return StructureKind.COLLAR if (call.ratio, put.ratio) == (-1, 1) else None
    return None


def _of_two(low: _Option, high: _Option) -> StructureKind | None:
    is_one_strike, together = low.strike == high.strike, _expire_together((low, high))
    if low.right is not high.right:
        if not together or low.ratio != high.ratio or abs(low.ratio) != 1:
            return None
        return StructureKind.STRADDLE if is_one_strike else StructureKind.STRANGLE
    less, more = sorted((abs(low.ratio), abs(high.ratio)))
    at_one_date = low.expires == high.expires and not together
    if low.ratio * high.ratio > 0 or less != 1 or more > _LARGEST_RATIO or at_one_date:
        return None
    if more > 1:
        return StructureKind.RATIO if together else None
    if together:
        return StructureKind.VERTICAL
    return StructureKind.CALENDAR if is_one_strike else StructureKind.DIAGONAL


def _of_three(below: _Option, middle: _Option, above: _Option) -> StructureKind | None:
    options = (below, middle, above)
    is_butterfly = (
        _expire_together(options)
        and len({option.right for option in options}) == 1
        and abs(below.ratio) == 1
        and (middle.ratio, above.ratio) == (-2 * below.ratio, below.ratio)
    )
    return StructureKind.BUTTERFLY if is_butterfly else None


def _of_four(options: Sequence[_Option]) -> StructureKind | None:
    """A vertical of puts and, above it, one of calls; the inner legs are both short, or both long."""
    puts = [option for option in options if option.right is Right.PUT]
    calls = [option for option in options if option.right is Right.CALL]
    if len(puts) != len(calls) or not _expire_together(options):
        return None
    (outer_put, inner_put), (inner_call, outer_call) = puts, calls
    inner = inner_put.ratio
    if abs(inner) != 1 or (outer_put.ratio, inner_call.ratio, outer_call.ratio) != (-inner, inner, -inner):
        return None
    if inner_put.strike > inner_call.strike:
        return None
    is_butterfly = inner_put.strike == inner_call.strike
    return StructureKind.IRON_BUTTERFLY if is_butterfly else StructureKind.IRON_CONDOR


def _option(contract: OptionContract, ratio: int) -> _Option:
    return _Option(contract.expires, contract.strike, contract.right, ratio, contract.root)


def _expire_together(options: Sequence[_Option]) -> bool:
    """Whether all of them stop trading at one moment: of one date, SPX does so before SPXW."""
    return len({(option.expires, option.root) for option in options}) == 1
