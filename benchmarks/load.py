"""One look over many accounts, beside what a user would otherwise run and beside the floor, in one run.

sellctl; a sequential alpaca-py loop; a threaded one with batched quotes; the same requests through the SDK's bare
RESTClient on threads; and the floor: the same requests on raw asyncio connections that stay open, nothing parsed.
"""

import asyncio
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from alpaca.common.rest import RESTClient
from alpaca.data.historical import OptionHistoricalDataClient
from alpaca.data.requests import OptionLatestQuoteRequest
from alpaca.trading.client import TradingClient

from benchmarks.canned import symbol_of
from sellctl.bootstrap import Wish, assemble
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.model.config import AccountConfig, Config, EndpointsConfig, MarketDataConfig, OptionFeed
from sellctl.core.sell_watcher import Mode
from sellctl.options import Options

ACCOUNTS, HELD, SYMBOLS = 50, 20, 200
ROUNDS = 7
BATCH = 100


@contextmanager
def a_broker(delay: float) -> Iterator[str]:
    """The canned broker in a process of its own; its address."""
    words = [sys.executable, "-m", "benchmarks.canned", str(HELD), str(SYMBOLS), "0", str(delay)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  our own module
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip() if process.stdout else ''}"
        finally:
            process.kill()


def sellctl_looks(url: str) -> Callable[[], Awaitable[None]]:
    """The look of the real watcher, journal and all."""
    endpoints = EndpointsConfig(trading=url, data=url)
    accounts = {f"a{n}": AccountConfig(f"k{n}", "s", endpoints=endpoints) for n in range(ACCOUNTS)}
    config = Config(accounts, MarketDataConfig(option_feed=OptionFeed.INDICATIVE))
    folder = Path(tempfile.mkdtemp(prefix="sellctl-bench-"))
    options = Options(None, folder, live=False, debug=False, log_file=None)
    runtime = assemble(LoadedConfig(config, None, {}, ()), options, Wish("bench", Mode.ACT), lambda _event: None)

    async def look() -> None:
        await runtime.fleet.look()
        problems = [watcher.problem for watcher in runtime.fleet.watchers if watcher.problem or not watcher.plan]
        if problems:
            raise RuntimeError(f"a look failed: {problems[0]}")

    return look


def sequential_looks(url: str) -> Callable[[], Awaitable[None]]:
    """What a script with the SDK does: one account after the other, one quote request each."""
    trading = [TradingClient(f"k{n}", "s", url_override=url) for n in range(ACCOUNTS)]
    data = OptionHistoricalDataClient("k0", "s", url_override=url)

    async def look() -> None:
        for client in trading:
            positions = client.get_all_positions()
            client.get_orders()
            symbols = [position.symbol for position in positions]  # type: ignore[union-attr]
            data.get_option_latest_quote(OptionLatestQuoteRequest(symbol_or_symbols=symbols))
        trading[0].get_clock()

    return look


def threaded_looks(url: str) -> Callable[[], Awaitable[None]]:
    """A better script: accounts on threads, quotes for all in batches."""
    trading = [TradingClient(f"k{n}", "s", url_override=url) for n in range(ACCOUNTS)]
    data = OptionHistoricalDataClient("k0", "s", url_override=url)
    threads = ThreadPoolExecutor(ACCOUNTS)

    def account(client: TradingClient) -> list[str]:
        client.get_orders()
        return [position.symbol for position in client.get_all_positions()]  # type: ignore[union-attr]

    async def look() -> None:
        trading[0].get_clock()
        symbols = sorted({symbol for held in threads.map(account, trading) for symbol in held})
        batches = [symbols[at : at + BATCH] for at in range(0, len(symbols), BATCH)]
        asked = [OptionLatestQuoteRequest(symbol_or_symbols=batch) for batch in batches]
        list(threads.map(data.get_option_latest_quote, asked))

    return look


