"""How much of each short several reads of the positions agree is uncovered.

Right after a fill a list of positions may lack a row for up to about ten seconds. A short whose cover is such a row
only seems to be naked, and buying it back would cost money. What the first read of a process shows counts at once where
nothing on the underlying has filled lately.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal

from msgspec import Struct

from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.position import Holding, Position
from sellctl.core.model.snapshot import Rows
from sellctl.core.structures.coverage import cover_of

# Seconds by the broker's clock after which a fill is sure to be in the positions.
SETTLED_AFTER = dt.timedelta(seconds=30)
# Seconds between the first and the last of the reads that agree: positions lag by at most as much after a fill.
CONFIRMED_AFTER = 10.0
_ZERO = Decimal(0)


class _Level(Struct, frozen=True):
    """A quantity of a short that no read since `since` has shown as covered; monotonic seconds."""

    qty: Decimal
    since: float


class UncoveredShorts:
    """Since when how much of each short of one account has been uncovered in every read of the positions."""

    def __init__(self) -> None:
        self._levels: dict[str, tuple[_Level, ...]] = {}  # by symbol, the larger and later ones last
        self._read_at: float | None = None

    def see(self, positions: Rows[Position], at: float, filled_lately: frozenset[str] | None = None) -> None:
        """Take a read of the positions, which was requested at `at`.

        `filled_lately` are the underlyings on which an order has just filled, which matter in the first read; None when
        that isn't known. Where a row can't be read, nothing on its underlying counts as uncovered: that row may be the
        cover.
        """
        is_first = self._read_at is None
        self._read_at = at
        unreadable = {underlying_of(row.symbol) for row in positions.invalid}
        self._levels = {
            symbol: (*(level for level in known if level.qty < qty), _Level(qty, _since(known, qty, begun)))
            for symbol, qty in _uncovered(positions.rows).items()
            if qty > 0 and unreadable.isdisjoint({"", underlying_of(symbol)})
            for known in (self._levels.get(symbol, ()),)
            for begun in (at - CONFIRMED_AFTER if is_first and _is_settled(symbol, filled_lately) else at,)
        }

    def confirmed(self, symbol: str) -> Decimal:
        """How much of a short has been uncovered for CONFIRMED_AFTER, as all reads of that time show."""
        levels, read_at = self._levels.get(symbol, ()), self._read_at or 0.0
        return max((level.qty for level in levels if read_at - level.since >= CONFIRMED_AFTER), default=_ZERO)


def _is_settled(symbol: str, filled_lately: frozenset[str] | None) -> bool:
    return filled_lately is not None and underlying_of(symbol) not in filled_lately


def _since(known: Iterable[_Level], qty: Decimal, at: float) -> float:
    """Since when at least so much has been uncovered in every read."""
    return min((level.since for level in known if level.qty >= qty), default=at)


def _uncovered(positions: Iterable[Position]) -> Mapping[str, Decimal]:
    """How much of each short is uncovered; all of one that is no option."""
    held = [Holding(position) for position in positions if position.qty.is_finite() and position.qty > 0]
    shorts = {holding.symbol: holding.position.qty for holding in held if not holding.position.is_long}
    return {**shorts, **cover_of(held).uncovered} if shorts else {}
