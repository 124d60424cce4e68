"""The next step of the one order that closes a structure: wait, cancel what is in the way, reprice, or send. Pure.

The decision on the leading leg has the requests; those on the other legs say the same.
"""

from collections.abc import Iterator
from decimal import Decimal

from msgspec.structs import replace

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.exits import (
    JUST_FILLED,
    blocked,
    cancellable,
    closing,
    continue_due,
    denied,
    describe,
    holds,
    may_preempt,
    settling,
    step_text,
    what_is_sent,
    why_settling,
)
from sellctl.core.decision.multi_leg.pricing import natural_price
from sellctl.core.decision.multi_leg.sizing import units_of
from sellctl.core.decision.multi_leg.ways import StructureExit, priced
from sellctl.core.decision.pricing import NoPriceError, PricedStep
from sellctl.core.decision.risk_checks import RiskContext, violations
from sellctl.core.decision.sizing import Size, free
from sellctl.core.model.order import Order
from sellctl.core.model.plan import ClosedLeg, PositionDecision, SubmitOrder
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.orders.client_order_ids import attempt_number, client_order_id
from sellctl.core.structures.names import legs_of


def next_step(each: StructureExit, context: DecisionContext) -> Iterator[PositionDecision]:
    """The decisions on the legs of a structure that leaves as one order."""
    decision = _next_step(each, context)
    for symbol, holding in each.structure.holdings.items():
        if symbol == each.lead:
            yield replace(decision, holding=holding, as_one=each.structure.name)
        else:
            yield PositionDecision(
                holding,
                decision.state,
                f"{decision.sentence} (all legs of {each.structure.name}, with {each.lead})",
                signal=each.legs[symbol],
                violations=decision.violations,
                unconfirmed=decision.unconfirmed,
                step=decision.step,
                as_one=each.structure.name,
            )


def _next_step(each: StructureExit, context: DecisionContext) -> PositionDecision:
    """The decision on the whole."""
    signal = each.signal
    if signal.holding.state.unresolved > 0:
        return closing(signal, "the outcome of an order is unknown; it is being looked up")
    ours = context.ours_on(each.lead)
    if ours:
        return continue_due(signal, ours, _price_or_none(each, context), context)
    if context.account_violations:
        return denied(signal, context.account_violations)
    try:
        price = priced(each, context)
    except NoPriceError as error:
        return denied(signal, (str(error),))
    return _start(each, price, context)


def _price_or_none(each: StructureExit, context: DecisionContext) -> PricedStep | None:
    try:
        return priced(each, context)
    except NoPriceError:
        return None


def _start(each: StructureExit, price: PricedStep, context: DecisionContext) -> PositionDecision:
    """Send the order, once nothing is in its way. Orders that are opposite to a leg make it leave by legs instead."""
    signal = each.signal
    size = units_of(signal.qty, each.structure, context)
    if backstops := _orders_holding_legs(each, context, backstops=True):
        return _cancel_backstops(each, backstops, price, context)
    holders = _orders_holding_legs(each, context) if size.qty < size.wanted else ()
    if holders and may_preempt(signal, context):
        cancels = cancellable(holders, f"to make way for: {signal.detail}")
        if cancels:
            decision = closing(signal, f"cancelling your order first: {describe(cancels[0].order)}")
            return replace(decision, cancel_first=cancels, alert=True)
    if size.qty <= 0:
        return _obstructed(each, holders, size, context)
    return _send(each, size, price, context)


def _orders_holding_legs(
    each: StructureExit, context: DecisionContext, *, backstops: bool = False
) -> tuple[Order, ...]:
    """The open orders that hold quantity of a leg: the user's, or our backstops."""
    found = {
        order.id: order
        for symbol, holding in each.structure.holdings.items()
        for order in (context.backstops_on(symbol) if backstops else context.orders_on(symbol))
        if backstops or (not order.is_ours and holds(order, holding))
    }
    return tuple(found.values())


