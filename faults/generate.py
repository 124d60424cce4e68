"""Generates a market day from a seed: positions, price paths, faults and manual trades. Pure: no clock, no I/O."""

import datetime as dt
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from faults.catalogue import FAMILIES, STREAMS, Fault, Timing, drawable
from faults.structures import PlannedStructure
from sellctl.core.config.schema import BackstopConfig
from sellctl.sim.market import calendar
from sellctl.sim.market.price_paths import Fixed, Linear, Segment, TwoSidedQuote, Walk, level
from sellctl.sim.settings import Settings

# Ordinary days, the first sessions after New York's clock changes, a leap day, half days, the last of a year.
DATES = tuple(
    dt.date.fromisoformat(text)
    for text in (
        "2026-11-24", "2026-03-09", "2026-11-02", "2028-02-29", "2026-11-27", "2026-12-24", "2026-12-31", "2027-06-15",
    )
)  # fmt: skip
LEVELS = (0.0, 0.001, 0.01, 0.1)
HOUR, MINUTE, SECOND = dt.timedelta(hours=1), dt.timedelta(minutes=1), dt.timedelta(seconds=1)
IDLE_INTERVAL = dt.timedelta(minutes=10)
PEAK_DURATION = 30 * MINUTE  # how long a position with a trailing stop stays at its peak
WINDOW = 4 * MINUTE  # one before an event, and three for R6's minute, a late retry and a poll after it
FEWEST_POLLS = 150  # required per day; the busy windows aim at some more
WANTED_POLLS = 170
STREAM_DAYS = 0.125  # of all days; days with streams take longer to run
DEFAULT_INTERVAL, SHORTEST, LONGEST = 12 * SECOND, 4 * SECOND, 16 * SECOND


class Role(StrEnum):
    """Which case a position covers."""

    TARGET = "target"  # reaches its target: must be sold
    CRASH = "crash"  # Q16: must be sold
    DECLINE = "decline"  # Q17: must be sold
    LATE = "late"  # falls through its stop after the faults have ended: must be sold
    ZERO_DAY = "zero day"  # expires today: must be closed
    UNCOVERED = "uncovered"  # an uncovered short: must be bought back
    COVERING = "covering"  # covers a short and reaches its target: must not be sold alone
    COVERED = "covered"  # the short that it covers: must stay
    SHORT_LEG = "short leg"  # the short leg of a vertical that reaches its stop: must be bought back
    COVERING_LEG = "covering leg"  # its long leg: must be sold with the short one or after it, never before
    TRAILING = "trailing"  # rises, arms a trailing stop and falls through it: must be sold
    AT_PEAK = "at peak"  # rises, arms a trailing stop and stays at its peak, also under invalid quotes: must stay
    UNTRIGGERED = "untriggered"  # no rule is ever true: must stay


DUE = frozenset(
    {Role.TARGET, Role.CRASH, Role.DECLINE, Role.LATE, Role.ZERO_DAY, Role.UNCOVERED, Role.SHORT_LEG, Role.COVERING_LEG,
     Role.TRAILING}
)  # fmt: skip
MUST_STAY = frozenset({Role.UNTRIGGERED, Role.COVERED, Role.COVERING, Role.AT_PEAK})


@dataclass(frozen=True, slots=True)
class PlannedPosition:
    """One position of the day; `due_at` is when its rule becomes true at the exchange."""

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
    """A manual trade or cancel."""

    at: dt.datetime
    what: str
    symbol: str
    share: Decimal


