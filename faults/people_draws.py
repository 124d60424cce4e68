"""Draws what people ask of the running program on one day (O21): rules set for a position, cleared, parts closed.

It has a random stream of its own, so that the rest of a day stays what it was. Pure, like faults/generate.py.
"""

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from faults.draws import WRONG_CLOCK
from faults.generate import MINUTE, SECOND, Day, PlannedPosition, Role
from faults.structure_draws import ENTERED_WITHIN
from faults.structures import Course, PlannedStructure
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import AT_ENTRY, OverrideChange
from sellctl.core.watching.manual_requests import Patience
from sellctl.sim.market.price_paths import CENT, Linear

DRAW = "O21"
ALICE, BOB = "alice", "bob"
FAR = OverrideChange(stop="60%", target="95%")  # never reached by what moves little
CLEARED = OverrideChange(clear=True)
NEAR_FACTOR = Decimal("1.1")  # times the entry: a stop there is passed by a price that stays at the entry
FAR_FACTORS = {True: Decimal(2), False: Decimal("0.3")}  # times the price: a limit that never fills, of a long or short
SOON_FACTORS = {True: Decimal("0.8"), False: Decimal("1.2")}  # times the price: a limit that any fill meets
BEFORE_THE_CLOSE = 11 * MINUTE


class Effect(StrEnum):
    """What must follow from what was asked for."""

    REPLACED = "replaced"  # a rule that becomes true is replaced: nothing is sent for its reason until that ends
    FIRES = "fires"  # a stop that the price has passed: must be closed
    HARMLESS = "harmless"  # a stop far from the price: must stay as before
    PART = "part"  # a part of what no rule closes: that much is closed, and no more
    PART_OF_EXIT = "part of an exit"  # a part of what a rule closes meanwhile: the rest leaves by the rule


