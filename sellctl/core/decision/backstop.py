"""The backstop, a wide stop order at the broker for a long position: its terms, and the next step towards it. Pure.

It protects a position while this host is down, so it is no exit: nothing waits for it, and every exit cancels it first
(exits.py). It is placed, renewed or cancelled only where nothing else is under way for the position.
"""

import datetime as dt
from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal

from msgspec.structs import replace

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.exits import cancellable, why_settling
from sellctl.core.decision.pricing import tick_of, to_tick
from sellctl.core.decision.sizing import free, size_of
from sellctl.core.model.instrument import AssetClass, an_option
from sellctl.core.model.order import Order, OrderState, OrderType
from sellctl.core.model.plan import (
    CancelOrder,
    DecisionState,
    ExitSignal,
    PositionDecision,
    Reason,
    StopTerms,
    SubmitOrder,
    Urgency,
)
from sellctl.core.model.position import Holding
from sellctl.core.orders.claims import closes, would_wash
from sellctl.core.orders.client_order_ids import backstop_id
from sellctl.core.text import as_dollars

# Backstops placed per poll; the other requests are left for exits.
MAX_PER_POLL = 10
# The pause between the end of one and the next; it doubles with each that has ended on the same day, up to the maximum.
MIN_PAUSE, MAX_PAUSE = dt.timedelta(seconds=15), dt.timedelta(minutes=5)
_DOUBLINGS = 5  # enough to reach the maximum
_ONE = Decimal(1)
_IDLE = frozenset({DecisionState.WATCHING, DecisionState.DENIED, DecisionState.FAULT})


def needs_attention(context: DecisionContext) -> bool:
    """Whether backstops are configured, or still rest at the broker though they aren't."""
    return not context.snapshot.on_tick and bool(
        context.policy.backstop or any(o.is_backstop for o in context.snapshot.orders)
    )


def may_change(decision: PositionDecision, context: DecisionContext) -> bool:
    """Whether nothing else is under way for a position, and nothing about it is uncertain."""
    state, symbol = decision.holding.state, decision.holding.symbol
    busy = (
        decision.submit
        or decision.cancel_first
        or decision.is_exit_unconfirmed
        or context.ours_on(symbol)
        or state.unresolved
    )
    uncertain = state.suspended or state.quarantine or symbol in context.invalid_reasons
    forbidden = context.snapshot.halted or context.account_violations
    return decision.state in _IDLE and not busy and not uncertain and not forbidden


def with_backstop(decision: PositionDecision, context: DecisionContext) -> PositionDecision:
    """The decision with the backstop to place or to cancel; unchanged when the one that rests may stay."""
    holding, resting = decision.holding, context.backstops_on(decision.holding.symbol)
    terms = _terms(holding, context)
    if holding.position.entry_price is None or why_settling(holding, _todays(holding, context), context.snapshot):
        return decision
    if resting:
        why = "it no longer applies" if terms is None else _why_renew(holding, resting, terms, context)
        return replace(decision, cancel_first=cancellable(resting, f"backstop: {why}")) if why else decision
    if terms is None or _why_not_now(holding, terms, context):
        return decision
    order = _order(holding, terms, context)
    if order is None:
        return decision
    placed = f"backstop: {order.side.value} {order.qty:f} {terms_of(order)} to be placed at the broker"
    return replace(decision, backstop=order, sentence="; ".join(filter(None, (decision.sentence, placed))))


def resting_note(decision: PositionDecision, context: DecisionContext) -> str:
    """A note on the backstop that rests at the broker; "" when none rests, or when it is being cancelled."""
    resting = context.backstops_on(decision.holding.symbol)
    return f"backstop at the broker: {_describe(resting[0])}" if resting and not decision.cancel_first else ""


def chosen(decisions: Iterable[PositionDecision], context: DecisionContext) -> frozenset[str]:
    """The symbols whose backstops are placed in this poll: the first MAX_PER_POLL, and none while an exit is sent.

    Until the backstop of an option rests at the broker, only that of one option is placed, because not every account
    accepts a stop on an option.
    """
    everything = tuple(decisions)
    if any(decision.submit for decision in everything):
        return frozenset()
    wanted = [decision.holding for decision in everything if decision.backstop]
    if not any(order.is_backstop and an_option(order.symbol) for order in context.snapshot.orders):
        first = next((holding for holding in wanted if _is_option(holding)), None)
        wanted = [holding for holding in wanted if not _is_option(holding) or holding is first]
    return frozenset(holding.symbol for holding in wanted[:MAX_PER_POLL])


def orphans(context: DecisionContext) -> tuple[CancelOrder, ...]:
    """Cancels for backstops whose position is closed, because a fill would open a new position.

    Empty while a row of positions could not be read, because that may be the position.
    """
    snapshot = context.snapshot
    if not snapshot.orders or snapshot.on_tick or context.account_violations or snapshot.halted or snapshot.invalid:
        return ()
    held = {holding.symbol for holding in context.holdings}
    left = [order for order in snapshot.orders if order.is_backstop and order.symbol not in held]
    return cancellable((o for o in left if o.state is not OrderState.TERMINAL), "backstop: its position is closed")


