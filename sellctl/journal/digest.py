"""What of a plan is recorded, and what makes it differ from the last one. Pure.

The numbers in a denial change with every quote: the same denial with other numbers is not recorded again, nor is a plan
that sends nothing while nothing of ours changed.
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
_SIGNIFICANT = {DecisionState.DENIED, DecisionState.BLOCKED, DecisionState.CLOSING}


def signature(snapshot: Snapshot, plan: Plan) -> Mapping[str, Sequence[object]]:
    """What two plans have in common when the second need not be recorded."""
    return {
        "sends": [decision.submit for decision in plan.submits],
        "cancels": [cancel.order.id for cancel in plan.cancels],
        "backstops": [decision.backstop for decision in plan.backstops],
        "leaving": sorted(_signature(decision) for decision in plan.notable if decision.state in _SIGNIFICANT),
        "working": sorted([o.client_order_id, o.state, str(o.filled_qty)] for o in snapshot.orders if o.is_ours),
        "faults": sorted(_NUMBERS.sub("#", fault) for fault in plan.faults),
    }


def fingerprint(parts: Mapping[str, Sequence[object]]) -> str:
    """The hash of a signature; "" for one that is empty."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest() if any(parts.values()) else ""


def excerpt(snapshot: Snapshot, plan: Plan) -> tuple[Snapshot, Plan]:
    """Both without the underlyings on which nothing happens and no order rests: they would be nearly all of every row.

    What is kept is whole, so that the same decisions follow from it. The underlying is read from the symbol, since a
    holding of a class unknown to us may cover another one all the same.
    """
    acting = (each for each in plan.notable if each.signal or each.backstop or each.state is not DecisionState.WATCHING)
    kept = {underlying_of(decision.holding.symbol) for decision in acting}
    kept |= {underlying_of(each.symbol) for order in snapshot.orders for each in (order, *order.legs)}
    return (
        replace(snapshot, holdings=tuple(each for each in snapshot.holdings if underlying_of(each.symbol) in kept)),
        replace(plan, decisions=tuple(each for each in plan.decisions if underlying_of(each.holding.symbol) in kept)),
    )


def _signature(decision: PositionDecision) -> list[str]:
    violations = (_NUMBERS.sub("#", violation) for violation in decision.violations)
    return [decision.holding.symbol, decision.state, _reason(decision), *violations]


def _reason(decision: PositionDecision) -> str:
    return decision.signal.reason if decision.signal else ""


def refusals(plan: Plan) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Symbol, reason and detail of each exit that a check of ours denied."""
    for decision in plan.of(DecisionState.DENIED):
        detail = {"sentence": decision.sentence, "violations": decision.violations}
        yield decision.holding.symbol, _reason(decision), detail


def summary(plan: Plan) -> dict[str, object]:
    """The plan in words, for a reader of the history."""
    parts = {
        "sells": {decision.holding.symbol: decision.sentence for decision in plan.submits},
        "cancels": {cancel.order.client_order_id: cancel.why for cancel in plan.cancels},
        "backstops": {decision.holding.symbol: decision.sentence for decision in plan.backstops},
        "denied": [decision.holding.symbol for decision in plan.of(DecisionState.DENIED)],
        "faults": plan.faults,
    }
    return {key: value for key, value in parts.items() if value}
