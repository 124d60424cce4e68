"""The streams: the time from a quote to the order at the broker, compared with a minimal client, and idle costs.

The simulator runs in a process of its own and sends 200 quotes per second. Some of them meet a target, and it measures
the time until the order is accepted. `sellctl watch` runs in another process. The minimal client reads the frame,
commits once durably, and sends a POST on an open connection.
"""

import asyncio
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from decimal import Decimal
from http.client import HTTPConnection
from itertools import count, cycle
from pathlib import Path

import msgpack  # type: ignore[import-untyped]  # it has no stubs
from websockets.sync.client import connect

from sellctl.bootstrap import RunOptions, assemble
from sellctl.core.config_manager import ConfigManager
from sellctl.core.model.account_state import RunMode
from sellctl.journal.database import apply_pragmas
from sellctl.service.host_clock import RealClock
from sellctl.service.options import Options
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

Figure = tuple[str, str, str]
Child = subprocess.Popen[str]
Client = Callable[[Path, int], AbstractContextManager[object]]
HELD = (200, 20, 1000)
STREAMED = 200  # the data plan's limit
RATE = 200  # quotes per second in total
SAMPLES, APART = 28, 0.4  # an account sends at most 30 non-urgent orders per minute
FLOOR_APART = 0.15
CALM = 0.7  # seconds without a request until a client with all its streams counts as ready
IDLE, IDLE_SECONDS = 20, 8
HOURS, PACE, INTERVAL = 8, 1200, 30  # a poll every 30 simulated seconds takes 25 ms
_LOW = tuple(
    (Decimal(bid) / 100, Decimal(bid + 5) / 100) for bid in (95, 100, 105)
)  # on the contract's price increment
_HIGH = (Decimal("1.20"), Decimal("1.25"))
_COMMAND = [sys.executable, "-m", "benchmarks.stream"]


def figures() -> Iterator[Figure]:
    """Name, measured value, bound; each as soon as it is measured."""
    before, ours = (latencies(HELD[0], client, apart) for client, apart in ((_bare, FLOOR_APART), (watching, APART)))
    floor = [*before, *latencies(HELD[0], _bare, FLOOR_APART)]
    yield from _compared(HELD[0], ours, floor)
    for held in HELD[1:]:
        yield from _compared(held, latencies(held, watching, APART), floor)
    cpu, memory = idle_watch()
    yield (f"watching {IDLE} idle positions: processor", f"{cpu:.1f} % of a core", "< 10 %")
    yield (f"watching {IDLE} idle positions: memory", f"{memory:.0f} MB", "< 150 MB")
    first, last = hours()
    yield (
        f"watching {IDLE} idle positions for {HOURS} simulated hours: growth after the first",
        f"{last - first:+.1f} MB (to {last:.0f} MB)",
        "< 1 MB",
    )


def _compared(held: int, ours: list[float], floor: list[float]) -> Iterator[Figure]:
    """The median and the slowest latency, compared with the minimal client's. The bounds apply to 200 symbols."""
    for what, most, choose in (("median", "3 x", statistics.median), (f"slowest of {len(ours)}", "5 x", max)):
        here, there = choose(ours), choose(floor)
        name = f"{held} held, {min(held, STREAMED)} streamed: tick to order / bare client, commit and POST, {what}"
        yield name, f"{here / there:.2f} x ({here:.1f} ms / {there:.1f} ms)", f"<= {most}" if held == HELD[0] else ""


def latencies(held: int, client: Client, apart: float) -> list[float]:
    """Milliseconds from quote to order with a client that sells positions at their target."""
    with tempfile.TemporaryDirectory() as name, _serving(held) as (simulator, port), client(Path(name), port):
        found = _measure(simulator, apart, polls=client is not _bare)
    if len(found) < min(SAMPLES, held // 2) * 0.9:
        raise RuntimeError(f"only {len(found)} quotes led to an order")
    return found


# --- the two clients


@contextmanager
def watching(folder: Path, port: int, config: str = "", options: Sequence[str] = ()) -> Iterator[Child]:
    """Run `sellctl watch` as a user does, with further lines of configuration and options."""
    (folder / "config.yml").touch(mode=0o600)
    (folder / "config.yml").write_text(_config(port) + config, encoding="utf-8")
    arguments = [
        "--config",
        str(folder / "config.yml"),
        "--state-dir",
        str(folder / "state"),
        "watch",
        "--format",
        "log",
        *options,
    ]
    command = [sys.executable, "-c", "from sellctl.app import main; main()", *arguments]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, text=True) as watch:  # noqa: S603  our own interpreter
        try:
            yield watch
        finally:
            watch.terminate()


