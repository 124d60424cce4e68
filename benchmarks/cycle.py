"""The number of requests per poll when nothing is due, and the additional ones at start-up and on each new day."""

import asyncio
import math
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.contenders import BETWEEN_POLLS, SkippingClock
from sellctl.bootstrap import RunOptions, Runtime, assemble
from sellctl.core.config.schema import AccountConfig, Config, EndpointsConfig
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.model.account_state import RunMode
from sellctl.service.options import Options
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

ACCOUNTS, OPTIONS, STOCKS = 4, 150, 120
BATCH = 100  # symbols in one quote request
BOUND = 2 * ACCOUNTS + math.ceil(OPTIONS / BATCH) + math.ceil(STOCKS / BATCH) + 1
WARM_UP_POLLS = 5  # the first ones take longer, so that accounts don't share all requests for quotes
_ONE_DAY = 24 * 60 * 60


def figures() -> list[tuple[str, str, str]]:
    """Name, measured value, bound."""
    first, steady, next_day = polls()
    held = f"{ACCOUNTS} accounts, {OPTIONS} options and {STOCKS} stocks"
    return [
        (f"requests per poll, {held}", f"{steady.total()}: {_listed(steady)}", f"<= {BOUND}"),
        ("additional requests at start-up", _listed(first - steady), "listed"),
        ("additional requests on each new day", _listed(next_day - steady), "listed"),
    ]


def polls() -> tuple[Counter[str], Counter[str], Counter[str]]:
    """The requests of the first poll, of a later one, and of the first one of the next day."""
    clock = SkippingClock()
    with SimServer(parse_scenario(_scenario()), speed=0) as server, tempfile.TemporaryDirectory() as folder:
        runtime = _runtime(server, Path(folder), clock)
        try:
            return asyncio.run(_counted(runtime, server, clock))
        finally:
            runtime.close()


async def _counted(
    runtime: Runtime, server: SimServer, clock: SkippingClock
) -> tuple[Counter[str], Counter[str], Counter[str]]:
    first = await _poll(runtime, server, clock)
    for _ in range(WARM_UP_POLLS):
        await _poll(runtime, server, clock)
    steady = await _poll(runtime, server, clock)
    server.advance(_ONE_DAY)
    return first, steady, await _poll(runtime, server, clock)


async def _poll(runtime: Runtime, server: SimServer, clock: SkippingClock) -> Counter[str]:
    clock.skipped += BETWEEN_POLLS
    before = len(server.requests)
    await runtime.scheduler.poll()
    problems = [state.problem for state in runtime.scheduler.states if state.problem]
    if problems or any(state.acted for state in runtime.scheduler.states):
        raise RuntimeError(f"not a steady poll: {problems or 'something was due'}")
    return Counter(f"{made.method} {made.path}" for made in server.requests[before:])


def _listed(requests: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(requests.items())) or "none"


def _runtime(server: SimServer, folder: Path, clock: SkippingClock) -> Runtime:
    endpoints = EndpointsConfig(trading=server.url, data=server.url)
    accounts = {
        each.name: AccountConfig(each.key, each.secret, endpoints=endpoints) for each in server.scenario.accounts
    }
    options = Options(None, folder, live=False, debug=False, log_file=None)
    loaded = LoadedConfig(Config(accounts=accounts), None, {}, ())
    return assemble(loaded, options, RunOptions("bench", RunMode.ACT), lambda _event: None, clock)


def _scenario() -> str:
    """Accounts that share the symbols, all of them far from their trigger prices and expiry."""
    options = [f"AAPL261218C00{100 + number}000" for number in range(OPTIONS)]
    stocks = [f"Q{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(STOCKS)]
    symbols = [*options, *stocks]
    accounts = "".join(
        f"  a{number}:\n    key: k{number}\n    secret: s\n    number: PA{number}\n    positions:\n"
        + "".join(f"      - {{symbol: {symbol}, qty: 1, entry: 2.00}}\n" for symbol in symbols[number::ACCOUNTS])
        for number in range(ACCOUNTS)
    )
    prices = "".join(f"  {symbol}: {{bid: 2.00, ask: 2.01}}\n" for symbol in symbols)
    return f'start: "2026-11-24 12:00"\naccounts:\n{accounts}prices:\n{prices}  AAPL: {{bid: 230.00, ask: 230.02}}\n'
