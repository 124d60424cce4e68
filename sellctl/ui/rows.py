"""Rows of the listing commands: plans, positions and orders as tuples of cells for `render.emit`."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sellctl.core.model.instrument import contract_text
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import Order
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.model.view import AccountListing, ShownStructure
from sellctl.core.text import as_dollars, as_net
from sellctl.core.watching.manual_exits import ExitOutcome, ProposedExit, Result, total
from sellctl.ui.entries import Entry, contract_cell, entries_of, outlook_text, symbol_cell
from sellctl.ui.formatting import (
    Cell,
    Tone,
    amount_cell,
    counted,
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
    number_data,
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

PLAN_COLUMNS = ("account", "mode", "symbol", "contract", "qty", "gain", "state", "what happens", "why")
POSITION_COLUMNS = (
    "account",
    "mode",
    "symbol",
    "contract",
    "days",
    "qty",
    "entry",
    "now",
    "gain",
    "P&L",
    "value",
    "state",
    "nearest trigger",
    "why",
)
ORDER_COLUMNS = (
    "account",
    "mode",
    "symbol",
    "contract",
    "side",
    "qty",
    "filled",
    "type",
    "price",
    "status",
    "sent",
    "by",
)
PROPOSED_COLUMNS = (
    "account",
    "mode",
    "symbol",
    "contract",
    "qty",
    "price",
    "proceeds",
    "P&L",
    "what happens",
    "why",
)
OUTCOME_COLUMNS = ("account", "mode", "symbol", "contract", "qty", "filled", "price", "result", "why")
DETAIL_COLUMNS = ("what", "value")

TableRow = tuple[object, ...]


def plan_rows(accounts: Iterable[AccountListing]) -> list[TableRow]:
    """One row per position, stale order, fault and account that could not be read, under PLAN_COLUMNS."""
    return [row for account in accounts for row in _plan_rows(account)]


def _plan_rows(account: AccountListing) -> Iterator[TableRow]:
    name, mode, plan = account.account, mode_cell(account.mode), account.plan
    if plan is None:
        yield (name, mode, None, None, None, None, _no_plan(account), "nothing", account.problem)
        return
    leads = leads_of(plan.decisions)
    for decision in plan.decisions:
        holding = decision.holding
        state = state_cell(decision, only_due=holding.symbol in account.only_due)
        shown = (qty_cell(holding), gain_cell(decision.gain), state)
        yield (*account_cells(account, holding.symbol), *shown, *action(decision, leads))
    yield from other_rows(account)


def account_cells(account: AccountListing, symbol: str) -> TableRow:
    """The first cells of a row about a symbol: account, mode, symbol and contract."""
    return (account.account, mode_cell(account.mode), *_named(symbol))


def other_rows(account: AccountListing) -> Iterator[TableRow]:
    """The rows of an account's plan that are not about positions: its stale orders and its faults."""
    name, mode, plan = account.account, mode_cell(account.mode), account.plan
    if plan is None:
        return
    for cancel in plan.stale:
        order = cancel.order
        stale = Cell("stale", "stale", Tone.WARN)
        yield (name, mode, *_named(order.symbol), order.qty, None, stale, f"cancel {order_text(order)}", cancel.why)
    for fault in plan.faults:
        yield (name, mode, None, None, None, None, Cell("error", DecisionState.FAULT.value, Tone.BAD), "nothing", fault)


def _no_plan(account: AccountListing) -> Cell:
    """The state of an account without a plan."""
    return Cell("in use", "in use", Tone.WARN) if account.in_use else Cell("not read", "not read", Tone.BAD)


def _named(symbol: str) -> tuple[Cell, Cell]:
    """The cells of a symbol and of the contract that it names."""
    return symbol_cell(symbol), contract_cell(symbol)


def what_happens(decision: PositionDecision) -> str:
    """The plan's action for a position: an order, cancels, "wait" or "nothing"."""
    if decision.submit:
        return submit_text(decision.submit)
    if decision.cancel_first:
        return f"cancel {', '.join(order_text(cancel.order) for cancel in decision.cancel_first)}"
    return "wait" if decision.state is DecisionState.CLOSING else "nothing"


