"""Telemetry over the SDK's in-memory exporters, for tests of what comes of what the program does."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from builders import CALL, a_market, a_quote, replace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from order_builders import a_request, a_signal
from shell_fakes import FakeBroker, FakeClock, FakeJournal, FakeQuotes

from sellctl.core.market_clock import MarketClock
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.core.model.intent import IntendedOrder
from sellctl.core.model.plan import CancelOrder, DecisionState, ExitSignal, Plan, PositionDecision
from sellctl.core.model.position import Prices
from sellctl.core.model.snapshot import AccountFacts, Snapshot
from sellctl.core.ports import RequestMade
from sellctl.core.price_tracker import PriceTracker
from sellctl.telemetry.sdk import Sdk
from sellctl.telemetry.telemetry import Telemetry

FIRST, SECOND = "sellctl-first", "sellctl-second"


class FillingJournal(FakeJournal):
    """Every fill that it is given is a new one, of the quantity that a test says."""

    new_qty = Decimal(0)

    def record_fill(self, _account: str, _client_order_id: str, _detail: Mapping[str, object]) -> Decimal:
        return self.new_qty


@dataclass
class Desk:
    """Telemetry of one account, without a thread: `flush` makes spans and metrics of what was told."""

    clock: FakeClock = field(default_factory=FakeClock)
    redact: Callable[[str], str] = str
    news: deque[str] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.over(Sdk(tracers, MeterProvider([self.reader], shutdown_on_exit=False)))

    def over(self, sdk: Sdk) -> "Desk":
        """The desk with telemetry that goes elsewhere."""
        self.telemetry = Telemetry(sdk, self.clock, self.redact, self.news)
        self.quotes = FakeQuotes(self.clock)
        self.prices = PriceTracker(self.quotes, self.clock)
        self.written, self.events = FillingJournal(), list[Event]()
        self.journal = self.telemetry.observing(self.written, self.events.append)
        self.budgets = {("main", "trading"): 170}
        self.broker = FakeBroker(self.clock)
        self.market_clock = MarketClock([self.broker], self.clock)
        self.telemetry.start(self.clock.now, self.market_clock, self.prices, lambda: self.budgets)
        return self

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended, in the order of their ends."""
        self.telemetry.flush()
        return self.exporter.get_finished_spans()

    def span(self, name: str) -> ReadableSpan:
        """The only span of a name."""
        [found] = [span for span in self.spans if span.name == name]
        return found

    def metric(self, name: str) -> dict[tuple[tuple[str, str], ...], Any]:
        """The points of a metric by their labels: the value, or of a histogram the count and the sum."""
        self.telemetry.flush()
        data = self.reader.get_metrics_data()
        found = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            labels = tuple(sorted((str(k), str(v)) for k, v in (point.attributes or {}).items()))
                            found[labels] = (
                                point.value if hasattr(point, "value") else (point.count, round(point.sum, 6))
                            )
        return found


@dataclass
class Account:
    """What passes the ports of one account that closes ten contracts, in the order in which the program does it."""

    desk: Desk = field(default_factory=Desk)
    signal: ExitSignal = field(default_factory=a_signal)

    def later(self, by: float) -> None:
        self.desk.clock.seconds += by

    def quoted(self, bid: str, ask: str) -> None:
        self.desk.quotes.prices[CALL] = (bid, ask)
        asyncio.run(self.desk.prices.refresh([self.signal.holding.position.instrument]))

    def intend(
        self, order_id: str = FIRST, step: int = 1, cancels: tuple[CancelOrder, ...] = (), qty: str = "10"
    ) -> None:
        request = replace(a_request(self.signal, order_id=order_id), qty=Decimal(qty))
        order = IntendedOrder(request, {}, self.signal, step)
        asyncio.run(self.desk.journal.intend("main", [order], cancels))

    def requested(self, order_id: str = FIRST, outcome: str = "ok", took: float = 0.08) -> None:
        self.later(took)
        self.desk.telemetry.requested(RequestMade("main", "submit", outcome, took, order_id))

    def accepted(self, order_id: str = FIRST) -> None:
        self.requested(order_id)
        asyncio.run(self.desk.journal.accepted("main", order_id, {}))

    def filled(self, qty: str, price: str, order_id: str = FIRST) -> None:
        self.desk.written.new_qty = Decimal(qty)
        self.desk.journal.record_fill("main", order_id, {"symbol": CALL, "filled_avg_price": price})

    def ended(self, status: str, order_id: str = FIRST) -> None:
        self.desk.journal.outcome("main", order_id, status, {})

    def polled(self, *, due: bool) -> None:
        holding = self.signal.holding
        decision = PositionDecision(holding, DecisionState.CLOSING, signal=self.signal if due else None)
        market = a_market()
        snapshot = Snapshot(AccountFacts("main", "PA1SECRET"), market, (holding,), (), market.now)
        asyncio.run(self.desk.journal.plan_made(snapshot, Plan("main", market.now, (decision,))))


