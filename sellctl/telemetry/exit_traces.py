"""One trace per exit, from the quote that made it due to its last fill, made of what the journal was given.

    exit
      quote          the quote arrived on which it was decided
      confirmation   from the first quote of a stop's confirmation to that one
      decision       from that quote to the decision
      order          one per order of the price walk, from its decision to its end
        intent       its intent is written
        request      it is sent, and answered
        fill         once per fill

An exit is known by its account and its symbol, or the name of a structure that leaves as one order. It ends with an
order that fills completely, when a poll shows that it isn't due any more, or with the process.

Times are the broker's, as the journal's are. A trace keeps the offset with which it began: the broker's clock is read
again and again, each time with the error of an answer's way, which must not show as the duration of a span.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from sellctl.core.model.intent import IntendedOrder
from sellctl.core.model.order import STATE_OF_STATUS, OrderState
from sellctl.core.model.plan import STOPS, Plan, Reason
from sellctl.core.ports import RequestMade
from sellctl.telemetry.facts import Filled, Intended, QuoteTimes, Recorded
from sellctl.telemetry.metrics import Metrics

_FILLED = "filled"
_ENDS = frozenset(status for status, state in STATE_OF_STATUS.items() if state is OrderState.TERMINAL) | {
    "refused",
    "absent",
}
_FAILED = frozenset({"refused", "rejected", "absent"})

Attributes = dict[str, str | int | float | bool]


@dataclass(slots=True)
class _Order:
    """An order of an exit, while it works."""

    span: Span
    context: Context
    qty: Decimal
    filled: Decimal = Decimal(0)
    price: Decimal | None = None  # the average of its fills


@dataclass(slots=True)
class _Exit:
    """An exit under way."""

    account: str
    name: str
    reason: str
    sign: int  # -1 when a lower price is better
    mid: Decimal | None  # at decision
    began: float
    offset: float  # of the trace's times
    span: Span
    context: Context
    orders: dict[str, _Order] = field(default_factory=dict)  # that have not ended, by client order id
    ended: list[_Order] = field(default_factory=list)
    is_answered: bool = False
    last_fill: float | None = None

    def time(self, at: float) -> int:
        """The time of a span, in nanoseconds of the Unix epoch."""
        return _nanoseconds(at + self.offset)

    @property
    def slippage(self) -> float | None:
        """How much worse than the mid at decision it filled, as a share of it; None when either is unknown."""
        filled = [order for order in (*self.ended, *self.orders.values()) if order.filled]
        qty = sum((order.filled for order in filled), Decimal(0))
        if not qty or self.mid is None or self.mid <= 0 or any(order.price is None for order in filled):
            return None
        total = sum((order.filled * order.price for order in filled if order.price is not None), Decimal(0))
        return float((self.mid - total / qty) * self.sign / self.mid)


@dataclass(slots=True)
class ExitTraces:
    """Makes spans of facts, each with when it came, in monotonic seconds.

    `offset` is the broker's time in Unix seconds less that now. `redact` removes secrets from texts.
    """

    tracer: Tracer
    metrics: Metrics
    offset: Callable[[], float]
    redact: Callable[[str], str]
    _exits: dict[tuple[str, str], _Exit] = field(default_factory=dict)
    _of_order: dict[str, _Exit] = field(default_factory=dict)

    # --- what is told -------------------------------------------------------------------------------------------------

    def intended(self, at: float, fact: Intended) -> None:
        """The intents of one decision are on disk."""
        for order in fact.orders:
            if order.signal.reason is not Reason.BACKSTOP:
                key = (fact.account, order.request.symbol)
                found = self._exits.get(key) or self._begin(key, order, fact)
                self._add_order(found, order, fact.began, at)
        for cancel in fact.cancels:
            exit_ = self._of_order.get(cancel.order.client_order_id)
            if exit_ is not None:
                span = exit_.orders[cancel.order.client_order_id].span
                span.add_event("cancel", {"sellctl.why": self.redact(cancel.why)}, exit_.time(at))

    def requested(self, at: float, made: RequestMade) -> None:
        """A request of an order has ended."""
        exit_ = self._of_order.get(made.client_order_id)
        if exit_ is None:
            return
        attributes: Attributes = {"sellctl.outcome": made.outcome}
        order = exit_.orders[made.client_order_id]
        span = self._span("request", order.context, exit_.time(at - made.seconds), attributes, SpanKind.CLIENT)
        if made.outcome != "ok":
            span.set_status(Status(StatusCode.ERROR, made.outcome))
        span.end(exit_.time(at))
        if not exit_.is_answered and made.outcome == "ok":
            exit_.is_answered = True
            self.metrics.exit_sent(exit_.account, exit_.reason, at - exit_.began)

    def filled(self, at: float, fact: Filled) -> None:
        """An order has filled, wholly or in part. One of an earlier process gets a trace of its own."""
        exit_ = self._of_order.get(fact.client_order_id)
        attributes: Attributes = {"sellctl.qty": float(fact.qty)}
        if fact.price is not None:
            attributes["sellctl.price"] = float(fact.price)
        if exit_ is None:
            attributes |= {"sellctl.account": fact.account, "sellctl.symbol": fact.symbol}
            attributes["sellctl.client_order_id"] = fact.client_order_id
            now = _nanoseconds(at + self.offset())
            self._span("fill", Context(), now, attributes).end(now)
            return
        order = exit_.orders[fact.client_order_id]
        order.filled += fact.qty
        order.price = fact.price
        exit_.last_fill = at
        self._span("fill", order.context, exit_.time(at), attributes).end(exit_.time(at))

    def recorded(self, at: float, fact: Recorded) -> None:
        """The journal has something about an order; some of it ends the order."""
        exit_ = self._of_order.get(fact.client_order_id)
        if exit_ is None:
            return
        order = exit_.orders[fact.client_order_id]
        if fact.kind not in _ENDS:
            order.span.add_event(fact.kind, timestamp=exit_.time(at))
            return
        order.span.set_attribute("sellctl.result", fact.kind)
        if fact.kind in _FAILED:
            order.span.set_status(Status(StatusCode.ERROR, fact.kind))
        order.span.end(exit_.time(at))
        exit_.ended.append(order)
        del self._of_order[fact.client_order_id], exit_.orders[fact.client_order_id]
        if fact.kind == _FILLED and not exit_.orders:
            self._end(exit_, at, _FILLED)

    def planned(self, at: float, plan: Plan) -> None:
        """A poll has decided: what has no working order and isn't due any more has ended."""
        idle = [exit_ for exit_ in self._exits.values() if exit_.account == plan.account and not exit_.orders]
        if not idle:
            return
        due = {name for each in plan.decisions if each.signal for name in (each.holding.symbol, each.as_one)}
        for exit_ in idle:
            if exit_.name not in due:
                self._end(exit_, at, "partly filled" if exit_.last_fill is not None else "not filled")

    def close(self, at: float) -> None:
        """End what is under way: the process ends."""
        for exit_ in list(self._exits.values()):
            for order in exit_.orders.values():
                order.span.set_attribute("sellctl.result", "working")
                order.span.end(exit_.time(at))
            self._end(exit_, at, "working")

    # --- inside -------------------------------------------------------------------------------------------------------

    def _begin(self, key: tuple[str, str], order: IntendedOrder, fact: Intended) -> _Exit:
        """The trace of an exit with the spans of what came before its first order."""
        signal, quotes = order.signal, fact.quotes.get(order.request.symbol, QuoteTimes())
        quoted = min(quotes.newest if quotes.newest is not None else fact.began, fact.began)
        first = quotes.first if quotes.first is not None and signal.reason in STOPS else None
        began = min(first, quoted) if first is not None else quoted
        account, name = key
        attributes: Attributes = {
            "sellctl.account": account,
            "sellctl.symbol": name,
            "sellctl.reason": signal.reason.value,
            "sellctl.urgency": signal.urgency.name.lower(),
            "sellctl.why": self.redact(signal.sentence),
            "sellctl.qty": float(signal.qty),
        }
        for which in ("strategy", "structure"):
            if text := getattr(signal, which):
                attributes[f"sellctl.{which}"] = self.redact(text)
        offset = self.offset()
        span = self._span("exit", Context(), _nanoseconds(began + offset), attributes)
        position, prices = signal.holding.position, signal.holding.prices
        exit_ = self._exits[key] = _Exit(
            account,
            name,
            signal.reason.value,
            1 if position.is_long else -1,
            prices.mid,
            began,
            offset,
            span,
            trace.set_span_in_context(span, Context()),
        )
        arrived = exit_.time(quoted)
        self._span("quote", exit_.context, arrived, _quote_attributes(order)).end(arrived)
        if first is not None and first < quoted:
            self._span("confirmation", exit_.context, exit_.time(first), {}).end(arrived)
        self._span("decision", exit_.context, arrived, {}).end(exit_.time(fact.began))
        return exit_

    def _add_order(self, exit_: _Exit, order: IntendedOrder, began: float, committed: float) -> None:
        request = order.request
        attributes: Attributes = {
            "sellctl.step": order.step,
            "sellctl.reason": order.signal.reason.value,
            "sellctl.client_order_id": request.client_order_id,
            "sellctl.side": request.side.value,
            "sellctl.qty": float(request.qty),
            "sellctl.type": request.type.value,
        }
        if request.limit_price is not None:
            attributes["sellctl.limit"] = float(request.limit_price)
        span = self._span("order", exit_.context, exit_.time(began), attributes)
        context = trace.set_span_in_context(span, Context())
        self._span("intent", context, exit_.time(began), {}).end(exit_.time(committed))
        exit_.orders[request.client_order_id] = _Order(span, context, request.qty)
        self._of_order[request.client_order_id] = exit_

    def _end(self, exit_: _Exit, at: float, result: str) -> None:
        del self._exits[exit_.account, exit_.name]
        for client_order_id in exit_.orders:
            self._of_order.pop(client_order_id, None)
        slippage = exit_.slippage
        exit_.span.set_attribute("sellctl.result", result)
        if slippage is not None:
            exit_.span.set_attribute("sellctl.slippage", slippage)
        exit_.span.end(exit_.time(at))
        self.metrics.exit_ended(exit_.account, exit_.reason, result)
        if exit_.last_fill is not None:
            self.metrics.exit_filled(exit_.account, exit_.reason, exit_.last_fill - exit_.began, slippage)

    def _span(
        self, name: str, parent: Context, at: int, attributes: Attributes, kind: SpanKind = SpanKind.INTERNAL
    ) -> Span:
        return self.tracer.start_span(name, parent, kind, attributes=attributes, start_time=at, record_exception=False)


def _nanoseconds(unix_seconds: float) -> int:
    return int(unix_seconds * 1_000_000) * 1_000


def _quote_attributes(order: IntendedOrder) -> Attributes:
    """Bid, ask and the exchange's time of the quote that was decided on; without those that are unknown."""
    quote = order.signal.holding.quote
    if quote is None:
        return {}
    sides = {"sellctl.bid": quote.bid, "sellctl.ask": quote.ask}
    known: Attributes = {name: float(price) for name, price in sides.items() if price is not None}
    return known | {"sellctl.quoted_at": quote.at.isoformat()}