@dataclass(frozen=True, slots=True)
class Day:
    """All parameters of one run."""

    seed: int
    date: dt.date
    begins_at: dt.datetime
    recovers_at: dt.datetime
    ends_at: dt.datetime
    positions: tuple[PlannedPosition, ...]
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
    structures: tuple[PlannedStructure, ...] = ()

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

    def positions_with(self, *roles: Role) -> tuple[PlannedPosition, ...]:
        """The positions with one of these roles."""
        return tuple(position for position in self.positions if position.role in roles)

    def planned(self, name: str) -> PlannedFault | None:
        """The first occurrence of a fault; None when the day doesn't have it."""
        return next((planned for planned in self.faults if planned.fault.name == name), None)

    def interval_at(self, now: dt.datetime, polls: int | None = None) -> tuple[dt.timedelta, dt.datetime]:
        """The polling interval at an instant, and until when it applies; `polls` is the number of polls so far."""
        for start, end in self.busy:
            if now < start:
                return IDLE_INTERVAL, start
            if now < end:
                return self._interval_in_window(now, polls), end
        short_of_polls = polls is not None and polls < FEWEST_POLLS  # after hours of suspension
        return DEFAULT_INTERVAL if short_of_polls else IDLE_INTERVAL, self.ends_at

    def _interval_in_window(self, now: dt.datetime, polls: int | None) -> dt.timedelta:
        """Spread the polls that are still wanted over the rest of the busy windows, also after a long suspension."""
        if polls is None:
            return DEFAULT_INTERVAL
        left = sum((max(end - max(start, now), 0 * SECOND) for start, end in self.busy), 0 * SECOND)
        return min(max(left / max(WANTED_POLLS - polls, 1), SHORTEST), LONGEST)


def generate_day(seed: int, families: Sequence[str] | None = None, *, adapter: bool = False) -> Day:
    """The day of a seed; `families` limits the faults ((): none); `adapter`: requests pass through the adapter."""
    rng = random.Random(seed)  # noqa: S311  a bench's seed, not a secret
    date = rng.choice(DATES)
    hours = calendar.hours_on(date)
    if hours is None:
        raise ValueError(f"{date} has no session")
    opens, closes = hours.opens_at, hours.closes_at
    recovers_at = closes - rng.choice((70, 70, 34, 12)) * MINUTE
    positions = _positions(rng, opens, recovers_at, closes)
    levels = _levels(rng, families)
    begins_at = opens + rng.choice((-40, 90, 200)) * SECOND
    busy = _busy(rng, positions, begins_at, recovers_at, closes)
    frame = _Frame(
        begins_at, recovers_at, tuple(start for start, _ in busy if begins_at <= start < recovers_at - WINDOW)
    )
    day = Day(
        seed=seed,
        date=date,
        begins_at=begins_at,
        recovers_at=recovers_at,
        ends_at=closes + 90 * SECOND,
        positions=positions,
        settings=_settings(rng, seed, rate_limit=200 if adapter else 0),
        levels=levels,
        faults=_faults(rng, levels, positions, frame, adapter=adapter),
        human_actions=_human_actions(rng, positions, opens, recovers_at) if levels.get("O") else (),
        busy=busy,
        style=rng.choice(("market", *("smart",) * 6)),
        take_over=rng.choice(("forced", "protective")),
        latency=rng.choice((0.0, 0.02, 0.3)),
        backstop=_backstop(random.Random(seed + 4)),  # noqa: S311  a separate seed, so that the rest of the day stays the same
    )
    return day if adapter else _with_streams(day, random.Random(seed + 5), families, frame)  # noqa: S311  likewise


def _with_streams(day: Day, rng: random.Random, families: Sequence[str] | None, frame: "_Frame") -> Day:
    """Add streams with faults to one day in eight; the rest of the day stays the same."""
    drawn, rate = rng.random() < STREAM_DAYS, rng.choice(LEVELS)
    if not (drawn if families is None else STREAMS in families):
        return day
    levels = {STREAMS: rate if families is None else rate or LEVELS[2]}
    faults = _faults(rng, levels, day.positions, frame, adapter=False)
    settings = replace(day.settings, sip=True)
    return replace(day, streams=True, settings=settings, levels=day.levels | levels, faults=(*day.faults, *faults))


