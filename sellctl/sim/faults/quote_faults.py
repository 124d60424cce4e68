"""Faults of the Q family: how a quote is corrupted before clients see it. The book itself is not changed."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from sellctl.sim.faults.registry import Fault
from sellctl.sim.market.calendar import hours_at
from sellctl.sim.market.price_paths import CENT, Level, ShownQuote

FIRST_MINUTE = dt.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class QuoteContext:
    """The instant at which a quote is shown, and the book's quotes of other symbols at that instant."""

    now: dt.datetime
    level_of: Callable[[str], Level | None]


Corruption = Callable[[ShownQuote, Fault, QuoteContext], ShownQuote | None]


def corrupt_quote(shown: ShownQuote, fault: Fault, context: QuoteContext) -> ShownQuote | None:
    """The quote that clients see under a fault; None means no quote. Other faults leave it unchanged."""
    corruption = CORRUPTIONS.get(fault.name)
    return corruption(shown, fault, context) if corruption else shown


def _bid_zero(shown: ShownQuote, _fault: Fault, _context: QuoteContext) -> ShownQuote:
    return replace(shown, level=replace(shown.level, bid=None, bid_size=0))


def _ask_zero(shown: ShownQuote, _fault: Fault, _context: QuoteContext) -> ShownQuote:
    return replace(shown, level=replace(shown.level, ask=None, ask_size=0))


def _crossed(shown: ShownQuote, _fault: Fault, _context: QuoteContext) -> ShownQuote:
    level = shown.level
    high = max(level.bid or CENT, level.ask or CENT) + CENT
    return replace(shown, level=replace(level, bid=high, ask=max(high - 2 * CENT, CENT)))


def _stale(shown: ShownQuote, fault: Fault, context: QuoteContext) -> ShownQuote:
    return replace(shown, at=context.now - dt.timedelta(seconds=float(fault["seconds"])))


def _future(shown: ShownQuote, fault: Fault, context: QuoteContext) -> ShownQuote:
    return replace(shown, at=context.now + dt.timedelta(seconds=float(fault["seconds"])))


def _scaled(shown: ShownQuote, fault: Fault, _context: QuoteContext) -> ShownQuote:
    return _scaled_by(shown, Decimal(str(fault["factor"])))


def _scaled_by(shown: ShownQuote, factor: Decimal) -> ShownQuote:
    level = shown.level
    return replace(
        shown,
        level=replace(
            level,
            bid=level.bid and max((level.bid * factor).quantize(CENT), CENT),
            ask=level.ask and max((level.ask * factor).quantize(CENT), CENT),
        ),
    )


def _wide(shown: ShownQuote, fault: Fault, _context: QuoteContext) -> ShownQuote:
    mid, half = shown.level.mid, shown.level.mid * Decimal(str(fault["share"])) / 2
    wide = replace(shown.level, bid=max((mid - half).quantize(CENT), CENT), ask=(mid + half).quantize(CENT))
    return replace(shown, level=wide)


def _size_zero(shown: ShownQuote, _fault: Fault, _context: QuoteContext) -> ShownQuote:
    return replace(shown, level=replace(shown.level, bid_size=0, ask_size=0))


def _indicative(shown: ShownQuote, fault: Fault, _context: QuoteContext) -> ShownQuote:
    return _scaled_by(shown, 1 + Decimal(str(fault["share"])))


def _of_another(shown: ShownQuote, fault: Fault, context: QuoteContext) -> ShownQuote:
    other = context.level_of(str(fault["of"]))
    return replace(shown, level=other) if other else _scaled_by(shown, Decimal(3))


def _none(_shown: ShownQuote, _fault: Fault, _context: QuoteContext) -> None:
    return None


def _not_a_number(shown: ShownQuote, fault: Fault, _context: QuoteContext) -> ShownQuote:
    return replace(shown, literal=str(fault["value"]))


def _opening(shown: ShownQuote, fault: Fault, context: QuoteContext) -> ShownQuote:
    """Wide in the first minute of the session, unchanged afterwards."""
    hours = hours_at(context.now)
    opening = hours is not None and hours.opens_at <= context.now < hours.opens_at + FIRST_MINUTE
    return _wide(shown, fault, context) if opening else shown


CORRUPTIONS: dict[str, Corruption] = {
    "Q01": _bid_zero,
    "Q02": _ask_zero,
    "Q03": _crossed,
    "Q04": _stale,
    "Q05": _future,
    "Q06": _scaled,
    "Q07": _wide,
    "Q08": _size_zero,
    "Q10": _opening,
    "Q11": _indicative,
    "Q12": _of_another,
    "Q13": _none,
    "Q14": _not_a_number,
}
