"""Figures of the streams: from a quote on the wire to the order at the broker, beside the floor; what watching costs.

The simulator runs in a process of its own, sends 200 quotes a second over 200 symbols, and now and then one that meets
a target. It takes the time from there to the order's acceptance. The floor does the same with a bare client: read the
frame, commit once durably, POST on a connection that is open already.
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
from decimal import Decimal
from http.client import HTTPConnection
from itertools import count
from pathlib import Path

import msgpack  # type: ignore[import-untyped]  # it has no stubs
from websockets.sync.client import connect

from sellctl.bootstrap import Wish, assemble
from sellctl.core.config_manager import ConfigManager
from sellctl.core.sell_watcher import Mode
from sellctl.journal.database import apply_pragmas
from sellctl.options import Options
from sellctl.sim.scenario import parse_scenario
from sellctl.sim.server import SimServer

Figure = tuple[str, str, str]
SYMBOLS = tuple(f"Q{chr(65 + n // 20)}{chr(65 + n % 20)}261218C00100000" for n in range(200))
SAMPLES, APART, RATE = 10, 2.5, 200  # so far apart that the looks between fit 180 requests a minute
QUIET_SECONDS = 10
_BELOW, _ABOVE = (Decimal("1.00"), Decimal("1.02")), (Decimal("1.20"), Decimal("1.22"))
_SERVE = "serve"


def figures() -> list[Figure]:
    """Name, measured, bound."""
    floor, ours = _latencies(_bare), _latencies(_watch)
    ratio, worst = statistics.median(ours) / statistics.median(floor), max(ours) / max(floor)
    both = f"{statistics.median(ours):.1f} ms / {statistics.median(floor):.1f} ms"
    cpu, memory = quiet_watch()
    return [
        ("tick to order / bare client, commit and POST, median", f"{ratio:.2f} x ({both})", "<= 3 x"),
        (
            f"tick to order, slowest of {SAMPLES} / the floor's slowest",
            f"{worst:.2f} x ({max(ours):.1f} ms / {max(floor):.1f} ms)",
            "<= 5 x",
        ),
        ("watching 20 quiet positions: processor", f"{cpu:.1f} % of a core", "< 10 %"),
        ("watching 20 quiet positions: memory", f"{memory:.0f} MB", "< 150 MB"),
    ]


def _latencies(client: "object") -> list[float]:
    """Milliseconds from quote to order, by a client that sells what meets its target."""
    with tempfile.TemporaryDirectory() as folder, _serving(len(SYMBOLS), RATE) as child:
        port = int(_line(child)["port"])
        stop = threading.Event()
        thread = threading.Thread(target=client, args=(Path(folder), port, stop))  # type: ignore[arg-type]
        thread.start()
        time.sleep(6)
        child.stdin.write("go\n")  # type: ignore[union-attr]
        child.stdin.flush()  # type: ignore[union-attr]
        found = [float(each) for each in _line(child)["ms"]]
        stop.set()
        thread.join()
    if len(found) < SAMPLES // 2:
        raise RuntimeError(f"only {len(found)} of {SAMPLES} quotes led to an order")
    return found


# --- the two clients


def _watch(folder: Path, port: int, stop: threading.Event) -> None:
    """The real watcher."""
    (folder / "config.yml").touch(mode=0o600)
    (folder / "config.yml").write_text(_config(port))
    options = Options(folder / "config.yml", folder / "state", live=False, debug=False, log_file=None)
    runtime = assemble(
        ConfigManager(options.config).load(), options, Wish("bench", Mode.ACT, streams=True), lambda _event: None
    )

    async def until_told() -> None:
        over = asyncio.Event()
        watching = asyncio.create_task(runtime.fleet.watch(over, lambda _wait: None))
        await asyncio.to_thread(stop.wait)
        over.set()
        await watching

    asyncio.run(until_told())
    runtime.close()


def _bare(folder: Path, port: int, stop: threading.Event) -> None:
    """The floor."""
    database = sqlite3.connect(folder / "bare.sqlite", isolation_level=None, check_same_thread=False)
    apply_pragmas(database)
    database.execute("CREATE TABLE bare (body)")
    post = HTTPConnection("127.0.0.1", port)
    numbers, sold = count(), set()
    url = f"ws://127.0.0.1:{port}/v1beta1/indicative"
    with connect(url, additional_headers={"Content-Type": "application/msgpack"}) as stream:
        stream.recv()
        stream.send(msgpack.packb({"action": "auth", "key": "k", "secret": "s"}))
        stream.recv()
        stream.send(msgpack.packb({"action": "subscribe", "quotes": SYMBOLS}))
        while not stop.is_set():
            try:
                messages = msgpack.unpackb(stream.recv(timeout=0.2))
            except TimeoutError:
                continue
            for message in messages:
                if message.get("bp", 0) >= _ABOVE[0] and message["S"] not in sold:
                    sold.add(message["S"])
                    body = json.dumps(_order(message["S"], next(numbers)))
                    database.execute("INSERT INTO bare VALUES (?)", (body,))
                    headers = {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "s", "Content-Type": "application/json"}
                    post.request("POST", "/v2/orders", body, headers)
                    post.getresponse().read()


def _order(symbol: str, number: int) -> dict[str, str]:
    words = {"symbol": symbol, "qty": "1", "side": "sell", "type": "limit", "time_in_force": "day"}
    return {**words, "limit_price": "1.2", "client_order_id": f"bare-{number}", "position_intent": "sell_to_close"}


# --- what a quiet watch costs


def quiet_watch() -> tuple[float, float]:
    """Percent of a core and megabytes of `sellctl watch` on 20 positions whose streams say nothing."""
    with tempfile.TemporaryDirectory() as name, _serving(20, 0) as child:
        folder = Path(name)
        (folder / "config.yml").touch(mode=0o600)
        (folder / "config.yml").write_text(_config(int(_line(child)["port"])))
        words = ["--config", str(folder / "config.yml"), "--state-dir", str(folder / "state"), "watch"]
        command = [sys.executable, "-c", "from sellctl.app import main; main()", *words, "--format", "log"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as watch:  # noqa: S603  our own interpreter
            time.sleep(6)
            before = _cpu_seconds(watch.pid)
            time.sleep(QUIET_SECONDS)
            used = _cpu_seconds(watch.pid) - before
            memory = _memory(watch.pid)
            watch.terminate()
    return used / QUIET_SECONDS * 100, memory


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _memory(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


# --- the simulator's process


def _serving(symbols: int, rate: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.stream", _SERVE, str(symbols), str(rate)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603  ourselves


def _line(child: "subprocess.Popen[str]") -> dict[str, object]:
    found: dict[str, object] = json.loads(child.stdout.readline())  # type: ignore[union-attr]
    return found


def _config(port: int) -> str:
    base, ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
    ends = f"trading: '{base}', data: '{base}', trading_stream: '{ws}/stream'"
    ends += f", option_stream: '{ws}/v1beta1/indicative'"
    return f"accounts: {{main: {{api_key: k, secret_key: s, endpoints: {{{ends}}}}}}}\n"


def serve(symbols: int, rate: int) -> None:
    """Serve; at each word on stdin, play the quotes and print the latencies."""
    held = ", ".join(f"{{symbol: {symbol}, qty: 1, entry: 1.00}}" for symbol in SYMBOLS[:symbols])
    prices = "\n".join(f"  {symbol}: [{{fixed: {{bid: 1.00, ask: 1.02}}}}]" for symbol in SYMBOLS[:symbols])
    account = f"{{key: k, secret: s, number: PA1, positions: [{held}]}}"
    text = 'start: "2026-11-24 12:00"\nspeed: 1\nsettings: {rate_limit: 0}\n'
    text += f"accounts: {{main: {account}}}\nprices:\n{prices}\n"
    with SimServer(parse_scenario(text)) as server:
        sys.stdout.write(json.dumps({"port": server.port}) + "\n")
        sys.stdout.flush()
        for _ in sys.stdin:
            sys.stdout.write(json.dumps({"ms": _play(server, rate)}) + "\n")
            sys.stdout.flush()


def _play(server: SimServer, rate: int) -> list[float]:
    sent: dict[str, float] = {}
    took: dict[str, float] = {}

    def heard(event: object) -> None:
        symbol = (getattr(event, "order", None) or {}).get("symbol")
        if symbol in sent:
            took.setdefault(symbol, time.perf_counter() - sent[symbol])

    server.exchange.listeners.append(heard)
    ends_at, next_at = time.perf_counter() + SAMPLES * APART, time.perf_counter() + 0.5
    for number in count():
        if time.perf_counter() >= ends_at:
            break
        symbol, price = SYMBOLS[SAMPLES + number % (len(SYMBOLS) - SAMPLES)], _BELOW
        if time.perf_counter() >= next_at and len(sent) < SAMPLES:
            symbol, price, next_at = SYMBOLS[len(sent)], _ABOVE, next_at + APART
        with server.hold() as exchange:
            if price is _ABOVE:
                sent[symbol] = time.perf_counter()
            exchange.set_quote(symbol, price[0] + Decimal(number % 3) / 100, price[1] + Decimal(number % 3) / 100)
        time.sleep(1 / rate)
    time.sleep(1)
    return [seconds * 1000 for seconds in took.values()]


if __name__ == "__main__":
    if sys.argv[1:2] == [_SERVE]:
        serve(int(sys.argv[2]), int(sys.argv[3]))
    else:
        for figure in figures():
            print(*figure, sep=" | ")  # noqa: T201  its output
