"""The next step of an exit that has a reason: wait, cancel what is in the way, re-price, or send. Pure."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal

from sellctl.core.guards import Case, objections
from sellctl.core.identity import attempt_number, client_order_id
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import Order, OrderState, OrderType, Side
from sellctl.core.model.plan import CancelOrder, ExitSignal, State, SubmitOrder, Urgency, Verdict
from sellctl.core.model.position import ExitTrack, Holding
from sellctl.core.pricing import REPRICE_AFTER, NoPriceError, Offer, offer
from sellctl.core.room import Room
from sellctl.core.rules.gain import as_dollars
from sellctl.core.rules.stale import closes

ZERO = Decimal(0)
# Alpaca: contracts are whole, shares go down to nine decimals.
STEP = {AssetClass.OPTION: Decimal(1), AssetClass.STOCK: Decimal("1e-9")}
# Orders and positions at the broker may disagree this long after a fill.
SETTLES_IN = dt.timedelta(seconds=10)


def leave(signal: ExitSignal, room: Room) -> Verdict:
    """What the next step of an exit is."""
    holding = signal.holding
    if holding.track.unresolved > 0:
        return _leaving(signal, "an order's fate is unknown; it is being looked up")
    ours = room.ours_on(holding.symbol)
    if ours:
        return _go_on(signal, ours, room)
    blocking = _blocking(signal, room)
    if blocking and room.policy.take_over is not None and signal.urgency <= room.policy.take_over:
        cancels = cancellable(blocking, f"it is in the way of: {signal.detail}")
        return replace(_leaving(signal, "your own order is cancelled first"), cancel_first=cancels, alert=True)
    qty = _size(signal, room)
    if qty <= 0 or (blocking and _would_wash(blocking, holding)):
        return _nothing_free(signal, blocking)
    return _order(signal, qty, room)


def _leaving(signal: ExitSignal, what: str) -> Verdict:
    return Verdict(signal.holding, State.LEAVING, f"{signal.sentence}; {what}", signal=signal)


def _blocking(signal: ExitSignal, room: Room) -> tuple[Order, ...]:
    """The user's own orders that hold the quantity, or that the wash-trade rule would set against ours."""
    holding = signal.holding
    direction = holding.position.direction
    others = [order for order in room.orders_on(holding.symbol) if not order.is_ours]
    return tuple(o for o in others if closes(o, direction) or o.legs or _opposes(o, signal))


def _opposes(order: Order, signal: ExitSignal) -> bool:
    """Alpaca's wash-trade rule, read strictly: an opposite market or stop order, or a limit that ours could meet."""
    ours = Side.SELL if signal.holding.position.is_long else Side.BUY
    if order.side is None or order.side is ours:
        return False
    price = signal.holding.exit_price
    if order.type is not OrderType.LIMIT or order.limit_price is None or price is None:
        return True
    return order.limit_price >= price if ours is Side.SELL else order.limit_price <= price


def _would_wash(blocking: tuple[Order, ...], holding: Holding) -> bool:
    return any(not closes(order, holding.position.direction) and not order.legs for order in blocking)


def _nothing_free(signal: ExitSignal, blocking: tuple[Order, ...]) -> Verdict:
    if blocking:
        sentence = f"{signal.sentence}; blocked by your order: {describe(blocking[0])}"
        alert = signal.urgency <= Urgency.PROTECTIVE
        return Verdict(signal.holding, State.BLOCKED, sentence, signal=signal, alert=alert)
    return _denied(signal, ("the broker says that nothing of it is free",))


def _denied(signal: ExitSignal, refusals: tuple[str, ...]) -> Verdict:
    sentence = f"{signal.sentence}; denied: {'; '.join(refusals)}"
    alert = signal.urgency <= Urgency.PROTECTIVE
    return Verdict(signal.holding, State.DENIED, sentence, signal=signal, objections=refusals, alert=alert)


def _size(signal: ExitSignal, room: Room) -> Decimal:
    """floor(min(free, held - leaves - unresolved, what our ledger says is left, what is asked)) (invariant S8)."""
    position, track = signal.holding.position, signal.holding.track
    working = [o for o in room.orders_on(position.symbol) if closes(o, position.direction)]
    leaves = sum((order.leaves for order in working), ZERO)
    limits = [_free(signal.holding), position.qty - leaves - track.unresolved, signal.qty]
    limits += [track.qty_left - leaves] if track.qty_left is not None else []
    step = STEP[position.instrument.asset_class]
    return max((min(limits) / step).to_integral_value(ROUND_FLOOR) * step, ZERO)


