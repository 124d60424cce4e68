"""Telemetry over the SDK's in-memory exporters, for tests of what comes of what the program does."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from shell_fakes import FakeClock, FakeJournal, FakeQuotes

from sellctl.core.model.event import Event
from sellctl.core.price_tracker import PriceTracker
from sellctl.telemetry.sdk import Sdk
from sellctl.telemetry.telemetry import Telemetry


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
        self.sdk = Sdk(tracers, MeterProvider([self.reader], shutdown_on_exit=False))
        self.telemetry = Telemetry(self.sdk, self.clock, self.redact, self.news)
        self.quotes = FakeQuotes(self.clock)
        self.prices = PriceTracker(self.quotes, self.clock)
        self.written, self.events = FillingJournal(), list[Event]()
        self.journal = self.telemetry.observing(self.written, self.events.append)
        self.budgets = {("main", "trading"): 170}
        self.telemetry.start(self.clock.now, self.prices, lambda: self.budgets)

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


def labels(**pairs: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pairs.items()))


def seconds(span: ReadableSpan) -> float:
    assert span.end_time is not None
    assert span.start_time is not None
    return round((span.end_time - span.start_time) / 1e9, 3)


def as_tree(spans: tuple[ReadableSpan, ...]) -> list[str]:
    """The names of spans, each indented below its parent, in the order of their starts."""
    parent = {span.context.span_id: span.parent.span_id if span.parent else None for span in spans if span.context}
    rank = {name: index for index, name in enumerate(("exit", "quote", "confirmation", "decision", "order"))}

    def below(span_id: int | None) -> list[str]:
        children = [span for span in spans if span.context and parent[span.context.span_id] == span_id]
        children.sort(key=lambda span: (span.start_time or 0, rank.get(span.name, 9)))
        return [
            line
            for span in children
            if span.context
            for line in (span.name, *(f"  {each}" for each in below(span.context.span_id)))
        ]

    return below(None)
