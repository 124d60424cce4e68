"""The structures of a day: their legs, what becomes of their prices, and which rules manage them. Values only."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from sellctl.core.config.schema import MatchConfig, RulesConfig, StrategyConfig
from sellctl.core.model.instrument import StructureKind
from sellctl.sim.market.price_paths import Segment


class Course(StrEnum):
    """What becomes of a structure."""

    TARGET = "target"  # reaches its target: must be closed
    STOP = "stop"  # reaches its stop: must be closed
    TRAILING = "trailing"  # gains, arms a trailing stop and falls through it: must be closed
    TIME = "time"  # a rule on the days left or on the time before the close is true: must be closed
    LAST_DAY = "last day"  # its first leg expires today: the legs that do must be closed
    QUIET = "quiet"  # none of its rules is ever true: must stay
    UNMANAGED = "unmanaged"  # no strategy is for it, and its legs' prices stay where they are: must stay


class Entry(StrEnum):
    """How a structure comes into the account."""

    HELD = "held"  # before the day
    LEGS = "legs"  # by a person, one leg after the other, the long ones first
    ORDER = "order"  # by a person, as one multi-leg order


LEAVES_BY_ITS_RULES = frozenset({Course.TARGET, Course.STOP, Course.TRAILING, Course.TIME})
STAYS = frozenset({Course.QUIET, Course.UNMANAGED})
PATIENT = frozenset({Course.TARGET, Course.TIME, Course.LAST_DAY})  # their exits may be suspended after three rejects


@dataclass(frozen=True, slots=True)
class PlannedLeg:
    """One leg. `ratio` is contracts per unit, negative when it is short."""

    symbol: str
    ratio: int
    entry: Decimal
    path: tuple[Segment, ...]
    expires_today: bool = False

    @property
    def is_long(self) -> bool:
        """Whether it is bought."""
        return self.ratio > 0


@dataclass(frozen=True, slots=True)
class PlannedStructure:
    """One structure of the day.

    `name` is the one that its legs have by the documentation, built without the product's code. `rules` are those of
    the strategy for its kind; None: there is none. A person enters it at `enters_at`. `due_at` is when its rule becomes
    true at the exchange, and `peak` from when until when a trailing stop can be armed.
    """

    kind: StructureKind
    name: str
    units: int
    legs: tuple[PlannedLeg, ...]
    course: Course
    rules: RulesConfig | None
    entry: Entry = Entry.HELD
    enters_at: dt.datetime | None = None
    due_at: dt.datetime | None = None
    peak: tuple[dt.datetime, dt.datetime] | None = None

    @property
    def symbols(self) -> frozenset[str]:
        """The symbols of its legs."""
        return frozenset(leg.symbol for leg in self.legs)

    def qty_of(self, leg: PlannedLeg) -> Decimal:
        """The signed contracts of a leg."""
        return Decimal(leg.ratio * self.units)

    @property
    def strategy(self) -> StrategyConfig | None:
        """The strategy for its kind; None when there is none."""
        if self.rules is None:
            return None
        return StrategyConfig(f"{self.kind}s", match=MatchConfig(structure=(self.kind,)), rules=self.rules)