@dataclass(frozen=True, slots=True)
class Part:
    """How much is to be closed: a share of what is held, or one contract, share or unit when `share` is None.

    The limit is that many times the price then; None: without one.
    """

    share: Decimal | None = None
    limit_factor: Decimal | None = None
    patience: Patience = Patience.PROTECTIVE


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is asked for: at an instant, or once an order of ours closes the position, and after a pause.

    Of several `changes`, each with who makes it, all are made at the same instant.
    """

    at: dt.datetime | None = None
    pause: dt.timedelta = dt.timedelta(0)
    during_exit: bool = False
    changes: tuple[tuple[str, OverrideChange], ...] = ()
    parts: tuple[tuple[str, Part], ...] = ()


@dataclass(frozen=True, slots=True)
class Errand:
    """What is asked for one position or structure, one step after the other.

    `symbols` are those that it trades, `is_long` that of a single position. `reason` is that of the rule that is
    replaced, and `ends_at` when what was set ends by itself.
    """

    name: str
    symbols: frozenset[str]
    effect: Effect
    steps: tuple[Step, ...]
    is_long: bool = True
    reason: Reason | None = None
    ends_at: dt.datetime | None = None


def errands_of(day: Day) -> tuple[Errand, ...]:
    """What people ask for on this day; nothing unless it is drawn."""
    if day.planned(DRAW) is None:
        return ()
    drawer = _Drawer(day, random.Random(f"{day.seed} people"))  # noqa: S311  a bench's seed, not a secret
    return (*drawer.on_positions(), *drawer.on_structures())


# The rule that closes a position of a role, and what replaces it without ever being reached.
_REPLACING: dict[Role, tuple[Reason, OverrideChange]] = {
    Role.TARGET: (Reason.TAKE_PROFIT, OverrideChange(target="90%")),
    Role.CRASH: (Reason.STOP_LOSS, OverrideChange(stop="60%")),
    Role.DECLINE: (Reason.STOP_LOSS, OverrideChange(stop="70%")),
    Role.LATE: (Reason.STOP_LOSS, OverrideChange(stop="price 0.50")),
    Role.TRAILING: (Reason.TRAILING_STOP, OverrideChange(trail="60%")),
}
_OF_COURSE: dict[Course, tuple[Reason, OverrideChange]] = {
    Course.TARGET: (Reason.TAKE_PROFIT, OverrideChange(target="200%")),
    Course.STOP: (Reason.STOP_LOSS, OverrideChange(stop="500%")),
}
_SHARES_OF_DAYS = {
    Role.UNTRIGGERED: 0.8, Role.AT_PEAK: 0.4, Role.TARGET: 0.7, Role.CRASH: 0.7, Role.DECLINE: 0.7, Role.LATE: 0.7,
    Role.TRAILING: 0.5, Role.UNCOVERED: 0.4, Role.ZERO_DAY: 0.4,
}  # fmt: skip
_OF_STRUCTURES = 0.6


@dataclass(frozen=True, slots=True)
class _Drawer:
    day: Day
    rng: random.Random

    def on_positions(self) -> Iterator[Errand]:
        """What is asked for single positions."""
        for position in self.day.positions:
            if self.rng.random() < _SHARES_OF_DAYS.get(position.role, 0.0):
                yield self._on(position)

    def on_structures(self) -> Iterator[Errand]:
        """What is asked for structures."""
        for structure in self.day.structures:
            if self.rng.random() < _OF_STRUCTURES and structure.course is not Course.UNMANAGED:
                yield self._on_structure(structure)

    def _on(self, position: PlannedPosition) -> Errand:
        if position.role is Role.UNTRIGGERED:
            return self._of_untriggered(position)
        if position.role is Role.AT_PEAK:
            at = _moves(position)[0].until + self.rng.randint(5, 20) * MINUTE
            change = self.rng.choice((OverrideChange(stop=AT_ENTRY), OverrideChange(trail="60%")))
            return self._errand(position, Effect.HARMLESS, Step(at, changes=((ALICE, change),)))
        addition = self.day.planned("O16") if position.role is Role.TRAILING else None
        if position.role in _REPLACING and addition is None and self.rng.random() < 0.6:  # noqa: PLR2004  a share
            begins = _moves(position)[-1].start
            return self._replaced(position, *_REPLACING[position.role], begins, position.due_at or begins)
        return self._errand(position, Effect.PART_OF_EXIT, self._part_during_exit(is_long=position.qty > 0))

    def _of_untriggered(self, position: PlannedPosition) -> Errand:
        at, latest = self._any_time(), self.day.closes - BEFORE_THE_CLOSE
        near = OverrideChange(stop=f"price {(position.entry * NEAR_FACTOR).quantize(CENT)}")
        kind = self.rng.choice(("near", "near", "far", "far then near", "near then far", "part", "part", "limit"))
        if kind in {"near", "far then near"}:
            before = ((BOB, FAR),) if kind == "far then near" else ()
            return self._errand(position, Effect.FIRES, Step(at, changes=(*before, (ALICE, near))))
        if kind in {"far", "near then far"}:
            before = ((BOB, near),) if kind == "near then far" else ()
            clear = Step(min(at + self.rng.randint(1, 60) * MINUTE, latest), changes=((BOB, CLEARED),))
            return self._errand(position, Effect.HARMLESS, Step(at, changes=(*before, (ALICE, FAR))), clear)
        part = self._part(is_long=True, limit="far" if kind == "limit" else self.rng.choice(("", "", "soon")))
        first = ((BOB, self._part(is_long=True)),) if self.rng.random() < 0.3 else ()  # noqa: PLR2004  a share
        steps = [Step(at, parts=(*first, (ALICE, part)))]
        if kind == "limit":  # it is replaced soon: an order that works until the close has the account read all day
            again = Part(part.share, None, part.patience)
            steps.append(Step(pause=self.rng.randint(20, 90) * SECOND, parts=((BOB, again),)))
        return self._errand(position, Effect.PART, *steps)

    def _on_structure(self, structure: PlannedStructure) -> Errand:
        entered = max(structure.enters_at or self.day.begins_at, self.day.begins_at) + ENTERED_WITHIN
        if structure.course is Course.QUIET:
            at = max(self._any_time(), entered)
            far = Step(at, changes=((ALICE, FAR),))
            part = Step(at, parts=((ALICE, self._part(is_long=True)),))
            is_part = structure.units > 1 and self.rng.random() < 0.6  # noqa: PLR2004  a share
            return self._errand(structure, Effect.PART if is_part else Effect.HARMLESS, part if is_part else far)
        if structure.course in _OF_COURSE and structure.due_at and self.rng.random() < 0.6:  # noqa: PLR2004  a share
            return self._replaced(
                structure, *_OF_COURSE[structure.course], structure.due_at - 40 * SECOND, structure.due_at
            )
        return self._errand(structure, Effect.PART_OF_EXIT, self._part_during_exit(is_long=True))

    def _replaced(
        self,
        held: PlannedPosition | PlannedStructure,
        reason: Reason,
        change: OverrideChange,
        begins: dt.datetime,
        due_at: dt.datetime,
    ) -> Errand:
        """A rule is replaced before or while it is true, for some minutes or for good."""
        at = max(begins - self.rng.randint(30, 240) * SECOND, self.day.begins_at + MINUTE)
        how = self.rng.choice(("clear", "clear", "until", "for good", "during", "during"))
        pause = self.rng.randint(0, 5) * SECOND
        clear, until = Step(changes=((BOB, CLEARED),)), None
        ends = self._end_after(due_at)
        if how == "during":
            during = Step(pause=pause, during_exit=True, changes=((ALICE, change),))
            return self._errand(held, Effect.REPLACED, during, _after(clear, 2 * MINUTE), reason=reason)
        if how == "until" and self.day.planned(WRONG_CLOCK) is None:
            until = ends
            change = OverrideChange(change.stop, change.target, change.trail, until)
        first = Step(at, changes=((ALICE, change),))
        then = [Step(ends, changes=clear.changes)] if how == "clear" else []
        return self._errand(held, Effect.REPLACED, first, *then, reason=reason, ends_at=until)

    def _end_after(self, due_at: dt.datetime) -> dt.datetime:
        """Some time after a rule has become true, and before the end of the faults where that is possible."""
        latest = self.day.recovers_at - 3 * MINUTE
        if due_at + 3 * MINUTE < latest:
            return due_at + 2 * MINUTE + self.rng.random() * min(latest - due_at - 2 * MINUTE, 40 * MINUTE)
        return due_at + 4 * MINUTE

    def _part_during_exit(self, *, is_long: bool) -> Step:
        limit = self.rng.choice(("", "", "far", "soon"))
        parts = ((ALICE, self._part(is_long=is_long, limit=limit)),)
        return Step(pause=self.rng.randint(0, 5) * SECOND, during_exit=True, parts=parts)

    def _part(self, *, is_long: bool, limit: str = "") -> Part:
        factor = {"far": FAR_FACTORS[is_long], "soon": SOON_FACTORS[is_long]}.get(limit)
        return Part(self.rng.choice((None, Decimal("0.5"))), factor, self.rng.choice(tuple(Patience)))

    def _any_time(self) -> dt.datetime:
        first, last = self.day.begins_at + 3 * MINUTE, self.day.closes - BEFORE_THE_CLOSE
        return first + self.rng.random() * (last - first)

    @staticmethod
    def _errand(
        held: PlannedPosition | PlannedStructure,
        effect: Effect,
        *steps: Step,
        reason: Reason | None = None,
        ends_at: dt.datetime | None = None,
    ) -> Errand:
        if isinstance(held, PlannedPosition):
            return Errand(
                held.symbol, frozenset({held.symbol}), effect, steps, held.qty > 0, reason=reason, ends_at=ends_at
            )
        return Errand(held.name, held.symbols, effect, steps, reason=reason, ends_at=ends_at)


def _moves(position: PlannedPosition) -> list[Linear]:
    """The moves of its price besides noise."""
    return [segment for segment in position.path if isinstance(segment, Linear)]


def _after(step: Step, pause: dt.timedelta) -> Step:
    return Step(pause=pause, changes=step.changes)