def _cancel_backstops(
    each: StructureExit, resting: tuple[Order, ...], price: PricedStep, context: DecisionContext
) -> PositionDecision:
    """Cancel the backstops first, but only for an order that no check would refuse without them."""
    signal = each.signal
    refusals = violations(_order(each, signal.qty, price, context, frees=True), _risk(each, context, backstops=False))
    if refusals:
        return denied(signal, refusals)
    cancels = cancellable(resting, f"to make way for: {signal.detail}")
    status = "cancelling the backstop first" if cancels else "waiting until the broker has cancelled the backstop"
    return replace(closing(signal, status), cancel_first=cancels)


def _obstructed(
    each: StructureExit, holders: tuple[Order, ...], size: Size, context: DecisionContext
) -> PositionDecision:
    signal = each.signal
    if not holders:
        return settling(signal, JUST_FILLED) if size.settles else denied(signal, (size.why,))
    if may_preempt(signal, context):
        return blocked(signal, f"waiting for the cancel of {describe(holders[0])}")
    return blocked(signal, f"blocked by your order: {describe(holders[0])}")


def _send(each: StructureExit, size: Size, price: PricedStep, context: DecisionContext) -> PositionDecision:
    """The order that closes it now, unless a fill has yet to settle or a check refuses it."""
    signal, snapshot = each.signal, context.snapshot
    for symbol, holding in each.structure.holdings.items():
        if why := why_settling(holding, snapshot.history.get(symbol, ()), snapshot):
            return settling(signal, why)
    order = _order(each, size.qty, price, context)
    refusals = violations(order, _risk(each, context))
    if refusals:
        return denied(signal, refusals)
    of = legs_of(each.structure.part_of)
    legs = f"{len(order.legs)} of the {len(of)} legs of {each.structure.part_of}" if of else f"{len(order.legs)} legs"
    status = f"{what_is_sent(order, price, size)}, as one order for {legs}"
    return replace(closing(signal, status, order), step=step_text(price.step, price.step_count))


def _order(
    each: StructureExit, units: Decimal, price: PricedStep, context: DecisionContext, *, frees: bool = False
) -> SubmitOrder:
    """The order for so many units. With `frees`, what our backstops hold counts as free."""
    snapshot, structure = context.snapshot, each.structure
    attempt = attempt_number(snapshot.history.get(each.lead, ()), structure.holdings)
    positions = {symbol: holding.position for symbol, holding in structure.holdings.items()}
    return SubmitOrder.closing_structure(
        structure.whole.position,
        (
            ClosedLeg(
                positions[leg.symbol],
                Decimal(abs(leg.ratio)),
                positions[leg.symbol].qty if frees else free(structure.holdings[leg.symbol]),
            )
            for leg in structure.structure.legs
        ),
        units,
        client_order_id=client_order_id(snapshot.account.number, structure.name, snapshot.market.today, attempt),
        limit_price=price.limit,
    )


def _risk(each: StructureExit, context: DecisionContext, *, backstops: bool = True) -> RiskContext:
    """What the checks use; without the backstops where these are cancelled first."""
    open_orders = {order.id: order for symbol in each.structure.holdings for order in context.orders_on(symbol)}
    kept = tuple(order for order in open_orders.values() if backstops or not order.is_backstop)
    snapshot = context.snapshot if backstops else _without_backstops(context.snapshot)
    natural = natural_price(each.signal, each.structure)
    return RiskContext(
        each.signal,
        snapshot,
        context.policy,
        context.cover,
        context.account_violations,
        kept,
        None if natural is None else -natural,
        context.on_underlying(each.structure.structure.underlying),
    )


def _without_backstops(snapshot: Snapshot) -> Snapshot:
    todays = {
        symbol: tuple(order for order in orders if not order.is_backstop) for symbol, orders in snapshot.history.items()
    }
    return snapshot.with_history(todays)
