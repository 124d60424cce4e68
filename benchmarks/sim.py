"""The simulator: a request compared with a bare endpoint, quotes to many subscribed symbols, a day in process."""

import asyncio
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.client import HTTPConnection

import msgpack  # type: ignore[import-untyped]  # it has no stubs
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from websockets.sync.client import connect

from sellctl.core.model.instrument import a_stock, an_option
from sellctl.sim.inprocess import SimBroker, SimQuotes
from sellctl.sim.scenario.reader import Scenario, parse_scenario
from sellctl.sim.server import SimServer, listen
from sellctl.sim.virtual_clock import VirtualClock

Figure = tuple[str, str, str]
REQUESTS, ROUNDS = 300, 7
SUBSCRIBED, SECONDS = 200, 3
POSITIONS, POLL_SECONDS = 50, 5
HEADERS = {"APCA-API-KEY-ID": "sim-main", "APCA-API-SECRET-KEY": "sim-secret"}
START = 'start: "2026-11-25 09:30"\nspeed: 0\nsettings: {rate_limit: 0}\n'
LIMIT_RATIO, LIMIT_DAY = 1.5, 5.0


def figures() -> list[Figure]:
    """Name, measured value, bound."""
    return [request_cost(), quote_rate(), a_day()]


# --- one request


def request_cost() -> Figure:
    """The median time of a GET at the simulator, compared with a bare Starlette endpoint on the same server."""
    with SimServer(_held(5)) as server, _bare() as port:
        pairs = [(_median(server.port), _median(port)) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / bare for ours, bare in pairs)
    ours, bare = (statistics.median(side) * 1000 for side in zip(*pairs, strict=True))
    return (
        "sim: one request (5 positions) / a bare endpoint",
        f"{ratio:.2f} x ({ours:.2f} ms / {bare:.2f} ms)",
        f"<= {LIMIT_RATIO} x",
    )


def _median(port: int) -> float:
    connection = HTTPConnection("127.0.0.1", port)
    times = []
    for _ in range(REQUESTS):
        started = time.perf_counter()
        connection.request("GET", "/v2/positions", headers=HEADERS)
        connection.getresponse().read()
        times.append(time.perf_counter() - started)
    connection.close()
    return statistics.median(times)


@contextmanager
def _bare() -> Iterator[int]:
    """A Starlette endpoint that returns a constant of the same size."""
    scenario = _held(5)
    with SimServer(scenario) as server:
        body = json.loads(_body(server.port))

    async def positions(_request: Request) -> JSONResponse:
        return JSONResponse(body)

    app = Starlette(routes=[Route("/v2/positions", positions)])
    sock = listen(0)
    config = uvicorn.Config(app, lifespan="off", log_config=None, log_level="critical", access_log=False)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(running.serve(sockets=[sock])), daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield sock.getsockname()[1]
    finally:
        running.should_exit = True
        thread.join(5)
        sock.close()


def _body(port: int) -> bytes:
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/v2/positions", headers=HEADERS)
    body = connection.getresponse().read()
    connection.close()
    return body


# --- quotes


def quote_rate() -> Figure:
    """200 quotes per second, one per subscribed symbol: the delay of the last one of each second."""
    symbols = [f"NVDA261218C{strike:08d}" for strike in range(1000, (SUBSCRIBED + 1) * 1000, 1000)]
    with SimServer(parse_scenario(START + "accounts: {main: {}}\n"), speed=0) as server:
        lateness, most = _follow(server, symbols)
    return (
        f"sim: {SUBSCRIBED} quotes per second to {SUBSCRIBED} subscribed symbols",
        f"latest {lateness * 1000:.0f} ms behind; at most {most:,.0f} per second",
        "< 250 ms behind",
    )


def _follow(server: SimServer, symbols: list[str]) -> tuple[float, float]:
    headers = {"Content-Type": "application/msgpack", **HEADERS}
    with connect(f"{server.stream_url}/v1beta1/indicative", additional_headers=headers, proxy=None) as socket:
        for _ in range(2):
            socket.recv(timeout=5)
        socket.send(msgpack.packb({"action": "subscribe", "quotes": symbols}))
        socket.recv(timeout=5)
        behind = [_one_second(server, symbols, second, socket.recv) for second in range(SECONDS)]
        started = time.perf_counter()
        for second in range(10):
            _send_all(server, symbols, 100 + second, pause=0)
        _receive(socket.recv, 10 * len(symbols))
        return max(behind), 10 * len(symbols) / (time.perf_counter() - started)


def _one_second(server: SimServer, symbols: list[str], second: int, recv: Callable[..., object]) -> float:
    sender = threading.Thread(target=_send_all, args=(server, symbols, second, 1 / len(symbols)))
    started = time.perf_counter()
    sender.start()
    _receive(recv, len(symbols))
    arrived = time.perf_counter()
    sender.join()
    return max(arrived - started - 1, 0.0)


def _send_all(server: SimServer, symbols: list[str], second: int, pause: float) -> None:
    due = time.perf_counter()
    for symbol in symbols:
        with server.hold() as exchange:
            exchange.set_quote(symbol, Decimal(100 + second) / 100, Decimal(110 + second) / 100)
        due += pause
        time.sleep(max(due - time.perf_counter(), 0))


def _receive(recv: Callable[..., object], count: int) -> None:
    got = 0
    while got < count:
        got += len(msgpack.unpackb(recv(timeout=10)))


# --- a day


def a_day() -> Figure:
    """A session of 50 positions in process, polled every 5 seconds: positions, orders, quotes and clock."""
    took, polls = min(_timed_day() for _ in range(2))
    return (
        f"sim: a day of {POSITIONS} positions in process",
        f"{took:.2f} s of processor time ({polls:,} polls)",
        f"< {LIMIT_DAY:.0f} s",
    )


def _timed_day() -> tuple[float, int]:
    started = time.process_time()  # nothing waits, so this is the wall time on an idle machine
    polls = asyncio.run(_poll_through_the_day())
    return time.process_time() - started, polls


async def _poll_through_the_day() -> int:
    exchange = _held(POSITIONS, moving=True).exchange()
    broker, quotes, clock = SimBroker(exchange, "main"), SimQuotes(exchange), VirtualClock(exchange)
    instruments = [an_option(symbol) or a_stock(symbol) for symbol in exchange.market.symbols]
    polls = 0
    while clock.now() < exchange.now.replace(hour=21, minute=0, second=0):
        await broker.positions()
        await broker.open_orders()
        await quotes.latest(instruments)
        await broker.clock()
        await clock.sleep(POLL_SECONDS)
        polls += 1
    return polls


def _held(count: int, *, moving: bool = False) -> Scenario:
    symbols = [f"NVDA261218C{strike:08d}" for strike in range(1000, (count + 1) * 1000, 1000)]
    positions = "".join(f"      - {{symbol: {symbol}, qty: 2, entry: 2.00}}\n" for symbol in symbols)
    walk = "[{{fixed: {{mid: 2.1, spread: 0.1}}}}, {{at: start, walk: {{seed: {n}, sigma: 0.1%, step: 5s}}}}]"
    still = "{{bid: 2.00, ask: 2.10}}"
    prices = "".join(f"  {s}: {(walk if moving else still).format(n=n)}\n" for n, s in enumerate(symbols))
    return parse_scenario(f"{START}accounts:\n  main:\n    positions:\n{positions}prices:\n{prices}")


if __name__ == "__main__":
    for figure in figures():
        print(*figure, sep="  |  ")  # noqa: T201  its output
