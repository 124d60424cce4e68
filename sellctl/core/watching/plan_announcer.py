"""Publishes the parts of a plan that the user should know, each once until it changes."""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sellctl.core.events import EventPublisher
from sellctl.core.model.event import EventKind
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision, Urgency

_ANNOUNCED = {
    DecisionState.BLOCKED: EventKind.BLOCKED,
    DecisionState.DENIED: EventKind.DENIED,
    DecisionState.FAULT: EventKind.DEGRADED,
}
# How long a position must not have been blocked until the same block is news again: a price may toggle at its trigger.
BLOCK_OVER = dt.timedelta(minutes=1)


@dataclass(slots=True)
class PlanAnnouncer:
    """Compares each plan of one account with what was published before."""

    publish: EventPublisher
    _obstacles: dict[str, str] = field(default_factory=dict)  # by symbol: what last prevented its exit
    _unblocked_at: dict[str, dt.datetime] = field(default_factory=dict)  # by symbol: when its block seemed to be over
    _alerts: dict[str, str] = field(default_factory=dict)  # by symbol: the subject of the last alert
    _overdue: dict[str, int] = field(default_factory=dict)  # by symbol: the last count published of an overdue exit
    _unquoted: set[str] = field(default_factory=set)  # the symbols whose lost quotes were published
    _faults: set[str] = field(default_factory=set)
    _guard_problem: str = ""

    def announce(self, plan: Plan) -> None:
        """Publish what is new in a plan."""
        notable = plan.notable
        self._forget_the_settled(plan, notable)
        for decision in notable:
            self._announce_obstacle(decision)
            self._announce_alert(decision)
        self._announce_quotes(plan, notable)
        self.announce_overdue(notable)
        for fault in plan.faults:
            if fault not in self._faults:
                self._faults.add(fault)
                kind = EventKind.ALERT if fault == plan.guard_problem else EventKind.DEGRADED
                self.publish("", kind, fault, failed=True)
        self._forget_the_guard(plan)

    def _forget_the_guard(self, plan: Plan) -> None:
        """Publish that the account guard can be evaluated again, and its next problem anew."""
        before, self._guard_problem = self._guard_problem, plan.guard_problem
        if before and not plan.guard_problem:
            self._faults.discard(before)
            if not plan.tripped_limit:
                self.publish("", EventKind.RECOVERED, "the account guard can be evaluated again")

    def announce_suspended(self, suspended: Iterable[tuple[str, str]], *, is_recorded: bool) -> None:
        """Publish which symbols' rules were suspended, and why."""
        for symbol, why in suspended:
            text = f"its rules are suspended: {why}; `sellctl manage {symbol}` resumes them"
            detail = {"symbol": symbol, "why": why}
            self.publish(symbol, EventKind.ALERT, text, journal_kind="frozen" if is_recorded else "", detail=detail)

    def _forget_the_settled(self, plan: Plan, notable: Sequence[PositionDecision]) -> None:
        """Forget holdings with nothing notable, so that their next obstacle or alert is published."""
        settled = {decision.holding.symbol for decision in plan.decisions}
        settled -= {decision.holding.symbol for decision in notable}
        for symbol in settled & (self._obstacles.keys() | self._alerts.keys()):
            self._alerts.pop(symbol, None)
            if not self._may_be_blocked_again(symbol):
                self._obstacles.pop(symbol, None)

    def _may_be_blocked_again(self, symbol: str) -> bool:
        """Whether the last obstacle of a position without one was a block that ended only a moment ago."""
        if not self._obstacles.get(symbol, "").startswith(DecisionState.BLOCKED):
            return False
        now = self.publish.now()
        return now - self._unblocked_at.setdefault(symbol, now) < BLOCK_OVER

    def _announce_obstacle(self, decision: PositionDecision) -> None:
        """Publish an exit that is blocked, denied or failed."""
        if decision.state in _ANNOUNCED and decision.unconfirmed:
            return  # it isn't refused yet, and if it is with the second quote, that is news
        symbol, signal = decision.holding.symbol, decision.signal
        obstacle = f"{decision.state}:{signal.reason}:{signal.urgency}" if signal else f"{decision.state}"
        known, self._obstacles[symbol] = self._obstacles.get(symbol), obstacle
        self._unblocked_at.pop(symbol, None)
        if decision.state not in _ANNOUNCED or known == obstacle:
            return
        urgent = signal is not None and signal.urgency <= Urgency.PROTECTIVE
        failed = urgent or decision.state is DecisionState.FAULT
        critical = urgent and decision.state is DecisionState.BLOCKED
        self.publish(symbol, _ANNOUNCED[decision.state], decision.sentence, failed=failed, critical=critical)

    def _announce_alert(self, decision: PositionDecision) -> None:
        """Publish an alert about a position whose exit, if any, isn't blocked, denied or failed."""
        if decision.state in _ANNOUNCED or decision.state is DecisionState.NO_QUOTE or decision.unconfirmed:
            return
        symbol = decision.holding.symbol
        if decision.alert:
            about = f"{decision.signal and decision.signal.reason}:{bool(decision.cancel_first)}"
            if self._alerts.get(symbol) != about:
                self.publish(symbol, EventKind.ALERT, decision.sentence, failed=True)
            self._alerts[symbol] = about
        elif decision.signal is None:
            self._alerts.pop(symbol, None)

    def _announce_quotes(self, plan: Plan, notable: Sequence[PositionDecision]) -> None:
        """Publish one alert per symbol whose quotes are lost, and their return."""
        lost = {each.holding.symbol: each for each in notable if each.state is DecisionState.NO_QUOTE}
        for symbol in sorted(lost.keys() - self._unquoted):
            self.publish(symbol, EventKind.ALERT, lost[symbol].sentence, failed=True)
        self._unquoted |= lost.keys()
        if not self._unquoted:
            return
        for decision in plan.decisions:
            symbol = decision.holding.symbol
            if symbol in self._unquoted and not (decision.unquoted or decision.holding.prices.problem):
                self._unquoted.discard(symbol)
                self.publish(symbol, EventKind.RECOVERED, "its quotes are usable again")
        self._unquoted &= {decision.holding.symbol for decision in plan.decisions}

    def announce_overdue(self, decisions: Iterable[PositionDecision]) -> None:
        """Publish a critical alert per overdue exit, again each time the count of its alerts grows."""
        announced, self._overdue = self._overdue, {}
        for decision in decisions:
            symbol = decision.holding.symbol
            if decision.overdue:
                self._overdue[symbol] = decision.overdue
                if announced.get(symbol) != decision.overdue:
                    text = f"still not closed: {decision.sentence}"
                    self.publish(symbol, EventKind.ALERT, text, failed=True, critical=True)
