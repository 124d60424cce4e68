"""A simulated trading day of 50 accounts x 20 positions: processor time, memory, requests, and the journal's size.

It runs the real watcher with its journal on disk against the simulator in process and in virtual time, in a separate
process whose peak memory is that of the day. Prices follow random walks, and about a fifth of the positions meets a
target or a stop. The journal's size depends on events more than on the number of polls: `python -m benchmarks.day 5`
runs the day with a poll every 5 seconds, which takes minutes.
"""

import asyncio
import dataclasses
import datetime as dt
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from faults.loop import LoopClock, VirtualLoop
from faults.patching import patched
from sellctl.alpaca import connect as connect_module
from sellctl.bootstrap import RunOptions, Runtime, assemble
from sellctl.core.config.schema import AccountConfig, Config, SellModuleConfig
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.plan import SubmitOrder
from sellctl.journal.schema import FILE_NAME
from sellctl.service.options import Options
from sellctl.sim.inprocess import SimBroker, SimQuotes, body_of
from sellctl.sim.market.market import Market
from sellctl.sim.market.price_paths import Fixed, Walk, level
from sellctl.sim.market.price_paths import Path as PricePath
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.orders import SimPosition

Figure = tuple[str, str, str]
T = TypeVar("T")
ACCOUNTS, HELD, SYMBOLS = 50, 20, 200
SEED = 20_261_124
EVERY = 120  # seconds between two polls, for `make bench`
DATABASE_BOUND_MB, GROWTH_BOUND_MB, REQUESTS_BOUND = 20, 10, 180
STEP, SIGMA = 60.0, 0.004  # of the walk of each mid: seconds, and a share of the mid
_ROOTS = ("SPY", "QQQ", "IWM", "AAPL", "MSFT", "NVDA", "AMD", "TSLA", "META", "AMZN")
_DAY = dt.date(2026, 11, 24)


@dataclass(slots=True)
class DayFigures:
    """The result of a day. Megabytes are 1,000,000 bytes; memory is the peak until noon and until the close."""

    polls: int = 0
    exits: int = 0
    seconds: float = 0.0
    most_requests: int = 0  # of one account, in any minute of the clock
    requests: int = 0
    noon_mb: float = 0.0
    close_mb: float = 0.0
    database_mb: float = 0.0


def figures() -> list[Figure]:
    """Name, measured value, bound."""
    arguments = [sys.executable, "-m", "benchmarks.day", str(EVERY)]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=True)  # noqa: S603  our own module
    result = DayFigures(**json.loads(ended.stdout))
    day = f"a day of {ACCOUNTS} x {HELD}, a poll every {EVERY} s"
    share = result.seconds / result.polls
    return [
        (
            f"{day}: processor time, the exchange included",
            f"{result.seconds:.0f} s in all, {share * 1000:.0f} ms each of {result.polls} polls; {result.exits} exits",
            "",
        ),
        (
            f"{day}: memory grown from noon to the close, the exchange's orders included",
            f"{result.close_mb - result.noon_mb:.1f} MB (peak {result.close_mb:.0f} MB)",
            f"< {GROWTH_BOUND_MB} MB",
        ),
        (
            f"{day}: requests per key in its busiest minute",
            f"{result.most_requests} ({result.requests:,} in all)",
            f"<= {REQUESTS_BOUND}",
        ),
        (f"{day}: the journal's database", f"{result.database_mb:.1f} MB", f"< {DATABASE_BOUND_MB} MB"),
    ]


class _Counted(SimBroker):
    """A SimBroker that calls `on_request` with the account's name before each request."""

    def __init__(self, exchange: Exchange, account: str, on_request: Callable[[str], None]) -> None:
        super().__init__(exchange, account)
        self._on_request = on_request

    def _call(self, method: str, path: str, action: Callable[[SimAccount], T]) -> T:
        self._on_request(self.name)
        return super()._call(method, path, action)

    def body(self, order: SubmitOrder) -> dict[str, str]:
        """The fields of the request that submits an order."""
        return {key: str(value) for key, value in body_of(order).items()}


