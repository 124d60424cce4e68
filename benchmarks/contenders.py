"""Programs that poll many accounts once, each in a process of its own that polls on command.

sellctl; a sequential alpaca-py loop with one quote request per position or per account; a threaded one with batched
quotes; sellctl's requests through the SDK's RESTClient on threads; and as the floor the same requests on persistent raw
asyncio connections, without parsing.
"""

import asyncio
import datetime as dt
import json
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.canned import symbol_of
from benchmarks.sampling import sampled

BATCH = 100
PROFILED = 12  # polls
BETWEEN_POLLS = 5.0  # seconds, the default `check_interval`
Poll = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Shape:
    """What is polled: accounts with keys k0, k1 ... and `held` positions each out of `symbols` symbols."""

    accounts: int
    held: int
    symbols: int

    @property
    def name(self) -> str:
        """Accounts x positions."""
        return f"{self.accounts} x {self.held}"

    def targets(self) -> list[tuple[str, str]]:
        """Key and path of every request of one steady poll."""
        names = [symbol_of(number) for number in range(self.symbols)]
        batches = [",".join(names[at : at + BATCH]) for at in range(0, self.symbols, BATCH)]
        quotes = [("k0", f"/v1beta1/options/quotes/latest?symbols={batch}&feed=indicative") for batch in batches]
        paths = ("/v2/positions", "/v2/orders?status=open&nested=true&direction=asc&limit=500")
        return [("k0", "/v2/clock"), *quotes, *((f"k{n}", path) for n in range(self.accounts) for path in paths)]


class SkippingClock:
    """The host's clock, with a monotonic time that skips what passes between polls: the watcher paces its reads."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def now(self) -> dt.datetime:
        """The host's wall clock."""
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        """Seconds, with those that were skipped."""
        return time.monotonic() + self.skipped

    async def sleep(self, seconds: float) -> None:
        """Sleep for real."""
        await asyncio.sleep(seconds)


def sellctl(url: str, shape: Shape) -> Poll:
    """A poll of the real watcher with its journal. Targets rest at their price, so that all polls do the same work."""
    from sellctl.bootstrap import RunOptions, assemble  # noqa: PLC0415  likewise
    from sellctl.core.config import schema as model  # noqa: PLC0415  likewise
    from sellctl.core.config_manager import LoadedConfig  # noqa: PLC0415  likewise
    from sellctl.core.model.account_state import RunMode  # noqa: PLC0415  likewise
    from sellctl.service.options import Options  # noqa: PLC0415  likewise

    endpoints = model.EndpointsConfig(trading=url, data=url)
    accounts = {f"a{n}": model.AccountConfig(f"k{n}", "s", endpoints=endpoints) for n in range(shape.accounts)}
    resting = model.WalkConfig(steps=1, every=dt.timedelta(hours=1))
    config = model.Config(
        accounts,
        model.MarketDataConfig(option_feed=model.OptionFeed.INDICATIVE),
        execution=model.ExecutionConfig(walk=model.WalksConfig(profit=resting)),
    )
    folder = Path(tempfile.mkdtemp(prefix="sellctl-bench-"))
    options = Options(None, folder, live=False, debug=False, log_file=None)
    clock = SkippingClock()
    runtime = assemble(
        LoadedConfig(config, None, {}, ()), options, RunOptions("bench", RunMode.ACT), lambda _event: None, clock
    )

    async def poll() -> None:
        clock.skipped += BETWEEN_POLLS
        await runtime.scheduler.poll()
        problems = [state.problem for state in runtime.scheduler.states if state.problem or not state.plan]
        if problems:
            raise RuntimeError(f"a poll failed: {problems[0]}")

    return poll


def sequential(url: str, shape: Shape) -> Poll:
    """A script with the SDK: one account after the other, one position after the other."""
    return _one_after_the_other(url, shape, most=1)


def batched(url: str, shape: Shape) -> Poll:
    """A script with one quote request per account."""
    return _one_after_the_other(url, shape, most=BATCH)


