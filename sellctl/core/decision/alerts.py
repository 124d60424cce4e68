"""What the user is told of a position for which nothing can be done: an overdue exit, or lost quotes. Pure."""

import datetime as dt

from msgspec.structs import replace

from sellctl.core.decision.context import DecisionContext
from sellctl.core.model.plan import DecisionState, PositionDecision, Urgency

# When the user is alerted that a position is still held although a protective or forced exit is due: since it became
# due, whatever keeps it, and then repeatedly.
OVERDUE_AFTER = dt.timedelta(seconds=45)
OVERDUE_AGAIN = dt.timedelta(minutes=3)
# How long quotes may be unusable before the user is alerted.
QUOTES_LOST_AFTER = dt.timedelta(minutes=5)


def overdue_alerts(due_for: dt.timedelta | None) -> int:
    """The number of alerts that are due on a protective or forced exit that has been due for so long."""
    if due_for is None or due_for < OVERDUE_AFTER:
        return 0
    return 1 + (due_for - OVERDUE_AFTER) // OVERDUE_AGAIN


def with_overdue(decision: PositionDecision, context: DecisionContext) -> PositionDecision:
    """The decision, marked as pressing where a protective or forced exit is due, with the alerts on it by now."""
    if not _is_pressing(decision, context):
        return decision
    sentence = decision.sentence or f"an exit was due, and whether it still is can't be told: {_unknown(decision)}"
    return replace(decision, sentence=sentence, pressing=True, overdue=overdue_alerts(decision.holding.state.due_for))


def _is_pressing(decision: PositionDecision, context: DecisionContext) -> bool:
    """Whether a protective or forced exit is due. One that was stays due while that is unknown, or its order works."""
    if decision.signal and decision.signal.urgency <= Urgency.PROTECTIVE:
        return True
    state = decision.holding.state
    if state.due_for is None or state.suspended or not context.snapshot.market.is_open:
        return False
    works = bool(state.unresolved or context.ours_on(decision.holding.symbol))
    return bool(_unknown(decision)) or (works and state.exit is not None and state.exit.urgency <= Urgency.PROTECTIVE)


def _unknown(decision: PositionDecision) -> str:
    """Why it can't be told whether an exit is due; "" when it can."""
    return decision.sentence if decision.state is DecisionState.FAULT else decision.unquoted


def with_lost_quotes(decision: PositionDecision, problem: str) -> PositionDecision:
    """The decision with what is wrong with the quotes of its rules; after QUOTES_LOST_AFTER in a state of its own."""
    if not problem:
        return decision
    lasts = decision.holding.state.unquoted_for
    if decision.state is not DecisionState.WATCHING or lasts is None or lasts < QUOTES_LOST_AFTER:
        return replace(decision, unquoted=problem)
    minutes = lasts // dt.timedelta(minutes=1)
    lost = f"no usable quote for {minutes} min ({problem}): rules on its price can't fire until one comes"
    sentence = "; ".join(note for note in (lost, decision.sentence) if note)
    return replace(decision, state=DecisionState.NO_QUOTE, sentence=sentence, alert=True, unquoted=problem)
