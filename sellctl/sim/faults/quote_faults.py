"""The Q family: how a shown quote is spoiled, one small function a name. The book itself stays as it is."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from sellctl.sim.faults.catalogue import Fault
from sellctl.sim.market.calendar import hours_at
from sellctl.sim.market.price_paths import CENT

if TYPE_CHECKING:
    from sellctl.sim.market.market import Market, Shown

FIRST_MINUTE = dt.timedelta(minutes=1)
Spoiler = Callable[["Market", "Shown", Fault, dt.datetime], "Shown | None"]


def _bid_zero(_market: "Market", shown: "Shown", _fault: Fault, _now: dt.datetime) -> "Shown":
    return replace(shown, level=replace(shown.level, bid=None, bid_size=0))


def _ask_zero(_market: "Market", shown: "Shown", _fault: Fault, _now: dt.datetime) -> "Shown":
    return replace(shown, level=replace(shown.level, ask=None, ask_size=0))


def _crossed(_market: "Market", shown: "Shown", _fault: Fault, _now: dt.datetime) -> "Shown":
    level = shown.level
    high = max(level.bid or CENT, level.ask or CENT) + CENT
    return replace(shown, level=replace(level, bid=high, ask=max(high - 2 * CENT, CENT)))


def _stale(_market: "Market", shown: "Shown", fault: Fault, now: dt.datetime) -> "Shown":
    return replace(shown, at=now - dt.timedelta(seconds=float(fault["seconds"])))


def _future(_market: "Market", shown: "Shown", fault: Fault, now: dt.datetime) -> "Shown":
    return replace(shown, at=now + dt.timedelta(seconds=float(fault["seconds"])))


def _scaled(_market: "Market", shown: "Shown", fault: Fault, _now: dt.datetime) -> "Shown":
    return _times(shown, Decimal(str(fault["factor"])))


def _times(shown: "Shown", factor: Decimal) -> "Shown":
    level = shown.level
    return replace(
        shown,
        level=replace(
            level,
            bid=level.bid and max((level.bid * factor).quantize(CENT), CENT),
            ask=level.ask and max((level.ask * factor).quantize(CENT), CENT),
        ),
    )


def _wide(_market: "Market", shown: "Shown", fault: Fault, _now: dt.datetime) -> "Shown":
    mid, half = shown.level.mid, shown.level.mid * Decimal(str(fault["share"])) / 2
    wide = replace(shown.level, bid=max((mid - half).quantize(CENT), CENT), ask=(mid + half).quantize(CENT))
    return replace(shown, level=wide)


def _size_zero(_market: "Market", shown: "Shown", _fault: Fault, _now: dt.datetime) -> "Shown":
    return replace(shown, level=replace(shown.level, bid_size=0, ask_size=0))


def _indicative(_market: "Market", shown: "Shown", fault: Fault, _now: dt.datetime) -> "Shown":
    return _times(shown, 1 + Decimal(str(fault["share"])))


def _of_another(market: "Market", shown: "Shown", fault: Fault, now: dt.datetime) -> "Shown":
    other = market.level(str(fault["of"]), now)
    return replace(shown, level=other) if other else _times(shown, Decimal(3))


def _none(_market: "Market", _shown: "Shown", _fault: Fault, _now: dt.datetime) -> None:
    return None


def _no_number(_market: "Market", shown: "Shown", fault: Fault, _now: dt.datetime) -> "Shown":
    return replace(shown, literal=str(fault["value"]))


def _opening(market: "Market", shown: "Shown", fault: Fault, now: dt.datetime) -> "Shown":
    """Wide in the first minute of the session, as it is on later looks."""
    hours = hours_at(now)
    young = hours is not None and hours.opens_at <= now < hours.opens_at + FIRST_MINUTE
    return _wide(market, shown, fault, now) if young else shown


SPOILERS: dict[str, Spoiler] = {
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
    "Q14": _no_number,
}