def _one_after_the_other(url: str, shape: Shape, *, most: int) -> Poll:
    from alpaca.data.historical import OptionHistoricalDataClient  # noqa: PLC0415  as above
    from alpaca.data.requests import OptionLatestQuoteRequest  # noqa: PLC0415  likewise
    from alpaca.trading.client import TradingClient  # noqa: PLC0415  likewise

    trading = [TradingClient(f"k{n}", "s", url_override=url) for n in range(shape.accounts)]
    data = OptionHistoricalDataClient("k0", "s", url_override=url)

    async def poll() -> None:
        trading[0].get_clock()
        for client in trading:
            symbols = [position.symbol for position in client.get_all_positions()]  # type: ignore[union-attr]
            client.get_orders()
            for at in range(0, len(symbols), most):
                data.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=symbols[at : at + most]))

    return poll


def threaded(url: str, shape: Shape) -> Poll:
    """A script with one thread per account and batched quotes for all accounts."""
    from alpaca.data.historical import OptionHistoricalDataClient  # noqa: PLC0415  as above
    from alpaca.data.requests import OptionLatestQuoteRequest  # noqa: PLC0415  likewise
    from alpaca.trading.client import TradingClient  # noqa: PLC0415  likewise

    trading = [TradingClient(f"k{n}", "s", url_override=url) for n in range(shape.accounts)]
    data = OptionHistoricalDataClient("k0", "s", url_override=url)
    threads = ThreadPoolExecutor(shape.accounts)

    def account(client: TradingClient) -> list[str]:
        client.get_orders()
        return [position.symbol for position in client.get_all_positions()]  # type: ignore[union-attr]

    async def poll() -> None:
        trading[0].get_clock()
        symbols = sorted({symbol for held in threads.map(account, trading) for symbol in held})
        batches = [symbols[at : at + BATCH] for at in range(0, len(symbols), BATCH)]
        requests = [OptionLatestQuoteRequest(symbol_or_symbols=batch) for batch in batches]
        list(threads.map(data.get_option_latest_quote, requests))

    return poll


def bare(url: str, shape: Shape) -> Poll:
    """The requests of sellctl through the SDK's RESTClient; responses are discarded."""
    from alpaca.common.rest import RESTClient  # noqa: PLC0415  as above

    clients = {f"k{n}": RESTClient(url, f"k{n}", "s", raw_data=True) for n in range(shape.accounts)}
    threads = ThreadPoolExecutor(min(shape.accounts, 50))

    def request(target: tuple[str, str]) -> None:
        key, path = target
        _, version, rest = path.split("/", 2)
        clients[key].get(f"/{rest}", api_version=version)

    async def poll() -> None:
        list(threads.map(request, shape.targets()))

    return poll


def floor(url: str, shape: Shape) -> Poll:
    """The requests of sellctl on persistent raw connections, one per request of a poll."""
    port = int(url.rpartition(":")[2])
    open_: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def request(at: int, key: str, path: str) -> None:
        reader, writer = open_[at]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAPCA-API-KEY-ID: {key}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))

    async def poll() -> None:
        targets = shape.targets()
        while len(open_) < len(targets):
            open_.append(await asyncio.open_connection("127.0.0.1", port))
        await asyncio.gather(*(request(at, key, path) for at, (key, path) in enumerate(targets)))

    return poll


CONTENDERS = {each.__name__: each for each in (sellctl, sequential, batched, threaded, bare, floor)}


def _print(what: object) -> None:
    sys.stdout.write(f"{json.dumps(what)}\n")
    sys.stdout.flush()


def _peak_mb() -> float:
    """The peak memory of this process. The value of getrusage would include that of the parent process."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024


async def _serve(poll: Poll) -> None:
    """Poll once per line on stdin, and print the cost: wall seconds, CPU seconds and peak memory in MB."""
    _print({"ready": True})
    for line in sys.stdin:
        if line.strip() == "profile":
            with sampled() as samples:
                for _ in range(PROFILED):
                    await poll()
            _print({"outside": samples.outside, "shares": samples.shares()})
            continue
        wall, cpu = time.perf_counter(), time.process_time()
        await poll()
        spent = (time.perf_counter() - wall, time.process_time() - cpu)
        _print({"wall": spent[0], "cpu": spent[1], "mb": _peak_mb()})


if __name__ == "__main__":
    name, address, *numbers = sys.argv[1:]
    asyncio.run(_serve(CONTENDERS[name](address, Shape(*map(int, numbers)))))
