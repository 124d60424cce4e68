"""Rows and the document of rules that a person sets for a position: what they change."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sellctl.core.manual.proposed_overrides import ProposedOverride
from sellctl.core.model.plan import Trigger
from sellctl.core.model.view import AccountListing
from sellctl.core.text import as_dollars, as_percent
from sellctl.ui.formatting import number_data
from sellctl.ui.render import JSON_VERSION
from sellctl.ui.rows import TableRow, account_cells

PROPOSED_OVERRIDE_COLUMNS = ("account", "mode", "symbol", "contract", "rule", "what changes")


def proposed_override_rows(
    proposed: Iterable[ProposedOverride], accounts: Mapping[str, AccountListing]
) -> list[TableRow]:
    """A row per rule with a price, with what it was and what it becomes, and one per warning and note."""
    return [row for each in proposed for row in _rows_of(each, accounts[each.account])]


def _rows_of(each: ProposedOverride, listing: AccountListing) -> Iterator[TableRow]:
    first = account_cells(listing, each.name)
    for rule, change in changes_of(each):
        yield (*first, rule, change)
    for text in (*each.warnings, *each.notes):
        yield (*first, "note", text)


def changes_of(each: ProposedOverride) -> Iterator[tuple[str, str]]:
    """What is set by hand, and each rule with a price, with what it was and what it becomes."""
    before, after = (override.text if override else "nothing" for override in (each.before, each.after))
    yield "set by hand", _change(before, after)
    prices = [
        {trigger.reason: _at(trigger) for trigger in triggers} for triggers in (each.triggers_before, each.triggers)
    ]
    for reason in dict.fromkeys(key for of_rules in prices for key in of_rules):
        was, becomes = (of_rules.get(reason, "none") for of_rules in prices)
        yield reason.value.replace("_", " "), _change(was, becomes)


def _change(was: str, becomes: str) -> str:
    return f"stays {was}" if was == becomes else f"from {was} to {becomes}"


def _at(trigger: Trigger) -> str:
    away = "" if trigger.distance is None else f" ({as_percent(trigger.distance)})"
    return f"{as_dollars(trigger.price)}{away}"


def override_document(proposed: Iterable[ProposedOverride], accounts: Mapping[str, AccountListing]) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "version": JSON_VERSION,
        "overrides": [
            {
                "account": each.account,
                "mode": accounts[each.account].mode.value,
                "symbol": each.name,
                "before": each.before.text if each.before else None,
                "after": each.after.text if each.after else None,
                "triggers_before": [_trigger(trigger) for trigger in each.triggers_before],
                "triggers": [_trigger(trigger) for trigger in each.triggers],
                "warnings": list(each.warnings),
                "notes": list(each.notes),
            }
            for each in proposed
        ],
    }


def _trigger(trigger: Trigger) -> dict[str, Any]:
    distance = None if trigger.distance is None else number_data(trigger.distance)
    return {"reason": trigger.reason.value, "price": number_data(trigger.price), "distance": distance}