def an_example() -> str:
    """The trace of a stop that sells ten contracts with two orders, as docs/telemetry.md shows it."""
    holding = replace(a_signal().holding, quote=a_quote(CALL, "0.69", "0.73"))
    account = Account(signal=replace(a_signal(), holding=holding))
    account.quoted("0.70", "0.74")
    account.later(1.6)
    account.quoted("0.69", "0.73")
    account.later(0.004)
    account.intend()
    account.accepted()
    account.later(0.9)
    account.filled("4", "0.69")
    account.later(2.1)
    account.ended("canceled")
    account.polled(due=True)
    account.later(0.01)
    account.intend(SECOND, step=2, qty="6")
    account.accepted(SECOND)
    account.later(0.2)
    account.filled("6", "0.68", SECOND)
    account.ended("filled", SECOND)
    return "\n".join(as_tree(account.desk.spans, _described)) + "\n"


def _described(span: ReadableSpan) -> str:
    shown = ("symbol", "reason", "bid", "ask", "step", "qty", "price", "outcome", "result")
    known = {name: (span.attributes or {}).get(f"sellctl.{name}") for name in shown}
    texts = {name: f"{value:g}" if isinstance(value, float) else value for name, value in known.items()}
    words = " ".join(f"{name}={text}" for name, text in texts.items() if text is not None)
    return f"{span.name} {seconds(span):.3f} s {words}".rstrip()


def everything_happens(desk: Desk) -> None:
    """An exit that fills, one that is refused, a denial, polls and requests: each metric has a point."""
    prices = Prices(Decimal("0.70"), Decimal("0.72"), "")
    signal = replace(a_signal(), holding=replace(a_signal().holding, prices=prices))
    account = Account(desk, signal)
    account.quoted("0.70", "0.72")
    account.intend()
    account.accepted()
    account.filled("10", "0.70")
    account.ended("filled")
    account.polled(due=False)
    listen = desk.telemetry.listening(desk.events.append)
    for kind in (EventKind.DENIED, EventKind.REJECTED):
        listen(Event(desk.clock.now(), "not sent", "main", Severity.WARNING, CALL, kind))
    desk.telemetry.lease_changed("main", "won")


def labels(**pairs: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs.items()))


def seconds(span: ReadableSpan) -> float:
    assert span.end_time is not None
    assert span.start_time is not None
    return round((span.end_time - span.start_time) / 1e9, 3)


def as_tree(
    spans: tuple[ReadableSpan, ...], text_of: Callable[[ReadableSpan], str] = lambda span: span.name
) -> list[str]:
    """The names of spans, or other texts of them, each indented below its parent, in the order of their starts."""
    parent = {span.context.span_id: span.parent.span_id if span.parent else None for span in spans if span.context}
    rank = {name: index for index, name in enumerate(("exit", "quote", "confirmation", "decision", "order"))}

    def below(span_id: int | None) -> list[str]:
        children = [span for span in spans if span.context and parent[span.context.span_id] == span_id]
        children.sort(key=lambda span: (span.start_time or 0, rank.get(span.name, 9)))
        return [
            line
            for span in children
            if span.context
            for line in (text_of(span), *(f"  {each}" for each in below(span.context.span_id)))
        ]

    return below(None)
