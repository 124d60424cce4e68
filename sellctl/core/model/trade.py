"""Totals over trades: exits of which something has filled, a structure being one."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct

from sellctl.core.model.exit_record import Exit
from sellctl.core.model.gain import Total, total_of


class TradeTotals(Struct, frozen=True):
    """Totals over trades of one mode. `won` are those of which the profit is known and above zero.

    `time_held` is the average over `timed` trades, those whose time is known; it is at least so long unless `is_exact`.
    `best` and `worst` are by profit in dollars. None is unknown.
    """

    pnl: Total
    won: int
    time_held: dt.timedelta | None
    timed: int
    is_exact: bool
    best: Exit | None
    worst: Exit | None

    @property
    def trades(self) -> int:
        """The number of trades."""
        return self.pnl.count

    @property
    def win_rate(self) -> Decimal | None:
        """The share of trades won, of those whose profit is known; None when there is none."""
        return Decimal(self.won) / self.pnl.known if self.pnl.known else None


def trade_totals(trades: Iterable[Exit]) -> TradeTotals:
    """The totals of trades. What is unknown of one is not counted."""
    every = list(trades)
    known = [(pnl, each) for each in every if (pnl := each.pnl) is not None]
    times = [(span, each.knows_opening) for each in every if (span := each.time_held) is not None]
    best = max(known, key=_profit, default=None)
    worst = min(known, key=_profit, default=None)
    return TradeTotals(
        pnl=total_of((each.pnl, 1) for each in every),
        won=sum(pnl > 0 for pnl, _ in known),
        time_held=sum((span for span, _ in times), dt.timedelta(0)) / len(times) if times else None,
        timed=len(times),
        is_exact=all(exact for _, exact in times),
        best=best[1] if best else None,
        worst=worst[1] if worst else None,
    )


def _profit(known: tuple[Decimal, Exit]) -> Decimal:
    return known[0]
