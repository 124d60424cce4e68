"""Draws a day with three hosts from a seed: what is held and when it is due, and what happens to the hosts."""

import datetime as dt
import random
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sellctl.sim.market.price_paths import Fixed, Linear, Segment, level

HOSTS = ("one", "two", "three")
ACCOUNTS = tuple(f"a{number}" for number in range(10))
BEGINS = dt.datetime(2026, 11, 24, 16, 0, tzinfo=dt.UTC)  # 11:00 in New York
SECOND = dt.timedelta(seconds=1)
FAULTS_END = 80  # seconds after the beginning; then everything is repaired
DUE_UNTIL = 90  # the last exits become due when all is well again
ENDS = 145
ENTRY = Decimal("2.00")
_UNDERLYINGS = ("AAPL", "MSFT", "AMZN", "GOOG", "NFLX", "CRM", "AMD", "INTC", "ORCL", "IBM")


class Trouble(StrEnum):
    """What happens to one host, or to the database of all."""

    CRASH = "crash"
    SIGTERM = "sigterm"
    PAUSE = "pause"  # the process is frozen, and wakes later
    SUSPENDED = "suspended"  # likewise, and its monotonic clock stands still meanwhile
    NO_DATABASE = "no database"  # the host reaches the broker only
    HANGING = "hanging database"  # likewise, and its calls hang and are carried out late
    NO_BROKER = "no broker"  # the host reaches the database only
    SLOW = "slow database"  # for all hosts
    OUTAGE = "no database at all"  # for all hosts
    SAME_NAME = "same name"  # another process with the name of this host
    HALT = "halt"  # made on this host, and lifted there


OF_ALL = frozenset({Trouble.SLOW, Trouble.OUTAGE})


@dataclass(frozen=True, slots=True)
class PlannedTrouble:
    """One of them: from `at` to `until`, in seconds after the beginning."""

    what: Trouble
    host: str
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class Held:
    """One position: ten contracts. `due_at` is in seconds after the beginning, None for what has to stay."""

    account: str
    symbol: str
    path: tuple[Segment, ...]
    due_at: float | None = None


@dataclass(frozen=True, slots=True)
class HostsDay:
    """All parameters of one day. `skews` are the errors of the hosts' clocks."""

    seed: int
    held: tuple[Held, ...]
    troubles: tuple[PlannedTrouble, ...]
    skews: dict[str, dt.timedelta]
    latency: float

    def had(self, *what: Trouble) -> tuple[PlannedTrouble, ...]:
        """The troubles of these kinds."""
        return tuple(each for each in self.troubles if each.what in what)


def at(seconds: float) -> dt.datetime:
    """An instant of the day."""
    return BEGINS + dt.timedelta(seconds=seconds)


def draw_day(seed: int) -> HostsDay:
    """The day of a seed."""
    rng = random.Random(seed)  # noqa: S311  a bench's seed, not a secret
    troubles = tuple(sorted(_troubles(rng), key=lambda each: (each.at, each.host, each.what)))
    held = tuple(each for number, account in enumerate(ACCOUNTS) for each in _held(account, number, troubles, rng))
    skews = {host: rng.choice((-3600, 0, 0, 3600)) * SECOND for host in HOSTS}
    return HostsDay(seed, held, troubles, skews, rng.choice((0.02, 0.2, 0.8)))


def _troubles(rng: random.Random) -> list[PlannedTrouble]:
    """A few troubles; of each kind one host has one at a time."""
    planned: list[PlannedTrouble] = []
    for _ in range(rng.randint(2, 6)):
        what = rng.choice(tuple(Trouble))
        host = "" if what in OF_ALL else rng.choice(HOSTS)
        start = rng.uniform(8, FAULTS_END - 10)
        lasts = rng.uniform(4, 12) if what is Trouble.HALT else rng.choice((1.5, 4.0, 9.0, 14.0, 25.0, 35.0))
        until = min(start + lasts, FAULTS_END)
        clash = (each for each in planned if each.host == host or each.what is what)
        if all(until + 2 < each.at or each.until + 2 < start for each in clash):
            planned.append(PlannedTrouble(what, host, start, until))
    return planned


def _held(account: str, number: int, troubles: tuple[PlannedTrouble, ...], rng: random.Random) -> list[Held]:
    """What an account holds; what is due often is when something goes wrong."""
    if troubles and rng.random() < 0.7:  # noqa: PLR2004  mostly
        due_at = max(rng.choice(troubles).at + rng.uniform(-3, 4), 6.0)
    else:
        due_at = rng.uniform(6, DUE_UNTIL)
    return positions(account, number, due_at, rng.choice((Decimal("1.40"), Decimal("2.60"))))


def positions(account: str, number: int, due_at: float, to: Decimal) -> list[Held]:
    """One position that reaches its stop or its target, and one that stays."""
    due, stays = (f"{_UNDERLYINGS[number]}261218C00{strike}000" for strike in (200, 210))
    move = Linear(at(due_at - 2), at(due_at), level(to, Decimal("0.02")))
    before = Fixed(at(-7200), level(ENTRY, Decimal("0.02")))
    return [Held(account, due, (before, move), due_at), Held(account, stays, (before,))]