@dataclass(frozen=True, slots=True)
class _Connected:
    """Replaces the composition root's connections to Alpaca."""

    brokers: dict[str, _Counted]
    quotes: SimQuotes

    def close(self) -> None:
        """Nothing is open."""


def play(every: int) -> DayFigures:
    """Run the day from the open to the close with a poll every so many seconds."""
    exchange, result, requests, minute = _exchange(), DayFigures(), Counter[str](), 0.0
    loop, clock = VirtualLoop(exchange), LoopClock(exchange)

    def count(account: str) -> None:
        nonlocal minute
        if clock.monotonic() // 60 != minute:
            minute = clock.monotonic() // 60
            requests.clear()
        requests[account] += 1
        result.requests += 1
        result.most_requests = max(result.most_requests, requests[account])

    brokers = {name: _Counted(exchange, name, count) for name in exchange.accounts}
    with tempfile.TemporaryDirectory(prefix="sellctl-bench-") as name, ExitStack() as stack:
        folder = Path(name) / "state"
        stack.enter_context(
            patched(connect_module, "connect", lambda *_, **__: _Connected(brokers, SimQuotes(exchange)))
        )
        options = Options(None, folder, live=False, debug=False, log_file=None)
        run_options = RunOptions("bench", RunMode.ACT)
        runtime = assemble(LoadedConfig(_config(every), None, {}, ()), options, run_options, lambda _event: None, clock)
        started = time.process_time()
        loop.run_until_complete(_watch(runtime, clock, result))
        result.seconds = time.process_time() - started
        runtime.close()
        loop.close()
        result.database_mb = sum(each.stat().st_size for each in folder.glob(f"{FILE_NAME}*")) / 1e6
    result.exits = ACCOUNTS * HELD - sum(len(books.positions) for books in exchange.accounts.values())
    return result


async def _watch(runtime: Runtime, clock: LoopClock, result: DayFigures) -> None:
    stop = asyncio.Event()

    def polled(_wait: float) -> None:
        result.polls += 1

    watching = asyncio.ensure_future(runtime.scheduler.watch(stop, polled))
    await clock.sleep((_at("12:00") - clock.now()).total_seconds())
    result.noon_mb = _peak_mb()
    await clock.sleep((_at("16:00") - clock.now()).total_seconds())
    result.close_mb = _peak_mb()
    stop.set()
    await watching


def _peak_mb() -> float:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes * 1024 / 1e6


def _config(every: int) -> Config:
    sell = SellModuleConfig(check_interval=dt.timedelta(seconds=every))
    return Config(accounts={f"a{n}": AccountConfig(f"k{n}", "s") for n in range(ACCOUNTS)}, sell_module=sell)


def _exchange() -> Exchange:
    """Accounts with different parts of the shared symbols, all with the day's first mid as their entry price."""
    symbols = [f"{_ROOTS[number % len(_ROOTS)]}261218C{(100 + number) * 1000:08d}" for number in range(SYMBOLS)]
    paths = {symbol: _path(number) for number, symbol in enumerate(symbols)}
    accounts = []
    for number in range(ACCOUNTS):
        held = [symbols[(number * 7 + index) % SYMBOLS] for index in range(HELD)]
        positions = {symbol: SimPosition(symbol, Decimal(2), Decimal(2)) for symbol in held}
        accounts.append(SimAccount(f"a{number}", f"k{number}", "s", f"PA{number}", positions=positions))
    return Exchange(_at("09:30"), accounts, Market(paths), Settings(seed=SEED))


def _path(number: int) -> PricePath:
    opens = _at("09:30")
    stands = Fixed(opens, level(Decimal(2), Decimal("0.04")))
    return PricePath([stands, Walk(opens, SEED + number, SIGMA, step=STEP)])


def _at(clock: str) -> dt.datetime:
    return dt.datetime.combine(_DAY, dt.time.fromisoformat(clock), NEW_YORK).astimezone(dt.UTC)


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(play(int(sys.argv[1])))))  # noqa: T201  its output