def _backstop(rng: random.Random) -> BackstopConfig:
    """A backstop on half of the days, near enough to be triggered by falling prices."""
    if rng.choice((True, False)):
        return BackstopConfig()
    return BackstopConfig(Decimal(rng.choice(("0.3", "0.45"))), rng.choice((None, Decimal("0.35"))))


def _levels(rng: random.Random, families: Sequence[str] | None) -> dict[str, float]:
    """The rate of each family: 0, 0.1%, 1% or 10%."""
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


# --- positions and price paths ----------------------------------------------------------------------------------------


def occ(root: str, expires: dt.date, right: str, strike: int) -> str:
    """An option's symbol in OCC format."""
    return f"{root}{expires:%y%m%d}{right}{strike * 1000:08d}"


def _positions(
    rng: random.Random, opens: dt.datetime, recovers_at: dt.datetime, closes: dt.datetime
) -> tuple[PlannedPosition, ...]:
    today = calendar.exchange_date(opens)
    later = calendar.next_session_date(today + dt.timedelta(days=23))
    first = opens + rng.randint(4, 20) * MINUTE
    second = opens + rng.randint(30, 60) * MINUTE
    factory = _PositionFactory(rng, opens)
    positions = [
        factory.moving(occ("AAPL", later, "C", 200), Role.TARGET, "2.00", "2.40", first, rng.choice((5, 60, 240))),
        factory.moving("MSFT", Role.CRASH, "100.00", "60.00", second, 2, spread="0.02", most=150),
        factory.moving(occ("NVDA", later, "C", 150), Role.DECLINE, "5.00", "2.50", second + 5 * MINUTE, 3600),
        factory.unmoved(occ("SPY", today, "C", 600), Role.ZERO_DAY, "1.50", closes - 50 * MINUTE),
        factory.unmoved(occ("AMD", today, "P", 90), Role.ZERO_DAY, "0.80", closes - 65 * MINUTE),
        factory.unmoved(occ("TSLA", later, "C", 400), Role.UNCOVERED, "3.20", opens, short=True),
        factory.moving(
            occ("META", later, "C", 700), Role.LATE, "8.00", "5.00", recovers_at + 2 * MINUTE, 30, spread="0.10"
        ),
        factory.peaking(occ("NFLX", later, "C", 900), Role.TRAILING, ("4.00", "6.20", "5.00"), first + 3 * MINUTE),
        factory.peaking(occ("CRM", later, "C", 300), Role.AT_PEAK, ("4.00", "5.60", "5.60"), first + 3 * MINUTE),
        factory.unmoved("INTC", Role.UNTRIGGERED, "30.00"),
        factory.unmoved(occ("BAC", later, "P", 40), Role.UNTRIGGERED, "1.20"),
        *_spread(factory, rng, later, first),
    ]
    due = [position for position in positions if position.role in DUE]
    dropped = rng.sample(due, rng.randint(1, len(due) - 5))
    attacked = _vertical(
        factory, later, rng.choice((first + 11 * MINUTE, second + 3 * MINUTE, recovers_at + 3 * MINUTE))
    )
    return (*(position for position in positions if position not in dropped), *attacked)


def _vertical(factory: "_PositionFactory", later: dt.date, at: dt.datetime) -> list[PlannedPosition]:
    """A vertical sold for 1.50 that later costs 2.80, beyond its stop at 50%."""
    short = factory.moving(occ("GOOG", later, "C", 170), Role.SHORT_LEG, "3.00", "6.00", at, 5)
    long = factory.moving(occ("GOOG", later, "C", 180), Role.COVERING_LEG, "1.50", "3.20", at, 5)
    return [replace(short, qty=-long.qty), long]


