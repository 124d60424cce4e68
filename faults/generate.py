"""One seed -> one market day: what is held, how prices move, what goes wrong and when. Pure: a value, and no clock."""

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from faults.catalogue import FAMILIES, STREAMS, Fault, How, drawable
from sellctl.core.config.schema import BackstopConfig
from sellctl.sim.market import calendar
from sellctl.sim.market.price_paths import Fixed, Level, Linear, Segment, Walk, level
from sellctl.sim.settings import Settings

# Ordinary days, both days after a change of New York's clock, a leap day, half days, the year's last.
DATES = tuple(
    dt.date.fromisoformat(text)
    for text in (
        "2026-11-24", "2026-03-09", "2026-11-02", "2028-02-29", "2026-11-27", "2026-12-24", "2026-12-31", "2027-06-15",
    )
)  # fmt: skip
LEVELS = (0.0, 0.001, 0.01, 0.1)
HOUR, MINUTE, SECOND = dt.timedelta(hours=1), dt.timedelta(minutes=1), dt.timedelta(seconds=1)
QUIET_INTERVAL = dt.timedelta(minutes=10)
PEAKS = 30 * MINUTE  # how long a trailing holding stays at its peak
WINDOW = 4 * MINUTE  # one before what happens, and three for R6's minute, a late retry and a look after it
FEWEST_POLLS = 150  # that a day must have; its busy windows take care that it has some more
WANTED_POLLS = 170
STREAM_DAYS = 0.125  # such a day costs more than another one
BUSY, FASTEST, SLOWEST = 12 * SECOND, 4 * SECOND, 16 * SECOND


class Role(StrEnum):
    """What a holding is in the day for."""

    TARGET = "target"  # reaches its target: must be sold
    CRASH = "crash"  # Q16: must be sold
    GRIND = "grind"  # Q17: must be sold
    LATE = "late"  # falls through its stop when the faults are over: must be sold
    ZERO_DAY = "zero day"  # expires today: must be closed
    UNCOVERED = "uncovered"  # a short that nothing covers: must be bought back
    COVERING = "covering"  # covers a short and reaches its target: must not be sold alone
    COVERED = "covered"  # the short that it covers: must stay
    SHORT_LEG = "attacked"  # the short leg of a vertical that comes to its stop as a whole: must be bought back
    COVERING_LEG = "guarding"  # the long leg of it: must be sold with the short one or after it, never before
    TRAILING = "trailing"  # rises, arms a trailing stop and falls through it: must be sold
    AT_PEAK = "riding"  # rises, arms one and stays there, whatever spoiled quotes say: must stay
    QUIET = "quiet"  # no rule is ever true: must stay


DUE = frozenset(
    {Role.TARGET, Role.CRASH, Role.GRIND, Role.LATE, Role.ZERO_DAY, Role.UNCOVERED, Role.SHORT_LEG, Role.COVERING_LEG,
     Role.TRAILING}
)  # fmt: skip
STAYS = frozenset({Role.QUIET, Role.COVERED, Role.COVERING, Role.AT_PEAK})
ALWAYS_THERE = frozenset({Role.SHORT_LEG, Role.COVERING_LEG})  # every day has a vertical under attack


