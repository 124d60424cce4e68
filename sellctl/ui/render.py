"""The output contract: values in; a rich table, plain text, JSON, CSV or markdown on stdout. Nothing decides here.

`emit` prints. The rest turns plans, holdings and orders into rows for it and into documents for JSON. rich and
tabulate are imported when a table is asked for: `--help` loads neither.
"""

import csv
import datetime as dt
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sellctl.core.errors import SellctlError
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import Order
from sellctl.core.model.plan import CancelOrder, DecisionState, Plan, PositionDecision, SubmitOrder, Trigger
from sellctl.core.model.position import Holding
from sellctl.ui.formats import OutputFormat
from sellctl.ui.formatting import (
    Cell,
    Tone,
    are_numbers,
    as_cell,
    days_cell,
    days_left,
    distance_text,
    dollars,
    duration,
    exit_side,
    gain_cell,
    moment,
    nearest_text,
    now_cell,
    number,
    number_data,
    order_text,
    plain_text,
    price_cell,
    qty_cell,
    ratio_data,
    side_text,
    state_cell,
    submit_text,
    today_of,
    trigger_name,
)

VERSION = 2  # of every JSON document; it grows when a key changes its meaning or goes
PLAN_COLUMNS = ("account", "symbol", "qty", "gain", "state", "what happens", "why")
POSITION_COLUMNS = ("account", "symbol", "days", "qty", "entry", "now", "gain", "state", "nearest trigger", "why")
ORDER_COLUMNS = ("account", "symbol", "side", "qty", "filled", "type", "price", "status", "sent", "by")
PAGE_COLUMNS = ("what", "value")

Row = tuple[object, ...]
Document = dict[str, Any]


# --- printing ---------------------------------------------------------------------------------------------------------


def emit(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    fmt: OutputFormat | None,
    *,
    title: str = "",
    document: object | None = None,
) -> None:
    """Print rows on stdout; without a format a table on a terminal, else plain. JSON prints `document` if given.

    A reader that went away (`| head`) is no error: the command keeps its own exit status.
    """
    fmt = fmt or (OutputFormat.TABLE if sys.stdout.isatty() else OutputFormat.PLAIN)
    if fmt is OutputFormat.JSON and document is not None:
        write(json_text(document, indent=2) + "\n")
        return
    cells = [[as_cell(value) for value in row] for row in rows]
    if fmt is OutputFormat.TABLE:
        write(_as_table(columns, cells, title))
    else:
        write(_AS_TEXT[fmt](columns, cells))


def write(text: str) -> bool:
    """Write to stdout what its encoding can say; False when nobody reads it any more."""
    out = sys.stdout
    encoding = out.encoding or "utf-8"
    try:
        out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        out.flush()
    except BrokenPipeError:
        _let_go()
        return False
    except OSError as error:
        raise SellctlError(f"The output can't be written: {error.strerror}.") from error
    return True


