"""Managed orders for tests: one plain, valid order, and the events that may happen to it."""

from decimal import Decimal

from builders import CALL, TUESDAY, a_holding, replace

from sellctl.core.model.plan import (
    ClosedLeg,
    DecisionState,
    ExitSignal,
    PositionDecision,
    Reason,
    StopTerms,
    SubmitOrder,
    Urgency,
)
from sellctl.core.orders.client_order_ids import backstop_id, client_order_id
from sellctl.core.orders.managed_order import ManagedOrder

AN_EXIT = client_order_id("PA1", CALL, a_holding().position.instrument.option.expires, 1)  # type: ignore[union-attr]
A_BACKSTOP = backstop_id("PA1", CALL, a_holding().position.instrument.option.expires, 1)  # type: ignore[union-attr]


def a_signal(
    symbol: str = CALL,
    qty: str = "10",
    *,
    urgency: Urgency = Urgency.PROTECTIVE,
    reason: Reason = Reason.STOP_LOSS,
    then_close: tuple[str, ...] = (),
) -> ExitSignal:
    """A rule's word that ten contracts should be closed."""
    holding = a_holding(symbol, qty)
    detail = "bid $0.70 is at or below the stop $0.80"
    return ExitSignal(holding, Decimal(qty), reason, detail, urgency, then_close=then_close)


def a_request(signal: ExitSignal | None = None, *, limit: str | None = "0.70", order_id: str = AN_EXIT) -> SubmitOrder:
    """The order that closes it."""
    position = (signal or a_signal()).holding.position
    price = None if limit is None else Decimal(limit)
    return SubmitOrder.closing(position, position.qty, position.qty, client_order_id=order_id, limit_price=price)


def an_exit_of(symbol: str, qty: str = "10", *, urgency: Urgency = Urgency.PROTECTIVE) -> PositionDecision:
    """A decision that closes a position now."""
    signal = a_signal(symbol, qty, urgency=urgency)
    request = a_request(signal, order_id=f"sellctl-exit-of-{symbol}")
    return PositionDecision(signal.holding, DecisionState.CLOSING, signal=signal, submit=request)


def a_backstop_request(symbol: str = CALL) -> SubmitOrder:
    """The wide stop under ten contracts."""
    position = a_holding(symbol, "10").position
    terms = StopTerms("day", stop_price=Decimal("0.40"))
    return SubmitOrder.backstop(position, position.qty, position.qty, client_order_id=A_BACKSTOP, terms=terms)


def an_exit_order(*, at: float = 0.0, step: int = 1, urgency: Urgency = Urgency.PROTECTIVE) -> ManagedOrder:
    """An order of an exit that is written down and about to be sent."""
    signal = a_signal(urgency=urgency)
    return ManagedOrder.of_request(a_request(signal), signal, step, at=at)


def a_backstop_order(*, at: float = 0.0) -> ManagedOrder:
    """A backstop that is written down and about to be sent."""
    signal = a_signal(reason=Reason.BACKSTOP)
    return ManagedOrder.of_request(a_backstop_request(), signal, 1, at=at)


def a_structure_exit(
    symbols: dict[str, int],
    units: str = "2",
    *,
    limit: str | None = "-1.20",
    name: str = "AAPL-vertical-261218-200-210C",
) -> PositionDecision:
    """A decision that closes so many units of a structure that was paid for; a negative ratio is a leg held short."""
    holdings = {s: a_holding(s, str(Decimal(units) * abs(ratio)), short=ratio < 0) for s, ratio in symbols.items()}
    first = a_holding(next(iter(symbols)), units)
    instrument = replace(first.position.instrument, symbol=name)
    whole = replace(first, position=replace(first.position, instrument=instrument), quote=None)
    signal = ExitSignal(whole, Decimal(units), Reason.STOP_LOSS, "vertical: the stop", Urgency.PROTECTIVE)
    request = SubmitOrder.closing_structure(
        whole.position,
        (ClosedLeg(h.position, Decimal(abs(symbols[s])), h.position.qty) for s, h in holdings.items()),
        Decimal(units),
        client_order_id=client_order_id("PA1", name, TUESDAY, 1),
        limit_price=None if limit is None else Decimal(limit),
    )
    return PositionDecision(first, DecisionState.CLOSING, "", signal=signal, submit=request)
