"""The wide stop that rests at the broker under a long holding: what it should be, and the step towards it. Pure.

It protects a position while this host is dead, so it is no exit: nothing waits for it, and every exit cancels it first
(exits.py). It is placed, renewed or taken away only where nothing else is under way for the holding.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.exits import cancellable, why_settling
from sellctl.core.decision.pricing import tick_of, to_tick
from sellctl.core.decision.sizing import free, size_of
from sellctl.core.model.instrument import AssetClass, an_option
from sellctl.core.model.order import Order, OrderState, OrderType
from sellctl.core.model.plan import (
    CancelOrder,
    ExitSignal,
    PositionDecision,
    Reason,
    State,
    SubmitOrder,
    Terms,
    Urgency,
)
from sellctl.core.model.position import Holding
from sellctl.core.orders.claims import closes, would_wash
from sellctl.core.orders.client_order_ids import backstop_id
from sellctl.core.rules.gain import as_dollars

# How many are placed in one look: exits need the requests more.
MOST_A_LOOK = 10
# How long after one ended on a day the next is placed; doubled by each that has ended, up to the most.
AGAIN_AFTER, AGAIN_AT_MOST = dt.timedelta(seconds=15), dt.timedelta(minutes=5)
_DOUBLINGS = 5  # more make no difference
_ONE = Decimal(1)
_QUIET = frozenset({State.HELD, State.DENIED, State.FAULT})


def is_concerned(context: DecisionContext) -> bool:
    """Whether backstops are wanted, or rest still though they aren't."""
    return not context.snapshot.on_tick and bool(
        context.policy.backstop or any(o.is_backstop for o in context.snapshot.orders)
    )


def may_change(decision: PositionDecision, context: DecisionContext) -> bool:
    """Whether nothing else is under way for a holding, and nothing about it is in doubt."""
    state, symbol = decision.holding.state, decision.holding.symbol
    busy = (
        decision.submit or decision.cancel_first or decision.unconfirmed or context.ours_on(symbol) or state.unresolved
    )
    doubtful = (
        state.frozen or state.quarantine or symbol in context.unfit or context.snapshot.halted or context.standing
    )
    return decision.state in _QUIET and not busy and not doubtful


def with_backstop(decision: PositionDecision, context: DecisionContext) -> PositionDecision:
    """The verdict with the backstop to place under its holding, or to take away from it; as it is when it may stay."""
    holding, resting = decision.holding, context.backstops_on(decision.holding.symbol)
    terms = _terms(holding, context)
    if holding.position.entry_price is None or why_settling(holding, _todays(holding, context), context.snapshot):
        return decision
    if resting:
        why = "it is not wanted any more" if terms is None else _why_renew(holding, resting, terms, context)
        if not why:
            return replace(decision, sentence=f"{decision.sentence}; its backstop rests: {_words(resting[0])}")
        return replace(decision, cancel_first=cancellable(resting, f"backstop: {why}"))
    if terms is None or _why_not_now(holding, terms, context):
        return decision
    order = _order(holding, terms, context)
    return replace(decision, backstop=order, sentence=f"{decision.sentence}; {_placed(order)}") if order else decision


def chosen(decisions: Iterable[PositionDecision], context: DecisionContext) -> frozenset[str]:
    """Which of the verdicts' backstops go out in this look, by symbol: the first few, and none beside an exit.

    Of options only one, until one of them rests: not every account takes a stop on an option, so it is asked once.
    """
    everything = tuple(decisions)
    if any(decision.submit for decision in everything):
        return frozenset()
    wanted = [decision.holding for decision in everything if decision.backstop]
    if not any(order.is_backstop and an_option(order.symbol) for order in context.snapshot.orders):
        first = next((holding for holding in wanted if _is_option(holding)), None)
        wanted = [holding for holding in wanted if not _is_option(holding) or holding is first]
    return frozenset(holding.symbol for holding in wanted[:MOST_A_LOOK])


def orphans(context: DecisionContext) -> tuple[CancelOrder, ...]:
    """The backstops under positions that are gone: what is left of them could only open one.

    None while a row could not be read, which may be the position.
    """
    snapshot = context.snapshot
    if not snapshot.orders or snapshot.on_tick or context.standing or snapshot.halted or snapshot.invalid:
        return ()
    held = {holding.symbol for holding in context.holdings}
    left = [order for order in snapshot.orders if order.is_backstop and order.symbol not in held]
    return cancellable((o for o in left if o.state is not OrderState.TERMINAL), "backstop: its position is gone")


def _terms(holding: Holding, context: DecisionContext) -> Terms | None:
    """What a holding's backstop should be; None when there should be none."""
    backstop, position = context.policy.backstop, holding.position
    if backstop is None or position.entry_price is None or not _is_wanted(holding, context):
        return None
    if backstop.trail is not None and not _is_option(holding):
        return Terms("gtc", trail_percent=backstop.trail * 100)
    if backstop.stop is None:
        return None
    price = position.entry_price * (1 - backstop.stop)
    # Fractional shares and options rest for the day only: what else they take, Alpaca's own pages disagree on.
    lasts = "day" if _is_option(holding) or position.qty % _ONE else "gtc"
    every_contracts = replace(holding.state, penny=False)  # the one step that every contract has
    coarse = replace(holding, state=every_contracts)
    return Terms(lasts, stop_price=to_tick(price, tick_of(coarse, price), up=False))