def _spread(
    factory: "_PositionFactory", rng: random.Random, later: dt.date, rises: dt.datetime
) -> list[PlannedPosition]:
    """A vertical whose long leg reaches its target, or shares under a covered call."""
    if rng.choice((True, False)):
        long = factory.moving(occ("AMZN", later, "C", 200), Role.COVERING, "2.00", "2.60", rises, 30)
        short = factory.unmoved(occ("AMZN", later, "C", 210), Role.COVERED, "1.10", short=True)
        return [long, PlannedPosition(short.symbol, -long.qty, short.entry, short.role, short.path)]
    shares = factory.moving("F", Role.COVERING, "12.00", "14.00", rises, 30, spread="0.02")
    call = factory.unmoved(occ("F", later, "C", 15), Role.COVERED, "0.40", short=True)
    return [
        PlannedPosition(shares.symbol, Decimal(100), shares.entry, shares.role, shares.path, shares.due_at),
        PlannedPosition(call.symbol, Decimal(-1), call.entry, call.role, call.path),
    ]


@dataclass(frozen=True, slots=True)
class _PositionFactory:
    """Builds positions; each draws its quantity and its noise."""

    rng: random.Random
    opens: dt.datetime

    def moving(  # noqa: PLR0913, PLR0917  a position's own facts
        self,
        symbol: str,
        role: Role,
        entry: str,
        to: str,
        at: dt.datetime,
        over: int,
        spread: str = "0.04",
        most: int = 9,
    ) -> PlannedPosition:
        """A position whose price moves once, from its entry to another level."""
        before, after = level(Decimal(entry), Decimal(spread)), level(Decimal(to), Decimal(spread))
        move = Linear(at, at + over * SECOND, after)
        return PlannedPosition(
            symbol, self._qty(most), Decimal(entry), role, (*self._noise(before), move), at + over * SECOND
        )

    def peaking(self, symbol: str, role: Role, prices: tuple[str, str, str], at: dt.datetime) -> PlannedPosition:
        """A position that moves to its peak in two minutes, and half an hour later to its final price."""
        entry, peak, end = (level(Decimal(price), Decimal("0.04")) for price in prices)
        falls = at + PEAK_DURATION
        moves = (Linear(at, at + 2 * MINUTE, peak), Linear(falls, falls + MINUTE, end))
        due_at = falls + MINUTE if role is Role.TRAILING else None
        return PlannedPosition(
            symbol, self._qty(9), Decimal(prices[0]), role, (Fixed(self.opens - HOUR, entry), *moves), due_at
        )

    def unmoved(
        self, symbol: str, role: Role, entry: str, due_at: dt.datetime | None = None, *, short: bool = False
    ) -> PlannedPosition:
        """A position whose price stays near its entry."""
        qty = self._qty(9)
        path = self._noise(level(Decimal(entry), Decimal("0.04")))
        return PlannedPosition(symbol, -qty if short else qty, Decimal(entry), role, path, due_at)

    def _qty(self, most: int) -> Decimal:
        return Decimal(self.rng.randint(1, most))

    def _noise(self, around: TwoSidedQuote) -> tuple[Segment, ...]:
        start = self.opens - HOUR
        return (Fixed(start, around), Walk(start, self.rng.randint(0, 1 << 30), 0.0008, 60.0))


# --- faults and manual trades -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Frame:
    """When faults may begin and end, and the starts of the busy windows in between."""

    begins_at: dt.datetime
    recovers_at: dt.datetime
    windows: tuple[dt.datetime, ...]


def _faults(
    rng: random.Random, levels: dict[str, float], positions: Sequence[PlannedPosition], frame: _Frame, *, adapter: bool
) -> tuple[PlannedFault, ...]:
    planned: list[PlannedFault] = []
    for family, rate in levels.items():
        known = drawable(family, adapter=adapter)
        if rate and known:
            for fault in rng.sample(known, min(len(known), rng.randint(1, 3))):
                planned += _plan(rng, fault, rate, positions, frame)
    return tuple(planned)


