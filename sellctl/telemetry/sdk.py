"""OpenTelemetry's SDK as sellctl uses it: bounded queues, short time-outs, and threads that hold up nobody."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from prometheus_client import CollectorRegistry, generate_latest

from sellctl import __version__

if TYPE_CHECKING:
    from sellctl.core.config.schema import TelemetryConfig

TIMEOUT_SECONDS = 3.0  # for one export with its repeats
SPAN_SECONDS = 2.0  # between two exports of spans
MOST_SPANS = 2_048  # in the queue; the oldest are dropped
_SPANS_PER_EXPORT = 512
_LOG = logging.getLogger(__name__)
Tell = Callable[[str], None]


class _Health:
    """Tells once that exports fail, and once that they succeed again. Exporters of several threads share it."""

    def __init__(self, endpoint: str, tell: Tell) -> None:
        self._endpoint = endpoint
        self._tell = tell
        self._failing = False
        self._lock = threading.Lock()

    def ended(self, *, ok: bool) -> None:
        """An export has ended."""
        with self._lock:
            before, self._failing = self._failing, not ok
        if not ok and not before:
            self._tell(f"telemetry can't be sent to {self._endpoint}; nothing waits for it, and it is tried again")
        elif ok and before:
            self._tell(f"telemetry is sent to {self._endpoint} again")


class _Spans(SpanExporter):
    """An exporter whose failures are told once."""

    def __init__(self, exporter: SpanExporter, health: _Health) -> None:
        self._exporter = exporter
        self._health = health

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send spans."""
        result = self._exporter.export(spans)
        self._health.ended(ok=result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """End an export that is under way before its next try."""
        self._exporter.shutdown()


class _Measures(MetricExporter):
    """The same for metrics."""

    def __init__(self, exporter: OTLPMetricExporter, health: _Health) -> None:
        super().__init__()
        self._exporter = exporter
        self._health = health

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **more: Any) -> MetricExportResult:
        """Send metrics."""
        result = self._exporter.export(metrics_data, timeout_millis, **more)
        self._health.ended(ok=result is MetricExportResult.SUCCESS)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing is kept here."""
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **more: Any) -> None:
        """End an export that is under way before its next try."""
        self._exporter.shutdown(timeout_millis, **more)


@dataclass(frozen=True, slots=True)
class Sdk:
    """The providers of traces and metrics, and the registry of `/metrics` where that is served."""

    tracers: TracerProvider
    meters: MeterProvider
    registry: CollectorRegistry | None = None

    def page(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry) if self.registry is not None else b""

    def close(self, seconds: float) -> None:
        """Send what is queued, for at most so many seconds. What is under way then ends with the process."""
        ends = [
            threading.Thread(target=_quietly(end), name="telemetry's end", daemon=True)
            for end in (self.tracers.shutdown, self.meters.shutdown)
        ]
        for each in ends:
            each.start()
        for each in ends:
            each.join(seconds / len(ends))


def sdk_of(config: "TelemetryConfig", tell: Tell, *, with_page: bool) -> Sdk:
    """The SDK that a configuration describes. `tell` is called in any thread when exports fail, and when they don't.

    Resource attributes of the environment (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) come before sellctl's.
    """
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # each failed export would be several lines
    ours = {"service.name": "sellctl", "service.version": __version__}
    resource = Resource.create(ours).merge(OTELResourceDetector().detect())
    readers: list[MetricReader] = []
    registry = None
    if with_page:
        registry = CollectorRegistry()
        readers.append(PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=registry))
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    if config.endpoint is not None:
        health = _Health(config.endpoint, tell)
        to: Mapping[str, Any] = {
            "headers": {"Authorization": f"Bearer {config.token}"} if config.token else None,
            "timeout": TIMEOUT_SECONDS,
        }
        base = config.endpoint.rstrip("/")
        spans = _Spans(OTLPSpanExporter(endpoint=f"{base}/v1/traces", **to), health)
        tracers.add_span_processor(
            BatchSpanProcessor(
                spans,
                max_queue_size=MOST_SPANS,
                schedule_delay_millis=SPAN_SECONDS * 1000,
                max_export_batch_size=_SPANS_PER_EXPORT,
            )
        )
        metrics = _Measures(OTLPMetricExporter(endpoint=f"{base}/v1/metrics", **to), health)
        interval = config.interval.total_seconds() * 1000
        readers.append(PeriodicExportingMetricReader(metrics, interval, TIMEOUT_SECONDS * 1000))
    return Sdk(tracers, MeterProvider(readers, resource, shutdown_on_exit=False), registry)


def _quietly(end: Callable[[], object]) -> Callable[[], None]:
    def ended() -> None:
        try:
            end()
        except Exception:  # noqa: BLE001  an exporter may raise anything while the process ends
            _LOG.debug("telemetry's end failed", exc_info=True)

    return ended
