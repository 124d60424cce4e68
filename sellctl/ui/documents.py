"""The JSON documents: plans, positions, orders and the view of `watch` as versioned objects; decimals are strings."""

import datetime as dt
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import Event
from sellctl.core.model.gain import Total
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.market import Market
from sellctl.core.model.order import Order, Side
from sellctl.core.model.plan import CancelOrder, Plan, PositionDecision, SubmitOrder, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.model.view import AccountListing, AccountView, ShownStructure, Totals, WatchView, totals_of
from sellctl.core.watching.manual_exits import ExitOutcome, ProposedExit
from sellctl.ui.formatting import days_left, exit_side, number, number_data, ratio_data, sender, today_of
from sellctl.ui.render import JSON_VERSION

Document = dict[str, Any]


def plan_document(plans: Iterable[Plan], mode: str) -> Document:
    """The plans as a versioned object: every position with its decision and sentence, and every cancel."""
    return {"version": JSON_VERSION, "mode": str(mode), "plans": [plan_part(plan) for plan in plans]}


def plans_listing(accounts: Sequence[AccountListing], mode: str, halted: str) -> Document:
    """The plans of a command: `plan_document`, with the mode, the halt, and the accounts that were not read."""
    parts = [{**plan_part(each.plan), "mode": each.mode.value} for each in accounts if each.plan]
    return {
        "version": JSON_VERSION,
        "mode": str(mode),
        "halted": halted,
        "plans": parts,
        "problems": _problems(accounts),
    }


def positions_listing(accounts: Sequence[AccountListing], halted: str) -> Document:
    """The positions of a command: `positions_document`, with the same additions as `plans_listing`."""
    parts = [{**_account_part(each.plan, each.structures), "mode": each.mode.value} for each in accounts if each.plan]
    return {"version": JSON_VERSION, "halted": halted, "accounts": parts, "problems": _problems(accounts)}


def manual_exits_document(
    accounts: Sequence[AccountListing],
    proposed: Iterable[ProposedExit],
    outcomes: Sequence[ExitOutcome],
    halted: str,
) -> Document:
    """What a manual command would close, or with `outcomes` what became of it, and the plans it was decided on."""
    mode = RunMode.ACT if outcomes else RunMode.DRY_RUN
    exits = [outcome_part(each) for each in outcomes] or [proposed_part(each) for each in proposed]
    return {**plans_listing(accounts, mode.value, halted), "exits": exits}


def proposed_part(each: ProposedExit) -> Document:
    """What a manual exit would bring, as part of a document."""
    return {
        "account": each.listing.account,
        "mode": each.listing.mode.value,
        "symbol": each.symbol,
        "contract": _contract(each.symbol),
        "qty": number(each.qty),
        "held": number(each.decision.holding.position.qty),
        "limit": number_data(each.terms.limit),
        "price": number_data(each.price),
        "proceeds": number_data(each.proceeds),
        "pnl": number_data(each.pnl),
        "sentence": each.decision.sentence,
    }


def outcome_part(each: ExitOutcome) -> Document:
    """What became of a manual exit, as part of a document."""
    return {
        **proposed_part(each.proposed),
        "result": each.result.value,
        "filled": number(each.filled),
        "filled_price": number_data(each.price),
        "net_price": number_data(each.net),
        "sentence": each.why,
    }


def _problems(accounts: Iterable[AccountListing]) -> list[Document]:
    return [{"account": a.account, "mode": a.mode.value, "problem": a.problem} for a in accounts if a.plan is None]


def plan_part(plan: Plan) -> Document:
    """The plan of one account, as part of a document."""
    return {
        "account": plan.account,
        "made_at": _instant(plan.made_at),
        "acts": plan.acts,
        "holdings": [holding_part(decision, today_of(plan.made_at)) for decision in plan.decisions],
        "stale": [_cancel_part(cancel) for cancel in plan.stale],
        "faults": list(plan.faults),
    }


def stale_document(stale: Iterable[tuple[AccountListing, CancelOrder]], mode: str) -> Document:
    """Stale orders as a versioned object: each with its account and why it is cancelled."""
    return {
        "version": JSON_VERSION,
        "mode": str(mode),
        "orders": [{"account": a.account, "mode": a.mode.value, **_cancel_part(cancel)} for a, cancel in stale],
    }


