"""The next step of an exit that has a reason: wait, cancel what is in the way, re-price, or send. Pure."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sellctl.core.decision.confirmation import SECOND_QUOTE
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.guards import Case, throttled, violations
from sellctl.core.decision.pricing import REPRICE_AFTER, RESTS, NoPriceError, PricedStep, believable, price_step
from sellctl.core.decision.sizing import Size, free, size_of
from sellctl.core.model.order import Order, OrderState, OrderType
from sellctl.core.model.plan import CancelOrder, ExitSignal, PositionDecision, Reason, State, SubmitOrder, Urgency
from sellctl.core.model.position import ExitProgress, Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.orders.claims import closes, would_wash
from sellctl.core.orders.client_order_ids import attempt_number, client_order_id
from sellctl.core.rules.gain import as_dollars

# Orders and positions at the broker may disagree this long after a fill.
SETTLES_IN = dt.timedelta(seconds=10)
# How long a marketable limit is left alone under a quote that stands still.
HALTED = dt.timedelta(seconds=30)
# When a person hears that a protective or forced exit is not out: a while after its first order, and again and again.
OVERDUE_AFTER = dt.timedelta(seconds=45)
OVERDUE_AGAIN = dt.timedelta(minutes=3)


def leave(signal: ExitSignal, context: DecisionContext) -> PositionDecision:
    """What the next step of an exit is, and how often a person should have heard that it isn't out."""
    overdue, decision = _overdue(signal), _next_step(signal, context)
    return replace(decision, overdue=overdue) if overdue else decision


def _overdue(signal: ExitSignal) -> int:
    state = signal.holding.state.exit
    if state is None or signal.urgency > Urgency.PROTECTIVE or state.pressing_for < OVERDUE_AFTER:
        return 0
    return 1 + (state.pressing_for - OVERDUE_AFTER) // OVERDUE_AGAIN


def _next_step(signal: ExitSignal, context: DecisionContext) -> PositionDecision:
    if signal.holding.state.unresolved > 0:
        return _leaving(signal, "an order's fate is unknown; it is being looked up")
    ours = context.ours_on(signal.holding.symbol)
    if ours:
        return _go_on(signal, ours, context)
    if context.standing:
        return _denied(signal, context.standing)
    try:
        price = _offer(signal, context)
    except NoPriceError as error:
        return _denied(signal, (str(error),))
    return _begin(signal, price, context)


def _leaving(signal: ExitSignal, what: str, submit: SubmitOrder | None = None) -> PositionDecision:
    return PositionDecision(signal.holding, State.LEAVING, f"{signal.sentence}; {what}", signal=signal, submit=submit)


def wait(signal: ExitSignal, what: str) -> PositionDecision:
    """A stop whose looks don't agree yet: nothing is sent. A second quote comes soon; anything else, a person hears."""
    return _denied(signal, (what,), alert=what != SECOND_QUOTE)


def _denied(signal: ExitSignal, refusals: tuple[str, ...], *, alert: bool | None = None) -> PositionDecision:
    """A refusal; unless `alert` says otherwise a person hears of it when the exit is protective or forced."""
    sentence = f"{signal.sentence}; denied: {'; '.join(refusals)}"
    alarms = signal.urgency <= Urgency.PROTECTIVE if alert is None else alert
    return PositionDecision(signal.holding, State.DENIED, sentence, signal=signal, violations=refusals, alert=alarms)


def _alarming(signal: ExitSignal, state: State, sentence: str) -> PositionDecision:
    """A verdict that a person hears of when the exit is protective or forced."""
    return PositionDecision(signal.holding, state, sentence, signal=signal, alert=signal.urgency <= Urgency.PROTECTIVE)


def _offer(signal: ExitSignal, context: DecisionContext) -> PricedStep:
    """The price of the next step: the ladder goes on while the exit stays as urgent, else it starts anew."""
    state = signal.holding.state.exit
    step = state.step + 1 if state and state.urgency == signal.urgency else 1
    policy = context.policy
    walk = context.walks.get(signal.urgency)
    return price_step(signal, step, policy.style, protective_market=policy.protective_market, walk=walk)


