"""Rows and the document of rules that a person sets for a position: what they change."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sellctl.core.manual.proposed_overrides import ProposedOverride
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.plan import Trigger
from sellctl.core.model.view import AccountListing
from sellctl.core.text import as_dollars, as_percent
from sellctl.ui.formatting import Cell, mode_cell, number_data
from sellctl.ui.render import JSON_VERSION
from sellctl.ui.rows import TableRow

PROPOSED_OVERRIDE_COLUMNS = ("account", "mode", "symbol", "contract", "rule", "now", "then")


def proposed_override_rows(
    proposed: Iterable[ProposedOverride], accounts: Mapping[str, AccountListing]
) -> list[TableRow]:
    """A row per rule with a price, before and after the change, and one per warning and note."""
    return [row for each in proposed for row in _rows_of(each, accounts[each.account])]


def _rows_of(each: ProposedOverride, listing: AccountListing) -> Iterator[TableRow]:
    first = (each.account, mode_cell(listing.mode), each.name, contract_text(each.name))
    yield (
        *first,
        "set by hand",
        each.before.text if each.before else "nothing",
        each.after.text if each.after else "nothing",
    )
    before, after = _by_reason(each.triggers_before), _by_reason(each.triggers)
    for reason in dict.fromkeys((*before, *after)):
        yield (*first, reason, _at(before.get(reason)), _at(after.get(reason)))
    for text in (*each.warnings, *each.notes):
        yield (*first, "note", None, text)


def _by_reason(triggers: Sequence[Trigger]) -> dict[str, Trigger]:
    return {trigger.reason.value: trigger for trigger in triggers}


def _at(trigger: Trigger | None) -> Cell | None:
    if trigger is None:
        return None
    away = "" if trigger.distance is None else f" ({as_percent(trigger.distance)})"
    return Cell(f"{as_dollars(trigger.price)}{away}", str(trigger.price))


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