def positions_document(plans: Iterable[tuple[Plan, Sequence[ShownStructure]]]) -> Document:
    """The positions as a versioned object, by the plan of each account and its structures."""
    return {"version": JSON_VERSION, "accounts": [_account_part(plan, structures) for plan, structures in plans]}


def _account_part(plan: Plan, structures: Sequence[ShownStructure]) -> Document:
    today = today_of(plan.made_at)
    return {
        "account": plan.account,
        "at": _instant(plan.made_at),
        "holdings": [holding_part(decision, today) for decision in plan.decisions],
        "structures": [structure_part(each, today) for each in structures],
        "faults": list(plan.faults),
        "totals": totals_part(totals_of([(plan, structures)])),
    }


def totals_part(totals: Totals) -> Document:
    """Counts and totals over positions, as part of a document."""
    return {
        "positions": totals.positions,
        "not_managed": totals.not_managed,
        "exempt": totals.exempt,
        "market_value": _total_part(totals.market_value),
        "open_pnl": _total_part(totals.open_pnl),
    }


def _total_part(total: Total) -> Document:
    return {"dollars": number_data(total.dollars), "known": total.known, "of": total.count}


def structure_part(structure: ShownStructure, today: dt.date) -> Document:
    """A structure with the decision on the whole, as part of a document. An amount without a bound is "unlimited"."""
    decision, whole = structure.decision, structure.decision.holding
    return {
        "name": structure.name,
        "own_name": structure.own_name or None,
        "kind": structure.kind.value,
        "underlying": whole.position.instrument.underlying,
        "units": structure.units,
        "days_left": days_left(whole, today),
        "side": whole.position.direction.value,
        "entry": number_data(whole.position.entry_price),
        "bid": number_data(whole.prices.bid),
        "ask": number_data(whole.prices.ask),
        "now": number_data(whole.exit_price),
        "now_side": exit_side(whole),
        "problem": whole.prices.problem,
        "wide": whole.prices.wide,
        "gain": ratio_data(decision.gain),
        **_dollars_part(decision),
        "most_profit": _bound(structure.most_profit),
        "most_loss": _bound(structure.most_loss),
        "breakevens": [number(price) for price in structure.breakevens],
        "judged_as_one": structure.is_one,
        "triggers": [_trigger_part(trigger) for trigger in decision.triggers],
        "set_by_hand": whole.state.override.text if whole.state.override else None,
        "state": decision.state.value,
        "sentence": decision.sentence,
        "reason": decision.signal.reason.value if decision.signal else None,
        "legs": [_leg_part(leg, structure) for leg in structure.legs],
    }


def _leg_part(leg: PositionDecision, structure: ShownStructure) -> Document:
    symbol = leg.holding.symbol
    side = leg.holding.position.direction.value
    qty = structure.quantities[symbol]
    return {"symbol": symbol, "contract": _contract(symbol), "side": side, "qty": number(qty)}


def _bound(amount: Decimal | None) -> str | None:
    return _UNLIMITED if amount is not None and amount.is_infinite() else number_data(amount)


_UNLIMITED = "unlimited"


def structure_document(
    structure: ShownStructure, orders: Sequence[Order], market: Market, account: AccountListing
) -> Document:
    """One structure as part of the document of its page, with the orders of its legs."""
    return {
        "account": account.account,
        "mode": account.mode.value,
        "at": _instant(market.now),
        **structure_part(structure, market.today),
        "orders": [order_part(order) for order in orders],
    }


def position_document(
    decision: PositionDecision, orders: Sequence[Order], market: Market, account: AccountListing
) -> Document:
    """One position as a versioned object, with the orders of its symbol."""
    return {
        "version": JSON_VERSION,
        "account": account.account,
        "mode": account.mode.value,
        "at": _instant(market.now),
        **holding_part(decision, market.today),
        "orders": [order_part(order) for order in orders],
    }


