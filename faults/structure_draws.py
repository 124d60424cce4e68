"""Draws the structures of a day: an iron condor and a calendar on each, and on one day in three a butterfly.

They have a random stream of their own, so that the rest of a day stays what it was. Pure, like faults/generate.py.
"""

import datetime as dt
import random
from dataclasses import dataclass, replace
from decimal import Decimal

from faults.generate import HOUR, MINUTE, SECOND, Day, occ
from faults.structures import Course, Entry, PlannedLeg, PlannedStructure
from sellctl.core.config.schema import Pullback, RulesConfig, TrailingStopConfig
from sellctl.core.model.gain import Amount
from sellctl.core.model.instrument import StructureKind
from sellctl.sim.market import calendar
from sellctl.sim.market.price_paths import CENT, Fixed, Linear, Segment, Walk, level

SPREAD = Decimal("0.04")
BUTTERFLY_DAYS = 1 / 3
ENTERED_WITHIN = 5 * MINUTE  # of the entry by a person, or the open; prices move after that
PEAK_AT_LEAST = 6 * MINUTE
LAST_EVENT = 10 * MINUTE  # before the close
COURSES = (
    *(Course.TARGET, Course.STOP) * 3, Course.TRAILING, Course.TRAILING, Course.TIME, Course.LAST_DAY,
    Course.QUIET, Course.QUIET, Course.UNMANAGED,
)  # fmt: skip
PERCENT = {text: Amount(Decimal(text) / 100) for text in ("25", "30", "50", "80", "90", "100", "150", "200")}
TRAILING = TrailingStopConfig(Pullback(Decimal("0.15")), Decimal("0.3"))
BEFORE_CLOSE = 35 * MINUTE
MANY_DAYS = 60

Prices = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind is drawn: its underlyings, and the prices of its legs in the order of its shape.

    Where a leg is cheap, only those whose options trade in cents: in nickels its spread would count as wide.

    `gain` and `loss` are far beyond each target and stop that is drawn; at `after_peak` a trailing stop has fired that
    was armed at `gain`.
    """

    kind: StructureKind
    underlyings: tuple[str, ...]
    ratios: tuple[int, ...]
    entry: Prices
    gain: Prices
    losses: tuple[Prices, ...]
    after_peak: Prices
    stops: tuple[str, ...]
    far_stop: str


CONDOR = Kind(
    StructureKind.IRON_CONDOR, ("GOOGL", "QQQ"), (1, -1, -1, 1),
    entry=("1.00", "2.00", "2.10", "1.00"),  # a credit of 2.10
    gain=("0.30", "0.65", "0.70", "0.30"),
    losses=(("3.00", "9.00", "0.60", "0.30"), ("0.30", "0.60", "9.20", "3.00")),  # puts, or calls, in the money
    after_peak=("0.80", "1.60", "1.75", "0.80"),
    stops=("50", "100", "150"), far_stop="200",
)  # fmt: skip
CALENDAR = Kind(
    StructureKind.CALENDAR, ("DIS", "IWM", "PLTR"), (-1, 1),
    entry=("2.00", "3.20"),  # a debit of 1.20
    gain=("1.60", "3.80"),
    losses=(("3.00", "3.40"),),
    after_peak=("1.80", "3.30"),
    stops=("30", "50"), far_stop="90",
)  # fmt: skip
BUTTERFLY = Kind(
    StructureKind.BUTTERFLY, ("DIA",), (1, -2, 1),
    entry=("4.00", "2.00", "1.00"),  # a debit of 1.00
    gain=("4.60", "1.60", "0.60"),
    losses=(("2.40", "1.40", "0.80"),),
    after_peak=("4.20", "1.85", "0.85"),
    stops=("30", "50"), far_stop="90",
)  # fmt: skip


def with_structures(day: Day) -> Day:
    """The day with its structures; nothing else of it changes."""
    rng = random.Random(f"{day.seed} structures")  # noqa: S311  a bench's seed, not a secret
    kinds = (CONDOR, CALENDAR, BUTTERFLY) if rng.random() < BUTTERFLY_DAYS else (CONDOR, CALENDAR)
    return replace(day, structures=tuple(a_structure(day, kind, rng) for kind in kinds))


def a_structure(day: Day, kind: Kind, rng: random.Random, course: Course | None = None) -> PlannedStructure:
    """One structure of a kind, with its course drawn or given."""
    course = course or rng.choice(COURSES)
    entry = Entry.HELD if course is Course.LAST_DAY else rng.choice((Entry.HELD, Entry.LEGS, Entry.ORDER))
    enters_at = None
    if entry is not Entry.HELD:
        enters_at = max(day.begins_at, day.opens) + rng.randint(30, 90) * SECOND
    since = (enters_at or max(day.begins_at, day.opens)) + ENTERED_WITHIN
    times = _event_times(day, since, rng)
    if course is Course.TRAILING and times[1] - times[0] < PEAK_AT_LEAST:
        course = Course.STOP
    due_at = _due_at(day, course, times, since, rules := _rules(kind, course, rng))
    contracts = _contracts(day, kind, rng, expires_today=course is Course.LAST_DAY)
    paths = _paths(kind, course, times, day.opens - HOUR, rng)
    legs = tuple(
        PlannedLeg(symbol, ratio, path.entry, path.segments, expires_today=expires == day.date)
        for (symbol, expires), ratio, path in zip(contracts.legs, kind.ratios, paths, strict=True)
    )
    peak = (times[0] - MINUTE, times[1] - MINUTE) if course is Course.TRAILING else None
    return PlannedStructure(
        kind.kind, contracts.name, rng.randint(1, 3), legs, course, rules, entry, enters_at, due_at, peak
    )


def _event_times(day: Day, since: dt.datetime, rng: random.Random) -> tuple[dt.datetime, dt.datetime]:
    """When prices move: two of the instants around which the day has many polls, the earlier one first."""
    times = [start + MINUTE for start, _ in day.busy if since <= start <= day.closes - LAST_EVENT]
    times = times or [since + MINUTE]
    first, second = sorted((rng.choice(times), rng.choice(times)))
    return first, second


def _due_at(
    day: Day, course: Course, times: tuple[dt.datetime, dt.datetime], since: dt.datetime, rules: RulesConfig | None
) -> dt.datetime | None:
    if course in {Course.TARGET, Course.STOP, Course.TRAILING}:
        return times[1] + MINUTE if course is Course.TRAILING else times[1]
    if course is not Course.TIME:
        return None
    return day.closes - BEFORE_CLOSE if rules and rules.before_close else since


def _rules(kind: Kind, course: Course, rng: random.Random) -> RulesConfig | None:
    """The rules of its strategy. But for the one that becomes true, none of them ever does."""
    far = RulesConfig(take_profit=PERCENT["90"], stop_loss=PERCENT[kind.far_stop])
    drawn = {
        Course.TARGET: replace(far, take_profit=PERCENT[rng.choice(("25", "50"))]),
        Course.STOP: replace(far, stop_loss=PERCENT[rng.choice(kind.stops)]),
        Course.TRAILING: RulesConfig(trailing_stop=TRAILING, stop_loss=PERCENT[kind.far_stop]),
        Course.TIME: rng.choice((replace(far, days_to_expiry=MANY_DAYS), replace(far, before_close=BEFORE_CLOSE))),
        Course.LAST_DAY: rng.choice((far, None)),
        Course.QUIET: far,
        Course.UNMANAGED: None,
    }
    return drawn[course]


# --- the contracts and the name ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Contracts:
    """The contracts of a structure's legs, each with its expiration, and the name that follows from them."""

    legs: tuple[tuple[str, dt.date], ...]
    name: str


