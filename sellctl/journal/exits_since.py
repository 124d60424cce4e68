"""What the journal recorded of exits since a given row, by any process; read without a lock."""

from collections.abc import Iterable, Mapping
from dataclasses import replace as replace_row
from decimal import Decimal

import sqlalchemy as sa
from msgspec.structs import replace

from sellctl.core.model.exit_record import ExitsSince
from sellctl.core.model.plan import Reason
from sellctl.journal.database import read_only
from sellctl.journal.derived import INTENT
from sellctl.journal.location import JournalLocation
from sellctl.journal.queries import COLUMNS, AuditRow, as_row
from sellctl.journal.schema import audit

_NET = "net"  # the key of the net price in a row of a leg
_KINDS = (INTENT, "accepted", "refused", "fill")


def newest_row(path: JournalLocation) -> int:
    """The number of the newest row; 0 without any."""
    return read_only(path, lambda tx: tx.scalar(sa.select(sa.func.max(audit.c.seq))), missing=0) or 0


def exits_since(path: JournalLocation, account: str, row: int) -> dict[str, ExitsSince]:
    """What was recorded about the orders of an account after this row, by symbol.

    What was recorded about a multi-leg order counts for its structure, and with its net price for each of its symbols.
    """
    statement = sa.select(*COLUMNS).where(audit.c.seq > row, audit.c.account == account, audit.c.kind.in_(_KINDS))
    nothing: tuple[AuditRow, ...] = ()
    rows = read_only(
        path, lambda tx: tuple(as_row(each) for each in tx.execute(statement.order_by(audit.c.seq))), missing=nothing
    )
    by_symbol: dict[str, list[AuditRow]] = {}
    legs: dict[str, dict[str, Decimal]] = {}  # contracts per unit, by client order id and symbol
    for each in rows:
        if each.reason == Reason.BACKSTOP and each.kind != "fill":
            continue  # placing a backstop closes nothing
        by_symbol.setdefault(each.symbol, []).append(each)
        if each.kind == INTENT and each.body.get("legs"):
            legs[each.client_order_id] = {leg["symbol"]: Decimal(leg["ratio"]) for leg in each.body["legs"]}
        for symbol, ratio in legs.get(each.client_order_id, {}).items():
            by_symbol.setdefault(symbol, []).append(_of_leg(each, ratio))
    return {symbol: _summary(each) for symbol, each in by_symbol.items()}


def _of_leg(row: AuditRow, ratio: Decimal) -> AuditRow:
    """A row of a multi-leg order as one of a leg."""
    if row.kind != "fill":
        return row
    qty, net = str(Decimal(str(row.body["new"])) * ratio), row.body.get("filled_avg_price")
    return replace_row(row, body={**row.body, "new": qty, "filled_avg_price": "", _NET: net})


def _summary(rows: Iterable[AuditRow]) -> ExitsSince:
    """Each fill adds its new quantity; the price of a fill's order is its average, so the last one counts."""
    summary, prices, amounts = ExitsSince(), dict[str, Decimal | None](), dict[str, Decimal]()
    nets = dict[str, Decimal | None]()
    for row in rows:
        if row.kind == "fill":
            new, price = Decimal(str(row.body["new"])), row.body.get("filled_avg_price")
            amounts[row.client_order_id] = amounts.get(row.client_order_id, Decimal(0)) + new
            prices[row.client_order_id] = Decimal(str(price)) if price else None
            nets[row.client_order_id] = Decimal(str(net)) if (net := row.body.get(_NET)) else None
        elif row.kind == "refused":
            summary = replace(summary, refusal=str(row.body.get("message", "")) or "no reason given")
        else:
            why = str(row.body.get("why", "")) if row.kind == INTENT else summary.why
            summary = replace(summary, sent=True, refusal="", why=why)
    filled = sum(amounts.values(), Decimal(0))
    return replace(summary, filled=filled, price=_average(prices, amounts), net=_average(nets, amounts))


def _average(prices: Mapping[str, Decimal | None], amounts: Mapping[str, Decimal]) -> Decimal | None:
    """The average of these orders' prices by their amounts; None when one is unknown, or nothing has filled."""
    filled = sum(amounts.values(), Decimal(0))
    known = [price * amounts[order] for order, price in prices.items() if price is not None]
    return sum(known, Decimal(0)) / filled if filled and len(known) == len(amounts) else None
