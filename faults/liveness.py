"""That selling happens: T2 deadlines, must-fire holdings, R6 once the faults are over. Never selling must not pass."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import pairwise

from faults.checkers import ZERO, is_backstop, ours_on
from faults.findings import Findings
from faults.generate import DUE, MINUTE, PEAKS, Day, Lot, Role
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.sim.market.assets import asset_of
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.order_checks import cutoff

WITHIN = dt.timedelta(seconds=75)  # R6's 60 s, and one look in between
FALLEN = frozenset({Role.SHORT_LEG, Role.COVERING_LEG, Role.TRAILING})  # their prices don't come back
REJECTS = frozenset({"H10", "O01", "O02"})  # whatever else is refused has a next step
FEW_PAIRS = 3  # of polls within a minute: two have to agree on a peak, and some fail for other reasons
RETRY = dt.timedelta(seconds=130)  # after three rejects in a row a protective exit is tried once a minute (K4)


@dataclass(slots=True)
class LivenessChecker:
    """Asks at instants of the day whether what was due is gone."""

    day: Day
    exchange: Exchange
    account: SimAccount
    findings: Findings
    touched: set[str]
    hours: Sequence[dt.datetime]  # when the program read the broker's clock, without which it decides nothing
    told: list[Event] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def hear(self, event: Event) -> None:
        """Receive an event that the user is told."""
        self.told.append(event)

    def plan(self) -> None:
        """Put the questions on the exchange's timeline."""
        for lot in self.day.lots_of(Role.ZERO_DAY):
            self._ask(cutoff(asset_of(lot.symbol), self.exchange.settings), partial(self._t2, lot))
        for lot in self.day.lots:
            if lot.role in DUE and lot.due_at:
                self._ask(max(lot.due_at, self.day.recovers_at) + RETRY, partial(self._r6, lot))

    def _ask(self, at: dt.datetime, question: Callable[[], None]) -> None:
        if at < self.day.closes:
            self.exchange.at(at, lambda _exchange: question())

    def _t2(self, lot: Lot) -> None:
        """A position that expires today is flat by its deadline, or an alert exists."""
        if self.account.qty_of(lot.symbol) and not self._was_told(lot.symbol):
            self._say("T2", f"{lot.symbol}: {self.account.qty_of(lot.symbol)} held at the deadline and nobody was told")

    def _r6(self, lot: Lot) -> None:
        """With everything working again, what is due is gone or on its way, unless the user was told why not."""
        if not self._is_left(lot) or self._works(lot.symbol) or self._may_stay(lot):
            return
        self._say("R6", f"{lot.symbol} ({lot.role}) is due, {self.account.qty_of(lot.symbol)} held and nothing works")

    def at_the_end(self) -> None:
        """Must fire: what was due while the market was open is gone."""
        for lot in self.day.lots:
            if lot.role in DUE and lot.role is not Role.ZERO_DAY and self._is_left(lot) and not self._may_stay(lot):
                self._say("must-fire", f"{lot.symbol} ({lot.role}): {self.account.qty_of(lot.symbol)} never left")

    def _is_left(self, lot: Lot) -> bool:
        return self.account.qty_of(lot.symbol) * lot.qty > ZERO

    def _works(self, symbol: str) -> bool:
        return any(not is_backstop(order) for order in ours_on(self.account, symbol))

    def _may_stay(self, lot: Lot) -> bool:
        """A person changed it, somebody else's order holds it, or its entry price is gone."""
        position = self.account.positions.get(lot.symbol)
        unknown_entry = position is not None and position.avg_entry_price <= 0
        unknowable = lot.symbol in self.touched or unknown_entry or self._hid_its_peak(lot)
        return unknowable or self._halted(lot) or not self._still_due(lot)

    def _hid_its_peak(self, lot: Lot) -> bool:
        """Whether next to no look could see how high it rose: the broker's clock was down all the while."""
        if lot.role is not Role.TRAILING or lot.due_at is None:
            return False
        begins_at, ends_at = lot.due_at - PEAKS + MINUTE, lot.due_at - MINUTE
        read = [hour for hour in self.hours if begins_at <= hour <= ends_at]
        return sum(later - earlier < MINUTE for earlier, later in pairwise(read)) < FEW_PAIRS

    def _halted(self, lot: Lot) -> bool:
        """Whether three rejects of its orders halted a patient exit, which the user was told (K4)."""
        patient = lot.role in {Role.TARGET, Role.ZERO_DAY}
        rejects = REJECTS & {planned.fault.name for planned in self.day.faults}
        told = any(event.symbol == lot.symbol and "in a row" in event.text for event in self.told)
        return bool(patient and rejects and told)

    def _still_due(self, lot: Lot) -> bool:
        """Whether the book still says that it should leave; a target may be over."""
        if lot.role in {Role.ZERO_DAY, Role.UNCOVERED}:
            return self.exchange.now < cutoff(asset_of(lot.symbol), self.exchange.settings)
        if lot.role in FALLEN:
            return True
        quote, rate = self.exchange.quote(lot.symbol), Decimal("1.1") if lot.role is Role.TARGET else Decimal("0.8")
        if quote is None or quote.bid is None:
            return False
        return quote.bid >= lot.entry * rate if lot.role is Role.TARGET else quote.mid <= lot.entry * rate

    def _was_told(self, symbol: str) -> bool:
        """Whether anything above a note was said of the symbol, or of the account as a whole, in the last half hour."""
        since = self.exchange.now - dt.timedelta(minutes=30)
        return any(
            event.at >= since and event.symbol in {symbol, ""} and event.severity is not Severity.INFO
            for event in self.told
        ) or any(event.kind is EventKind.ALERT and event.symbol == symbol for event in self.told)

    def _say(self, invariant: str, text: str) -> None:
        self.findings.add(invariant, self.exchange.now, text)
