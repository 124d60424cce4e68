"""The next step of one exit: wait, cancel orders that are in the way, reprice, or send. Pure."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.config.schema import WalkConfig
from sellctl.core.decision.confirmation import SECOND_QUOTE
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.multi_leg.recognised import recognised
from sellctl.core.decision.pricing import (
    MIN_SESSION_LEFT_FOR_WIDE_WALK,
    REPRICE_AFTER,
    REST_AT_TOUCH,
    WIDE_WALK,
    NoPriceError,
    PricedStep,
    believable,
    price_step,
)
from sellctl.core.decision.risk_checks import RiskContext, rate_violation, violations
from sellctl.core.decision.sizing import Size, free, size_of, why_cover_is_missing
from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.order import ZERO, Order, OrderState, OrderType
from sellctl.core.model.plan import (
    SHORT_UNCONFIRMED,
    CancelOrder,
    DecisionState,
    ExitSignal,
    PositionDecision,
    Reason,
    SubmitOrder,
    Urgency,
    halt_violation,
)
from sellctl.core.model.position import ExitProgress, Holding
from sellctl.core.model.snapshot import CloseTerms, Snapshot
from sellctl.core.orders.claims import UNKNOWN_SYMBOLS, closes, would_wash
from sellctl.core.orders.client_order_ids import attempt_number, client_order_id
from sellctl.core.text import as_limit

# How long orders and positions at the broker may disagree after a fill.
SETTLES_IN = dt.timedelta(seconds=10)
# How long a marketable limit is left unchanged while the quote does not move.
STALLED_FOR = dt.timedelta(seconds=30)
# How long a market order may take to fill before the user is told and it is renewed, times the number of the exit's
# orders so far, up to MARKET_PATIENCE: it is renewed less and less often.
MARKET_FILLS_WITHIN = dt.timedelta(seconds=15)
MARKET_PATIENCE = 4
JUST_FILLED = "an order of ours has just filled: waiting until the position shows it"
RENEWED = "because the market order does not fill although the quote moves"


def next_step(signal: ExitSignal, context: DecisionContext) -> PositionDecision:
    """The next step of an exit."""
    if signal.holding.state.unresolved > 0:
        return closing(signal, "the outcome of an order is unknown; it is being looked up")
    ours = context.ours_on(signal.holding.symbol)
    if ours:
        return continue_due(signal, ours, _price_or_none(signal, context), context)
    if context.account_violations:
        return denied(signal, context.account_violations)
    if why := why_cover_is_missing(signal, context):
        return settling(signal, why)
    try:
        price = _price_next_step(signal, context)
    except NoPriceError as error:
        return denied(signal, (str(error),))
    return _start(signal, price, context)


def closing(signal: ExitSignal, status: str, submit: SubmitOrder | None = None) -> PositionDecision:
    """An exit that is under way, or whose order is sent now."""
    return PositionDecision(
        signal.holding, DecisionState.CLOSING, f"{signal.sentence}; {status}", signal=signal, submit=submit
    )


def wait_for_confirmation(signal: ExitSignal, waits_for: str) -> PositionDecision:
    """An exit that isn't confirmed yet: nothing is sent. It alerts unless it only waits for a second quote."""
    rule = "target" if signal.urgency is Urgency.PROFIT else "stop"
    why = f"confirming the {rule}: {waits_for}"
    return PositionDecision(
        signal.holding,
        DecisionState.DENIED,
        f"{signal.sentence}; {why}",
        signal=signal,
        violations=(why,),
        alert=waits_for != SECOND_QUOTE,
        unconfirmed=waits_for == SECOND_QUOTE,
    )


def wait_for_second_read(signal: ExitSignal) -> PositionDecision:
    """The exit of a short whose cover may only be missing in this read of the positions: nothing is sent."""
    sentence = f"{signal.sentence}; {SHORT_UNCONFIRMED}"
    return PositionDecision(
        signal.holding,
        DecisionState.DENIED,
        sentence,
        signal=signal,
        violations=(SHORT_UNCONFIRMED,),
        unconfirmed=True,
    )


def settling(signal: ExitSignal, why: str) -> PositionDecision:
    """An exit that waits until the position shows a fill."""
    return replace(closing(signal, why), unconfirmed=True)