@contextmanager
def _bare(folder: Path, port: int) -> Iterator[None]:
    """Run the minimal client in a process of its own."""
    with subprocess.Popen([*_COMMAND, "bare", str(folder), str(port)]) as client:  # noqa: S603  ourselves
        try:
            yield
        finally:
            client.kill()


def bare(folder: Path, port: int) -> None:
    """Sell positions at their target with as little work as possible."""
    database = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    apply_pragmas(database)
    database.execute("CREATE TABLE bare (body)")
    post = HTTPConnection("127.0.0.1", port)
    post.connect()
    numbers, sold = count(), set()
    url = f"ws://127.0.0.1:{port}/v1beta1/indicative"
    with connect(url, additional_headers={"Content-Type": "application/msgpack"}) as stream:
        stream.recv()
        stream.send(msgpack.packb({"action": "auth", "key": "k", "secret": "s"}))
        stream.recv()
        stream.send(msgpack.packb({"action": "subscribe", "quotes": _symbols(STREAMED)}))
        while True:
            for message in msgpack.unpackb(stream.recv()):
                if message.get("bp", 0) >= float(_HIGH[0]) and message["S"] not in sold:
                    sold.add(message["S"])
                    body = json.dumps(_order(message["S"], next(numbers)))
                    database.execute("INSERT INTO bare VALUES (?)", (body,))
                    headers = {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s", "Content-Type": "application/json"}
                    post.request("POST", "/v2/orders", body, headers)
                    post.getresponse().read()


def _order(symbol: str, number: int) -> dict[str, str]:
    fields = {"symbol": symbol, "qty": "1", "side": "sell", "type": "limit", "time_in_force": "day"}
    return {**fields, "limit_price": "1.2", "client_order_id": f"bare-{number}", "position_intent": "sell_to_close"}


# --- idle costs


def idle_watch() -> tuple[float, float]:
    """Percent of a core and megabytes of `sellctl watch` on positions without new quotes."""
    with (
        tempfile.TemporaryDirectory() as name,
        _serving(IDLE) as (simulator, port),
        watching(Path(name), port) as watch,
    ):
        _measure(simulator, 0, polls=True)
        before = cpu_seconds(watch.pid)
        time.sleep(IDLE_SECONDS)
        return (cpu_seconds(watch.pid) - before) / IDLE_SECONDS * 100, _memory(watch.pid)


def hours() -> tuple[float, float]:
    """Megabytes of a watcher after the first and after the last of the simulated hours."""
    with (
        tempfile.TemporaryDirectory() as name,
        _serving(IDLE, PACE) as (_, port),
        subprocess.Popen([*_COMMAND, "day", name, str(port)], stdout=subprocess.PIPE, text=True) as watch,  # noqa: S603
    ):
        return tuple(json.loads(watch.communicate()[0]))


def day(folder: Path, port: int) -> None:
    """Watch for the simulated hours at the simulator's speed, and print the size of the process after each."""
    (folder / "config.yml").touch(mode=0o600)
    (folder / "config.yml").write_text(f"{_config(port)}sell_module: {{check_interval: {INTERVAL}}}\n", "utf-8")
    options = Options(folder / "config.yml", folder / "state", live=False, debug=False, log_file=None)
    clock = RealClock(PACE)
    run_options = RunOptions("bench", RunMode.ACT, streams=True)
    runtime = assemble(ConfigManager(options.config).load(), options, run_options, lambda _event: None, clock)
    sizes: list[float] = []

    async def watch() -> None:
        over, begun = asyncio.Event(), clock.monotonic()

        def after_poll(_wait: float) -> None:
            if clock.monotonic() - begun >= 3600 * (1 + len(sizes) * (HOURS - 1)):
                sizes.append(_memory(None))
            if len(sizes) > 1:
                over.set()

        await runtime.scheduler.watch(over, after_poll)

    asyncio.run(watch())
    runtime.close()
    sys.stdout.write(json.dumps(sizes))


def cpu_seconds(pid: int) -> float:
    """The processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _memory(pid: int | None) -> float:
    """Megabytes of a process, or of this one when `pid` is None."""
    lines = Path(f"/proc/{pid or 'self'}/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


# --- the simulator's process


@contextmanager
def _serving(held: int, speed: int = 1) -> Iterator[tuple[Child, int]]:
    """Run the simulator with `held` positions; yields its process and port."""
    command = [*_COMMAND, "serve", str(held), str(speed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        try:
            yield child, json.loads(child.stdout.readline())  # type: ignore[union-attr]
        finally:
            child.kill()


def _measure(simulator: Child, apart: float, *, polls: bool) -> list[float]:
    """The latencies that the simulator measures after its client is ready; `polls`: the client also polls.

    `apart` is the number of seconds between two quotes that meet a target; with 0 none is sent.
    """
    simulator.stdin.write(f"{apart} {int(polls)}\n")  # type: ignore[union-attr]
    simulator.stdin.flush()  # type: ignore[union-attr]
    found: list[float] = json.loads(simulator.stdout.readline())  # type: ignore[union-attr]
    return found


def _config(port: int) -> str:
    base, ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    ends = f"trading: '{base}', data: '{base}', trading_stream: '{ws}/stream'"
    ends += f", option_stream: '{ws}/v1beta1/indicative'"
    return f"accounts: {{main: {{api_key: k, secret_key: s, endpoints: {{{ends}}}}}}}\n"


def _symbols(held: int) -> list[str]:
    """One option on each of `held` underlyings."""
    letters = [chr(ord("A") + index) for index in range(26)]
    return [f"Q{letters[n // 26]}{letters[n % 26]}261218C00100000" for n in range(min(held, 676))] + [
        f"R{letters[n // 26]}{letters[n % 26]}261218C00100000" for n in range(max(held - 676, 0))
    ]


def serve(held: int, speed: int) -> None:
    """Serve; for each line on stdin, wait for a client, send the quotes and print the latencies."""
    symbols = _symbols(held)
    positions = ", ".join(f"{{symbol: {symbol}, qty: 1, entry: 1.00}}" for symbol in symbols)
    prices = "\n".join(f"  {symbol}: [{{fixed: {{bid: 1.00, ask: 1.05}}}}]" for symbol in symbols)
    account = f"{{key: k, secret: s, number: PA1, positions: [{positions}]}}"
    text = f'start: "2026-11-24 09:31"\nspeed: {speed}\nsettings: {{rate_limit: 10000}}\n'
    text += f"accounts: {{main: {account}}}\nprices:\n{prices}\n"
    with SimServer(parse_scenario(text)) as server:
        _print(server.port)
        for line in sys.stdin:
            apart, polls = map(float, line.split())
            _until_ready(server, min(held, STREAMED), polls=bool(polls))
            _print(_play(server, symbols[: min(SAMPLES, held // 2)], apart) if apart else [])


def _print(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _until_ready(server: SimServer, streamed: int, *, polls: bool) -> None:
    """Wait until a client has subscribed to everything and, if it polls, has read today's orders."""
    requests, since = -1, time.monotonic()
    while len(_streamed(server)) < streamed or time.monotonic() - since < CALM or (polls and not _has_polled(server)):
        if len(server.requests) != requests:
            requests, since = len(server.requests), time.monotonic()
        time.sleep(0.02)


def _has_polled(server: SimServer) -> bool:
    return any("status=all" in request.query for request in server.requests)


def _streamed(server: SimServer) -> set[str]:
    return {symbol for stream in tuple(server.hub.data) for symbol in stream.watched()}


def _play(server: SimServer, targets: list[str], apart: float) -> list[float]:
    """Send quotes on all streamed symbols, and single ones that meet a target; milliseconds to each order."""
    sent: dict[str, float] = {}
    took: dict[str, float] = {}
    over = threading.Event()

    def on_event(event: object) -> None:
        symbol = (getattr(event, "order", None) or {}).get("symbol")
        if symbol in sent:
            took.setdefault(symbol, time.perf_counter() - sent[symbol])

    def send_other_quotes() -> None:
        for low in cycle(_LOW):
            for symbol in sorted(_streamed(server).difference(targets)) or [""]:
                if over.wait(1 / RATE):
                    return
                if symbol:
                    with server.hold() as exchange:
                        exchange.set_quote(symbol, *low)

    server.exchange.listeners.append(on_event)
    sending = threading.Thread(target=send_other_quotes)
    sending.start()
    for symbol in targets:
        time.sleep(apart)
        with server.hold() as exchange:
            sent[symbol] = time.perf_counter()
            exchange.set_quote(symbol, *_HIGH)
    time.sleep(1)
    over.set()
    sending.join()
    return [seconds * 1000 for seconds in took.values()]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", held, speed]:
            serve(int(held), int(speed))
        case ["bare", folder, port]:
            with suppress(KeyboardInterrupt):
                bare(Path(folder), int(port))
        case ["day", folder, port]:
            day(Path(folder), int(port))
        case _:
            for figure in figures():
                print(*figure, sep=" | ", flush=True)  # noqa: T201  its output
