"""Plans as commit d486047 packed them (format 1).

Fields at their defaults were left out. A holding or an order that occurred several times was written once: `{"#": 3}`
refers to the fourth of them in the order in which they end. Durations were whole microseconds. Fields that no longer
exist are dropped.
"""

import datetime as dt
import json
from typing import Any

import msgspec

from sellctl.core.model.plan import DecisionState, Plan
from sellctl.core.model.snapshot import Snapshot

# Old field -> today's field.
RENAMED = {
    "agreed": "confirmed",
    "base": "original_qty",
    "by_hand": "manual_closes",
    "follow": "exit_after",
    "frozen": "suspended",
    "leads": "then_close",
    "objections": "violations",
    "spoiled": "invalid",
    "tag": "opening_order_id",
    "track": "state",
    "verdicts": "decisions",
}
# Old state of a decision -> today's.
STATES = {"held": "watching", "leaving": "closing"}
DURATIONS = frozenset({"age", "pressing_for", "rejected_for", "wide_for"})
_MICROSECOND = dt.timedelta(microseconds=1)
_STATES_TODAY = frozenset(DecisionState)


def decode(content: bytes) -> tuple[Snapshot, Plan]:
    """The snapshot and the plan in such a text."""
    return msgspec.convert(_today(json.loads(content), []), tuple[Snapshot, Plan])


def _today(value: Any, shared: list[dict[str, Any]]) -> Any:
    """The same value under today's names; `shared` collects the holdings and orders for the references to come."""
    if isinstance(value, list):
        return [_today(item, shared) for item in value]
    if not isinstance(value, dict):
        return value
    if "#" in value:
        return shared[value["#"]]
    fields: dict[str, Any] = {}
    name: str
    for name, item in value.items():
        read = _today(item, shared)
        if name in DURATIONS:
            read = item * _MICROSECOND
        elif name == "state" and item not in _STATES_TODAY:
            read = STATES[item]
        # Under both names: some types still use the old one, and unknown fields are ignored.
        fields[name] = fields[RENAMED.get(name, name)] = read
    if _is_holding_or_order(value):
        shared.append(fields)
    return fields


def _is_holding_or_order(value: dict[str, Any]) -> bool:
    return "position" in value or {"id", "client_order_id", "status"} <= value.keys()