def denied(signal: ExitSignal, refusals: tuple[str, ...]) -> PositionDecision:
    """An exit that a check of sellctl refuses; an alert when it is protective or forced."""
    sentence = f"{signal.sentence}; not sent: {'; '.join(refusals)}"
    alert = signal.urgency <= Urgency.PROTECTIVE
    return PositionDecision(
        signal.holding, DecisionState.DENIED, sentence, signal=signal, violations=refusals, alert=alert
    )


def blocked(signal: ExitSignal, why: str) -> PositionDecision:
    """An exit that an order of the user's blocks; an alert when it is protective or forced."""
    sentence, alert = f"{signal.sentence}; {why}", signal.urgency <= Urgency.PROTECTIVE
    return PositionDecision(signal.holding, DecisionState.BLOCKED, sentence, signal=signal, alert=alert)


def _price_next_step(signal: ExitSignal, context: DecisionContext) -> PricedStep:
    policy, step = context.policy, signal.next_step
    walk = walk_for(signal, context)
    return price_step(signal, step, policy.style, protective_market=policy.protective_market, walk=walk)


def walk_for(signal: ExitSignal, context: DecisionContext) -> WalkConfig | None:
    """The walk of an exit; None where there is none."""
    return context.walks.get(signal.urgency) or _walk_on_a_wide_spread(signal, context)


def _walk_on_a_wide_spread(signal: ExitSignal, context: DecisionContext) -> WalkConfig | None:
    """The walk of a protective exit; None where there is none, or when the session ends before it would."""
    left = context.snapshot.market.until_close
    if signal.urgency is not Urgency.PROTECTIVE or (left is not None and left < MIN_SESSION_LEFT_FOR_WIDE_WALK):
        return None
    return WIDE_WALK


# --- an exit without an order of ours ---------------------------------------------------------------------------------


class _Obstacles(Struct, frozen=True):
    """The user's orders that prevent an exit from being sent in full: they hold its quantity, or are opposite to it."""

    holders: tuple[Order, ...]
    opposed: tuple[Order, ...]

    @property
    def all(self) -> tuple[Order, ...]:
        return (*self.opposed, *self.holders)


def _start(signal: ExitSignal, price: PricedStep, context: DecisionContext) -> PositionDecision:
    size = size_of(signal, context)
    if size.wanted <= 0:
        return denied(signal, (size.why,))
    obstacles = _obstacles(signal, price, size, context)
    if context.backstops_on(signal.holding.symbol) and (not obstacles.opposed or may_preempt(signal, context)):
        return _cancel_backstop(signal, size, price, context)
    competing = next(
        (order for order in obstacles.holders if _is_last_day_market_order(order, signal.holding, context)), None
    )
    if competing and size.qty <= 0:
        return blocked(signal, f"another order closes it already: {describe(competing)}")
    if obstacles.all and may_preempt(signal, context):
        cancels = cancellable(obstacles.all, f"to make way for: {signal.detail}")
        if cancels:
            decision = closing(signal, f"cancelling your order first: {describe(cancels[0].order)}")
            return replace(decision, cancel_first=cancels, alert=True)
    if obstacles.opposed or size.qty <= 0:
        return _obstructed(signal, obstacles, size, context)
    return _send(signal, size, price, context)


def _cancel_backstop(signal: ExitSignal, size: Size, price: PricedStep, context: DecisionContext) -> PositionDecision:
    """Cancel the backstop first, but only for an order that no check would refuse without the backstop."""
    holding, resting = signal.holding, context.backstops_on(signal.holding.symbol)
    others = tuple(order for order in context.orders_on(holding.symbol) if not order.is_backstop)
    todays = tuple(order for order in context.snapshot.history.get(holding.symbol, ()) if not order.is_backstop)
    snapshot = context.snapshot.with_history({holding.symbol: todays})
    held = holding.position.qty
    order = SubmitOrder.closing(holding.position, size.wanted, held, client_order_id="", limit_price=price.limit)
    refusals = violations(order, _risk_context(signal, snapshot, others, context))
    if refusals:
        return denied(signal, refusals)
    cancels = cancellable(resting, f"to make way for: {signal.detail}")
    status = "cancelling the backstop first" if cancels else "waiting until the broker has cancelled the backstop"
    return replace(closing(signal, status), cancel_first=cancels)


