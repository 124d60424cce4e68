"""Rows of the listing commands: plans, positions and orders as tuples of cells for `render.emit`."""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence

from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import Order
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.model.view import AccountListing
from sellctl.core.text import as_dollars
from sellctl.core.watching.manual_exits import ExitOutcome, ProposedExit, Result, total
from sellctl.ui.formatting import (
    Cell,
    Tone,
    amount_cell,
    days_cell,
    days_left,
    distance_text,
    duration,
    exit_side,
    gain_cell,
    market_phase,
    mode_cell,
    moment,
    nearest_text,
    now_cell,
    number,
    order_text,
    plain_text,
    price_cell,
    profit_cell,
    qty_cell,
    sender,
    side_text,
    state_cell,
    state_text,
    submit_text,
    today_of,
    trigger_name,
)

PLAN_COLUMNS = ("account", "mode", "symbol", "qty", "gain", "state", "what happens", "why")
POSITION_COLUMNS = (
    "account",
    "mode",
    "symbol",
    "days",
    "qty",
    "entry",
    "now",
    "gain",
    "state",
    "nearest trigger",
    "why",
)
ORDER_COLUMNS = ("account", "mode", "symbol", "side", "qty", "filled", "type", "price", "status", "sent", "by")
PROPOSED_COLUMNS = ("account", "mode", "symbol", "qty", "price", "proceeds", "P&L", "what happens", "why")
OUTCOME_COLUMNS = ("account", "mode", "symbol", "qty", "filled", "price", "result", "why")
DETAIL_COLUMNS = ("what", "value")

TableRow = tuple[object, ...]


def plan_rows(accounts: Iterable[AccountListing]) -> list[TableRow]:
    """One row per position, stale order, fault and account that could not be read, under PLAN_COLUMNS."""
    return [row for account in accounts for row in _plan_rows(account)]


def _plan_rows(account: AccountListing) -> Iterator[TableRow]:
    name, mode, plan = account.account, mode_cell(paper=account.paper), account.plan
    if plan is None:
        yield (name, mode, None, None, None, _no_plan(account), "nothing", account.problem)
        return
    for decision in plan.decisions:
        holding = decision.holding
        shown = (name, mode, holding.symbol, qty_cell(holding), gain_cell(decision.gain), state_cell(decision))
        yield (*shown, what_happens(decision), _why(decision))
    for cancel in plan.stale:
        order = cancel.order
        stale = Cell("stale", "stale", Tone.WARN)
        yield (name, mode, order.symbol, order.qty, None, stale, f"cancel {order_text(order)}", cancel.why)
    for fault in plan.faults:
        yield (name, mode, None, None, None, Cell("error", DecisionState.FAULT.value, Tone.BAD), "nothing", fault)


def _no_plan(account: AccountListing) -> Cell:
    """The state of an account without a plan."""
    return Cell("in use", "in use", Tone.WARN) if account.in_use else Cell("not read", "not read", Tone.BAD)


def what_happens(decision: PositionDecision) -> str:
    """The plan's action for a position: an order, cancels, "wait" or "nothing"."""
    if decision.submit:
        return submit_text(decision.submit)
    if decision.cancel_first:
        return f"cancel {', '.join(order_text(cancel.order) for cancel in decision.cancel_first)}"
    return "wait" if decision.state is DecisionState.CLOSING else "nothing"


def _why(decision: PositionDecision) -> str:
    """The reason of an order; without an order the whole sentence, because it contains the obstacle."""
    return decision.signal.sentence if decision.submit and decision.signal else decision.sentence


def proposed_rows(proposed: Sequence[ProposedExit]) -> list[TableRow]:
    """One row per position that a manual command may close, under PROPOSED_COLUMNS, and their total."""
    rows = [_proposed_row(each) for each in proposed]
    closing = [each for each in proposed if each.decision.signal]
    if closing[1:] == []:
        return rows
    amounts = (amount_cell(total(each.proceeds for each in closing)), profit_cell(total(each.pnl for each in closing)))
    return [*rows, ("total", None, None, None, None, *amounts, None, None)]


def _proposed_row(each: ProposedExit) -> TableRow:
    decision, account = each.decision, each.listing
    amounts = (amount_cell(each.proceeds), profit_cell(each.pnl)) if decision.signal else (None, None)
    return (
        account.account,
        mode_cell(paper=account.paper),
        each.symbol,
        qty_cell(decision.holding),
        price_cell(each.price),
        *amounts,
        what_happens(decision),
        _why(decision),
    )


def outcome_rows(outcomes: Iterable[ExitOutcome]) -> list[TableRow]:
    """One row per exit with what became of it, under OUTCOME_COLUMNS."""
    return [_outcome_row(each) for each in outcomes]


_RESULT_TONE = {Result.FILLED: Tone.GOOD, Result.GONE: Tone.GOOD, Result.WORKING: Tone.WARN}


def _outcome_row(each: ExitOutcome) -> TableRow:
    account = each.proposed.listing
    price = Cell("", None, is_number=True) if not each.filled else price_cell(each.price)
    return (
        account.account,
        mode_cell(paper=account.paper),
        each.proposed.symbol,
        qty_cell(each.proposed.decision.holding),
        each.filled,
        price,
        Cell(each.result.value, each.result.value, _RESULT_TONE.get(each.result, Tone.BAD)),
        each.why,
    )


def positions_rows(accounts: Iterable[AccountListing]) -> list[TableRow]:
    """One row per position, fault and account that could not be read, under POSITION_COLUMNS."""
    return [row for account in accounts for row in _positions_rows(account)]


