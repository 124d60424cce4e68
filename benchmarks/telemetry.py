"""What telemetry costs: the processor time of a poll with it and without it, in pairs, in one process.

Both watchers poll the same canned broker in turns, and with each pair the other one begins. The poll with telemetry
also pays for what its thread makes of it. A push of the metrics, whose time doesn't depend on the polls, is measured by
itself.
"""

import asyncio
import datetime as dt
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from benchmarks.contenders import BETWEEN_POLLS, Shape, SkippingClock
from benchmarks.load import a_process
from sellctl.bootstrap import RunOptions, Runtime, assemble
from sellctl.core.config import schema as model
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.model.account_state import RunMode
from sellctl.service.options import Options

SHAPES = (Shape(1, 10, 10), Shape(10, 20, 100))
BOUND = 2.0  # percent
PUSHES = 20
_PAIRS = 300
_WARM_UP = 5


def figures() -> Iterator[tuple[str, str, str]]:
    """Name, measured value, bound."""
    for shape in SHAPES:
        ratio, plain, observed, push = costs(shape)
        accounts = "1 account" if shape.accounts == 1 else f"{shape.accounts} accounts"
        times = f"{plain * 1000:.2f} / {observed * 1000:.2f} ms"
        yield (
            f"telemetry: processor time that it adds to a poll of {shape.name}",
            f"{(ratio - 1) * 100:.1f} % (median of {_PAIRS} pairs in one process; without and with it {times})",
            f"< {BOUND:.0f} %",
        )
        yield (
            f"telemetry: processor time of a push of the metrics of {accounts}, in its thread",
            f"{push * 1000:.1f} ms, every 15 s",
            "listed",
        )


def costs(shape: Shape, pairs: int = _PAIRS) -> tuple[float, float, float, float]:
    """The median ratio of pairs; the median seconds of a poll without and with telemetry, and of a push."""
    with ExitStack() as stack:
        broker = stack.enter_context(a_process("benchmarks.canned", shape.held, shape.symbols))
        collector = stack.enter_context(a_process("benchmarks.telemetry"))
        urls = [f"http://127.0.0.1:{each.stdout.readline().strip()}" for each in (broker, collector) if each.stdout]
        loop = stack.enter_context(closing(asyncio.new_event_loop()))
        runs = [_Run(shape, urls[0], endpoint, loop) for endpoint in (None, urls[1])]
        stack.callback(_end, runs, loop)
        for _ in range(_WARM_UP):
            _pair(runs)
        taken = [_pair(runs if number % 2 else runs[::-1]) for number in range(pairs)]
        plain, observed = ([each[run] for each in taken] for run in runs)
        push = statistics.median(runs[1].push() for _ in range(PUSHES))
    ratio = statistics.median(after / before for before, after in zip(plain, observed, strict=True))
    return ratio, statistics.median(plain), statistics.median(observed), push


class _Run:
    """A watcher of its own, with telemetry when it has an endpoint. It pushes only when it is told to."""

    def __init__(self, shape: Shape, url: str, endpoint: str | None, loop: asyncio.AbstractEventLoop) -> None:
        endpoints = model.EndpointsConfig(trading=url, data=url)
        accounts = {f"a{n}": model.AccountConfig(f"k{n}", "s", endpoints=endpoints) for n in range(shape.accounts)}
        config = model.Config(
            accounts,
            model.MarketDataConfig(option_feed=model.OptionFeed.INDICATIVE),
            telemetry=model.TelemetryConfig(endpoint, interval=dt.timedelta(hours=1)),
        )
        folder = Path(tempfile.mkdtemp(prefix="sellctl-bench-"))
        options = Options(None, folder, live=False, debug=False, log_file=None)
        self.loop = loop
        self.clock = SkippingClock()
        run_options = RunOptions("bench", RunMode.ACT, observed=True)
        loaded = LoadedConfig(config, None, {}, ())
        self.runtime: Runtime = assemble(loaded, options, run_options, lambda _event: None, self.clock)

    def poll(self) -> float:
        """The processor seconds of a poll, with what telemetry makes of it."""
        self.clock.skipped += BETWEEN_POLLS
        began = time.process_time()
        self.loop.run_until_complete(self.runtime.scheduler.poll())
        if self.runtime.telemetry:
            self.runtime.telemetry.flush()
        spent = time.process_time() - began
        if any(state.problem or not state.plan for state in self.runtime.scheduler.states):
            raise RuntimeError("a poll failed")
        return spent

    def push(self) -> float:
        """The processor seconds of a push of all metrics."""
        if self.runtime.telemetry is None:
            raise RuntimeError("nothing to push")
        began = time.process_time()
        self.runtime.telemetry.push()
        return time.process_time() - began


def _pair(runs: list[_Run]) -> dict[_Run, float]:
    return {run: run.poll() for run in runs}


def _end(runs: list[_Run], loop: asyncio.AbstractEventLoop) -> None:
    for run in runs:
        run.runtime.close()
    loop.run_until_complete(loop.shutdown_asyncgens())  # which close the connections
    loop.run_until_complete(asyncio.sleep(0.1))


class _Collector(BaseHTTPRequestHandler):
    """Takes whatever is posted."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer with nothing."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Nothing is logged."""


if __name__ == "__main__":
    server = HTTPServer(("127.0.0.1", 0), _Collector)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