def _obstacles(signal: ExitSignal, price: PricedStep, size: Size, context: DecisionContext) -> _Obstacles:
    position = signal.holding.position
    users = [order for order in context.orders_on(position.symbol) if not order.is_ours]
    return _Obstacles(
        holders=tuple(o for o in users if holds(o, signal.holding)) if size.qty < size.wanted else (),
        opposed=tuple(o for o in users if would_wash(o, position.direction, price.limit)),
    )


def holds(order: Order, holding: Holding) -> bool:
    """Whether an order, or a leg of it, closes the position; also one whose legs aren't shown, because it may."""
    if order.symbols == UNKNOWN_SYMBOLS:
        return True
    direction = holding.position.direction
    return any(closes(part, direction) for part in order.parts_on(holding.symbol) if not part.is_terminal)


def _is_last_day_market_order(order: Order, holding: Holding, context: DecisionContext) -> bool:
    """Whether it is a market order for an option on its last day, such as Alpaca's own liquidation.

    No order of sellctl would be faster, and in the last minutes Alpaca would refuse it.
    """
    return order.type is OrderType.MARKET and order.symbol == holding.symbol and context.is_last_day(holding)


def may_preempt(signal: ExitSignal, context: DecisionContext) -> bool:
    """Whether an exit may cancel the user's own order."""
    return context.policy.preempt is not None and signal.urgency <= context.policy.preempt


def _obstructed(signal: ExitSignal, obstacles: _Obstacles, size: Size, context: DecisionContext) -> PositionDecision:
    """Nothing can be sent: an order of the user's is in the way, or nothing is free for another reason."""
    if not obstacles.all:
        return settling(signal, JUST_FILLED) if size.settles else denied(signal, (size.why,))
    order = obstacles.all[0]
    if may_preempt(signal, context):
        return blocked(signal, f"waiting for the cancel of {describe(order)}")
    rule = " (the wash-trade rule forbids an opposite order)" if order in obstacles.opposed else ""
    return blocked(signal, f"blocked by your order: {describe(order)}{rule}")


def _send(signal: ExitSignal, size: Size, price: PricedStep, context: DecisionContext) -> PositionDecision:
    """The order that closes it now, unless a fill has yet to settle or a check refuses it."""
    snapshot, holding = context.snapshot, signal.holding
    todays = snapshot.history.get(holding.symbol, ())
    why = why_settling(holding, todays, snapshot)
    if why:
        return settling(signal, why)
    attempt = attempt_number(todays, (holding.symbol,))
    order = SubmitOrder.closing(
        holding.position,
        size.qty,
        free(holding),
        client_order_id=client_order_id(snapshot.account.number, holding.symbol, snapshot.market.today, attempt),
        limit_price=price.limit,
    )
    refusals = violations(order, _risk_context(signal, snapshot, context.orders_on(holding.symbol), context))
    if refusals:
        return denied(signal, refusals)
    return replace(
        closing(signal, what_is_sent(order, price, size), order), step=step_text(price.step, price.step_count)
    )


def _risk_context(
    signal: ExitSignal, snapshot: Snapshot, open_orders: tuple[Order, ...], context: DecisionContext
) -> RiskContext:
    return RiskContext(signal, snapshot, context.policy, context.cover, context.account_violations, open_orders)


def why_settling(holding: Holding, todays: Iterable[Order], snapshot: Snapshot) -> str:
    """Why the position may not show the last fill yet; "" when it does, or when the ledger has the fill."""
    if holding.state.qty_left is not None:
        return ""
    filled_at = holding.state.filled_at  # a backstop of an earlier day, or an order that no list shows yet
    if filled_at and _may_be_missing(filled_at, snapshot):
        return JUST_FILLED
    for order in todays:
        for part in order.parts_on(holding.symbol):
            filled_at = part.last_fill_at
            if filled_at and closes(part, holding.position.direction) and _may_be_missing(filled_at, snapshot):
                ago = f"{max((snapshot.market.now - filled_at).total_seconds(), 0):.0f} s ago"
                return f"a fill of {part.filled_qty:f} was {ago}: waiting until the position shows it"
    return ""


