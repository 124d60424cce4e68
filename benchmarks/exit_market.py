"""The exchange of the benchmark of exits, in a process of its own: sellctl's simulator, whose options move on command.

It measures: all requests are logged, and when each due option had its first order. Every answer is delayed as told.
"""

import asyncio
import datetime as dt
import json
import sys
import time
from collections.abc import MutableMapping
from decimal import Decimal
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, unquote

import uvicorn

from benchmarks.exit_sellctl import NOON
from benchmarks.request_log import Reply, Request, RequestLog
from sellctl.sim.http.asgi import Receive, Scope, Send, send_bytes
from sellctl.sim.market.assets import PENNY_PROGRAM
from sellctl.sim.market.price_paths import Fixed, TwoSidedQuote
from sellctl.sim.scenario.reader import Scenario
from sellctl.sim.server import SimServer
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.orders import SimPosition

UNDERLYINGS = tuple(sorted(PENNY_PROGRAM))
QTY = 2
STALE_FOR = dt.timedelta(hours=1)
# Bid and ask; every entry is 1.00. The spread of what is due is wide enough for four steps.
LEVELS = {"flat": ("1.05", "1.07"), "high": ("1.20", "1.28"), "low": ("0.70", "0.74")}
_COMMANDS = "/bench/"


def key_of(account: int) -> str:
    """The key of the account with a number."""
    return f"k{account}"


def symbol_of(number: int) -> str:
    """The option with a number: every account holds others, of underlyings that the accounts share."""
    strike, underlying = divmod(number, len(UNDERLYINGS))
    return f"{UNDERLYINGS[underlying]}261218C{100_000 + strike * 1_000:08d}"


def scenario(accounts: int, held: int, *, has_opra: bool, fills: bool) -> Scenario:
    """Accounts of `held` different options each. `fills`: a limit inside the spread fills within a second."""
    settings = Settings(option_stream_quotes=accounts * held, inside_fill=Decimal(int(fills)))
    market = Scenario("exits", NOON, settings=settings)
    for n in range(accounts):
        positions = [SimPosition(symbol_of(n * held + at), Decimal(QTY), Decimal(1)) for at in range(held)]
        own = {each.symbol: each for each in positions}
        market.accounts.append(SimAccount(f"a{n}", key_of(n), "s", f"PA{n}", positions=own, opra=has_opra))
        market.prices |= {symbol: [Fixed(NOON, _level("flat"))] for symbol in own}
    return market


def _level(name: str) -> TwoSidedQuote:
    bid, ask = map(Decimal, LEVELS[name])
    return TwoSidedQuote(bid, ask)


class Measured:
    """The simulator's application, with a log of its requests, delayed answers, and the benchmark's commands."""

    def __init__(self, server: SimServer, held: int) -> None:
        self._server = server
        self._held = held
        self._log = RequestLog()
        self._delay = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] != "http":
            await self._server.app(scope, receive, send)
        elif scope["path"].startswith(_COMMANDS):
            name, *arguments = unquote(scope["path"].removeprefix(_COMMANDS)).split("/")
            await send_bytes(send, 200, json.dumps(getattr(self, name)(*arguments)).encode())
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        query = parse_qs(scope["query_string"].decode())
        reply, body = Reply(), bytearray()
        arrived = time.perf_counter()
        request = Request(arrived, scope["method"], scope["path"], query, headers[b"apca-api-key-id"].decode(), reply)
        self._log.requests.append(request)

        async def read() -> MutableMapping[str, Any]:
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        async def write(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                if request.is_order:
                    self._log.note_order(request, json.loads(body)["symbol"])
                await asyncio.sleep(self._delay)
            elif request.is_order and reply.status >= HTTPStatus.BAD_REQUEST:
                self._log.refused.append(f"{request.symbol}: {reply.status} {message['body']!r}")
            await send(message)
            reply.written = time.perf_counter()

        await self._server.app(scope, read, write)

    # --- commands

    def delay(self, seconds: str) -> None:
        """Delay every answer from now on."""
        self._delay = float(seconds)

    def stale(self) -> None:
        """Enter an order by hand that is an hour old, on the last option of every account."""
        with self._server.hold() as exchange:
            for account in exchange.accounts.values():
                symbol = [*account.positions][-1]
                order = {"symbol": symbol, "qty": str(QTY), "side": "sell", "type": "limit", "time_in_force": "day"}
                exchange.load_orders(account, [order | {"limit_price": "2", "age": STALE_FOR}])

    def move(self, level: str, first: str, each: str) -> None:
        """Move `each` options of every account, from its `first` on, to a level. They are then due."""
        count, begin, most = len(self._server.scenario.accounts), int(first), int(each)
        moved = [symbol_of(n * self._held + at) for n in range(count) for at in range(begin, begin + most)]
        bid, ask = map(Decimal, LEVELS[level])
        with self._server.hold() as exchange:
            for symbol in moved:
                exchange.set_quote(symbol, bid, ask)
        self._log.expect(moved)

    def state(self) -> dict[str, int]:
        """How far it is: due options with an order, open orders, and what is streamed."""
        hub = self._server.hub
        working = sum(len(account.open_orders) for account in self._server.scenario.accounts)
        streamed = set().union(*(stream.watched() for stream in hub.data))
        listening = sum(1 for stream in hub.trading if stream.is_listening)
        return {"arrived": self._log.arrived, "working": working, "streamed": len(streamed), "listening": listening}

    def report(self, origin: str = "request") -> dict[str, object]:
        """Times and requests since the first request, or with the origin `move` since the last move."""
        return self._log.report(from_move=origin == "move")


class _MeasuredServer(SimServer):
    def __init__(self, market: Scenario, held: int) -> None:
        self._held = held
        super().__init__(market)

    def _config(self) -> uvicorn.Config:
        config = super()._config()
        config.app = Measured(self, self._held)
        return config


def serve(accounts: int, held: int, *, has_opra: bool, fills: bool) -> None:
    """Print the port, then serve until killed."""
    server = _MeasuredServer(scenario(accounts, held, has_opra=has_opra, fills=fills), held)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_here()


if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]), has_opra="opra" in sys.argv, fills="fills" in sys.argv)
