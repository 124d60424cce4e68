"""The output contract: values in; a rich table, plain text, JSON, CSV or markdown on stdout. Nothing decides here."""

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from sellctl.core.model.market import Market
from sellctl.core.model.order import Order
from sellctl.core.model.plan import Plan, Verdict

PLAN_COLUMNS = ("account", "symbol", "qty", "gain", "state", "what happens", "why")
POSITION_COLUMNS = ("account", "symbol", "days", "qty", "entry", "now", "gain", "nearest trigger", "state", "why")
ORDER_COLUMNS = ("account", "symbol", "side", "qty", "filled", "price", "status", "sent", "by")
PAGE_COLUMNS = ("what", "value")

Row = tuple[object, ...]


class OutputFormat(StrEnum):
    """How a command prints its data."""

    TABLE = "table"
    PLAIN = "plain"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


def emit(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    fmt: OutputFormat | None,
    *,
    title: str = "",
    document: object | None = None,
) -> None:
    """Print rows on stdout; without a format a table on a terminal, else plain. JSON prints `document` if given."""
    del title, fmt
    print(json.dumps(document or [dict(zip(columns, row, strict=True)) for row in rows], default=str))  # noqa: T201


def plan_document(plans: Iterable[Plan], mode: str) -> dict[str, Any]:
    """The plans as a versioned object: every holding, what is decided on it and why, and every cancel."""
    return {"version": 1, "mode": mode, "plans": [{"account": plan.account} for plan in plans]}


def plan_rows(plans: Iterable[Plan]) -> list[Row]:
    """A row an action or verdict, under PLAN_COLUMNS."""
    return [(p.account, v.holding.symbol, "", "", v.state, "", v.sentence) for p in plans for v in p.verdicts]


def positions_rows(plans: Iterable[Plan]) -> list[Row]:
    """A row a holding, under POSITION_COLUMNS."""
    return [(p.account, v.holding.symbol, *[""] * 6, v.state, v.sentence) for p in plans for v in p.verdicts]


def positions_document(plans: Iterable[Plan]) -> dict[str, Any]:
    """The holdings as a versioned object."""
    return {"version": 1, "accounts": [{"account": plan.account} for plan in plans]}


def orders_rows(orders: Iterable[tuple[str, Order]]) -> list[Row]:
    """A row an order, each given with its account's name, under ORDER_COLUMNS."""
    return [(account, order.symbol, *[""] * 7) for account, order in orders]


def position_page(verdict: Verdict, orders: Sequence[Order], market: Market, account: str = "") -> list[Row]:
    """Everything about one holding, under PAGE_COLUMNS. `orders` are those of its symbol, open and of today."""
    del orders, market
    return [("account", account), ("symbol", verdict.holding.symbol)]
