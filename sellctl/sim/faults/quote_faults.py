"""Faults of the Q family: how a quote is corrupted before clients receive it. The book itself is not changed."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from sellctl.sim.faults.registry import Fault
from sellctl.sim.market.calendar import hours_at
from sellctl.sim.market.price_paths import CENT, PublishedQuote, TwoSidedQuote

FIRST_MINUTE = dt.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class QuoteContext:
    """The instant at which a quote is published, and the book's quotes of other symbols at that instant."""

    now: dt.datetime
    level_of: Callable[[str], TwoSidedQuote | None]


Corruption = Callable[[PublishedQuote, Fault, QuoteContext], PublishedQuote | None]


def corrupt_quote(published: PublishedQuote, fault: Fault, context: QuoteContext) -> PublishedQuote | None:
    """The quote that clients receive under a fault; None means no quote. Other faults leave it unchanged."""
    corruption = CORRUPTIONS.get(fault.name)
    return corruption(published, fault, context) if corruption else published


def _bid_zero(published: PublishedQuote, _fault: Fault, _context: QuoteContext) -> PublishedQuote:
    return replace(published, level=replace(published.level, bid=None, bid_size=0))


def _ask_zero(published: PublishedQuote, _fault: Fault, _context: QuoteContext) -> PublishedQuote:
    return replace(published, level=replace(published.level, ask=None, ask_size=0))


def _crossed(published: PublishedQuote, _fault: Fault, _context: QuoteContext) -> PublishedQuote:
    level = published.level
    high = max(level.bid or CENT, level.ask or CENT) + CENT
    return replace(published, level=replace(level, bid=high, ask=max(high - 2 * CENT, CENT)))


def _stale(published: PublishedQuote, fault: Fault, context: QuoteContext) -> PublishedQuote:
    return replace(published, at=context.now - dt.timedelta(seconds=float(fault["seconds"])))


def _future(published: PublishedQuote, fault: Fault, context: QuoteContext) -> PublishedQuote:
    return replace(published, at=context.now + dt.timedelta(seconds=float(fault["seconds"])))


def _scaled(published: PublishedQuote, fault: Fault, _context: QuoteContext) -> PublishedQuote:
    return _scaled_by(published, Decimal(str(fault["factor"])))


def _scaled_by(published: PublishedQuote, factor: Decimal) -> PublishedQuote:
    level = published.level
    return replace(
        published,
        level=replace(
            level,
            bid=level.bid and max((level.bid * factor).quantize(CENT), CENT),
            ask=level.ask and max((level.ask * factor).quantize(CENT), CENT),
        ),
    )


def _wide(published: PublishedQuote, fault: Fault, _context: QuoteContext) -> PublishedQuote:
    mid, half = published.level.mid, published.level.mid * Decimal(str(fault["share"])) / 2
    wide = replace(published.level, bid=max((mid - half).quantize(CENT), CENT), ask=(mid + half).quantize(CENT))
    return replace(published, level=wide)


def _size_zero(published: PublishedQuote, _fault: Fault, _context: QuoteContext) -> PublishedQuote:
    return replace(published, level=replace(published.level, bid_size=0, ask_size=0))


def _indicative(published: PublishedQuote, fault: Fault, _context: QuoteContext) -> PublishedQuote:
    return _scaled_by(published, 1 + Decimal(str(fault["share"])))


def _other_symbols_quote(published: PublishedQuote, fault: Fault, context: QuoteContext) -> PublishedQuote:
    other = context.level_of(str(fault["of"]))
    return replace(published, level=other) if other else _scaled_by(published, Decimal(3))


def _missing(_published: PublishedQuote, _fault: Fault, _context: QuoteContext) -> None:
    return None


def _not_a_number(published: PublishedQuote, fault: Fault, _context: QuoteContext) -> PublishedQuote:
    return replace(published, price_text=str(fault["value"]))


def _wide_at_open(published: PublishedQuote, fault: Fault, context: QuoteContext) -> PublishedQuote:
    """Wide in the first minute of the session, unchanged afterwards."""
    hours = hours_at(context.now)
    opening = hours is not None and hours.opens_at <= context.now < hours.opens_at + FIRST_MINUTE
    return _wide(published, fault, context) if opening else published


CORRUPTIONS: dict[str, Corruption] = {
    "Q01": _bid_zero,
    "Q02": _ask_zero,
    "Q03": _crossed,
    "Q04": _stale,
    "Q05": _future,
    "Q06": _scaled,
    "Q07": _wide,
    "Q08": _size_zero,
    "Q10": _wide_at_open,
    "Q11": _indicative,
    "Q12": _other_symbols_quote,
    "Q13": _missing,
    "Q14": _not_a_number,
}
