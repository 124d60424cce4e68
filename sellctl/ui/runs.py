"""What a run did, as rows and as a document: what became of each position's orders, and the plan for the others."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct

from sellctl.core.model.exit_record import ExitsSince, HistoryKind
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.plan import PositionDecision
from sellctl.core.model.view import AccountListing
from sellctl.core.orders.managed_order import ManagedOrder, Purpose
from sellctl.core.text import as_dollars, as_net
from sellctl.ui.documents import Document, plans_listing
from sellctl.ui.formatting import (
    Cell,
    Tone,
    gain_cell,
    number,
    number_data,
    order_text,
    qty_cell,
    state_cell,
    submit_text,
)
from sellctl.ui.rows import PLAN_COLUMNS, TableRow, account_cells, action, leads_of, other_rows, plan_rows

RUN_COLUMNS = (*PLAN_COLUMNS[:-2], "what happened", "why")
_TONE = {HistoryKind.CLOSED: Tone.GOOD, HistoryKind.REJECTED: Tone.BAD}


class Outcome(Struct, frozen=True):
    """What became of a position's orders in a run.

    `price` is the average of the fills, `net` that of the multi-leg orders that closed it with others. `working` is the
    order that still works, as text; "" when none does.
    """

    kind: HistoryKind
    filled: Decimal
    price: Decimal | None
    net: Decimal | None
    working: str
    why: str


class AccountRun(Struct, frozen=True):
    """One account of a run: as decided first, as decided last, and what the journal recorded in between, by symbol.

    `working` has the orders that still work at its end, as text by symbol.
    """

    first: AccountListing
    last: AccountListing
    recorded: Mapping[str, ExitsSince]
    working: Mapping[str, str]

    def outcome_of(self, decision: PositionDecision) -> Outcome | None:
        """What became of the orders of a position; None when there was none."""
        symbol = decision.holding.symbol
        record, working = self.recorded.get(symbol, ExitsSince()), self.working.get(symbol, "")
        if not (record.sent or record.filled or record.refusal or working):
            return None
        why = record.why or (decision.signal.sentence if decision.signal else decision.sentence)
        kind = _kind_of(decision, record, working)
        if kind is HistoryKind.REJECTED:
            why = f"the broker refused: {record.refusal}; {why}"
        return Outcome(kind, record.filled, record.price, record.net, working, why)


def _kind_of(decision: PositionDecision, record: ExitsSince, working: str) -> HistoryKind:
    if record.filled >= decision.holding.position.qty:
        return HistoryKind.CLOSED
    if working:
        return HistoryKind.WORKING
    if record.refusal:
        return HistoryKind.REJECTED
    return HistoryKind.PARTLY_CLOSED if record.filled else HistoryKind.NOT_FILLED


def working_orders(managed: Iterable[ManagedOrder], shown: Iterable[Order]) -> dict[str, str]:
    """The exit orders without a known end, as text by symbol; `shown` are those that the broker showed last."""
    by_id = {order.client_order_id: order for order in shown}
    return {
        symbol: f"{_order_text(order, by_id.get(order.client_order_id))}{', outcome unknown' * order.is_unknown}"
        for order in managed
        if order.purpose is Purpose.EXIT
        for symbol in order.symbols
    }


def _order_text(order: ManagedOrder, shown: Order | None) -> str:
    if order.request:
        return submit_text(order.request)
    return order_text(shown) if shown else f"an order for {number(order.qty)}"


def run_rows(accounts: Iterable[AccountRun]) -> list[TableRow]:
    """One row per position, stale order, fault and account that could not be read, under RUN_COLUMNS."""
    return [row for account in accounts for row in _run_rows(account)]


def _run_rows(account: AccountRun) -> Iterator[TableRow]:
    plan, last = account.first.plan, account.last.plan
    if plan is None:
        yield from plan_rows([account.first])
        return
    latest = {decision.holding.symbol: decision for decision in last.decisions} if last else {}
    leads = leads_of(latest.values())
    for decision in plan.decisions:
        outcome = account.outcome_of(decision)
        if outcome:
            yield (*_position_cells(account, decision), *_outcome_cells(outcome, decision))
        else:
            now = latest.get(decision.holding.symbol, decision)
            yield (*_position_cells(account, now), *_unsent_cells(now, leads))
    yield from other_rows(account.first)


def _position_cells(account: AccountRun, decision: PositionDecision) -> TableRow:
    holding = decision.holding
    return (*account_cells(account.first, holding.symbol), qty_cell(holding), gain_cell(decision.gain))


def _outcome_cells(outcome: Outcome, decision: PositionDecision) -> TableRow:
    state = Cell(outcome.kind.value, outcome.kind.value, _TONE.get(outcome.kind, Tone.WARN))
    return state, what_happened(outcome, decision.holding.position.qty), outcome.why


def _unsent_cells(decision: PositionDecision, leads: Mapping[str, str]) -> TableRow:
    """The cells of a position for which no order was sent, whatever its plan says."""
    if decision.submit is None:
        return state_cell(decision), *action(decision, leads)
    not_sent = HistoryKind.NOT_SENT.value
    return Cell(not_sent, not_sent, Tone.WARN), "nothing", decision.sentence


def what_happened(outcome: Outcome, held: Decimal) -> str:
    """What filled of a position, and what works: "filled at $1.53", "1 of 2 filled at $1.53; sell 1 limit $1.50"."""
    parts = []
    if outcome.filled > ZERO:
        share = "" if outcome.filled >= held else f"{number(outcome.filled)} of {number(held)} "
        parts.append(f"{share}filled {_price_text(outcome)}")
    if outcome.working:
        parts.append(outcome.working)
    if not parts:
        return "refused" if outcome.kind is HistoryKind.REJECTED else "order ended"
    return "; ".join(parts)


def _price_text(outcome: Outcome) -> str:
    if outcome.net is not None:
        return f"at net {as_net(outcome.net)}"
    return "at an unknown price" if outcome.price is None else f"at {as_dollars(outcome.price)}"


def run_document(accounts: Iterable[AccountRun], mode: str, halted: str) -> Document:
    """The document of a plan, with what became of each position's orders as its `outcome`; None without an order."""
    runs = list(accounts)
    document = plans_listing([account.first for account in runs], mode, halted)
    decided = (account for account in runs if account.first.plan)
    for account, part in zip(decided, document["plans"], strict=True):
        decisions = account.first.plan.decisions if account.first.plan else ()
        for decision, holding in zip(decisions, part["holdings"], strict=True):
            holding["outcome"] = _outcome_part(account.outcome_of(decision))
    return document


def _outcome_part(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {
        "result": outcome.kind.value,
        "filled": number(outcome.filled),
        "filled_price": number_data(outcome.price),
        "net_price": number_data(outcome.net),
        "working": outcome.working or None,
        "sentence": outcome.why,
    }
