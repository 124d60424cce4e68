"""The JSON documents of the API, built from the last check of each account without requests to the broker."""

from typing import TYPE_CHECKING

from sellctl import __version__
from sellctl.core.model.plan import DecisionState
from sellctl.core.model.view import totals_of
from sellctl.ui.displays import view_of
from sellctl.ui.documents import Document, order_part, plan_document, positions_document, totals_part
from sellctl.ui.formatting import counted, market_phase, number_data, sanitize
from sellctl.ui.render import JSON_VERSION

if TYPE_CHECKING:
    from sellctl.api.control import Control
    from sellctl.core.model.market import Market
    from sellctl.core.model.order import Order
    from sellctl.core.model.view import AccountView, Totals
    from sellctl.journal.queries import AuditRow


def status_document(control: "Control") -> Document:
    """The state of the watcher, the market and the accounts."""
    scheduler = control.runtime.scheduler
    view = view_of(control.runtime, (), 0)
    halt = control.current_halt
    totals = {plan.account: totals_of([(plan, structures)]) for plan, structures in control.plans_with_structures}
    return {
        "version": JSON_VERSION,
        "program": __version__,
        "state": control.state.value,
        "fault": control.fault,
        "halted": halt.reason if halt else "",
        "halt_origin": halt.origin.value if halt else "",
        "enabled": control.enabled,
        "market": _market_part(scheduler.market),
        "looks": control.polls,
        "next_look_in_seconds": _rounded(control.next_poll_in),
        "problem": sanitize(str(scheduler.problem)) if scheduler.problem else "",
        "accounts": [
            _account_part(watcher.name, account, totals.get(watcher.name))
            for watcher, account in zip(scheduler.watchers, view.accounts, strict=True)
        ],
    }


def _market_part(market: "Market | None") -> Document | None:
    if market is None:
        return None
    return {
        "now": market.now.isoformat(),
        "is_open": market.is_open,
        "closes_at": market.closes_at.isoformat() if market.closes_at else None,
        "phase": market_phase(market),
    }


def _account_part(name: str, account: "AccountView", totals: "Totals | None") -> Document:
    plan = account.plan
    return {
        "account": name,
        "number": account.facts.number,
        "mode": account.mode.value,
        "holdings": None if plan is None else len(plan.decisions),
        "leaving": None if plan is None else len(plan.of(DecisionState.CLOSING)),
        "blocked": None if plan is None else len(plan.of(DecisionState.BLOCKED) + plan.of(DecisionState.DENIED)),
        "orders_working": account.orders_working,
        "realised_today": number_data(account.realised),
        "age_seconds": None if account.age is None else _rounded(account.age.total_seconds()),
        "problem": sanitize(account.problem or account.facts.blocked),
        "totals": totals_part(totals) if totals else None,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def config_document(control: "Control") -> Document:
    """The configuration, as `config show` prints it."""
    loaded = control.runtime.loaded
    values = [{"key": row.key, "value": row.value, "origin": row.origin} for row in loaded.show()]
    return {"version": JSON_VERSION, "file": str(loaded.path) if loaded.path else None, "values": values}


def positions_with_orders(control: "Control") -> Document:
    """All positions, and the open orders of each account."""
    document = positions_document(control.plans_with_structures)
    orders = {state.name: state.open_orders for state in control.runtime.scheduler.states}
    for account in document["accounts"]:
        account["orders"] = [order_part(order) for order in orders[account["account"]]]
    return document


def plans_document(control: "Control") -> Document:
    """The decisions of the last check."""
    return plan_document(control.plans, control.runtime.scheduler.states[0].mode.value)


def history_document(rows: "tuple[AuditRow, ...]", limit: int) -> Document:
    """One page of the history."""
    return {
        "version": JSON_VERSION,
        "rows": [row.document() for row in rows],
        "next": rows[-1].seq if rows and len(rows) == limit else None,
    }


def stopped_document(control: "Control", orders: "list[tuple[str, Order]]", *, changed: bool) -> Document:
    """The result of a stop, and our orders that keep working at the broker."""
    outcome = "Stopped." if changed else "It was stopped already."
    symbols = ", ".join(sorted({symbol for _, order in orders for symbol in order.symbols if symbol}))
    if orders:
        left = f"{counted(len(orders), 'order')} of sellctl still working at the broker: {symbols}."
    else:
        left = "No order of sellctl is working at the broker."
    working = [{"account": account, **order_part(order)} for account, order in orders]
    return {**done_document(control, f"{outcome} {left}", changed=changed), "working": working}


def done_document(control: "Control", sentence: str, *, changed: bool) -> Document:
    """The result of a call."""
    return {"state": control.state.value, "changed": changed, "sentence": sentence, "halted": control.halted()}


def halted_document(control: "Control", untold: str, *, changed: bool) -> Document:
    """The result of a halt, and who can lift it. `untold` is a sentence when other hosts aren't halted, or ""."""
    halt = control.current_halt
    lifted = "`sellctl resume` on the machine lifts it"
    if halt and halt.origin.is_remote:
        lifted += ", or an admin over the API"
    outcome = "Halted: no new orders are sent." if changed else "It was halted already."
    return done_document(control, f"{outcome} {lifted}. {untold}".rstrip(), changed=changed)
