"""A price that a person may move in a running simulator, as a command to paste into a terminal."""

import json
import shlex
from dataclasses import dataclass
from decimal import Decimal

from sellctl.sim.market.assets import asset_of, tick_of
from sellctl.sim.venue.exchange import Exchange

_RISE = Decimal("1.2")  # beyond the target of the configuration that `sellctl sim` writes, which is +10%


@dataclass(frozen=True, slots=True)
class PriceMove:
    """A new quote of a symbol."""

    symbol: str
    bid: Decimal
    ask: Decimal

    def command(self, url: str) -> str:
        """The command line that sends it to the control endpoint of the simulator at this address."""
        body = {self.symbol: {"bid": float(self.bid), "ask": float(self.ask)}}
        return shlex.join(["curl", "-d", json.dumps(body), f"{url}/sim/quotes"])


def example_of(exchange: Exchange) -> PriceMove | None:
    """The first position with a quote, options first, with a bid 20% higher; None without such a position."""
    held = [symbol for account in exchange.accounts.values() for symbol in account.positions]
    for symbol in sorted(held, key=lambda symbol: not asset_of(symbol).is_option):  # the default rules cover options
        level = exchange.market.level(symbol, exchange.now)
        if level is None or level.bid is None or level.ask is None:
            continue
        tick = tick_of(asset_of(symbol), level.bid * _RISE)
        bid = (level.bid * _RISE / tick).to_integral_value() * tick
        return PriceMove(symbol, bid, bid + max(level.ask - level.bid, tick))
    return None
