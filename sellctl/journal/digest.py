"""Which parts of a plan are recorded, and when a plan differs from the last recorded one. Pure.

The numbers in a denial change with every quote: the same denial with other numbers is not recorded again. A plan that
sends nothing is recorded only if our orders changed.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision
from sellctl.core.model.snapshot import Snapshot
from sellctl.journal.chain import canonical

_NUMBERS = re.compile(r"\d[\d.,:]*")
_SIGNIFICANT = {DecisionState.DENIED, DecisionState.BLOCKED, DecisionState.CLOSING}


def signature(snapshot: Snapshot, plan: Plan) -> Mapping[str, Sequence[object]]:
    """The parts of a plan that are compared: a plan is recorded only when they differ from those of the last one."""
    return {
        "sends": [decision.submit for decision in plan.submits],
        "cancels": [cancel.order.id for cancel in plan.cancels],
        "backstops": [decision.backstop for decision in plan.backstops],
        "leaving": sorted(_signature(decision) for decision in plan.notable if decision.state in _SIGNIFICANT),
        "working": sorted([o.client_order_id, o.state, str(o.filled_qty)] for o in snapshot.orders if o.is_ours),
        "faults": sorted(map(without_numbers, plan.faults)),
    }


def fingerprint(parts: Mapping[str, Sequence[object]]) -> str:
    """The hash of a signature; "" for one that is empty."""
    return hashlib.sha256(canonical(parts).encode()).hexdigest() if any(parts.values()) else ""


def excerpt(snapshot: Snapshot, plan: Plan) -> tuple[Snapshot, Plan]:
    """Snapshot and plan reduced to underlyings with an exit or a resting order, which keeps the rows small.

    Each is kept whole, so that a replay gives the same decisions. The underlying is derived from the symbol, since a
    holding of an unknown asset class may still cover another one.
    """
    acting = (each for each in plan.notable if each.signal or each.backstop or each.state is not DecisionState.WATCHING)
    kept = {underlying_of(decision.holding.symbol) for decision in acting}
    kept |= {underlying_of(each.symbol) for order in snapshot.orders for each in (order, *order.legs)}
    return (
        replace(snapshot, holdings=tuple(each for each in snapshot.holdings if underlying_of(each.symbol) in kept)),
        replace(plan, decisions=tuple(each for each in plan.decisions if underlying_of(each.holding.symbol) in kept)),
    )


def without_numbers(text: str) -> str:
    """A text with a placeholder for each number: equal for the same denial with other numbers."""
    return _NUMBERS.sub("#", text)


def _signature(decision: PositionDecision) -> list[str]:
    violations = map(without_numbers, decision.violations)
    return [decision.holding.symbol, decision.state, _reason(decision), *violations]


def _reason(decision: PositionDecision) -> str:
    return decision.signal.reason if decision.signal else ""


def denials(plan: Plan) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    """Symbol, reason and detail of each exit that a check of sellctl denied."""
    for decision in plan.of(DecisionState.DENIED):
        detail = {"sentence": decision.sentence, "violations": decision.violations}
        yield decision.holding.symbol, _reason(decision), detail


def summary(plan: Plan) -> dict[str, object]:
    """The plan in sentences, for the history."""
    parts = {
        "sells": {decision.holding.symbol: decision.sentence for decision in plan.submits},
        "cancels": {cancel.order.client_order_id: cancel.why for cancel in plan.cancels},
        "backstops": {decision.holding.symbol: decision.sentence for decision in plan.backstops},
        "denied": [decision.holding.symbol for decision in plan.of(DecisionState.DENIED)],
        "faults": plan.faults,
    }
    return {key: value for key, value in parts.items() if value}