# --- an exit without an order of ours ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Obstacles:
    """The user's own orders that keep an exit from being sent whole: holding its quantity, or opposite to it."""

    holders: tuple[Order, ...]
    opposed: tuple[Order, ...]

    @property
    def all(self) -> tuple[Order, ...]:
        return (*self.opposed, *self.holders)


def _begin(signal: ExitSignal, price: PricedStep, context: DecisionContext) -> PositionDecision:
    size = size_of(signal, context)
    if size.wanted <= 0:
        return _denied(signal, (size.why,))
    obstacles = _obstacles(signal, price, size, context)
    if context.backstops_on(signal.holding.symbol) and (not obstacles.opposed or _may_take_over(signal, context)):
        return _lift(signal, size, price, context)
    raced = next((order for order in obstacles.holders if _is_at_any_price(order, signal.holding, context)), None)
    if raced and size.qty <= 0:
        return _alarming(signal, State.BLOCKED, f"{signal.sentence}; left to another's sale: {describe(raced)}")
    if obstacles.all and _may_take_over(signal, context):
        cancels = cancellable(obstacles.all, f"it is in the way of: {signal.detail}")
        if cancels:
            decision = _leaving(signal, f"your order is cancelled first: {describe(cancels[0].order)}")
            return replace(decision, cancel_first=cancels, alert=True)
    if obstacles.opposed or size.qty <= 0:
        return _blocked(signal, obstacles, size, context)
    return _send(signal, size, price, context)


def _lift(signal: ExitSignal, size: Size, price: PricedStep, context: DecisionContext) -> PositionDecision:
    """The backstop ends first, and only for an order that no guard would refuse once it is gone."""
    holding, resting = signal.holding, context.backstops_on(signal.holding.symbol)
    others = tuple(order for order in context.orders_on(holding.symbol) if not order.is_backstop)
    todays = tuple(order for order in context.snapshot.history.get(holding.symbol, ()) if not order.is_backstop)
    snapshot = context.snapshot.with_history({holding.symbol: todays})
    held = holding.position.qty
    order = SubmitOrder.closing(holding.position, size.wanted, held, client_order_id="", limit_price=price.limit)
    refusals = violations(order, Case(signal, snapshot, context.policy, context.cover, context.standing, others))
    if refusals:
        return _denied(signal, refusals)
    cancels = cancellable(resting, f"the backstop gives way to: {signal.detail}")
    what = "the backstop is cancelled first" if cancels else "waiting for the broker's word on the backstop's cancel"
    return replace(_leaving(signal, what), cancel_first=cancels)


def _obstacles(signal: ExitSignal, price: PricedStep, size: Size, context: DecisionContext) -> _Obstacles:
    position = signal.holding.position
    users = [order for order in context.orders_on(position.symbol) if not order.is_ours]
    return _Obstacles(
        holders=tuple(o for o in users if _holds(o, signal.holding)) if size.qty < size.wanted else (),
        opposed=tuple(o for o in users if would_wash(o, position.direction, price.limit)),
    )


def _holds(order: Order, holding: Holding) -> bool:
    """Whether an order, or a leg of it, closes the position."""
    direction = holding.position.direction
    return any(closes(o, direction) for o in (order, *order.legs) if o.symbol == holding.symbol and not o.is_terminal)


def _is_at_any_price(order: Order, holding: Holding, context: DecisionContext) -> bool:
    """Whether it closes at the market what expires today, as Alpaca's own liquidation does.

    Nothing of ours would be faster, and in the last minutes Alpaca would refuse ours (design, section 4).
    """
    return order.type is OrderType.MARKET and order.symbol == holding.symbol and context.expires_today(holding)


def _may_take_over(signal: ExitSignal, context: DecisionContext) -> bool:
    return context.policy.take_over is not None and signal.urgency <= context.policy.take_over