def action(decision: PositionDecision, leads: Mapping[str, str]) -> tuple[str, str]:
    """What happens, and why: the reason of an order; without one the whole sentence, because it has the obstacle."""
    lead, signal = leads.get(decision.holding.symbol, ""), decision.signal
    if lead and signal and not decision.submit:
        return f"in the order of {contract_text(lead)}", signal.sentence
    return what_happens(decision), signal.sentence if decision.submit and signal else decision.sentence


def leads_of(decisions: Iterable[PositionDecision]) -> dict[str, str]:
    """By the symbols that leave with others in one order about to be sent: the one whose row shows the order."""
    return {
        symbol: each.holding.symbol
        for each in decisions
        if each.submit and each.submit.legs
        for symbol in each.submit.symbols
    }


def proposed_rows(proposed: Sequence[ProposedExit]) -> list[TableRow]:
    """One row per position that a manual command may close, under PROPOSED_COLUMNS, and their total."""
    listings = {each.listing.account: each.listing for each in proposed}
    leads = {name: leads_of(listing.plan.decisions if listing.plan else ()) for name, listing in listings.items()}
    rows = [_proposed_row(each, leads[each.listing.account]) for each in proposed]
    closing = [each for each in proposed if each.decision.signal]
    if closing[1:] == []:
        return rows
    amounts = (amount_cell(total(each.proceeds for each in closing)), profit_cell(total(each.pnl for each in closing)))
    return [*rows, ("total", None, None, None, None, None, *amounts, None, None)]


def _proposed_row(each: ProposedExit, leads: Mapping[str, str]) -> TableRow:
    decision, account = each.decision, each.listing
    amounts = (amount_cell(each.proceeds), profit_cell(each.pnl)) if decision.signal else (None, None)
    return (
        account.account,
        mode_cell(account.mode),
        *_named(each.symbol),
        _part_cell(each),
        price_cell(each.price),
        *amounts,
        *action(decision, leads),
    )


def _part_cell(each: ProposedExit) -> Cell:
    """How much is to be closed of the position: +3, or "2 of +5"."""
    held = qty_cell(each.decision.holding)
    if each.terms.qty is None:
        return held
    part = number(each.qty)
    return Cell(f"{part} of {held.text}", part, is_number=True)


def outcome_rows(outcomes: Iterable[ExitOutcome]) -> list[TableRow]:
    """One row per exit with what became of it, under OUTCOME_COLUMNS."""
    return [_outcome_row(each) for each in outcomes]


_RESULT_TONE = {Result.FILLED: Tone.GOOD, Result.GONE: Tone.GOOD, Result.WORKING: Tone.WARN}


def _outcome_row(each: ExitOutcome) -> TableRow:
    account = each.proposed.listing
    is_priced = each.filled and each.net is None
    price = price_cell(each.price) if is_priced else Cell("", None, is_number=True)
    together = "" if each.net is None else f"in one order at net {as_net(each.net)}"
    return (
        account.account,
        mode_cell(account.mode),
        *_named(each.proposed.symbol),
        _part_cell(each.proposed),
        each.filled,
        price,
        Cell(each.result.value, each.result.value, _RESULT_TONE.get(each.result, Tone.BAD)),
        "; ".join(filter(None, (together, each.why))),
    )


def positions_rows(accounts: Iterable[AccountListing]) -> list[TableRow]:
    """One row per position, structure, fault and account that could not be read, under POSITION_COLUMNS."""
    return [row for account in accounts for row in _positions_rows(account)]


def _positions_rows(account: AccountListing) -> Iterator[TableRow]:
    name, mode, plan, empty = account.account, mode_cell(account.mode), account.plan, (None,) * 9
    if plan is None:
        yield (name, mode, *empty, _no_plan(account), None, account.problem)
        return
    for entry in entries_of(plan, account.structures):
        yield (name, mode, *_position_cells(plan, entry, only_due=entry.is_only_due(account.only_due)))
    for fault in plan.faults:
        yield (name, mode, *empty, Cell("error", DecisionState.FAULT.value, Tone.BAD), None, fault)