def holding_part(decision: PositionDecision, today: dt.date) -> Document:
    """A position with its decision, as part of a document."""
    holding, signal = decision.holding, decision.signal
    return {
        **_position_part(holding, today),
        "gain": ratio_data(decision.gain),
        **_dollars_part(decision),
        "quote": _quote_part(holding),
        "triggers": [_trigger_part(trigger) for trigger in decision.triggers],
        "set_by_hand": holding.state.override.text if holding.state.override else None,
        "state": decision.state.value,
        "sentence": decision.sentence,
        "reason": signal.reason.value if signal else None,
        "urgency": signal.urgency.name.lower() if signal else None,
        "order": _submit_part(decision.submit) if decision.submit else None,
        "cancels": [_cancel_part(cancel) for cancel in decision.cancel_first],
        "objections": list(decision.violations),
        "alert": decision.alert,
    }


def _dollars_part(decision: PositionDecision) -> Document:
    return {"market_value": number_data(decision.market_value), "open_pnl": number_data(decision.open_pnl)}


def _contract(symbol: str) -> str | None:
    """The contract that a symbol names, for people; None for what is no option."""
    contract = contract_text(symbol)
    return None if contract == symbol else contract


def _position_part(holding: Holding, today: dt.date) -> Document:
    position = holding.position
    return {
        "symbol": holding.symbol,
        "contract": _contract(holding.symbol),
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
        "legs": [_traded(leg.symbol, leg.side, order.qty_of(leg.symbol)) for leg in order.legs],
    }


def _traded(symbol: str, side: Side | None, qty: Decimal | None) -> Document:
    """A leg of a multi-leg order."""
    side_name = side.value if side else None
    return {"symbol": symbol, "contract": _contract(symbol), "side": side_name, "qty": number_data(qty)}


def _cancel_part(cancel: CancelOrder) -> Document:
    return {"why": cancel.why, **order_part(cancel.order)}


def order_part(order: Order) -> Document:
    """An order, as part of a document."""
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "by": sender(order),
        "symbol": order.symbol,
        "contract": _contract(order.symbol),
        "side": order.side.value if order.side else None,
        "qty": number_data(order.qty),
        "filled_qty": number(order.filled_qty),
        "type": order.type.value,
        "limit_price": number_data(order.limit_price),
        "stop_price": number_data(order.stop_price),
        "filled_avg_price": number_data(order.filled_avg_price),
        "status": order.status,
        "submitted_at": _instant(order.submitted_at),
        "legs": [_traded(leg.symbol, leg.side, leg.qty) for leg in order.legs],
    }


def _instant(instant: dt.datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def watch_document(view: WatchView) -> Document:
    """The view of `watch --format json` as a versioned object."""
    return {
        "version": JSON_VERSION,
        "at": view.now,
        "next_look_in_seconds": _seconds(view.next_poll_in),
        "accounts": [_watched_account_part(account) for account in view.accounts],
        "events": [_event_part(event) for event in view.events],
    }


def _watched_account_part(account: AccountView) -> Document:
    plan = account.plan
    return {
        "account": account.facts.name,
        "number": account.facts.number,
        "mode": account.mode,
        "market": _market_part(account),
        "age_seconds": _seconds(account.age),
        "problem": account.problem or account.facts.blocked,
        "source": account.source,
        "requests_used": account.requests_used,
        "orders_working": account.orders_working,
        "realised_today": account.realised,
        "halted": account.halted,
        "holdings": [holding_part(decision, today_of(plan.made_at)) for decision in plan.decisions] if plan else None,
        "structures": [structure_part(each, today_of(plan.made_at)) for each in account.structures] if plan else None,
        "faults": plan.faults if plan else (),
        "totals": totals_part(totals_of([(plan, account.structures)])) if plan else None,
    }


def _market_part(account: AccountView) -> Document | None:
    market = account.market
    if market is None:
        return None
    return {"now": market.now, "is_open": market.is_open, "closes_at": market.closes_at, "agreed": market.confirmed}


def _seconds(span: dt.timedelta | None) -> float | None:
    return None if span is None else round(span.total_seconds(), 3)


def _event_part(event: Event) -> Document:
    return {
        "at": event.at,
        "account": event.account,
        "weight": event.severity,
        "symbol": event.symbol,
        "kind": event.kind,
        "text": event.text,
    }
