"""Splits a structure of more legs than one order may have into parts that leave as one order each. Pure.

Which parts these are depends on nothing but the legs that are left. When a part has left, those that remain are the
same parts as before: no part covers a short of another one, so that what is left has the same fewest parts, and of
several ways to split it the one whose symbols come first is taken.
"""

from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import combinations

from sellctl.core.model.plan import FEWEST_LEGS, MOST_LEGS
from sellctl.core.model.position import Direction, Holding, Position
from sellctl.core.structures.coverage import cover_of
from sellctl.core.structures.kinds import Leg
from sellctl.core.structures.recognition import Shape, shape_of

_MOST_TO_SPLIT = 12  # legs; of more, the ways to split them grow too many
_KEPT = 1024


@lru_cache(_KEPT)
def parts_of(legs: Shape) -> tuple[Shape, ...]:
    """The fewest shapes of two to four of these options each, none of which covers a short of another.

    Empty when there are none such. In whatever order they are closed, and however much of each, no more shorts are
    naked than before.
    """
    every = tuple(sorted(legs, key=lambda leg: leg.symbol))
    if len(every) > _MOST_TO_SPLIT or not all(leg.instrument.is_option for leg in every):
        return ()
    for count in range(-(-len(every) // MOST_LEGS), len(every) // FEWEST_LEGS + 1):
        found = next(_split(every, count), None)
        if found is not None:
            return tuple(shape_of(part) for part in found)
    return ()


def _split(legs: Shape, count: int) -> Iterator[tuple[Shape, ...]]:
    """The ways to split legs into so many parts, the one whose symbols come first first."""
    if count == 0 or not count * FEWEST_LEGS <= len(legs) <= count * MOST_LEGS:
        if count == 0 and not legs:
            yield ()
        return
    first, others, naked = legs[0], legs[1:], _naked(legs)
    sizes = range(FEWEST_LEGS, MOST_LEGS + 1)
    candidates = ((first, *rest) for size in sizes for rest in combinations(others, size - 1))
    for part in sorted(candidates, key=lambda part: [leg.symbol for leg in part]):
        rest = tuple(leg for leg in others if leg not in part)
        if _naked(part) + _naked(rest) == naked:
            yield from ((part, *more) for more in _split(rest, count - 1))


def _naked(legs: Shape) -> Decimal:
    """How many contracts per unit would be naked if nothing but these legs were held."""
    return sum(cover_of(_held(leg) for leg in legs).uncovered.values(), Decimal(0))


def _held(leg: Leg) -> Holding:
    direction, qty = Direction.LONG if leg.ratio > 0 else Direction.SHORT, Decimal(abs(leg.ratio))
    return Holding(Position(leg.instrument, direction, qty, qty, None))