def _positions_rows(account: AccountListing) -> Iterator[TableRow]:
    name, mode, plan, empty = account.account, mode_cell(paper=account.paper), account.plan, (None,) * 6
    if plan is None:
        yield (name, mode, *empty, _no_plan(account), None, account.problem)
        return
    for decision in plan.decisions:
        yield (name, mode, *_position_cells(plan, decision))
    for fault in plan.faults:
        yield (name, mode, *empty, Cell("error", DecisionState.FAULT.value, Tone.BAD), None, fault)


def _position_cells(plan: Plan, decision: PositionDecision) -> TableRow:
    holding = decision.holding
    return (
        holding.symbol,
        days_cell(holding, today_of(plan.made_at)),
        qty_cell(holding),
        price_cell(holding.position.entry_price),
        now_cell(holding),
        gain_cell(decision.gain),
        state_cell(decision),
        nearest_text(decision),
        decision.sentence,
    )


def orders_rows(orders: Iterable[tuple[AccountListing, Order]]) -> list[TableRow]:
    """One row per order, under ORDER_COLUMNS. Each order comes with its account."""
    return [_order_row(account, order) for account, order in orders]


def _order_row(account: AccountListing, order: Order) -> TableRow:
    price = order.limit_price if order.limit_price is not None else order.stop_price
    return (
        account.account,
        mode_cell(paper=account.paper),
        order.symbol,
        side_text(order.side),
        order.qty,
        order.filled_qty,
        order.type.value.replace("_", " "),
        price_cell(price) if price is not None else Cell("", None, is_number=True),
        order.status,
        Cell(moment(order.submitted_at), order.submitted_at.isoformat() if order.submitted_at else None),
        sender(order),
    )


# --- everything about one position ------------------------------------------------------------------------------------


def position_details(
    decision: PositionDecision, orders: Sequence[Order], market: Market, account: AccountListing
) -> list[TableRow]:
    """Everything about one position, under DETAIL_COLUMNS. `orders` are those of its symbol: open ones and today's."""
    holding = decision.holding
    rows = (
        ("account", account.account),
        ("mode", mode_cell(paper=account.paper)),
        ("symbol", holding.symbol),
        ("contract", _contract(holding, market)),
        ("quantity", _quantity(holding)),
        ("entry", as_dollars(holding.position.entry_price)),
        ("quote", _quote(holding.quote, market.now)),
        ("quote problem", _quote_problem(holding)),
        ("gain", _gain(decision)),
        *(("trigger", _trigger(decision, trigger)) for trigger in decision.triggers),
        ("exit in progress", _exit_in_progress(holding)),
        *(("open order", _order(order)) for order in orders if not order.is_terminal),
        *(("earlier order", _order(order)) for order in orders if order.is_terminal),
        ("market", market_phase(market)),
        ("state", Cell(state_text(decision), decision.state.value, state_cell(decision).tone)),
        ("what happens", what_happens(decision)),
        ("why", decision.sentence),
    )
    return [row for row in rows if row[1] != ""]


def _contract(holding: Holding, market: Market) -> str:
    option = holding.position.instrument.option
    if option is None:
        return holding.position.instrument.asset_class.value
    left = days_left(holding, market.today)
    when = {0: "today", 1: "tomorrow"}.get(left or 0, f"in {left} days")
    adjusted = "; adjusted: it may not deliver 100 shares" if option.is_adjusted else ""
    strike = f"{holding.position.instrument.underlying} {as_dollars(option.strike)} {option.right.value}"
    return f"{strike}, expires {when} ({option.expires:%a %d %b %Y}){adjusted}"


def _quantity(holding: Holding) -> str:
    position = holding.position
    free = "free quantity unknown" if position.available is None else f"{number(position.available)} free to close"
    return f"{position.direction.value} {number(position.qty)}, {free}"


def _quote(quote: Quote | None, now: dt.datetime) -> str:
    if quote is None:
        return "none"
    sides = f"bid {as_dollars(quote.bid)}{_size(quote.bid_size)}, ask {as_dollars(quote.ask)}{_size(quote.ask_size)}"
    feed = f", {quote.feed} feed" if quote.feed else ""
    return f"{sides}, {duration(now - quote.at)} old{feed}"


def _size(size: object) -> str:
    return "" if size is None else f" x {plain_text(size)}"


def _quote_problem(holding: Holding) -> str:
    wide = "spread too wide: the mid is not reliable" if holding.prices.wide else ""
    return "; ".join(note for note in (holding.prices.problem, wide) if note)


def _gain(decision: PositionDecision) -> Cell:
    cell = gain_cell(decision.gain)
    at = (
        f" at the {exit_side(decision.holding)}, {as_dollars(decision.holding.exit_price)}"
        if decision.gain is not None
        else ""
    )
    return Cell(f"{cell.text}{at}" if at else "unknown", cell.data, cell.tone)


def _trigger(decision: PositionDecision, trigger: Trigger) -> str:
    distance = distance_text(decision, trigger) or "distance unknown"
    return f"{trigger_name(trigger)} at {as_dollars(trigger.price)}, {distance}"


def _exit_in_progress(holding: Holding) -> str:
    progress = holding.state.exit
    if progress is None:
        return ""
    return f"{progress.reason.replace('_', ' ')}, order {progress.step}, sent {duration(progress.age)} ago"


def _order(order: Order) -> str:
    filled = f", {number(order.filled_qty)} filled" if order.filled_qty else ""
    average = f" at {as_dollars(order.filled_avg_price)}" if order.filled_avg_price is not None else ""
    status = order.status.replace("_", " ")
    return f"{order_text(order)}, {status}{filled}{average}, sent {moment(order.submitted_at)} by {sender(order)}"