def _blocked(signal: ExitSignal, obstacles: _Obstacles, size: Size, context: DecisionContext) -> PositionDecision:
    """Nothing can be sent: the user's order is in the way, or nothing is free for another reason."""
    if not obstacles.all:
        return _denied(signal, (size.why,))
    order = obstacles.all[0]
    if _may_take_over(signal, context):
        return _alarming(signal, State.BLOCKED, f"{signal.sentence}; waits for the cancel of {describe(order)}")
    rule = " (the wash-trade rule forbids an opposite order)" if order in obstacles.opposed else ""
    return _alarming(signal, State.BLOCKED, f"{signal.sentence}; blocked by your order: {describe(order)}{rule}")


def _send(signal: ExitSignal, size: Size, price: PricedStep, context: DecisionContext) -> PositionDecision:
    """The order that closes it now, unless a fill has yet to settle or a guard objects."""
    snapshot, holding = context.snapshot, signal.holding
    todays = snapshot.history.get(holding.symbol, ())
    settling = why_settling(holding, todays, snapshot)
    if settling:
        return replace(_leaving(signal, settling), unconfirmed=True)
    attempt = attempt_number(todays)
    order = SubmitOrder.closing(
        holding.position,
        size.qty,
        free(holding),
        client_order_id=client_order_id(snapshot.account.number, holding.symbol, snapshot.market.today, attempt),
        limit_price=price.limit,
    )
    case = Case(signal, snapshot, context.policy, context.cover, context.standing, context.orders_on(holding.symbol))
    refusals = violations(order, case)
    if refusals:
        return _denied(signal, refusals)
    return replace(_leaving(signal, _what_is_sent(order, price, size), order), step=_step(price.step, price.of))


def why_settling(holding: Holding, todays: Iterable[Order], snapshot: Snapshot) -> str:
    """Whether a fill that our memory doesn't know may be missing in the position still; "" when not."""
    if holding.state.qty_left is not None:
        return ""
    filled_at = holding.state.filled_at  # a backstop of an earlier day's, or an order that no list shows yet
    if filled_at and _may_be_missing(filled_at, snapshot):
        return "an order of ours has filled just now: waiting until the position shows it"
    for order in todays:
        seen_at = order.filled_at or order.updated_at
        took = order.filled_qty > 0 and closes(order, holding.position.direction)
        if took and seen_at and _may_be_missing(seen_at, snapshot):
            ago = f"{max((snapshot.market.now - seen_at).total_seconds(), 0):.0f} s ago"
            return f"a fill of {order.filled_qty:f} was {ago}: waiting until the position shows it"
    return ""


def _may_be_missing(filled_at: dt.datetime, snapshot: Snapshot) -> bool:
    """Whether the positions were asked for before it settled. A stamp far in the future says nothing."""
    return snapshot.positions_at - SETTLES_IN < filled_at < snapshot.market.now + SETTLES_IN


def _what_is_sent(order: SubmitOrder, price: PricedStep, size: Size) -> str:
    at = "at market" if order.limit_price is None else f"limit {as_dollars(order.limit_price)}"
    step = f" (step {price.step} of {price.of})" if price.of > 1 else ""
    rest = f"; the rest stays: {size.why}" if size.why else ""
    return f"{order.side.value} {order.qty:f} {at}{step}{rest}"


# --- an exit under way ------------------------------------------------------------------------------------------------


def _go_on(signal: ExitSignal, ours: tuple[Order, ...], context: DecisionContext) -> PositionDecision:
    """Our order works: leave it, or end it so that a more urgent or a fresher one can follow."""
    price = _offer_or_none(signal, context)
    said, cancels, alert = _next_of(signal, ours, price, context)
    return PositionDecision(
        signal.holding,
        State.LEAVING,
        f"{signal.sentence}; {said}",
        signal=signal,
        cancel_first=cancels,
        alert=alert,
        step=_step_under_way(signal, price),
    )


def _offer_or_none(signal: ExitSignal, context: DecisionContext) -> PricedStep | None:
    try:
        return _offer(signal, context)
    except NoPriceError:
        return None


def _step_under_way(signal: ExitSignal, price: PricedStep | None) -> str:
    """Which step of the exit it is, where its memory is at hand."""
    state = signal.holding.state.exit
    if price is None or state is None or state.urgency != signal.urgency:
        return ""
    return _step(min(state.step, price.of), price.of)


