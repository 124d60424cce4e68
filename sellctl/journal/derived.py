"""What the tables `unresolved` and `fills` must hold, derived from the audit rows in their order."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sellctl.core.model.order import STATE_OF_STATUS, OrderState
from sellctl.journal.account_numbers import OF_ANOTHER_ACCOUNT
from sellctl.journal.chain import storable
from sellctl.journal.schema import fills, unresolved

INTENT = "intent"
FILL = "fill"
# What ends an intent: a terminal status or refusal of the broker, evidence that the order never reached it, or that the
# key belongs to another account.
FINAL_OUTCOMES = frozenset(status for status, state in STATE_OF_STATUS.items() if state is OrderState.TERMINAL) | {
    "refused",
    "absent",
    "denied",
    "not_sent",
    OF_ANOTHER_ACCOUNT,
}

Key = tuple[str, str]


@dataclass(slots=True)
class Derived:
    """The rows of both tables after the audit rows that were taken.

    Those of `unresolved` by account and client order id, those of `fills` by account and the broker's order id.
    """

    unresolved: dict[Key, dict[str, object]] = field(default_factory=dict)
    fills: dict[Key, dict[str, object]] = field(default_factory=dict)

    def take(self, row: Mapping[str, Any]) -> None:
        """Apply one audit row."""
        account, order = row["account"], row["client_order_id"]
        if row["kind"] == INTENT:
            self.unresolved[account, order] = {column.name: row[column.name] for column in unresolved.columns}
        elif row["kind"] == FILL:
            body = json.loads(row["body"])
            self.fills[account, str(body["order_id"])] = {
                "account": account,
                "order_id": str(body["order_id"]),
                "client_order_id": order,
                "symbol": row["symbol"],
                "filled_qty": str(Decimal(str(body["filled_qty"]))),
                "price": str(body.get("filled_avg_price") or ""),
                "day": row["day"],
            }
        elif row["kind"] in FINAL_OUTCOMES:
            self.unresolved.pop((account, order), None)

    def write(self, tx: sa.Connection) -> None:
        """Fill both tables of a new file."""
        for table, rows in ((unresolved, self.unresolved), (fills, self.fills)):
            if rows:
                tx.execute(sa.insert(table), list(rows.values()))

    def fault(self, tx: sa.Connection, *, whole: bool) -> str:
        """How the tables contradict the rows; "" when they don't.

        Unless the audit is `whole`, there may be fills whose rows were archived.
        """
        if _rows(tx, unresolved, "client_order_id") != self.unresolved:
            return "the table of open orders does not follow from the rows"
        found = _rows(tx, fills, "order_id")
        if not whole:
            found = {key: row for key, row in found.items() if key in self.fills}
        if _without_days(found) != _without_days(self.fills):
            return "the table of fills does not follow from the rows"
        return ""


def _rows(tx: sa.Connection, table: sa.Table, order: str) -> dict[Key, dict[str, object]]:
    found = tx.execute(sa.select(table)).mappings()
    rows = ({name: storable(cell) if isinstance(cell, str) else cell for name, cell in row.items()} for row in found)
    return {(str(row["account"]), str(row[order])): row for row in rows}


def _without_days(rows: Mapping[Key, Mapping[str, object]]) -> dict[Key, dict[str, object]]:
    """The rows without their day, which around midnight may differ from that of the audit row."""
    return {key: {name: cell for name, cell in row.items() if name != "day"} for key, row in rows.items()}