def _contracts(day: Day, kind: Kind, rng: random.Random, *, expires_today: bool) -> _Contracts:
    root, strike = rng.choice(kind.underlyings), rng.randrange(100, 600, 10)
    today = calendar.exchange_date(day.opens)
    near = today if expires_today else calendar.next_session_date(today + dt.timedelta(days=rng.choice((16, 23, 30))))
    if kind is CALENDAR:
        far, right = calendar.next_session_date(near + dt.timedelta(days=28)), rng.choice("CP")
        legs = tuple((occ(root, date, right, strike), date) for date in (near, far))
        return _Contracts(legs, f"{root}-calendar-{near:%y%m%d}-{far:%y%m%d}-{strike}{right}")
    strikes, rights = [strike - 10, strike, strike + 10], "CCC"
    if kind is CONDOR:
        strikes, rights = [strike - 20, strike - 10, strike + 10, strike + 20], "PPCC"
    legs = tuple((occ(root, near, right, each), near) for right, each in zip(rights, strikes, strict=True))
    words = "-".join(map(str, strikes)) + ("C" if kind is BUTTERFLY else "")
    return _Contracts(legs, f"{root}-{kind.kind.value}-{near:%y%m%d}-{words}")


# --- prices -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _LegPath:
    entry: Decimal
    segments: tuple[Segment, ...]


def _paths(
    kind: Kind, course: Course, times: tuple[dt.datetime, dt.datetime], start: dt.datetime, rng: random.Random
) -> list[_LegPath]:
    """The price path of each leg. All of them move at once."""
    scale, over, loss = (
        Decimal(rng.choice(("0.8", "1", "1.3"))),
        rng.choice((2, 5, 30)) * SECOND,
        rng.choice(kind.losses),
    )
    first, second = times
    moves: tuple[tuple[dt.datetime, dt.datetime, Prices], ...] = {
        Course.TARGET: ((second - over, second, kind.gain),),
        Course.STOP: ((second - over, second, loss),),
        Course.TRAILING: ((first - 3 * MINUTE, first - MINUTE, kind.gain), (second, second + MINUTE, kind.after_peak)),
    }.get(course, ())
    found = []
    for index, price in enumerate(kind.entry):
        entry = _scaled(price, scale)
        noise = (Fixed(start, level(entry, SPREAD)), Walk(start, rng.randint(0, 1 << 30), 0.0008, 60.0))
        linear = (Linear(since, until, level(_scaled(to[index], scale), SPREAD)) for since, until, to in moves)
        found.append(_LegPath(entry, (*noise, *linear)))
    return found


def _scaled(price: str, scale: Decimal) -> Decimal:
    return (Decimal(price) * scale).quantize(CENT)