def _step(step: int, of: int) -> str:
    return f"{step} of {of}" if of > 1 else ""


def _next_of(
    signal: ExitSignal, ours: tuple[Order, ...], price: PricedStep | None, context: DecisionContext
) -> tuple[str, tuple[CancelOrder, ...], bool]:
    """What is said of an exit under way, what is cancelled, and whether a person should hear of it."""
    untouched = context.standing or ((f"halted: {context.snapshot.halted}",) if _is_halted(signal, context) else ())
    if untouched:
        return f"{describe(ours[0])}, untouched: {'; '.join(untouched)}", (), False
    why = why_astray(signal.holding, ours) or _why_replace(signal, ours[0], price, context)
    cancels = cancellable(ours, why) if why else ()
    if cancels:
        return why, cancels, False
    if is_frozen(signal.holding, ours[0]) and _age(ours[0], signal.holding.state.exit, context) >= REPRICE_AFTER:
        stands = f"{describe(ours[0])}; it could trade at the price shown and does not: is the market halted?"
        return stands, (), True
    canceling = any(order.state is OrderState.CANCELING for order in ours)
    return "waiting for the broker's word on its cancel" if canceling else describe(ours[0]), (), False


def _is_halted(signal: ExitSignal, context: DecisionContext) -> bool:
    return bool(context.snapshot.halted) and signal.reason is not Reason.PANIC


def why_astray(holding: Holding, ours: Iterable[Order]) -> str:
    """Why an order of ours must end whatever the rules say: it doesn't close what is held now; "" when it does."""
    position = holding.position
    if all(closes(order, position.direction) for order in ours):
        return ""
    return f"an order of ours does not close a {position.direction.value} position: it ends first"


def _why_replace(signal: ExitSignal, order: Order, price: PricedStep | None, context: DecisionContext) -> str:
    """Why the working order should give way; "" when it should not: there is nothing better to send, or it is early."""
    state = signal.holding.state.exit
    if price is None or order.type is OrderType.MARKET or (state and signal.urgency > state.urgency):
        return ""
    if state and signal.urgency < state.urgency:
        return f"a more urgent reason: {signal.detail}"
    age, walk = _age(order, state, context), context.walks.get(signal.urgency)
    if age < (walk.every if walk and price.walked else REPRICE_AFTER) or throttled(signal, context.snapshot):
        return ""
    if age < HALTED and is_frozen(signal.holding, order):
        return ""
    rests = price.is_last or (signal.urgency is Urgency.TIME and age < RESTS)
    return "" if price.limit == order.limit_price and rests else "re-priced from a fresh quote"


def is_frozen(holding: Holding, order: Order) -> bool:
    """Whether an order could trade at the quote shown, and that quote is older than the order: a halt, most likely.

    Then a new price is worth nothing: the one marketable limit stays, and is sent anew once in HALTED only.
    """
    quote, limit, since = holding.quote, order.limit_price, order.submitted_at
    if quote is None or limit is None or since is None or quote.at >= since:
        return False
    long = holding.position.is_long
    side = believable(quote.bid if long else quote.ask)
    return side is not None and (limit <= side if long else limit >= side)


def _age(order: Order, state: ExitProgress | None, context: DecisionContext) -> dt.timedelta:
    now = context.snapshot.market.now
    return state.age if state else now - (order.submitted_at or now)


def cancellable(orders: Iterable[Order], why: str) -> tuple[CancelOrder, ...]:
    """The cancels for those orders that nobody asked to end yet."""
    return tuple(CancelOrder(order, why) for order in orders if order.state is not OrderState.CANCELING)


def describe(order: Order) -> str:
    """An open order in a few words."""
    at = order.type.value if order.limit_price is None else f"limit {as_dollars(order.limit_price)}"
    side = order.side.value if order.side else "multi-leg"
    left = f"{order.leaves:f}" if order.qty is not None else "?"
    return f"{side} {left} {at} works ({order.status})"