def _let_go() -> None:
    """Point stdout at nothing, so that neither later output nor the interpreter's last flush fails on the pipe."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def json_text(document: object, *, indent: int | None = None) -> str:
    """A document as JSON: ASCII only, so that no terminal obeys it; decimals as text."""
    text = json.dumps(document, default=plain_text, indent=indent, allow_nan=False)
    return text.replace("\x7f", "\\u007f")


Cells = Sequence[Sequence[Cell]]


def _as_table(columns: Sequence[str], cells: Cells, title: str) -> str:
    from sellctl.ui.tables import drawn  # noqa: PLC0415  rich is slow to load, and only a table needs it

    return drawn(columns, cells, title)


def _as_plain(columns: Sequence[str], cells: Cells) -> str:
    """Columns set with blanks and no drawn lines, for pipes and screen readers; an empty cell is a dash."""
    return _tabulated(columns, [[cell.text or "-" for cell in row] for row in cells], "plain", cells)


def _as_markdown(columns: Sequence[str], cells: Cells) -> str:
    return _tabulated(columns, [[_MARKUP.sub(r"\\\g<0>", cell.text) for cell in row] for row in cells], "pipe", cells)


_MARKUP = re.compile(r"[\\|<>\[\]*`]")


def _tabulated(columns: Sequence[str], texts: Sequence[Sequence[str]], style: str, cells: Cells) -> str:
    from tabulate import tabulate  # noqa: PLC0415  only these two formats need it

    sides = ["right" if are_numbers(row[place] for row in cells) else "left" for place in range(len(columns))]
    drawing = tabulate(texts, columns, tablefmt=style, disable_numparse=True, colalign=sides if cells else None)
    return "".join(f"{line.rstrip()}\n" for line in drawing.splitlines())


def _as_csv(columns: Sequence[str], cells: Cells) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_key(column) for column in columns])
    writer.writerows([_csv_value(cell) for cell in row] for row in cells)
    return out.getvalue()


def _csv_value(cell: Cell) -> str:
    """A number as it is; a text that a spreadsheet would take for a formula gets a leading apostrophe."""
    if cell.data is None:
        return ""
    text = as_cell(str(cell.data)).text
    return f"'{text}" if text.lstrip().startswith(_FORMULA) and not cell.is_number else text


_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their full-width twins


def _as_json(columns: Sequence[str], cells: Cells) -> str:
    keys = [_key(column) for column in columns]
    return json_text([dict(zip(keys, (cell.data for cell in row), strict=True)) for row in cells], indent=2) + "\n"


def _key(column: str) -> str:
    return column.replace(" ", "_")


_AS_TEXT: Mapping[OutputFormat, Callable[[Sequence[str], Cells], str]] = {
    OutputFormat.PLAIN: _as_plain,
    OutputFormat.JSON: _as_json,
    OutputFormat.CSV: _as_csv,
    OutputFormat.MARKDOWN: _as_markdown,
}


# --- rows -------------------------------------------------------------------------------------------------------------


def plan_rows(plans: Iterable[Plan]) -> list[Row]:
    """A row a holding, a stale order and a fault, under PLAN_COLUMNS."""
    return [row for plan in plans for row in _plan_rows(plan)]


def _plan_rows(plan: Plan) -> Iterator[Row]:
    for decision in plan.decisions:
        holding = decision.holding
        shown = (plan.account, holding.symbol, qty_cell(holding), gain_cell(decision.gain), state_cell(decision))
        yield (*shown, what_happens(decision), _why(decision))
    for cancel in plan.stale:
        order = cancel.order
        stale = Cell("stale", "stale", Tone.WARN)
        yield (plan.account, order.symbol, order.qty, None, stale, f"cancel {order_text(order)}", cancel.why)
    for fault in plan.faults:
        yield (plan.account, None, None, None, Cell("fault", DecisionState.FAULT.value, Tone.BAD), "nothing", fault)


def what_happens(decision: PositionDecision) -> str:
    """What is done now about a holding."""
    if decision.submit:
        return submit_text(decision.submit)
    if decision.cancel_first:
        return f"cancel {', '.join(order_text(cancel.order) for cancel in decision.cancel_first)}"
    return "wait" if decision.state is DecisionState.CLOSING else "nothing"


def _why(decision: PositionDecision) -> str:
    """The reason; the whole sentence where no order follows, because it says what is in the way."""
    return decision.signal.sentence if decision.submit and decision.signal else decision.sentence


def positions_rows(plans: Iterable[Plan]) -> list[Row]:
    """A row a holding, under POSITION_COLUMNS."""
    return [_position_row(plan, decision) for plan in plans for decision in plan.decisions]


def _position_row(plan: Plan, decision: PositionDecision) -> Row:
    holding = decision.holding
    return (
        plan.account,
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


def orders_rows(orders: Iterable[tuple[str, Order]]) -> list[Row]:
    """A row an order, each given with its account's name, under ORDER_COLUMNS."""
    return [_order_row(account, order) for account, order in orders]


def _order_row(account: str, order: Order) -> Row:
    price = order.limit_price if order.limit_price is not None else order.stop_price
    return (
        account,
        order.symbol,
        side_text(order.side),
        order.qty,
        order.filled_qty,
        order.type.value.replace("_", " "),
        price_cell(price) if price is not None else Cell("", None, is_number=True),
        order.status,
        Cell(moment(order.submitted_at), order.submitted_at.isoformat() if order.submitted_at else None),
        _by(order),
    )