@dataclass(frozen=True, slots=True)
class Lot:
    """One holding of the day; `due_at` is when its rule becomes true on the book."""

    symbol: str
    qty: Decimal
    entry: Decimal
    role: Role
    path: tuple[Segment, ...]
    due_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault of the day. It occurs with probability `rate` from `at` to `until`, at most `times` times."""

    fault: Fault
    at: dt.datetime
    until: dt.datetime
    rate: float = 1.0
    times: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HumanAction:
    """A trade or cancel that somebody makes by hand."""

    at: dt.datetime
    what: str
    symbol: str
    share: Decimal


@dataclass(frozen=True, slots=True)
class Day:
    """Everything about one run."""

    seed: int
    date: dt.date
    begins_at: dt.datetime
    recovers_at: dt.datetime
    ends_at: dt.datetime
    lots: tuple[Lot, ...]
    settings: Settings
    levels: dict[str, float]
    faults: tuple[PlannedFault, ...]
    human_actions: tuple[HumanAction, ...]
    busy: tuple[tuple[dt.datetime, dt.datetime], ...]
    style: str
    take_over: str
    latency: float
    backstop: BackstopConfig
    streams: bool = False

    @property
    def opens(self) -> dt.datetime:
        """The day's open."""
        hours = calendar.hours_on(self.date)
        return hours.opens_at if hours else self.begins_at

    @property
    def closes(self) -> dt.datetime:
        """The day's close."""
        hours = calendar.hours_on(self.date)
        return hours.closes_at if hours else self.ends_at

    def lots_of(self, *roles: Role) -> tuple[Lot, ...]:
        """The holdings that are in the day for one of these."""
        return tuple(lot for lot in self.lots if lot.role in roles)

    def interval_at(self, now: dt.datetime, polls: int | None = None) -> tuple[dt.timedelta, dt.datetime]:
        """The polling interval now, and until when it holds; `polls` is the number of polls so far."""
        for start, end in self.busy:
            if now < start:
                return QUIET_INTERVAL, start
            if now < end:
                return self._pace(now, polls), end
        return QUIET_INTERVAL, self.ends_at

    def _pace(self, now: dt.datetime, polls: int | None) -> dt.timedelta:
        """Spread the polls that are still wanted over what is left of the busy windows, also after hours of sleep."""
        if polls is None:
            return BUSY
        left = sum((max(end - max(start, now), 0 * SECOND) for start, end in self.busy), 0 * SECOND)
        return min(max(left / max(WANTED_POLLS - polls, 1), FASTEST), SLOWEST)


def generate_day(seed: int, families: Sequence[str] | None = None, *, wire: bool = False) -> Day:
    """The day of a seed; `families` limits what may go wrong ((): nothing does); `wire`: through the adapter."""
    rng = random.Random(seed)  # noqa: S311  a bench's seed, not a secret
    date = rng.choice(DATES)
    hours = calendar.hours_on(date)
    if hours is None:
        raise ValueError(f"{date} has no session")
    opens, closes = hours.opens_at, hours.closes_at
    recovers_at = closes - rng.choice((70, 70, 34, 12)) * MINUTE
    lots = _lots(rng, opens, recovers_at, closes)
    levels = _levels(rng, families)
    begins_at = opens + rng.choice((-40, 90, 200)) * SECOND
    busy = _busy(rng, lots, begins_at, recovers_at, closes)
    frame = _Frame(
        begins_at, recovers_at, tuple(start for start, _ in busy if begins_at <= start < recovers_at - WINDOW)
    )
    day = Day(
        seed=seed,
        date=date,
        begins_at=begins_at,
        recovers_at=recovers_at,
        ends_at=closes + 90 * SECOND,
        lots=lots,
        settings=_settings(rng, seed, rate_limit=200 if wire else 0),
        levels=levels,
        faults=_faults(rng, levels, lots, frame, wire=wire),
        human_actions=_human_actions(rng, lots, opens, recovers_at) if levels.get("O") else (),
        busy=busy,
        style=rng.choice(("market", *("smart",) * 6)),
        take_over=rng.choice(("forced", "protective")),
        latency=rng.choice((0.0, 0.02, 0.3)),
        backstop=_backstop(random.Random(seed + 4)),  # noqa: S311  an own seed, so that the rest of a seed's day stays the same
    )
    return day if wire else _with_streams(day, random.Random(seed + 5), families, frame)  # noqa: S311  likewise


def _with_streams(day: Day, rng: random.Random, families: Sequence[str] | None, frame: "_Frame") -> Day:
    """On one day in eight the program uses streams, with faults; the rest of the day stays the same."""
    drawn, rate = rng.random() < STREAM_DAYS, rng.choice(LEVELS)
    if not (drawn if families is None else STREAMS in families):
        return day
    levels = {STREAMS: rate if families is None else rate or LEVELS[2]}
    faults = _faults(rng, levels, day.lots, frame, wire=False)
    settings = replace(day.settings, sip=True)
    return replace(day, streams=True, settings=settings, levels=day.levels | levels, faults=(*day.faults, *faults))


