"""A served simulator for tests, and small clients: REST by requests, streams by websockets. Loopback only."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgpack
import requests
from websockets.sync.client import ClientConnection, connect

from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

CALL = "NVDA261218C00200000"
HEADERS = {"APCA-API-KEY-ID": "sim-main", "APCA-API-SECRET-KEY": "sim-secret"}
SCENARIO = """
start: "2026-11-25 11:00"
speed: 0
settings: {rate_limit: 0}
accounts:
  main:
    positions:
      - {symbol: NVDA261218C00200000, qty: 4, entry: 1.50}
      - {symbol: F, qty: 100, entry: 11.00}
  second: {}
prices:
  NVDA261218C00200000: {bid: 2.00, ask: 2.10}
  NVDA: {bid: 195.00, ask: 195.02}
  F: {bid: 12.00, ask: 12.01}
"""

HIGHER, PUT, LOWER = "NVDA261218C00210000", "NVDA261218P00180000", "NVDA261218P00170000"
# A held iron condor, and a second account whose options level is too low for it.
CONDOR_SCENARIO = f"""
start: "2026-11-25 11:00"
speed: 0
settings: {{rate_limit: 0}}
accounts:
  main:
    positions:
      - {{symbol: {CALL}, qty: -2, entry: 3.00}}
      - {{symbol: {HIGHER}, qty: 2, entry: 1.50}}
      - {{symbol: {PUT}, qty: -2, entry: 2.00}}
      - {{symbol: {LOWER}, qty: 2, entry: 1.00}}
  second: {{options_level: 2}}
prices:
  {CALL}: {{bid: 2.00, ask: 2.10}}
  {HIGHER}: {{bid: 1.00, ask: 1.06}}
  {PUT}: {{bid: 1.50, ask: 1.60}}
  {LOWER}: {{bid: 0.90, ask: 1.00}}
"""
# Its legs, with the intents that close it.
CONDOR = {CALL: "buy_to_close", HIGHER: "sell_to_close", PUT: "buy_to_close", LOWER: "sell_to_close"}


@contextlib.contextmanager
def a_server(text: str = SCENARIO, **options: Any) -> Iterator[SimServer]:
    """A simulator that serves a scenario; its time stands still."""
    with SimServer(parse_scenario(text), **options) as server:
        yield server


@dataclass
class Rest:
    """Requests of one account, on one connection."""

    url: str
    account: str = "main"

    def __post_init__(self) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"APCA-API-KEY-ID": f"sim-{self.account}", "APCA-API-SECRET-KEY": "sim-secret"})

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 5, **query: Any) -> requests.Response:
        """One request."""
        return self.session.request(
            method, self.url + path, json=body, params=query, timeout=timeout, allow_redirects=False
        )

    def get(self, path: str, **query: Any) -> Any:
        """A GET's JSON, with exact numbers as text."""
        return self.ask("GET", path, **query).json()

    def sell(self, **fields: Any) -> requests.Response:
        """Submit a closing limit that does not fill, unless `fields` say otherwise."""
        body = {"symbol": CALL, "side": "sell", "qty": "1", "type": "limit", "limit_price": "3.00"}
        body |= {"time_in_force": "day", "position_intent": "sell_to_close"}
        return self.ask("POST", "/v2/orders", {**body, **fields})


@contextlib.contextmanager
def a_client(server: SimServer, account: str = "main") -> Iterator[Rest]:
    """A REST client that closes its connection."""
    client = Rest(server.url, account)
    try:
        yield client
    finally:
        client.session.close()


@contextlib.contextmanager
def a_socket(server: SimServer, path: str, *, packed: bool = False, **headers: str) -> Iterator[ClientConnection]:
    """A raw stream connection."""
    sent = {**({"Content-Type": "application/msgpack"} if packed else {}), **headers}
    with connect(server.stream_url + path, additional_headers=sent, open_timeout=5, proxy=None) as socket:
        yield socket


def hear(socket: ClientConnection, timeout: float = 5) -> Any:
    """The next message, whatever its form."""
    raw = socket.recv(timeout=timeout)
    try:
        return json.loads(raw)
    except (ValueError, UnicodeDecodeError):
        return msgpack.unpackb(raw)


def say(socket: ClientConnection, message: Any, *, packed: bool = False) -> None:
    """Send a message."""
    socket.send(msgpack.packb(message) if packed else json.dumps(message))


def log_in(socket: ClientConnection, *, packed: bool = False, account: str = "main") -> Any:
    """The data streams' handshake; the answer to the login."""
    hear(socket)
    say(socket, {"action": "auth", "key": f"sim-{account}", "secret": "sim-secret"}, packed=packed)
    return hear(socket)


def follow_updates(socket: ClientConnection, account: str = "main") -> None:
    """The trade stream's handshake."""
    say(socket, {"action": "auth", "key": f"sim-{account}", "secret": "sim-secret"})
    assert hear(socket)["data"]["status"] == "authorized"
    say(socket, {"action": "listen", "data": {"streams": ["trade_updates"]}})
    assert hear(socket) == {"stream": "listening", "data": {"streams": ["trade_updates"]}}


def events_of(socket: ClientConnection, count: int) -> list[str]:
    """The names of the next trade updates."""
    return [hear(socket)["data"]["event"] for _ in range(count)]
