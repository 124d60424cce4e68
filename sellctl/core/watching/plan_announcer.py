"""Publishes the parts of a plan that the user should know, each once until it changes.

Of a structure that leaves as one order its name is the subject, and what is said of its legs is said once.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.events import EventPublisher
from sellctl.core.model.event import EventKind
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision, Urgency
from sellctl.core.model.position import Override, OverrideChange
from sellctl.core.structures.names import legs_of

_ANNOUNCED = {
    DecisionState.BLOCKED: EventKind.BLOCKED,
    DecisionState.DENIED: EventKind.DENIED,
    DecisionState.FAULT: EventKind.DEGRADED,
}
# How long a position must not have been blocked until the same block is news again: a price may toggle at its trigger.
BLOCK_OVER = dt.timedelta(minutes=1)


class OverrideNews(Struct, frozen=True):
    """A change of what is set for a position, or an override that has ended.

    `request` is the id of the request. Not `is_done`: the position isn't held.
    """

    symbol: str
    what: Override | OverrideChange
    by: str
    request: str = ""
    is_done: bool = True


@dataclass(slots=True)
class PlanAnnouncer:
    """Compares each plan of one account with what was published before."""

    publish: EventPublisher
    # By the symbol of a position, or the name of a structure that leaves as one order:
    _obstacles: dict[str, str] = field(default_factory=dict)  # what last prevented its exit
    _unblocked_at: dict[str, dt.datetime] = field(default_factory=dict)  # when its block seemed to be over
    _alerts: dict[str, str] = field(default_factory=dict)  # what the last alert was about
    _overdue: dict[str, int] = field(default_factory=dict)  # the last count published of an overdue exit
    _unquoted: set[str] = field(default_factory=set)  # the symbols whose lost quotes were published
    _faults: set[str] = field(default_factory=set)
    _named: frozenset[str] = frozenset()  # what is wrong with structures that the user names
    _guard_problem: str = ""

    def announce(self, plan: Plan) -> None:
        """Publish what is new in a plan."""
        notable = plan.notable
        self._forget_the_settled(plan, notable)
        for decision in _once_per_structure(notable):
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

    def announce_named(self, problems: Iterable[str]) -> None:
        """Publish once what is wrong with structures that the user names."""
        now = frozenset(problems)
        for problem in sorted(now - self._named):
            self.publish("", EventKind.NOTE, problem, failed=True)
        self._named = now

    def _forget_the_guard(self, plan: Plan) -> None:
        """Publish that the account guard can be evaluated again, and its next problem anew."""
        before, self._guard_problem = self._guard_problem, plan.guard_problem
        if before and not plan.guard_problem:
            self._faults.discard(before)
            if not plan.tripped_limit:
                self.publish("", EventKind.RECOVERED, "the account guard can be evaluated again")

    def announce_suspended(self, suspended: Iterable[tuple[str, str]], program: str, *, is_recorded: bool) -> None:
        """Publish which symbols' rules were suspended, why, and how the user's call of `program` resumes them."""
        for symbol, why in suspended:
            text = f"its rules are suspended: {why}; `{program} manage {symbol}` resumes them"
            detail = {"symbol": symbol, "why": why}
            self.publish(symbol, EventKind.ALERT, text, journal_kind="frozen" if is_recorded else "", detail=detail)

    def announce_overrides(self, news: Iterable[OverrideNews]) -> None:
        """Publish what was set for positions, or not, and what has ended."""
        for each in news:
            detail = {"symbol": each.symbol, "id": each.request, "by": each.by, "what": each.what.text}
            if isinstance(each.what, Override):
                text = f"set by hand until now, and ended: {each.what.text}"
                self.publish(each.symbol, EventKind.NOTE, text, journal_kind="override ended", detail=detail)
            elif each.is_done:
                text = f"set by {each.by}: {each.what.text}"
                self.publish(each.symbol, EventKind.NOTE, text, journal_kind="override", detail=detail)
            else:
                text = f"{each.what.text} was not set: it is not held"
                detail["problem"] = "it is not held"
                self.publish(each.symbol, EventKind.NOTE, text, failed=True, journal_kind="override", detail=detail)

    def _forget_the_settled(self, plan: Plan, notable: Sequence[PositionDecision]) -> None:
        """Forget holdings with nothing notable, so that their next obstacle or alert is published."""
        unsettled = {decision.holding.symbol for decision in notable}
        settled = {decision.holding.symbol for decision in plan.decisions} - unsettled
        for subject in self._obstacles.keys() | self._alerts.keys():
            symbols = legs_of(subject) or (subject,)
            if not unsettled.isdisjoint(symbols) or settled.isdisjoint(symbols):
                continue
            self._alerts.pop(subject, None)
            if not self._may_be_blocked_again(subject):
                self._obstacles.pop(subject, None)

    def _may_be_blocked_again(self, subject: str) -> bool:
        """Whether the last obstacle of what has none now was a block that ended only a moment ago."""
        if not self._obstacles.get(subject, "").startswith(EventKind.BLOCKED):
            return False
        now = self.publish.now()
        return now - self._unblocked_at.setdefault(subject, now) < BLOCK_OVER

    def _announce_obstacle(self, decision: PositionDecision) -> None:
        """Publish an exit that is blocked, denied or failed."""
        if decision.state in _ANNOUNCED and decision.unconfirmed:
            return  # it isn't refused yet, and if it is with the second quote, that is news
        subject, signal, kind = _subject_of(decision), decision.signal, _kind_of(decision)
        state = kind or decision.state
        obstacle = f"{state}:{signal.reason}:{signal.urgency}" if signal else f"{state}"
        known, self._obstacles[subject] = self._obstacles.get(subject), obstacle
        self._unblocked_at.pop(subject, None)
        if kind is None or known == obstacle:
            return
        urgent = signal is not None and signal.urgency <= Urgency.PROTECTIVE
        failed = urgent or decision.state is DecisionState.FAULT
        critical = urgent and decision.state is DecisionState.BLOCKED
        self.publish(subject, kind, decision.sentence, failed=failed, critical=critical)

    def _announce_alert(self, decision: PositionDecision) -> None:
        """Publish an alert about a position whose exit, if any, isn't blocked, denied or failed."""
        if decision.state in _ANNOUNCED or decision.state is DecisionState.NO_QUOTE or decision.unconfirmed:
            return
        subject = _subject_of(decision)
        if decision.alert:
            about = f"{decision.signal and decision.signal.reason}:{bool(decision.cancel_first)}"
            if self._alerts.get(subject) != about:
                self.publish(subject, EventKind.ALERT, decision.sentence, failed=True)
            self._alerts[subject] = about
        elif decision.signal is None:
            self._alerts.pop(subject, None)

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
        for decision in _once_per_structure(decisions):
            subject = _subject_of(decision)
            if decision.overdue:
                self._overdue[subject] = decision.overdue
                if announced.get(subject) != decision.overdue:
                    text = f"still not closed: {decision.sentence}"
                    self.publish(subject, EventKind.ALERT, text, failed=True, critical=True)


def _kind_of(decision: PositionDecision) -> EventKind | None:
    """The kind of the event about an exit that is blocked, denied, halted or failed; None for any other decision."""
    kind = _ANNOUNCED.get(decision.state)
    return EventKind.HALTED if kind is EventKind.DENIED and decision.is_halted else kind


def _subject_of(decision: PositionDecision) -> str:
    """What is told of: the structure that leaves as one order, or the position."""
    return decision.as_one or decision.holding.symbol


def _once_per_structure(decisions: Iterable[PositionDecision]) -> tuple[PositionDecision, ...]:
    """The decisions, with one for all legs of a structure that leaves as one order: of one with an alert, or the lead.

    It is overdue as often as the leg that has been due for the longest time.
    """
    found: dict[str, list[PositionDecision]] = {}
    for decision in decisions:
        found.setdefault(_subject_of(decision), []).append(decision)
    return tuple(
        replace(min(each, key=_first_told), overdue=max(leg.overdue for leg in each)) if len(each) > 1 else each[0]
        for each in found.values()
    )


def _first_told(leg: PositionDecision) -> tuple[bool, bool, str]:
    return not leg.alert, leg.holding.position.is_long, leg.holding.symbol