def _backstop(rng: random.Random) -> BackstopConfig:
    """On every other day a wide stop rests at the broker, near enough to be touched by what falls."""
    if rng.choice((True, False)):
        return BackstopConfig()
    return BackstopConfig(Decimal(rng.choice(("0.3", "0.45"))), rng.choice((None, Decimal("0.35"))))


def _levels(rng: random.Random, families: Sequence[str] | None) -> dict[str, float]:
    """Each family off, or at 0.1 %, 1 % or 10 %."""
    drawn = {family: rng.choice(LEVELS) for family in FAMILIES}
    if families is None:
        return drawn
    return {family: (rate or LEVELS[2]) if family in families else 0.0 for family, rate in drawn.items()}


def _settings(rng: random.Random, seed: int, rate_limit: int) -> Settings:
    return Settings(
        seed=seed,
        partial_fills=rng.choice((Decimal(0), Decimal("0.3"))),
        inside_fill=rng.choice((Decimal(0), Decimal("0.2"))),
        position_lag=rng.choice((0, 0, 2, 9)) * SECOND,
        cancel_delay=rng.choice((0.0, 0.2, 3.0)) * SECOND,
        rate_limit=rate_limit,
    )


# --- what is held, and how its price moves ----------------------------------------------------------------------------


def occ(root: str, expires: dt.date, right: str, strike: int) -> str:
    """An option's symbol."""
    return f"{root}{expires:%y%m%d}{right}{strike * 1000:08d}"


def _lots(rng: random.Random, opens: dt.datetime, recovers_at: dt.datetime, closes: dt.datetime) -> tuple[Lot, ...]:
    today = calendar.exchange_date(opens)
    later = calendar.next_session_date(today + dt.timedelta(days=23))
    first = opens + rng.randint(4, 20) * MINUTE
    second = opens + rng.randint(30, 60) * MINUTE
    factory = _LotFactory(rng, opens)
    lots = [
        factory.moving(occ("AAPL", later, "C", 200), Role.TARGET, "2.00", "2.40", first, rng.choice((5, 60, 240))),
        factory.moving("MSFT", Role.CRASH, "100.00", "60.00", second, 2, spread="0.02", most=150),
        factory.moving(occ("NVDA", later, "C", 150), Role.GRIND, "5.00", "2.50", second + 5 * MINUTE, 3600),
        factory.still(occ("SPY", today, "C", 600), Role.ZERO_DAY, "1.50", closes - 50 * MINUTE),
        factory.still(occ("AMD", today, "P", 90), Role.ZERO_DAY, "0.80", closes - 65 * MINUTE),
        factory.still(occ("TSLA", later, "C", 400), Role.UNCOVERED, "3.20", opens, short=True),
        factory.moving(
            occ("META", later, "C", 700), Role.LATE, "8.00", "5.00", recovers_at + 2 * MINUTE, 30, spread="0.10"
        ),
        factory.peaking(occ("NFLX", later, "C", 900), Role.TRAILING, ("4.00", "6.20", "5.00"), first + 3 * MINUTE),
        factory.peaking(occ("CRM", later, "C", 300), Role.AT_PEAK, ("4.00", "5.60", "5.60"), first + 3 * MINUTE),
        factory.still("INTC", Role.QUIET, "30.00"),
        factory.still(occ("BAC", later, "P", 40), Role.QUIET, "1.20"),
        *_spread(factory, rng, later, first),
    ]
    due = [lot for lot in lots if lot.role in DUE]
    dropped = rng.sample(due, rng.randint(1, len(due) - 5))
    attacked = _vertical(
        factory, later, rng.choice((first + 11 * MINUTE, second + 3 * MINUTE, recovers_at + 3 * MINUTE))
    )
    return (*(lot for lot in lots if lot not in dropped), *attacked)


