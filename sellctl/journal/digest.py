"""What of a plan is told and kept, and what makes it news. Pure.

A denial's numbers change with every quote; the same denial with other numbers is not news, and neither is a plan that
sends nothing while nothing of ours changed.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal.chain import canonical

_NUMBERS = re.compile(r"\d[\d.,:]*")
_NEWS = {DecisionState.DENIED, DecisionState.BLOCKED, DecisionState.CLOSING}


def signature(snapshot: Snapshot, plan: Plan) -> Mapping[str, Sequence[object]]:
    """Equal for two plans that say the same."""
    return {
        "sends": [decision.submit for decision in plan.submits],
        "cancels": [cancel.order.id for cancel in plan.cancels],
        "backstops": [decision.backstop for decision in plan.backstops],
        "leaving": sorted(_signature(decision) for decision in plan.notable if decision.state in _NEWS),
        "working": sorted([o.client_order_id, o.state, str(o.filled_qty)] for o in snapshot.orders if o.is_ours),
        "faults": sorted(_NUMBERS.sub("#", fault) for fault in plan.faults),
    }


def fingerprint(parts: Mapping[str, Sequence[object]]) -> str:
    """A plan's gist, short; "" for one that has nothing to say."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest() if any(parts.values()) else ""


def of_note(snapshot: Snapshot, plan: Plan) -> tuple[Snapshot, Plan]:
    """What a plan is about: every underlying with anything but a quiet holding, whole, from which the same follows.

    An underlying is what the symbol says: a row of a class that we don't know may be a cover all the same.

    What merely stays, with no order on it, is left out: it would be nearly all of every row.
    """
    told = (v for v in plan.notable if v.signal or v.backstop or v.state is not DecisionState.WATCHING)
    groups = {underlying_of(decision.holding.symbol) for decision in told}
    groups |= {underlying_of(each.symbol) for order in snapshot.orders for each in (order, *order.legs)}
    return (
        replace(snapshot, holdings=tuple(h for h in snapshot.holdings if underlying_of(h.symbol) in groups)),
        replace(plan, decisions=tuple(v for v in plan.decisions if underlying_of(v.holding.symbol) in groups)),
    )


def _signature(decision: PositionDecision) -> list[str]:
    violations = (_NUMBERS.sub("#", violation) for violation in decision.violations)
    return [decision.holding.symbol, decision.state, _reason(decision), *violations]


def _reason(decision: PositionDecision) -> str:
    return decision.signal.reason if decision.signal else ""


def refusals(plan: Plan) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Symbol, reason and words of each exit that a guard of ours denied."""
    for decision in plan.of(DecisionState.DENIED):
        yield (
            decision.holding.symbol,
            _reason(decision),
            {"sentence": decision.sentence, "objections": decision.violations},
        )


def summary(plan: Plan) -> dict[str, object]:
    """The plan in words, for a reader of the history."""
    told = {
        "sells": {decision.holding.symbol: decision.sentence for decision in plan.submits},
        "cancels": {cancel.order.client_order_id: cancel.why for cancel in plan.cancels},
        "backstops": {decision.holding.symbol: decision.sentence for decision in plan.backstops},
        "denied": [decision.holding.symbol for decision in plan.of(DecisionState.DENIED)],
        "faults": plan.faults,
    }
    return {key: value for key, value in told.items() if value}