def _targets() -> list[tuple[str, str]]:
    """Key and path of every request of one steady look."""
    symbols = [symbol_of(number) for number in range(SYMBOLS)]
    batches = [",".join(symbols[at : at + BATCH]) for at in range(0, SYMBOLS, BATCH)]
    quotes = [("k0", f"/v1beta1/options/quotes/latest?symbols={batch}&feed=indicative") for batch in batches]
    each = [(f"k{n}", path) for n in range(ACCOUNTS) for path in ("/v2/positions", "/v2/orders?status=open&limit=500")]
    return [("k0", "/v2/clock"), *quotes, *each]


def bare_looks(url: str) -> Callable[[], Awaitable[None]]:
    """The same requests through the SDK's own RESTClient, answers thrown away."""
    clients = {f"k{n}": RESTClient(url, f"k{n}", "s", raw_data=True) for n in range(ACCOUNTS)}
    threads = ThreadPoolExecutor(ACCOUNTS)

    async def look() -> None:
        def ask(target: tuple[str, str]) -> None:
            key, path = target
            _, version, rest = path.split("/", 2)
            clients[key].get(f"/{rest}", api_version=version)

        list(threads.map(ask, _targets()))

    return look


def floor_looks(url: str) -> Callable[[], Awaitable[None]]:
    """The same requests on raw connections that stay open, one for each request of a look."""
    port = int(url.rpartition(":")[2])
    open_: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(at: int, key: str, path: str) -> None:
        reader, writer = open_[at]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAPCA-API-KEY-ID: {key}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))

    async def look() -> None:
        targets = _targets()
        while len(open_) < len(targets):
            open_.append(await asyncio.open_connection("127.0.0.1", port))
        await asyncio.gather(*(ask(at, key, path) for at, (key, path) in enumerate(targets)))

    return look


LOOKS = {
    "sellctl": sellctl_looks,
    "sequential": sequential_looks,
    "threaded": threaded_looks,
    "bare": bare_looks,
    "floor": floor_looks,
}


async def _timed(url: str, names: tuple[str, ...]) -> dict[str, tuple[float, float]]:
    """Median wall and CPU seconds of a look, the contenders in turn so that the machine's moods hit all alike."""
    looks = {name: LOOKS[name](url) for name in names}
    walls: dict[str, list[float]] = {name: [] for name in names}
    cpus: dict[str, list[float]] = {name: [] for name in names}
    for round_ in range(ROUNDS + 1):
        for name, look in looks.items():
            wall, cpu = time.perf_counter(), time.process_time()
            await look()
            if round_:
                walls[name].append(time.perf_counter() - wall)
                cpus[name].append(time.process_time() - cpu)
    return {name: (statistics.median(walls[name]), statistics.median(cpus[name])) for name in names}


def figures() -> list[tuple[str, str, str]]:
    """Ratios of one look at 50 accounts with 20 positions each."""
    what = f"a look at {ACCOUNTS} x {HELD}"
    with a_broker(0.1) as url:
        slow = asyncio.run(_timed(url, ("sellctl", "floor")))
    with a_broker(0) as url:
        fast = asyncio.run(_timed(url, tuple(LOOKS)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    ours = fast["sellctl"][0]
    return [
        (f"{what}, 100 ms an answer / floor", f"{slow['sellctl'][0] / slow['floor'][0]:.2f} x", "1.25 x"),
        (f"{what}, 0 ms / bare RESTClient", f"{ours / fast['bare'][0]:.2f} x", "1.3 x"),
        (f"{what}, 0 ms: sequential alpaca-py / sellctl", f"{fast['sequential'][0] / ours:.1f} x", "at least 8 x"),
        (f"{what}, 0 ms: threaded alpaca-py / sellctl", f"{fast['threaded'][0] / ours:.1f} x", "at least 2 x"),
        (f"{what}, 0 ms: CPU seconds", f"{fast['sellctl'][1]:.3f}", ""),
        (f"{what}: peak memory, all contenders in one process", f"{memory:.0f} MB", ""),
    ]


if __name__ == "__main__":
    for row in figures():
        sys.stdout.write("\t".join(row) + "\n")