def _vertical(factory: "_LotFactory", later: dt.date, at: dt.datetime) -> list[Lot]:
    """A vertical sold for 1.50 that costs 2.80 after the attack: beyond the stop of the whole, at 50 %."""
    short = factory.moving(occ("GOOG", later, "C", 170), Role.SHORT_LEG, "3.00", "6.00", at, 5)
    long = factory.moving(occ("GOOG", later, "C", 180), Role.COVERING_LEG, "1.50", "3.20", at, 5)
    return [replace(short, qty=-long.qty), long]


def _spread(factory: "_LotFactory", rng: random.Random, later: dt.date, rises: dt.datetime) -> list[Lot]:
    """A vertical whose long leg reaches its target, or shares under a covered call."""
    if rng.choice((True, False)):
        long = factory.moving(occ("AMZN", later, "C", 200), Role.COVERING, "2.00", "2.60", rises, 30)
        short = factory.still(occ("AMZN", later, "C", 210), Role.COVERED, "1.10", short=True)
        return [long, Lot(short.symbol, -long.qty, short.entry, short.role, short.path)]
    shares = factory.moving("F", Role.COVERING, "12.00", "14.00", rises, 30, spread="0.02")
    call = factory.still(occ("F", later, "C", 15), Role.COVERED, "0.40", short=True)
    return [
        Lot(shares.symbol, Decimal(100), shares.entry, shares.role, shares.path, shares.due_at),
        Lot(call.symbol, Decimal(-1), call.entry, call.role, call.path),
    ]


@dataclass(frozen=True, slots=True)
class _LotFactory:
    """Makes lots; each draws its quantity and its noise."""

    rng: random.Random
    opens: dt.datetime

    def moving(  # noqa: PLR0913, PLR0917  a lot's own facts
        self,
        symbol: str,
        role: Role,
        entry: str,
        to: str,
        at: dt.datetime,
        over: int,
        spread: str = "0.04",
        most: int = 9,
    ) -> Lot:
        """A holding whose price moves once, from its entry to another level."""
        before, after = level(Decimal(entry), Decimal(spread)), level(Decimal(to), Decimal(spread))
        move = Linear(at, at + over * SECOND, after)
        return Lot(symbol, self._qty(most), Decimal(entry), role, (*self._noise(before), move), at + over * SECOND)

    def peaking(self, symbol: str, role: Role, prices: tuple[str, str, str], at: dt.datetime) -> Lot:
        """A holding that moves in two minutes to its peak, and half an hour later to where it stays."""
        entry, peak, end = (level(Decimal(price), Decimal("0.04")) for price in prices)
        falls = at + PEAKS
        moves = (Linear(at, at + 2 * MINUTE, peak), Linear(falls, falls + MINUTE, end))
        due_at = falls + MINUTE if role is Role.TRAILING else None
        return Lot(symbol, self._qty(9), Decimal(prices[0]), role, (Fixed(self.opens - HOUR, entry), *moves), due_at)

    def still(
        self, symbol: str, role: Role, entry: str, due_at: dt.datetime | None = None, *, short: bool = False
    ) -> Lot:
        """A holding whose price stays about where it was bought."""
        qty = self._qty(9)
        path = self._noise(level(Decimal(entry), Decimal("0.04")))
        return Lot(symbol, -qty if short else qty, Decimal(entry), role, path, due_at)

    def _qty(self, most: int) -> Decimal:
        return Decimal(self.rng.randint(1, most))

    def _noise(self, around: Level) -> tuple[Segment, ...]:
        start = self.opens - HOUR
        return (Fixed(start, around), Walk(start, self.rng.randint(0, 1 << 30), 0.0008, 60.0))


# --- what goes wrong --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Frame:
    """When faults may begin and end, and the starts of the busy windows between."""

    begins_at: dt.datetime
    recovers_at: dt.datetime
    windows: tuple[dt.datetime, ...]


def _faults(
    rng: random.Random, levels: dict[str, float], lots: Sequence[Lot], frame: _Frame, *, wire: bool
) -> tuple[PlannedFault, ...]:
    planned: list[PlannedFault] = []
    for family, rate in levels.items():
        known = drawable(family, wire=wire)
        if rate and known:
            for fault in rng.sample(known, min(len(known), rng.randint(1, 3))):
                planned += _plan(rng, fault, rate, lots, frame)
    return tuple(planned)