def _may_be_missing(filled_at: dt.datetime, snapshot: Snapshot) -> bool:
    """Whether the positions were requested before the fill settled. A time far in the future is ignored."""
    return snapshot.positions_at - SETTLES_IN < filled_at < snapshot.market.now + SETTLES_IN


def what_is_sent(order: SubmitOrder, price: PricedStep, size: Size) -> str:
    """The order that is sent, as text, with its step and what limits it."""
    at = "at market" if order.limit_price is None else as_limit(order.limit_price, is_net=bool(order.legs))
    step = f" (price {price.step} of {price.step_count})" if price.step_count > 1 else ""
    rest = f"; the rest is not sent: {size.why}" if size.why else ""
    return f"{order.side.value} {order.qty:f} {at}{step}{rest}"


# --- an exit under way ------------------------------------------------------------------------------------------------


def continue_exit(holding: Holding, ours: tuple[Order, ...], context: DecisionContext) -> PositionDecision:
    """The next step when no rule is true any more but our orders still work: only a target's exit ends."""
    why = "" if context.account_violations else _why_end(holding, ours, context)
    if why:
        cancels = cancellable(ours, why)
        return PositionDecision(holding, DecisionState.CLOSING, f"our order is cancelled {why}", cancel_first=cancels)
    reason = holding.state.exit.reason if holding.state.exit else "an earlier exit"
    return PositionDecision(holding, DecisionState.CLOSING, f"closing ({reason}): {describe(ours[0])}")


def _why_end(holding: Holding, ours: tuple[Order, ...], context: DecisionContext) -> str:
    """Why our working order should be cancelled although no rule is true; "" when it should stay."""
    why = _why_wrong(holding, ours, context)
    subject = _closed_by(ours[0], context) if ours[0].is_multi_leg and not why else holding
    if subject is None:
        return "because its legs are no longer one structure"
    return why or ("because the target is no longer met" if _target_is_missed(subject) else "")


def _closed_by(order: Order, context: DecisionContext) -> Holding | None:
    """The structure that a multi-leg order closes, as one position; None when no structure has exactly its legs.

    Of a structure that leaves in parts, it is all of it, with the exit of that part.
    """
    symbols, first = frozenset(order.symbols), order.symbols[0]
    judged = context.leaves_as(first)
    found = (judged,) if judged else recognised(context, {underlying_of(first)})
    left = next((each for each in found if frozenset(each.holdings) == symbols), None)
    if left is None:
        return None
    whole = context.structures.get(first) if left.part_of else None
    return replace(whole.whole, state=replace(whole.whole.state, exit=left.whole.state.exit)) if whole else left.whole


def _target_is_missed(holding: Holding) -> bool:
    """Whether the exit under way is a target's and the price, which is known, no longer meets it."""
    state, known = holding.state.exit, holding.exit_price is not None and not holding.prices.wide
    is_target = state is not None and state.urgency >= Urgency.PROFIT and state.reason != Reason.CLOSED_MANUALLY
    return state is not None and is_target and known and state.age >= REPRICE_AFTER


def continue_due(
    signal: ExitSignal, ours: tuple[Order, ...], price: PricedStep | None, context: DecisionContext
) -> PositionDecision:
    """Leave our working order, or cancel it so that a more urgent or a repriced one can follow.

    `price` is that of the exit's next step; None when there is none.
    """
    status, cancels, alert = _status_of(signal, ours, price, context)
    return PositionDecision(
        signal.holding,
        DecisionState.CLOSING,
        f"{signal.sentence}; {status}",
        signal=signal,
        cancel_first=cancels,
        alert=alert,
        step=_step_under_way(signal, price),
    )


def _price_or_none(signal: ExitSignal, context: DecisionContext) -> PricedStep | None:
    try:
        return _price_next_step(signal, context)
    except NoPriceError:
        return None


def _step_under_way(signal: ExitSignal, price: PricedStep | None) -> str:
    """Which step of the exit is under way; "" when it is unknown."""
    state = signal.holding.state.exit
    if price is None or state is None or state.urgency != signal.urgency:
        return ""
    return step_text(min(state.step, price.step_count), price.step_count)


