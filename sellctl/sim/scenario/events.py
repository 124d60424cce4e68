"""What a scenario or the control endpoint can make happen at an instant: each is a function of the exchange."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sellctl.sim.market.price_paths import Level
from sellctl.sim.rejections import RefusedError

if TYPE_CHECKING:
    from sellctl.sim.venue.exchange import Exchange

Happening = Callable[["Exchange"], None]


def human_order(account: str, body: Mapping[str, Any]) -> Happening:
    """A person sends an order; a refusal is written down and harms nothing."""

    def happen(exchange: "Exchange") -> None:
        try:
            exchange.submit(exchange.accounts[account], body, source="human")
        except RefusedError as refused:
            exchange.notes.append(f"{account}: the human's order was refused: {refused}")

    return happen


def human_cancel(account: str, client_order_id: str, symbol: str) -> Happening:
    """A person cancels one order, or all of a symbol."""

    def happen(exchange: "Exchange") -> None:
        books = exchange.accounts[account]
        for order in list(books.open_orders.values()):
            if order.client_order_id == client_order_id or (symbol and order.symbol == symbol):
                exchange.request_cancel(books, order)

    return happen


def put_quote(symbol: str, level: Level) -> Happening:
    """From now on this quote stands."""

    def happen(exchange: "Exchange") -> None:
        exchange.market.put(symbol, level, exchange.now)

    return happen


def misbehave(options: Mapping[str, Any]) -> Happening:
    """Switch a misbehaviour on."""

    def happen(exchange: "Exchange") -> None:
        exchange.misbehave(**options)

    return happen


def behave(name: str) -> Happening:
    """Switch a misbehaviour off, or all of them."""

    def happen(exchange: "Exchange") -> None:
        exchange.behave("" if name == "all" else name)

    return happen


def halt(symbol: str) -> Happening:
    """Stop trading in a symbol."""
    return lambda exchange: exchange.market.halt(symbol, exchange.now)


def resume(symbol: str) -> Happening:
    """Let a symbol trade again."""
    return lambda exchange: exchange.market.resume(symbol)


def split(symbol: str, ratio: Decimal) -> Happening:
    """A split: `ratio` new shares for one old (2 is 2:1, 0.1 is 1:10). Quantity, entry and price move together."""

    def happen(exchange: "Exchange") -> None:
        for account in exchange.accounts.values():
            if position := account.positions.get(symbol):
                position.qty *= ratio
                position.avg_entry_price /= ratio
        if level := exchange.quote(symbol):
            exchange.market.put(symbol, level.moved_to(level.mid / ratio), exchange.now)

    return happen


def set_account(account: str, values: Mapping[str, Any]) -> Happening:
    """Change an account's state: its key refused, its trading blocked."""

    def happen(exchange: "Exchange") -> None:
        for key, value in values.items():
            setattr(exchange.accounts[account], key, value)

    return happen
