"""Scenario events: the changes that a scenario can make at an instant. Each is a function of the exchange."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sellctl.sim.market.calendar import exchange_date
from sellctl.sim.market.market import SimSplit
from sellctl.sim.market.price_paths import TwoSidedQuote
from sellctl.sim.venue.exchange import Exchange
from sellctl.sim.venue.order_actions import request_cancel, submit_manually

ScenarioEvent = Callable[[Exchange], None]


def manual_order(account: str, body: Mapping[str, Any]) -> ScenarioEvent:
    """A manual order; its rejection is recorded in the notes."""

    def apply(exchange: Exchange) -> None:
        submit_manually(exchange, exchange.accounts[account], body)

    return apply


def manual_cancel(account: str, client_order_id: str, symbol: str) -> ScenarioEvent:
    """A manual cancel of one order, or of all orders of a symbol."""

    def apply(exchange: Exchange) -> None:
        owner = exchange.accounts[account]
        for order in list(owner.open_orders.values()):
            if order.client_order_id == client_order_id or (symbol and order.symbol == symbol):
                request_cancel(exchange, owner, order)

    return apply


def put_quote(symbol: str, level: TwoSidedQuote) -> ScenarioEvent:
    """A quote replaces the price path from now on."""

    def apply(exchange: Exchange) -> None:
        exchange.market.put(symbol, level, exchange.now)

    return apply


def inject_fault(options: Mapping[str, Any]) -> ScenarioEvent:
    """A fault becomes active."""

    def apply(exchange: Exchange) -> None:
        exchange.inject(**options)

    return apply


def clear_fault(name: str) -> ScenarioEvent:
    """A fault, or "all", is cleared."""

    def apply(exchange: Exchange) -> None:
        exchange.clear_faults("" if name == "all" else name)

    return apply


def halt(symbol: str) -> ScenarioEvent:
    """Trading in a symbol stops."""
    return lambda exchange: exchange.market.halt(symbol, exchange.now)


def resume(symbol: str) -> ScenarioEvent:
    """Trading in a symbol resumes."""
    return lambda exchange: exchange.market.resume(symbol)


@dataclass(frozen=True, slots=True)
class Split:
    """A split: `ratio` new shares per old one (2 is 2:1, 0.1 is 1:10). Quantity, entry and price change together.

    Unless it is `booked`, only the price changes. Either way the venue lists it among the corporate actions.
    """

    symbol: str
    ratio: Decimal
    booked: bool = True

    def __call__(self, exchange: Exchange) -> None:
        """Bring it about."""
        for account in exchange.accounts.values() if self.booked else ():
            if position := account.positions.get(self.symbol):
                position.qty *= self.ratio
                position.avg_entry_price /= self.ratio
        if level := exchange.quote(self.symbol):
            exchange.market.put(self.symbol, level.moved_to(level.mid / self.ratio), exchange.now)

    def announce(self, exchange: Exchange, when: dt.datetime) -> None:
        """List it among the corporate actions, before it happens."""
        exchange.splits.append(SimSplit(self.symbol, self.ratio, exchange_date(when)))


def transfer(account: str, amount: Decimal) -> ScenarioEvent:
    """Cash is paid in, or out when the amount is below zero."""

    def apply(exchange: Exchange) -> None:
        owner = exchange.accounts[account]
        owner.cash += amount
        owner.transfers = (owner.transfers or Decimal(0)) + amount

    return apply


def set_account(account: str, values: Mapping[str, Any]) -> ScenarioEvent:
    """An account changes: its key is refused, or its trading is blocked."""

    def apply(exchange: Exchange) -> None:
        for key, value in values.items():
            setattr(exchange.accounts[account], key, value)

    return apply
