"""Programs that sell what has reached its target, each in a process of its own, compared with sellctl.

The floor has the fewest requests and checks nothing; the threaded script is what a user may write with alpaca-py. The
bare client waits on the quote stream, commits all orders durably in one transaction, and sends them.
"""

import asyncio
import json
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.exit_market import QTY, key_of, symbol_of

TARGET = 1.1  # price / entry; every entry is 1.00
STOP = 0.8
BATCH = 100  # symbols in a request
_QUOTES = "/v1beta1/options/quotes/latest"
_REFUSED = 403


def floor(url: str, accounts: int) -> None:
    """Positions and orders at once, then quotes, then cancels and orders."""
    asyncio.run(_floor(url, accounts))


async def _floor(url: str, accounts: int) -> None:
    import aiohttp  # noqa: PLC0415  each contender imports only its own libraries

    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def request(account: int, method: str, path: str, body: object = None, **query: str) -> Any:
            headers = {"APCA-API-KEY-ID": key_of(account), "APCA-API-SECRET-KEY": "s"}
            async with session.request(method, path, params=query, json=body, headers=headers) as answer:
                return json.loads(await answer.read() or b"null") if answer.ok else answer.status

        async def quotes(at: int, batch: list[str], feed: str) -> Any:
            return await request(at % accounts, "GET", _QUOTES, symbols=",".join(batch), feed=feed)

        every = range(accounts)
        held, orders = await asyncio.gather(
            asyncio.gather(*(request(n, "GET", "/v2/positions") for n in every)),
            asyncio.gather(*(request(n, "GET", "/v2/orders", status="open") for n in every)),
        )
        symbols = [position["symbol"] for each in held for position in each]
        batches = [symbols[at : at + BATCH] for at in range(0, len(symbols), BATCH)]
        feed = "indicative" if await quotes(0, batches[0], "opra") == _REFUSED else "opra"
        answers = await asyncio.gather(*(quotes(at, batch, feed) for at, batch in enumerate(batches)))
        bids = {symbol: quote["bp"] for answer in answers for symbol, quote in answer["quotes"].items()}
        due = [(n, p["symbol"]) for n in every for p in held[n] if bids[p["symbol"]] >= TARGET]
        sold = (request(n, "POST", "/v2/orders", _order(symbol, bids[symbol])) for n, symbol in due)
        cancelled = (request(n, "DELETE", f"/v2/orders/{order['id']}") for n in every for order in orders[n])
        await asyncio.gather(*sold, *cancelled)


def _order(symbol: str, bid: float) -> dict[str, str]:
    fields = {"symbol": symbol, "qty": str(QTY), "side": "sell", "type": "limit", "time_in_force": "day"}
    return {**fields, "limit_price": str(bid), "client_order_id": f"x-{symbol}", "position_intent": "sell_to_close"}


def threaded(url: str, accounts: int) -> None:
    """A script with alpaca-py and one thread per account."""
    import alpaca.data.historical  # noqa: PLC0415  imported before the threads would wait for it
    import alpaca.trading.client  # noqa: F401, PLC0415  likewise

    with ThreadPoolExecutor(accounts) as threads:
        list(threads.map(partial(_one_account, url), range(accounts)))


def _one_account(url: str, account: int) -> None:
    from alpaca.common.exceptions import APIError  # noqa: PLC0415  as above
    from alpaca.data.enums import OptionsFeed  # noqa: PLC0415  likewise
    from alpaca.data.historical import OptionHistoricalDataClient  # noqa: PLC0415  likewise
    from alpaca.data.requests import OptionLatestQuoteRequest  # noqa: PLC0415  likewise
    from alpaca.trading.client import TradingClient  # noqa: PLC0415  likewise
    from alpaca.trading.enums import OrderSide, TimeInForce  # noqa: PLC0415  likewise
    from alpaca.trading.requests import LimitOrderRequest  # noqa: PLC0415  likewise

    trading = TradingClient(key_of(account), "s", url_override=url)
    data = OptionHistoricalDataClient(key_of(account), "s", url_override=url)
    positions: list[Any] = trading.get_all_positions()  # type: ignore[assignment]  # no raw data is asked for
    orders: list[Any] = trading.get_orders()  # type: ignore[assignment]  # likewise
    symbols = [position.symbol for position in positions]
    try:
        quotes = data.get_option_latest_quote(
            OptionLatestQuoteRequest(symbol_or_symbols=symbols, feed=OptionsFeed.OPRA)
        )
    except APIError:
        quotes = data.get_option_latest_quote(
            OptionLatestQuoteRequest(symbol_or_symbols=symbols, feed=OptionsFeed.INDICATIVE)
        )
    for position in positions:
        bid = quotes[position.symbol].bid_price
        if bid >= TARGET * float(position.avg_entry_price):
            trading.submit_order(
                LimitOrderRequest(
                    symbol=position.symbol,
                    qty=position.qty,
                    side=OrderSide.SELL,
                    time_in_force=TimeInForce.DAY,
                    limit_price=bid,
                )
            )
    for order in orders:
        trading.cancel_order_by_id(order.id)


def bare(url: str, accounts: int, held: int) -> None:
    """Commit and post an order for every streamed quote beyond a trigger price, until killed."""
    with tempfile.TemporaryDirectory(prefix="sellctl-bench-") as folder:
        asyncio.run(_bare(url, accounts, held, Path(folder)))


async def _bare(url: str, accounts: int, held: int, folder: Path) -> None:
    import aiohttp  # noqa: PLC0415  as above
    import msgpack  # type: ignore[import-untyped]  # noqa: PLC0415  it has no stubs

    from sellctl.journal.database import apply_pragmas  # noqa: PLC0415  as above

    database = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    apply_pragmas(database)
    database.execute("CREATE TABLE bare (body)")
    owners = {symbol_of(number): key_of(number // held) for number in range(accounts * held)}
    packed = {"Content-Type": "application/msgpack"}
    async with (
        aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session,
        session.ws_connect("/v1beta1/opra", headers=packed, max_msg_size=0) as stream,
    ):

        async def post(symbol: str, bid: float) -> None:
            headers = {"APCA-API-KEY-ID": owners[symbol], "APCA-API-SECRET-KEY": "s"}
            async with session.post("/v2/orders", json=_order(symbol, bid), headers=headers) as answer:
                await answer.read()

        async def open_connection() -> None:
            headers = {"APCA-API-KEY-ID": "k0", "APCA-API-SECRET-KEY": "s"}
            async with session.get("/v2/clock", headers=headers) as answer:
                await answer.read()

        await asyncio.gather(*(open_connection() for _ in range(min(accounts * held, 100))))
        for message in ({"action": "auth", "key": "k0", "secret": "s"}, {"action": "subscribe", "quotes": [*owners]}):
            await stream.receive()
            await stream.send_bytes(msgpack.packb(message))
        async for frame in stream:
            quotes = [(each["S"], each["bp"]) for each in msgpack.unpackb(frame.data) if each["T"] == "q"]
            due = [(symbol, bid) for symbol, bid in quotes if not STOP < bid < TARGET]
            _commit(database, (json.dumps(_order(*each)) for each in due))
            await asyncio.gather(*(post(*each) for each in due))


def _commit(database: sqlite3.Connection, bodies: Iterable[str]) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.executemany("INSERT INTO bare VALUES (?)", ((body,) for body in bodies))
    database.execute("COMMIT")


CONTENDERS: dict[str, Callable[..., None]] = {each.__name__: each for each in (floor, threaded, bare)}


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    CONTENDERS[name](*(int(each) if each.isdigit() else each for each in arguments))