def _position_cells(plan: Plan, entry: Entry, *, only_due: bool) -> TableRow:
    decision, holding = entry.decision, entry.decision.holding
    return (
        entry.symbol,
        contract_cell(holding.symbol),
        days_cell(holding, today_of(plan.made_at)),
        qty_cell(holding),
        price_cell(holding.position.entry_price),
        now_cell(holding),
        gain_cell(decision.gain),
        profit_cell(decision.open_pnl),
        amount_cell(decision.market_value),
        state_cell(decision, only_due=only_due),
        nearest_text(decision),
        entry.sentence,
    )


def orders_rows(orders: Iterable[tuple[AccountListing, Order]]) -> list[TableRow]:
    """One row per order, under ORDER_COLUMNS. Each order comes with its account."""
    return [_order_row(account, order) for account, order in orders]


def _order_row(account: AccountListing, order: Order) -> TableRow:
    return (
        account.account,
        mode_cell(account.mode),
        *_named(order.symbol),
        side_text(order.side),
        order.qty,
        order.filled_qty,
        order.type.value.replace("_", " "),
        _price_of(order),
        order.status,
        Cell(moment(order.submitted_at), order.submitted_at.isoformat() if order.submitted_at else None),
        sender(order),
    )


def _price_of(order: Order) -> Cell:
    """Its limit or stop price, in the text of a multi-leg order as a credit or debit."""
    price = order.limit_price if order.limit_price is not None else order.stop_price
    if price is None:
        return Cell("", None, is_number=True)
    return Cell(as_net(price), number_data(price), is_number=True) if order.is_multi_leg else price_cell(price)


# --- everything about one position ------------------------------------------------------------------------------------


def position_details(
    decision: PositionDecision, orders: Sequence[Order], market: Market, account: AccountListing
) -> list[TableRow]:
    """Everything about one position, under DETAIL_COLUMNS. `orders` are those of its symbol: open ones and today's."""
    holding = decision.holding
    only_due = holding.symbol in account.only_due
    rows = (
        ("account", account.account),
        ("mode", mode_cell(account.mode)),
        ("symbol", holding.symbol),
        ("contract", _contract(holding, market)),
        ("quantity", _quantity(holding)),
        ("entry", as_dollars(holding.position.entry_price)),
        ("quote", _quote(holding.quote, market.now)),
        ("quote problem", _quote_problem(holding)),
        ("gain", _gain(decision)),
        *_dollars(decision),
        *(("trigger", _trigger(decision, trigger)) for trigger in decision.triggers),
        ("exit in progress", _exit_in_progress(holding)),
        *(("open order", _order(order)) for order in orders if not order.is_terminal),
        *(("earlier order", _order(order)) for order in orders if order.is_terminal),
        ("market", market_phase(market)),
        ("state", _full_state(decision, only_due=only_due)),
        ("what happens", what_happens(decision)),
        ("why", decision.sentence),
    )
    return [row for row in rows if row[1] != ""]


def _full_state(decision: PositionDecision, *, only_due: bool) -> Cell:
    tone = state_cell(decision, only_due=only_due).tone
    return Cell(state_text(decision, only_due=only_due), decision.state.value, tone)


def _contract(holding: Holding, market: Market) -> str:
    option = holding.position.instrument.option
    if option is None:
        return holding.position.instrument.asset_class.value
    left = days_left(holding, market.today)
    when = {0: "today", 1: "tomorrow"}.get(left or 0, f"in {left} days")
    adjusted = "; adjusted: it may not deliver 100 shares" if option.is_adjusted else ""
    return f"{option.text}, expires {when} ({option.expires:%a %d %b %Y}){adjusted}"


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