def _plan(rng: random.Random, fault: Fault, rate: float, lots: Sequence[Lot], frame: _Frame) -> list[PlannedFault]:
    """A fault by chance all the time and once for sure; or for a while; or at an instant."""
    options, begins_at, recovers_at = fault.options(rng), frame.begins_at, frame.recovers_at
    if fault.how is How.RATE:
        sure = PlannedFault(fault, begins_at, recovers_at, times=1, options=options)
        return [sure, PlannedFault(fault, begins_at, recovers_at, rate, None, options)]
    if fault.how is How.SPACED:
        return _spaced(rng, fault, options, lots, frame)
    if fault.how in {How.AT_ORDER, How.ALWAYS}:
        return [PlannedFault(fault, begins_at, recovers_at, rate, 1, options)]
    at = rng.choice(frame.windows) + rng.randint(0, 90) * SECOND
    until = min(at + rng.choice((3, 5, 12)) * MINUTE, recovers_at)
    if fault.how is How.WHILE:
        if fault.family == "Q":
            options = {**options, "symbol": rng.choice([lot for lot in lots if lot.role is Role.QUIET]).symbol}
        return [PlannedFault(fault, at, until, options=options)]
    return [PlannedFault(fault, at, until, rate, 1, options)]


def _spaced(
    rng: random.Random, fault: Fault, options: dict[str, Any], lots: Sequence[Lot], frame: _Frame
) -> list[PlannedFault]:
    """One bad quote of what must stay, in some of the busy windows. Of another contract: one far dearer or cheaper."""
    staying = [lot for lot in lots if lot.role in {Role.QUIET, Role.AT_PEAK}]
    planned = []
    for at in rng.sample(frame.windows, min(len(frame.windows), 4)):
        lot = rng.choice(staying)
        if fault.name == "Q12":
            options = {"of": max((each for each in lots if each is not lot), key=lambda each: _apart(each, lot)).symbol}
        where = {**options, "symbol": lot.symbol}
        planned.append(PlannedFault(fault, at + rng.randint(0, 90) * SECOND, frame.recovers_at, times=1, options=where))
    return planned


def _apart(one: Lot, other: Lot) -> Decimal:
    """How many times dearer or cheaper."""
    ratio = one.entry / other.entry
    return max(ratio, 1 / ratio)


def _human_actions(
    rng: random.Random, lots: Sequence[Lot], opens: dt.datetime, recovers_at: dt.datetime
) -> tuple[HumanAction, ...]:
    """A person trades by hand now and then."""
    count = rng.choice((0, 1, 1, 2, 3))
    whats = ("sell", "buy", "rest", "bid", "close", "cancel")
    return tuple(
        HumanAction(
            at=opens + rng.random() * (recovers_at - opens),
            what=rng.choice(whats),
            symbol=rng.choice(lots).symbol,
            share=Decimal(rng.choice(("0.3", "0.5", "1"))),
        )
        for _ in range(count)
    )


def _busy(
    rng: random.Random, lots: Sequence[Lot], begins_at: dt.datetime, recovers_at: dt.datetime, closes: dt.datetime
) -> tuple[tuple[dt.datetime, dt.datetime], ...]:
    """When polls are close together: around what happens, at a peak, and twice at random."""
    starts = [begins_at, recovers_at - MINUTE, closes - 66 * MINUTE, closes - 51 * MINUTE, closes - 36 * MINUTE]
    starts += [lot.due_at - MINUTE for lot in lots if lot.due_at]
    starts += [lot.due_at - PEAKS + MINUTE for lot in lots if lot.due_at and lot.role is Role.TRAILING]
    starts += [begins_at + rng.random() * (closes - begins_at) for _ in range(2)]
    windows: list[tuple[dt.datetime, dt.datetime]] = []
    for start in sorted(starts):
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], max(windows[-1][1], start + WINDOW))
        else:
            windows.append((start, start + WINDOW))
    return tuple(windows)