def _terms(holding: Holding, context: DecisionContext) -> StopTerms | None:
    """The terms of the backstop that a position should have; None when it should have none."""
    backstop, position = context.policy.backstop, holding.position
    if backstop is None or position.entry_price is None or not _is_wanted(holding, context):
        return None
    if backstop.trail is not None and not _is_option(holding):
        return StopTerms("gtc", trail_percent=backstop.trail * 100)
    if backstop.stop is None:
        return None
    price = position.entry_price * (1 - backstop.stop)
    # Fractional shares and options get a day order: Alpaca's documentation contradicts itself on whether GTC works.
    lasts = "day" if _is_option(holding) or position.qty % _ONE else "gtc"
    coarse = replace(holding, state=replace(holding.state, penny=False))  # the increment that every contract accepts
    return StopTerms(lasts, stop_price=to_tick(price, tick_of(coarse, price), up=False))


def _is_wanted(holding: Holding, context: DecisionContext) -> bool:
    """Whether a position should have one: a managed long that covers nothing."""
    position, instrument = holding.position, holding.position.instrument
    if not position.is_long or instrument.asset_class not in context.policy.backstop_classes:
        return False
    if context.is_exempt(holding.symbol) or context.policy.excludes(holding.symbol, instrument.underlying):
        return False
    if context.cover.reserved.get(holding.symbol) or holding.symbol in context.structures or holding.state.exit_after:
        return False
    if context.has_ended(holding):
        return False
    return context.strategy_and_subject(holding)[0] is not None


def _why_renew(holding: Holding, resting: tuple[Order, ...], terms: StopTerms, context: DecisionContext) -> str:
    """Why the resting backstop has to be replaced; "" when it fits."""
    order = resting[0]
    if len(resting) > 1 or not closes(order, holding.position.direction) or not order.is_simple:
        return "it does not fit the position"
    trails = terms.trail_percent is not None
    if order.type is not (OrderType.TRAILING_STOP if trails else OrderType.STOP):
        return "its type has changed"
    if (order.trail_percent != terms.trail_percent) if trails else (order.stop_price != terms.stop_price):
        return f"{_describe(order)} should be {_terms_text(terms)}"
    if order.leaves_qty > holding.position.qty or _free(holding, terms, context) > 0:
        return "the quantity has changed"
    return ""


def _why_not_now(holding: Holding, terms: StopTerms, context: DecisionContext) -> str:
    """Why a backstop is not placed in this poll; "" when it is."""
    state, bid = holding.state.backstop, holding.prices.bid
    if state.refused or state.paused:
        return "the broker refuses one, or the next one has to wait"
    if bid is None or (terms.stop_price is not None and bid <= terms.stop_price):
        return "it would trigger at once, or the bid is unknown"
    direction, users = holding.position.direction, context.orders_on(holding.symbol)
    if terms.trail_percent is None and any(would_wash(order, direction, None) for order in users):
        return "an opposite order is open (wash-trade rule)"
    todays = [order for order in _todays(holding, context) if order.is_ours]
    if any(not order.is_terminal for order in todays):
        return "an order of ours is still working"
    ended = [order for order in todays if order.is_backstop]
    times = [at for order in ended if (at := order.updated_at or order.submitted_at)]
    pause = min(MIN_PAUSE * 2 ** min(max(len(ended) - 1, 0), _DOUBLINGS), MAX_PAUSE)
    return "the last one has just ended" if times and context.snapshot.market.now - max(times) < pause else ""


def _order(holding: Holding, terms: StopTerms, context: DecisionContext) -> SubmitOrder | None:
    qty = _free(holding, terms, context)
    if qty <= 0:
        return None
    account, ended = context.snapshot.account, [o for o in _todays(holding, context) if o.is_backstop and o.is_terminal]
    order_id = backstop_id(account.number, holding.symbol, context.today, 1 + len(ended))
    return SubmitOrder.backstop(holding.position, qty, free(holding), client_order_id=order_id, terms=terms)


def _free(holding: Holding, terms: StopTerms, context: DecisionContext) -> Decimal:
    """The quantity that a backstop may close (S8); whole units only for a trailing stop."""
    qty = size_of(as_signal(holding, ""), context).qty
    return qty.to_integral_value(ROUND_FLOOR) if terms.trail_percent is not None else qty


def as_signal(holding: Holding, detail: str) -> ExitSignal:
    """A backstop as an exit signal, to compute its size and to record its intent."""
    return ExitSignal(holding, holding.position.qty, Reason.BACKSTOP, detail, Urgency.PROTECTIVE)


def _todays(holding: Holding, context: DecisionContext) -> tuple[Order, ...]:
    return context.snapshot.history.get(holding.symbol, ())


def _is_option(holding: Holding) -> bool:
    return holding.position.instrument.asset_class is AssetClass.OPTION


def terms_of(order: SubmitOrder) -> str:
    """The terms of a backstop about to be sent, as text."""
    return _terms_text(StopTerms(order.time_in_force, order.stop_price, order.trail_percent))


def _terms_text(terms: StopTerms) -> str:
    if terms.trail_percent is not None:
        return f"trailing stop {terms.trail_percent.normalize():f}% ({terms.time_in_force})"
    return f"stop {as_dollars(terms.stop_price or Decimal(0))} ({terms.time_in_force})"


def _describe(order: Order) -> str:
    stop = None if order.type is OrderType.TRAILING_STOP else order.stop_price
    return f"{order.leaves_qty:f} {_terms_text(StopTerms(order.time_in_force, stop, order.trail_percent))}"