def _plan(
    rng: random.Random, fault: Fault, rate: float, positions: Sequence[PlannedPosition], frame: _Frame
) -> list[PlannedFault]:
    """When and with which probability a fault is active, by its timing."""
    options, begins_at, recovers_at = fault.options(rng), frame.begins_at, frame.recovers_at
    if fault.timing is Timing.RATE:
        once = PlannedFault(fault, begins_at, recovers_at, times=1, options=options)
        return [once, PlannedFault(fault, begins_at, recovers_at, rate, None, options)]
    if fault.timing is Timing.SPACED:
        return _spaced(rng, fault, options, positions, frame)
    if fault.timing in {Timing.AT_ORDER, Timing.ALWAYS}:
        return [PlannedFault(fault, begins_at, recovers_at, rate, 1, options)]
    at = rng.choice(frame.windows) + rng.randint(0, 90) * SECOND
    until = min(at + rng.choice((3, 5, 12)) * MINUTE, recovers_at)
    if fault.timing is Timing.WHILE:
        if fault.family == "Q":
            options = {
                **options,
                "symbol": rng.choice([position for position in positions if position.role is Role.UNTRIGGERED]).symbol,
            }
        return [PlannedFault(fault, at, until, options=options)]
    return [PlannedFault(fault, at, until, rate, 1, options)]


def _spaced(
    rng: random.Random, fault: Fault, options: dict[str, Any], positions: Sequence[PlannedPosition], frame: _Frame
) -> list[PlannedFault]:
    """One bad quote of a position that must stay, in up to four busy windows.

    A quote of another contract (Q12) comes from the one whose price differs most.
    """
    staying = [position for position in positions if position.role in {Role.UNTRIGGERED, Role.AT_PEAK}]
    planned = []
    for at in rng.sample(frame.windows, min(len(frame.windows), 4)):
        position = rng.choice(staying)
        if fault.name == "Q12":
            options = {
                "of": max(
                    (each for each in positions if each is not position), key=lambda each: _price_ratio(each, position)
                ).symbol
            }
        where = {**options, "symbol": position.symbol}
        planned.append(PlannedFault(fault, at + rng.randint(0, 90) * SECOND, frame.recovers_at, times=1, options=where))
    return planned


def _price_ratio(one: PlannedPosition, other: PlannedPosition) -> Decimal:
    """The ratio of the larger to the smaller entry price."""
    ratio = one.entry / other.entry
    return max(ratio, 1 / ratio)


def _human_actions(
    rng: random.Random, positions: Sequence[PlannedPosition], opens: dt.datetime, recovers_at: dt.datetime
) -> tuple[HumanAction, ...]:
    """Up to three manual trades."""
    count = rng.choice((0, 1, 1, 2, 3))
    kinds = ("sell", "buy", "rest", "bid", "close", "cancel")
    return tuple(
        HumanAction(
            at=opens + rng.random() * (recovers_at - opens),
            what=rng.choice(kinds),
            symbol=rng.choice(positions).symbol,
            share=Decimal(rng.choice(("0.3", "0.5", "1"))),
        )
        for _ in range(count)
    )


def _busy(
    rng: random.Random,
    positions: Sequence[PlannedPosition],
    begins_at: dt.datetime,
    recovers_at: dt.datetime,
    closes: dt.datetime,
) -> tuple[tuple[dt.datetime, dt.datetime], ...]:
    """The windows with frequent polls: around events, at a peak, and twice at random."""
    starts = [begins_at, recovers_at - MINUTE, closes - 66 * MINUTE, closes - 51 * MINUTE, closes - 36 * MINUTE]
    starts += [position.due_at - MINUTE for position in positions if position.due_at]
    starts += [
        position.due_at - PEAK_DURATION + MINUTE
        for position in positions
        if position.due_at and position.role is Role.TRAILING
    ]
    starts += [begins_at + rng.random() * (closes - begins_at) for _ in range(2)]
    windows: list[tuple[dt.datetime, dt.datetime]] = []
    for start in sorted(starts):
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], max(windows[-1][1], start + WINDOW))
        else:
            windows.append((start, start + WINDOW))
    return tuple(windows)