def _dollars(decision: PositionDecision) -> Iterator[tuple[str, Cell]]:
    """Market value and open P&L, at the price one could get now."""
    for name, cell in (
        ("open P&L", profit_cell(decision.open_pnl)),
        ("market value", amount_cell(decision.market_value)),
    ):
        yield name, cell if cell.data is not None else Cell("unknown", None)


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
    status = order.status.replace("_", " ")
    return (
        f"{order_text(order)}, {status}{filled}{_average(order)}, sent {moment(order.submitted_at)} by {sender(order)}"
    )


def _average(order: Order) -> str:
    price = order.filled_avg_price
    if price is None:
        return ""
    return f" at {as_net(price) if order.is_multi_leg else as_dollars(price)}"


# --- everything about one structure -----------------------------------------------------------------------------------


def structure_page(
    structure: ShownStructure, orders: Sequence[Order], market: Market, account: AccountListing
) -> list[TableRow]:
    """Everything about one structure, under DETAIL_COLUMNS. `orders` are those of its legs: open ones and today's."""
    decision, whole = structure.decision, structure.decision.holding
    only_due = Entry(decision, symbol_cell(structure.name), structure).is_only_due(account.only_due)
    rows = (
        ("account", account.account),
        ("mode", mode_cell(account.mode)),
        ("structure", structure.name),
        ("your name", structure.own_name),
        ("kind", f"{structure.kind.value.replace('_', ' ')}, {counted(structure.units, 'unit')}"),
        *(("leg", _leg(leg, structure)) for leg in structure.legs),
        ("expiry", _first_expiry(whole, market)),
        ("entry", _net_entry(whole)),
        ("quote", f"bid {as_dollars(whole.prices.bid)}, ask {as_dollars(whole.prices.ask)}, net of its legs"),
        ("quote problem", _quote_problem(whole)),
        ("gain", _gain(decision)),
        *_dollars(decision),
        ("at expiration", outlook_text(structure)),
        *(("trigger", _trigger(decision, trigger)) for trigger in decision.triggers),
        *(("open order", _order_of(order)) for order in orders if not order.is_terminal),
        *(("earlier order", _order_of(order)) for order in orders if order.is_terminal),
        ("market", market_phase(market)),
        ("state", _full_state(decision, only_due=only_due)),
        *(("what happens", text) for text in _what_happens_to_legs(structure)),
        ("why", decision.sentence),
    )
    return [row for row in rows if row[1] != ""]


def _what_happens_to_legs(structure: ShownStructure) -> Iterator[str]:
    """What is about to happen to the legs: one text when all of them leave in one order."""
    leads = leads_of(structure.legs)
    for leg in structure.legs:
        lead = leads.get(leg.holding.symbol)
        if leg.is_notable and lead is None:
            yield f"{contract_text(leg.holding.symbol)}: {what_happens(leg)}"
        elif lead == leg.holding.symbol:
            yield f"{what_happens(leg)}, all legs in one order"


def _leg(leg: PositionDecision, structure: ShownStructure) -> str:
    holding, prices = leg.holding, leg.holding.prices
    held = holding.position
    leg_name = contract_text(holding.symbol)
    qty = f"{held.direction.value} {number(structure.quantities[holding.symbol])} {leg_name}"
    beyond = "" if held.qty == structure.quantities[holding.symbol] else f" of {number(held.qty)} held"
    sides = f"bid {as_dollars(prices.bid)}, ask {as_dollars(prices.ask)}"
    return f"{qty}{beyond}, entry {as_dollars(held.entry_price)}, {prices.problem or sides}"


def _order_of(order: Order) -> str:
    return f"{contract_text(order.symbol) or 'its legs'}: {_order(order)}"


def _net_entry(whole: Holding) -> str:
    kind = "debit" if whole.position.is_long else "credit"
    return f"{kind} {as_dollars(whole.position.entry_price)}" if whole.position.entry_price else "unknown"


def _first_expiry(whole: Holding, market: Market) -> str:
    option = whole.position.instrument.option
    if option is None:
        return ""
    left = days_left(whole, market.today)
    when = {0: "today", 1: "tomorrow"}.get(left or 0, f"in {left} days")
    return f"{when} ({option.expires:%a %d %b %Y})"