def _is_wanted(holding: Holding, context: DecisionContext) -> bool:
    """Whether a holding is of those that get one: a long, ours to manage, that covers nothing."""
    position, instrument = holding.position, holding.position.instrument
    if not position.is_long or instrument.asset_class not in context.policy.backstop_classes:
        return False
    exempt = not context.snapshot.exempt.isdisjoint({holding.symbol, instrument.underlying})
    if exempt or context.policy.excludes(holding.symbol, instrument.underlying):
        return False
    if context.cover.reserved.get(holding.symbol) or holding.symbol in context.pairs or holding.state.follow:
        return False
    if instrument.option and instrument.option.expires < context.today:
        return False
    return context.strategy_of(holding)[0] is not None


def _why_renew(holding: Holding, resting: tuple[Order, ...], terms: Terms, context: DecisionContext) -> str:
    """Why what rests has to end so that another can follow; "" when it fits."""
    order = resting[0]
    if len(resting) > 1 or not closes(order, holding.position.direction) or not order.is_simple:
        return "it does not fit the position"
    trails = terms.trail_percent is not None
    if order.type is not (OrderType.TRAILING_STOP if trails else OrderType.STOP):
        return "another kind is wanted"
    if (order.trail_percent != terms.trail_percent) if trails else (order.stop_price != terms.stop_price):
        return f"{_words(order)} should be {_terms_words(terms)}"
    if order.leaves > holding.position.qty or _free(holding, terms, context) > 0:
        return "the quantity has changed"
    return ""


def _why_not_now(holding: Holding, terms: Terms, context: DecisionContext) -> str:
    """Why a backstop that is wanted is not placed at this look; "" when it is."""
    state, bid = holding.state.backstop, holding.prices.bid
    if state.refused or state.waits:
        return "the broker takes none, or not yet"
    if bid is None or (terms.stop_price is not None and bid <= terms.stop_price):
        return "it would be touched at once, or nobody knows"
    direction, users = holding.position.direction, context.orders_on(holding.symbol)
    if terms.trail_percent is None and any(would_wash(order, direction, None) for order in users):
        return "an opposite order rests (wash-trade rule)"
    todays = [order for order in _todays(holding, context) if order.is_ours]
    if any(not order.is_terminal for order in todays):
        return "an order of ours is still working"
    ended = [order for order in todays if order.is_backstop]
    times = [at for order in ended if (at := order.updated_at or order.submitted_at)]
    rest = min(AGAIN_AFTER * 2 ** min(max(len(ended) - 1, 0), _DOUBLINGS), AGAIN_AT_MOST)
    return "the last one has ended just now" if times and context.snapshot.market.now - max(times) < rest else ""


def _order(holding: Holding, terms: Terms, context: DecisionContext) -> SubmitOrder | None:
    qty = _free(holding, terms, context)
    if qty <= 0:
        return None
    facts, ended = context.snapshot.account, [o for o in _todays(holding, context) if o.is_backstop and o.is_terminal]
    name = backstop_id(facts.number, holding.symbol, context.today, 1 + len(ended))
    return SubmitOrder.backstop(holding.position, qty, free(holding), client_order_id=name, terms=terms)


def _free(holding: Holding, terms: Terms, context: DecisionContext) -> Decimal:
    """What of the holding nothing holds, by every count (S8); only whole shares can trail."""
    qty = size_of(as_signal(holding, ""), context).qty
    return qty.to_integral_value(ROUND_FLOOR) if terms.trail_percent is not None else qty


def as_signal(holding: Holding, detail: str) -> ExitSignal:
    """A backstop in the form in which sizes are counted and intents written down."""
    return ExitSignal(holding, holding.position.qty, Reason.BACKSTOP, detail, Urgency.PROTECTIVE)


def _todays(holding: Holding, context: DecisionContext) -> tuple[Order, ...]:
    return context.snapshot.history.get(holding.symbol, ())


def _is_option(holding: Holding) -> bool:
    return holding.position.instrument.asset_class is AssetClass.OPTION


def _placed(order: SubmitOrder) -> str:
    return f"backstop: {order.side.value} {order.qty:f} {terms_of(order)} rests at the broker"


def terms_of(order: SubmitOrder) -> str:
    """What a backstop about to be sent is, in a few words."""
    return _terms_words(Terms(order.time_in_force, order.stop_price, order.trail_percent))


def _terms_words(terms: Terms) -> str:
    if terms.trail_percent is not None:
        return f"trailing stop {terms.trail_percent.normalize():f}% ({terms.time_in_force})"
    return f"stop {as_dollars(terms.stop_price or Decimal(0))} ({terms.time_in_force})"


def _words(order: Order) -> str:
    stop = None if order.type is OrderType.TRAILING_STOP else order.stop_price
    return f"{order.leaves:f} {_terms_words(Terms(order.time_in_force, stop, order.trail_percent))}"