def step_text(step: int, step_count: int) -> str:
    """A step of an exit as text; "" when it is the only one."""
    return f"{step} of {step_count}" if step_count > 1 else ""


def _status_of(
    signal: ExitSignal, ours: tuple[Order, ...], price: PricedStep | None, context: DecisionContext
) -> tuple[str, tuple[CancelOrder, ...], bool]:
    """The status of an exit under way as text, the orders to cancel, and whether the user is alerted."""
    violations_now = context.account_violations or _halt_violations(signal, context)
    if violations_now:
        return f"{describe(ours[0])}, not changed: {'; '.join(violations_now)}", (), False
    why = _why_wrong(signal.holding, ours, context) or _why_not_as_asked(signal, ours[0], context)
    why = why or _why_replace(signal, ours[0], price, context)
    cancels = cancellable(ours, why) if why else ()
    if cancels:
        return f"cancelled {why}", cancels, why == RENEWED
    unfilled = _why_unfilled(signal.holding, ours[0], price, context)
    if unfilled:
        return f"{describe(ours[0])}; it does not fill{unfilled}", (), True
    if _is_stalled(signal.holding, ours[0]) and _age(ours[0], signal.holding.state.exit, context) >= REPRICE_AFTER:
        return f"{describe(ours[0])}; it could trade at the quote and does not: is trading halted?", (), True
    canceling = any(order.state is OrderState.CANCELING for order in ours)
    return "waiting until the broker has cancelled it" if canceling else describe(ours[0]), (), False


def _halt_violations(signal: ExitSignal, context: DecisionContext) -> tuple[str, ...]:
    halted = context.snapshot.halted
    return (halt_violation(halted),) if halted and signal.reason is not Reason.PANIC else ()


def _why_wrong(holding: Holding, ours: Iterable[Order], context: DecisionContext) -> str:
    """Why an order of ours must be cancelled regardless of the rules; "" when it closes what is held."""
    for order in ours:
        if order.is_multi_leg and (why := _why_legs_are_wrong(order, context)):
            return why
        if not order.is_multi_leg and not closes(order, holding.position.direction):
            return f"because it does not close a {holding.position.direction.value} position"
    return ""


def _why_not_as_asked(signal: ExitSignal, order: Order, context: DecisionContext) -> str:
    """Why a working order must not fill for a manual request: it closes more, or at a worse price; "" when it may.

    A fill that was counted since the order was listed is no longer a part of what it closes.
    """
    if signal.reason is not Reason.CLOSED_MANUALLY or (terms := _terms_of(signal, context)) is None:
        return ""
    worst = signal.user_limit
    if worst is not None and (order.limit_price is None or _is_worse(order, worst, signal)):
        return "because it may fill beyond the limit that was asked for"
    if terms.qty is None:
        return ""
    symbol = order.symbols[0]
    filled = terms.filled.get(symbol, {}).get(order.client_order_id, ZERO)
    for part in order.parts_on(symbol):
        still = min(part.leaves_qty, (part.qty or ZERO) - filled)
        if still > _asked_of(symbol, signal, context):
            return "because it closes more than was asked for"
    return ""


def _terms_of(signal: ExitSignal, context: DecisionContext) -> CloseTerms | None:
    """The terms of a manual request, for a position or for a structure as a whole."""
    name = signal.holding.symbol
    terms = context.snapshot.close_terms
    return terms.get(name) if name in terms else context.terms_of(signal.holding)


def _asked_of(symbol: str, signal: ExitSignal, context: DecisionContext) -> Decimal:
    """How much of a symbol is left of a manual request; all that is held where that isn't known."""
    holding = context.held(symbol) if symbol != signal.holding.symbol else signal.holding
    return context.asked_to_close(holding)[0] if holding else ZERO


def _is_worse(order: Order, worst: Decimal, signal: ExitSignal) -> bool:
    """Whether an order's limit is worse than the worst price of a signal; of a multi-leg order, its net limit."""
    limit = order.limit_price
    if limit is None:
        return True
    if not order.is_multi_leg:
        return limit < worst if signal.holding.position.is_long else limit > worst
    return -limit < (worst if signal.holding.position.is_long else -worst)


