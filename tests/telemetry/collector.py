"""A collector on loopback that takes OTLP over HTTP, and dead ones, which accept and never answer, or refuse."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Collector:
    """What has arrived: the names of spans with their attributes, the names of metrics, and each request's header."""

    url: str = ""
    spans: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    metrics: set[str] = field(default_factory=set)
    resources: list[dict[str, str]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)

    def take(self, path: str, authorization: str, body: bytes) -> None:
        self.authorizations.add(authorization)
        self.bodies.append(body)
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            for resource in traces.resource_spans:
                self.resources.append({each.key: each.value.string_value for each in resource.resource.attributes})
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        attributes = {each.key: each.value.string_value for each in span.attributes}
                        self.spans.append((span.name, attributes))
        elif path == "/v1/metrics":
            measured = ExportMetricsServiceRequest.FromString(body)
            scopes = [scope for resource in measured.resource_metrics for scope in resource.scope_metrics]
            self.metrics |= {metric.name for scope in scopes for metric in scope.metrics}

    def names(self) -> list[str]:
        return sorted(name for name, _ in self.spans)


@contextmanager
def a_collector() -> Iterator[Collector]:
    """One that answers."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(self.path, self.headers.get("Authorization", ""), body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def a_silent_collector() -> Iterator[str]:
    """The address of one that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def a_refusing_collector() -> Iterator[str]:
    """The address of one that refuses every connection."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and never listens
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"


DEAD = {"accepts and never answers": a_silent_collector, "refuses": a_refusing_collector}
