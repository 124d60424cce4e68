"""Checks that due positions are sold (T2, R6, must-fire), so that a program that never sells fails the bench."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import pairwise

from faults.checkers import ZERO, is_backstop, ours_on
from faults.findings import Findings
from faults.generate import DUE, MINUTE, PEAK_DURATION, Day, PlannedPosition, Role
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.sim.market.assets import asset_of
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.order_checks import cutoff

PRICE_STAYS_LOW = frozenset({Role.SHORT_LEG, Role.COVERING_LEG, Role.TRAILING})  # their prices don't come back
REJECTS = frozenset({"H10", "H21", "O01", "O02", "O20"})  # every other rejection has an automatic recovery
MIN_POLL_PAIRS = 3  # of polls within a minute: a peak needs a confirming poll, and some polls fail for other reasons
RETRY = dt.timedelta(seconds=130)  # after three rejects in a row a protective exit is tried once per minute (K4)


@dataclass(slots=True)
class LivenessChecker:
    """Checks at instants of the day whether due positions are closed."""

    day: Day
    exchange: Exchange
    account: SimAccount
    findings: Findings
    changed_by_others: set[str]
    clock_reads: Sequence[dt.datetime]  # when the program read the broker's clock, which every decision requires
    decided_at: Sequence[dt.datetime]  # when a poll led to a decision
    kept: Callable[[str], bool] = lambda _name: False  # whether what a person set may keep it from being closed
    events: list[Event] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def on_event(self, event: Event) -> None:
        """Record an event that the program reported to the user."""
        self.events.append(event)

    def plan(self) -> None:
        """Schedule the checks on the exchange's timeline."""
        for position in self.day.positions_with(Role.ZERO_DAY):
            self._check_at(cutoff(asset_of(position.symbol), self.exchange.settings), partial(self._t2, position))
        for position in self.day.positions:
            if position.role in DUE and position.due_at:
                self._check_at(max(position.due_at, self.day.recovers_at) + RETRY, partial(self._r6, position))

    def _check_at(self, at: dt.datetime, check: Callable[[], None]) -> None:
        if at < self.day.closes:
            self.exchange.at(at, lambda _exchange: check())

    def _t2(self, position: PlannedPosition) -> None:
        """A position that expires today is closed by its deadline, or an alert exists."""
        if self.account.qty_of(position.symbol) and not self.was_reported(position.symbol):
            self._violated(
                "T2",
                f"{position.symbol}: {self.account.qty_of(position.symbol)} held at the deadline without an alert",
            )

    def _r6(self, position: PlannedPosition) -> None:
        """After the faults have ended, due positions are closed or on their way, unless the user knows why not."""
        if not self._is_left(position) or self._is_working(position.symbol) or self._may_stay(position):
            return
        held = self.account.qty_of(position.symbol)
        self._violated("R6", f"{position.symbol} ({position.role}) is due, {held} held and no order works")

    def at_the_end(self) -> None:
        """Must-fire: positions that were due while the market was open are closed."""
        for position in self.day.positions:
            if (
                position.role in DUE
                and position.role is not Role.ZERO_DAY
                and self._is_left(position)
                and not self._may_stay(position)
            ):
                self._violated(
                    "must-fire",
                    f"{position.symbol} ({position.role}): {self.account.qty_of(position.symbol)} never sold",
                )

    def _is_left(self, position: PlannedPosition) -> bool:
        return self.account.qty_of(position.symbol) * position.qty > ZERO

    def _is_working(self, symbol: str) -> bool:
        return any(not is_backstop(order) for order in ours_on(self.account, symbol))

    def _may_stay(self, position: PlannedPosition) -> bool:
        """Whether it was changed or reserved by others, or has no entry price, or is no longer due."""
        held = self.account.positions.get(position.symbol)
        unknown_entry = held is not None and held.avg_entry_price <= 0
        unknowable = position.symbol in self.changed_by_others or unknown_entry or self._peak_was_unobservable(position)
        return unknowable or self.kept(position.symbol) or self._halted(position) or not self._still_due(position)

    def _peak_was_unobservable(self, position: PlannedPosition) -> bool:
        """Whether too few polls could observe its peak, because the broker's clock was down.

        The peak before an addition (O16) lasts for some polls only, which other faults may prevent too.
        """
        if position.role is not Role.TRAILING or position.due_at is None:
            return False
        addition = self.day.planned("O16")
        begins_at = position.due_at - PEAK_DURATION + MINUTE
        ends_at = addition.at if addition else position.due_at - MINUTE
        polls = self.decided_at if addition else self.clock_reads
        read = [at for at in polls if begins_at <= at <= ends_at]
        return sum(later - earlier < MINUTE for earlier, later in pairwise(read)) < MIN_POLL_PAIRS

    def _halted(self, position: PlannedPosition) -> bool:
        """Whether three rejects suspended a non-urgent exit and the user was informed (K4)."""
        return position.role in {Role.TARGET, Role.ZERO_DAY} and self.rejected_in_a_row(position.symbol)

    def rejected_in_a_row(self, name: str) -> bool:
        """Whether the user was informed of three rejects in a row of a symbol or structure, by faults of this day."""
        rejects = REJECTS & {planned.fault.name for planned in self.day.faults}
        return bool(rejects) and any(event.symbol == name and "in a row" in event.text for event in self.events)

    def _still_due(self, position: PlannedPosition) -> bool:
        """Whether its rule is still true at the exchange's prices; a target may no longer be met."""
        if position.role in {Role.ZERO_DAY, Role.UNCOVERED}:
            return self.exchange.now < cutoff(asset_of(position.symbol), self.exchange.settings)
        if position.role in PRICE_STAYS_LOW:
            return True
        quote, rate = (
            self.exchange.quote(position.symbol),
            Decimal("1.1") if position.role is Role.TARGET else Decimal("0.8"),
        )
        if quote is None or quote.bid is None:
            return False
        return (
            quote.bid >= position.entry * rate if position.role is Role.TARGET else quote.mid <= position.entry * rate
        )

    def was_reported(self, symbol: str) -> bool:
        """Whether a warning or alert named the symbol, or the whole account, in the last half hour."""
        since = self.exchange.now - dt.timedelta(minutes=30)
        return any(
            event.at >= since and event.symbol in {symbol, ""} and event.severity is not Severity.INFO
            for event in self.events
        ) or any(event.kind is EventKind.ALERT and event.symbol == symbol for event in self.events)

    def _violated(self, invariant: str, text: str) -> None:
        self.findings.add(invariant, self.exchange.now, text)