def _by(order: Order) -> str:
    return "sellctl" if order.is_ours else "you"


# --- one holding on one screen ----------------------------------------------------------------------------------------


def position_page(decision: PositionDecision, orders: Sequence[Order], market: Market, account: str = "") -> list[Row]:
    """Everything about one holding, under PAGE_COLUMNS. `orders` are those of its symbol, open and of today."""
    holding = decision.holding
    rows = (
        ("account", account),
        ("symbol", holding.symbol),
        ("contract", _contract(holding, market)),
        ("held", _held(holding)),
        ("entry", dollars(holding.position.entry_price)),
        ("quote", _quote(holding.quote, market.now)),
        ("quote problem", _quote_problem(holding)),
        ("gain", _gain(decision)),
        *(("trigger", _trigger(decision, trigger)) for trigger in decision.triggers),
        ("exit under way", _under_way(holding)),
        *(("open order", _order(order)) for order in orders if not order.is_terminal),
        *(("earlier order", _order(order)) for order in orders if order.is_terminal),
        ("market", market_phase(market)),
        ("state", state_cell(decision)),
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
    strike = f"{holding.position.instrument.underlying} {dollars(option.strike)} {option.right.value}"
    return f"{strike}, expires {when} ({option.expires:%a %d %b %Y}){adjusted}"


def _held(holding: Holding) -> str:
    position = holding.position
    free = "the broker doesn't say what is free" if position.available is None else f"{number(position.available)} free"
    return f"{position.direction.value} {number(position.qty)}, {free}"


def _quote(quote: Quote | None, now: dt.datetime) -> str:
    if quote is None:
        return "none"
    sides = f"bid {dollars(quote.bid)}{_size(quote.bid_size)}, ask {dollars(quote.ask)}{_size(quote.ask_size)}"
    feed = f", {quote.feed} feed" if quote.feed else ""
    return f"{sides}, {duration(now - quote.at)} old{feed}"


def _size(size: object) -> str:
    return "" if size is None else f" x {plain_text(size)}"


def _quote_problem(holding: Holding) -> str:
    wide = "wide: its mid means little" if holding.prices.wide else ""
    return "; ".join(note for note in (holding.prices.problem, wide) if note)


def _gain(decision: PositionDecision) -> Cell:
    cell = gain_cell(decision.gain)
    at = (
        f" at the {exit_side(decision.holding)}, {dollars(decision.holding.exit_price)}"
        if decision.gain is not None
        else ""
    )
    return Cell(f"{cell.text}{at}" if at else "unknown", cell.data, cell.tone)


def _trigger(decision: PositionDecision, trigger: Trigger) -> str:
    away = distance_text(decision, trigger)
    far = {"": "distance unknown", "met": "met"}.get(away, f"{away} from now")
    return f"{trigger_name(trigger)} at {dollars(trigger.price)}, {far}"


def _under_way(holding: Holding) -> str:
    state = holding.state.exit
    return f"{state.reason.replace('_', ' ')}, order {state.step}, {duration(state.age)} old" if state else ""


def _order(order: Order) -> str:
    filled = f", {number(order.filled_qty)} filled" if order.filled_qty else ""
    average = f" at {dollars(order.filled_avg_price)}" if order.filled_avg_price is not None else ""
    status = order.status.replace("_", " ")
    return f"{order_text(order)}, {status}{filled}{average}, sent {moment(order.submitted_at)} by {_by(order)}"


def market_phase(market: Market) -> str:
    """Whether the market is open, and for how long."""
    if not market.is_open:
        return "closed"
    left = market.until_close
    doubt = "" if market.confirmed else ", hours in doubt"
    return f"open{doubt}" if left is None else f"open, {duration(left)} left{doubt}"


# --- documents --------------------------------------------------------------------------------------------------------


def plan_document(plans: Iterable[Plan], mode: str) -> Document:
    """The plans as a versioned object: every holding, what is decided on it and why, and every cancel."""
    return {"version": VERSION, "mode": str(mode), "plans": [plan_part(plan) for plan in plans]}


def plan_part(plan: Plan) -> Document:
    """One account's plan inside a document."""
    return {
        "account": plan.account,
        "made_at": _instant(plan.made_at),
        "acts": plan.acts,
        "holdings": [holding_part(decision, today_of(plan.made_at)) for decision in plan.decisions],
        "stale": [_cancel_part(cancel) for cancel in plan.stale],
        "faults": list(plan.faults),
    }


def stale_document(stale: Iterable[tuple[str, CancelOrder]], mode: str) -> Document:
    """Stale orders as a versioned object: each with its account and why it goes."""
    return {
        "version": VERSION,
        "mode": str(mode),
        "orders": [{"account": account, **_cancel_part(cancel)} for account, cancel in stale],
    }


def positions_document(plans: Iterable[Plan]) -> Document:
    """The holdings as a versioned object."""
    return {"version": VERSION, "accounts": [_account_part(plan) for plan in plans]}


def _account_part(plan: Plan) -> Document:
    holdings = [holding_part(decision, today_of(plan.made_at)) for decision in plan.decisions]
    return {"account": plan.account, "at": _instant(plan.made_at), "holdings": holdings, "faults": list(plan.faults)}


def position_document(
    decision: PositionDecision, orders: Sequence[Order], market: Market, account: str = ""
) -> Document:
    """One holding as a versioned object, with the orders of its symbol."""
    return {
        "version": VERSION,
        "account": account,
        "at": _instant(market.now),
        **holding_part(decision, market.today),
        "orders": [order_part(order) for order in orders],
    }


def holding_part(decision: PositionDecision, today: dt.date) -> Document:
    """A holding and its verdict inside a document."""
    holding, signal = decision.holding, decision.signal
    return {
        **_position_part(holding, today),
        "gain": ratio_data(decision.gain),
        "quote": _quote_part(holding),
        "triggers": [_trigger_part(trigger) for trigger in decision.triggers],
        "state": decision.state.value,
        "sentence": decision.sentence,
        "reason": signal.reason.value if signal else None,
        "urgency": signal.urgency.name.lower() if signal else None,
        "order": _submit_part(decision.submit) if decision.submit else None,
        "cancels": [_cancel_part(cancel) for cancel in decision.cancel_first],
        "objections": list(decision.violations),
        "alert": decision.alert,
    }


def _position_part(holding: Holding, today: dt.date) -> Document:
    position = holding.position
    return {
        "symbol": holding.symbol,
        "underlying": position.instrument.underlying,
        "asset": position.instrument.asset_class.value,
        "days_left": days_left(holding, today),
        "side": position.direction.value,
        "qty": number(position.qty),
        "free": number_data(position.available),
        "entry": number_data(position.entry_price),
        "now": number_data(holding.exit_price),
        "now_side": exit_side(holding),
    }


def _quote_part(holding: Holding) -> Document | None:
    quote = holding.quote
    if quote is None:
        return None
    return {
        "bid": number_data(quote.bid),
        "ask": number_data(quote.ask),
        "at": _instant(quote.at),
        "feed": quote.feed,
        "problem": holding.prices.problem,
        "wide": holding.prices.wide,
    }


def _trigger_part(trigger: Trigger) -> Document:
    return {"reason": trigger.reason.value, "price": number(trigger.price), "distance": ratio_data(trigger.distance)}


def _submit_part(order: SubmitOrder) -> Document:
    return {
        "side": order.side.value,
        "qty": number(order.qty),
        "type": order.type.value,
        "limit_price": number_data(order.limit_price),
        "time_in_force": order.time_in_force,
        "client_order_id": order.client_order_id,
        "position_intent": order.position_intent.value,
    }


def _cancel_part(cancel: CancelOrder) -> Document:
    return {"why": cancel.why, **order_part(cancel.order)}


def order_part(order: Order) -> Document:
    """An order inside a document."""
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "by": _by(order),
        "symbol": order.symbol,
        "side": order.side.value if order.side else None,
        "qty": number_data(order.qty),
        "filled_qty": number(order.filled_qty),
        "type": order.type.value,
        "limit_price": number_data(order.limit_price),
        "stop_price": number_data(order.stop_price),
        "filled_avg_price": number_data(order.filled_avg_price),
        "status": order.status,
        "submitted_at": _instant(order.submitted_at),
    }


def _instant(instant: dt.datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