def _free(holding: Holding) -> Decimal:
    """What the broker says no open order holds, and never more than is held."""
    held = holding.position.qty
    return held if holding.position.available is None else min(held, holding.position.available)


def _order(signal: ExitSignal, qty: Decimal, room: Room) -> Verdict:
    """The order that closes `qty` now, if it has a price and no guard objects."""
    snapshot, holding = room.snapshot, signal.holding
    todays = snapshot.history.get(holding.symbol, ())
    settling = _settling(holding, todays, room)
    if settling:
        return _leaving(signal, settling)
    try:
        price = _offer(signal, _next_step(signal), room)
    except NoPriceError as error:
        return _denied(signal, (str(error),))
    order = SubmitOrder.closing(
        holding.position,
        qty,
        _free(holding),
        client_order_id=client_order_id(
            snapshot.account.number, holding.symbol, snapshot.market.today, attempt_number(todays)
        ),
        limit_price=price.limit,
    )
    refusals = objections(order, Case(signal, snapshot, room.policy, room.cover))
    if refusals:
        return _denied(signal, refusals)
    return replace(_leaving(signal, _what_is_sent(order, price)), submit=order)


def _settling(holding: Holding, todays: Iterable[Order], room: Room) -> str:
    """Whether a fill that our memory doesn't know may be missing in the position still; "" when not."""
    if holding.track.qty_left is not None:
        return ""
    for order in todays:
        seen_at = order.filled_at or order.updated_at
        if order.filled_qty > 0 and seen_at and closes(order, holding.position.direction):
            age = room.snapshot.market.now - seen_at
            if age < SETTLES_IN:
                ago = f"{age.total_seconds():.0f} s ago"
                return f"a fill of {order.filled_qty:f} was {ago}: waiting until the position shows it"
    return ""


def _next_step(signal: ExitSignal) -> int:
    """The ladder goes on while the exit stays as urgent, and starts anew when that changes."""
    track = signal.holding.track.exit
    return track.step + 1 if track and track.urgency == signal.urgency else 1


def _offer(signal: ExitSignal, step: int, room: Room) -> Offer:
    return offer(signal, step, room.policy.style, protective_market=room.policy.protective_market)


def _what_is_sent(order: SubmitOrder, price: Offer) -> str:
    at = "at market" if order.limit_price is None else f"limit {as_dollars(order.limit_price)}"
    step = f" (step {price.step} of {price.of})" if price.of > 1 else ""
    return f"{order.side.value} {order.qty:f} {at}{step}"


# --- an exit under way ------------------------------------------------------------------------------------------------


def _go_on(signal: ExitSignal, ours: tuple[Order, ...], room: Room) -> Verdict:
    """Our order works: leave it, or end it so that a more urgent or a fresher one can follow."""
    track = signal.holding.track.exit
    why = _why_replace(signal, ours[0], track, room)
    if why and any(order.state is OrderState.WORKING for order in ours):
        return replace(_leaving(signal, why), cancel_first=cancellable(ours, why))
    waiting = "waiting for the broker's word on its cancel" if _is_canceling(ours) else describe(ours[0])
    return _leaving(signal, waiting)


def _why_replace(signal: ExitSignal, order: Order, track: ExitTrack | None, room: Room) -> str:
    """Why the working order should give way; "" when it should not."""
    if track and signal.urgency < track.urgency:
        return f"a more urgent reason: {signal.detail}"
    if signal.urgency is Urgency.FORCED and order.type is OrderType.MARKET:
        return ""
    age = track.age if track else _age(order, room)
    if age < REPRICE_AFTER or order.type is OrderType.MARKET:
        return ""
    try:
        price = _offer(signal, _next_step(signal), room)
    except NoPriceError:
        return ""
    return "" if price.limit == order.limit_price and price.is_last else "re-priced from a fresh quote"


def _age(order: Order, room: Room) -> dt.timedelta:
    now = room.snapshot.market.now
    return now - (order.submitted_at or now)


def _is_canceling(ours: tuple[Order, ...]) -> bool:
    return any(order.state is OrderState.CANCELING for order in ours)


def cancellable(orders: Iterable[Order], why: str) -> tuple[CancelOrder, ...]:
    """The cancels for those orders that nobody asked to end yet."""
    return tuple(CancelOrder(order, why) for order in orders if order.state is not OrderState.CANCELING)


def describe(order: Order) -> str:
    """An open order in a few words."""
    at = "market" if order.limit_price is None else f"limit {as_dollars(order.limit_price)}"
    side = order.side.value if order.side else "multi-leg"
    left = f"{order.leaves:f}" if order.qty is not None else "?"
    return f"{side} {left} {order.type.value if at == 'market' else at} works ({order.status})"
