"""What the journal says of an order: its committed intents, and why one of a person's was cancelled."""

import json
import re
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from sellctl.core.model.plan import Reason
from sellctl.sim.venue.orders import SimOrder

ZERO = Decimal(0)
REST_OF_A_REQUEST = "the rest of a request"  # the reason of a leg that follows a structure which a person has closed
_REST_OF_A_REQUEST = re.compile(r"the rest of a structure that is being closed: \S+: closed manually")

JOURNAL = "journal.sqlite"


def away_from(folder: Path) -> Path:
    """Where the journal's files are while they are moved away (D06)."""
    return folder.with_name(f"{folder.name}.away")


def intents(folder: Path, client_order_id: str) -> Iterator[dict[str, Any]]:
    """The bodies of the committed intents with an id."""
    return (entry.get("body", {}) for entry in _entries(folder, "intent", client_order_id))


def was_cancelled_for_an_exit(folder: Path, client_order_id: str) -> bool:
    """Whether the journal says that an order was cancelled because it blocked an exit."""
    return any("to make way for" in str(entry.get("why")) for entry in _entries(folder, "cancel", client_order_id))


def reason_of(folder: Path, client_order_id: str) -> str:
    """Why an order of ours was sent, by its newest committed intent; "" when there is none.

    REST_OF_A_REQUEST for a leg that follows its structure, where a person's request was the first to close that.
    """
    rows = _rows(folder, "intent", client_order_id)
    if not rows:
        return ""
    reason, body = rows[-1]
    is_requested = reason == Reason.STRUCTURE and _REST_OF_A_REQUEST.match(json.loads(body).get("why", ""))
    return REST_OF_A_REQUEST if is_requested else reason


def _entries(folder: Path, kind: str, client_order_id: str) -> Iterator[dict[str, Any]]:
    """The journal's entries of one kind about an order, read through a connection of its own, also while it is away."""
    yield from (json.loads(body) for _, body in _rows(folder, kind, client_order_id))


def _rows(folder: Path, kind: str, client_order_id: str) -> list[tuple[str, str]]:
    """The reasons and bodies of such entries, oldest first."""
    path = next((each for each in (folder / JOURNAL, away_from(folder) / JOURNAL) if each.exists()), None)
    if path is None:
        return []
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        query = "SELECT reason, body FROM audit WHERE kind = ? AND client_order_id = ? ORDER BY seq"
        return connection.execute(query, (kind, client_order_id)).fetchall()
    finally:
        connection.close()


def is_same(intent: dict[str, Any], order: SimOrder) -> bool:
    """Whether the intent's body describes the order that arrived."""
    prices = ("limit_price", "stop_price", "trail_percent")
    prices_sent = {name: Decimal(str(intent[name])) for name in prices if intent.get(name)}
    if order.type == "trailing_stop":  # the exchange moves its stop price with the market
        prices_sent["stop_price"] = order.stop_price or ZERO
    return (
        _traded(intent) == {(part.symbol, part.side, part.ratio_qty or 1) for part in (order.legs or [order])}
        and intent.get("type") == order.type
        and Decimal(str(intent.get("qty"))) == order.qty
        and all(prices_sent.get(name, ZERO) == (getattr(order, name) or ZERO) for name in prices)
    )


def _traded(intent: dict[str, Any]) -> set[tuple[Any, Any, Decimal]]:
    each = intent.get("legs") or [intent]
    return {(leg.get("symbol"), leg.get("side"), Decimal(leg.get("ratio_qty") or 1)) for leg in each}