def _why_legs_are_wrong(order: Order, context: DecisionContext) -> str:
    """Why a multi-leg order doesn't close what is held: a leg was closed by others, assigned, or expired."""
    if order.symbols == UNKNOWN_SYMBOLS:
        return "because the broker does not show its legs"
    for leg in order.legs:
        held = context.held(leg.symbol)
        if held is None:
            return f"because {leg.symbol} is no longer held"
        if not closes(leg, held.position.direction):
            return f"because it does not close a {held.position.direction.value} position in {leg.symbol}"
        if leg.leaves_qty > held.position.qty:
            return f"because only {held.position.qty:f} of {leg.symbol} are held"
    return ""


def _why_replace(signal: ExitSignal, order: Order, price: PricedStep | None, context: DecisionContext) -> str:
    """Why the working order should be replaced; "" when it should not: no better price, or too early."""
    state = signal.holding.state.exit
    # Another exit goes before a request that is bound to a quantity or a limit, which its working order has.
    is_of_request = state is not None and state.reason == Reason.CLOSED_MANUALLY
    is_of_request = is_of_request and signal.reason is not Reason.CLOSED_MANUALLY
    if price is None or (state and signal.urgency > state.urgency and not is_of_request):
        return ""
    if order.type is OrderType.MARKET:
        return _why_renew(signal, order, price, context)
    if state and signal.urgency < state.urgency:
        return f"for a more urgent reason: {signal.detail}"
    age, walk = _age(order, state, context), context.walks.get(signal.urgency)
    if age < (walk.every if walk and price.follows_walk_step else REPRICE_AFTER) or rate_violation(
        signal, context.snapshot
    ):
        return ""
    if is_of_request:
        return f"for another exit that is due: {signal.detail}"
    rests = signal.user_limit is not None or price.is_last or (signal.urgency is Urgency.TIME and age < REST_AT_TOUCH)
    rests = rests and price.limit == order.limit_price
    return "" if rests or (age < STALLED_FOR and _is_stalled(signal.holding, order)) else "to reprice"


def _why_renew(signal: ExitSignal, order: Order, price: PricedStep, context: DecisionContext) -> str:
    """Why a market order should be replaced; "" when it should stay, as during a trading halt."""
    if not _is_unfilled(order, signal.holding, context) or rate_violation(signal, context.snapshot):
        return ""
    if price.limit is not None and signal.holding.exit_price is None:
        return "because nobody bids for the market order"
    return "" if _stands_still(signal.holding, order) else RENEWED


def _why_unfilled(holding: Holding, order: Order, price: PricedStep | None, context: DecisionContext) -> str:
    """What the user is told about a market order that stays without a fill; "" when nothing is."""
    if order.type is not OrderType.MARKET or _age(order, holding.state.exit, context) < MARKET_FILLS_WITHIN:
        return ""
    if price is None:
        return f": {holding.prices.problem}"
    return " and the quote stands still: is trading halted?" if _stands_still(holding, order) else ""


def _is_unfilled(order: Order, holding: Holding, context: DecisionContext) -> bool:
    """Whether a market order had more than enough time to fill."""
    state = holding.state.exit
    orders = min(max(state.step, 1), MARKET_PATIENCE) if state else 1
    return _age(order, state, context) >= MARKET_FILLS_WITHIN * orders


def _stands_still(holding: Holding, order: Order) -> bool:
    """Whether there is no quote since the order was sent, most likely because trading is halted."""
    quote, since = holding.quote, order.submitted_at
    return quote is None or (since is not None and quote.at < since)


def _is_stalled(holding: Holding, order: Order) -> bool:
    """Whether an order could trade at the quote, and that quote is older than the order: most likely a trading halt.

    Repricing gains nothing then: the marketable limit stays, and is replaced only once per STALLED_FOR.
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
    """Cancels for those of the orders that are not being cancelled yet."""
    return tuple(CancelOrder(order, why) for order in orders if order.state is not OrderState.CANCELING)


def describe(order: Order) -> str:
    """A short description of an open order."""
    at = order.type.value
    if order.limit_price is not None:
        at = as_limit(order.limit_price, is_net=order.is_multi_leg)
    side = order.side.value if order.side else "multi-leg"
    left = f"{order.leaves_qty:f}" if order.qty is not None else "?"
    return f"{side} {left} {at} is working ({order.status})"
