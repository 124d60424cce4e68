"""What happens in a run with real hosts: how many there are, what is due, and what strikes when."""

import random
from dataclasses import dataclass
from enum import StrEnum

from faults.hosts.checks import AFTER_CRASH, AFTER_PARTITION, AFTER_SIGTERM

ACCOUNTS = ("a", "b", "c")
HOSTS = ("one", "two", "three")


class Trouble(StrEnum):
    """What strikes one host, or the database of all."""

    KILL = "kill"  # SIGKILL
    FREEZE = "freeze"  # SIGSTOP for longer than a lease
    TERM = "term"  # SIGTERM
    CUT = "cut"  # every connection to the database is ended
    RESTART = "restart"  # the database is stopped at once, and started again
    STOP = "stop"  # likewise, and started some time later


class Moment(StrEnum):
    """What is under way when the first trouble strikes. In all cases stops fall at the same time."""

    FALL = "fall"
    REQUEST = "request"  # a person has one account's position closed, which has no other reason to be sold
    HALT = "halt"  # a person has halted all hosts on the one that is struck, and resumes on another one afterwards


OF_ONE_HOST = frozenset({Trouble.KILL, Trouble.FREEZE, Trouble.TERM})
ENDING = frozenset({Trouble.KILL, Trouble.TERM})
_MOMENTS = (Moment.FALL, Moment.REQUEST, Moment.FALL, Moment.HALT)
# Seconds until each account is watched again by a host that can send.
BOUNDS = {
    Trouble.KILL: AFTER_CRASH,
    Trouble.FREEZE: AFTER_PARTITION,
    Trouble.TERM: AFTER_SIGTERM,
    Trouble.CUT: AFTER_PARTITION,
    Trouble.RESTART: AFTER_PARTITION,
    Trouble.STOP: AFTER_PARTITION,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. The first trouble strikes the host of `account`, and a second one the host that has it then.

    `offset` is in seconds from the fall, `second_after` from the take-over. A host that was killed or asked to end is
    started again `returns_after` seconds later, as a service manager does; None: it isn't.
    """

    seed: int
    hosts: tuple[str, ...]
    moment: Moment
    account: str
    first: Trouble
    offset: float
    second: Trouble | None = None
    second_after: float = 0.0
    returns_after: float | None = None

    @property
    def line(self) -> str:
        """The run in a line."""
        second = f", then {self.second}" if self.second else ""
        returns = "" if self.returns_after is None else f", back after {self.returns_after:.1f} s"
        return (
            f"real hosts, seed {self.seed}: {len(self.hosts)} hosts, {self.first} {self.offset:+.1f} s from the "
            f"{self.moment}{second}{returns}"
        )


def draw_plan(seed: int) -> Plan:
    """The run of a seed. Any 24 consecutive seeds have each first trouble at each moment."""
    rng = random.Random(f"{seed} real hosts")  # noqa: S311  a bench's seed, not a secret
    first = tuple(Trouble)[seed % len(Trouble)]
    moment = _MOMENTS[seed // len(Trouble) % len(_MOMENTS)]
    hosts = HOSTS[: rng.choice((2, 3))]
    second = rng.choice((None, *(each for each in Trouble if each is not Trouble.STOP)))
    second = second if len(hosts) == len(HOSTS) else None
    returns_after = rng.choice((None, rng.uniform(1.0, 12.0)))
    return Plan(
        seed=seed,
        hosts=hosts,
        moment=moment,
        account=rng.choice(ACCOUNTS),
        first=first,
        offset=rng.uniform(0.0, 4.0) if moment is Moment.REQUEST else rng.uniform(-1.0, 3.0),
        second=second,
        second_after=rng.uniform(0.0, 3.0),
        returns_after=returns_after if ENDING & {first, second} else None,
    )
