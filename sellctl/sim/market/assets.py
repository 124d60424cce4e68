"""Tradable assets: class, identifier, price increments and contract terms, derived from the symbol alone."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from sellctl.core.model.instrument import Right, an_option
from sellctl.sim.numbers import CONTRACT_SIZE, stable_id

STOCK = "us_equity"
OPTION = "us_option"
CENT = Decimal("0.01")
NICKEL = Decimal("0.05")
DIME = Decimal("0.10")
SUB_DOLLAR_TICK = Decimal("0.0001")
ALWAYS_PENNY = frozenset({"SPY", "QQQ", "IWM"})
PENNY_PROGRAM = frozenset(
    {"AAPL", "AMD", "AMZN", "BAC", "DIA", "F", "GOOG", "GOOGL", "INTC", "META", "MSFT", "NFLX", "NVDA", "PLTR", "TSLA"}
)
BROAD_ETFS = frozenset({"SPY", "QQQ", "IWM", "DIA"})
EUROPEAN_ROOTS = frozenset({"SPX", "SPXW", "NDX", "NDXP", "RUT", "RUTW", "VIX", "VIXW", "XSP", "OEX", "DJX"})
_EXCHANGE_OF = {"SPY": "ARCA", "QQQ": "NASDAQ", "IWM": "ARCA", "DIA": "ARCA", "F": "NYSE", "BAC": "NYSE"}
_NICKEL_FROM = Decimal(3)


@dataclass(frozen=True, slots=True)
class Asset:
    """One tradable symbol. For options `strike` is in dollars per share and `expires` an exchange date."""

    symbol: str
    asset_class: str
    id: str
    exchange: str
    underlying: str
    root: str = ""
    is_call: bool = False
    strike: Decimal = Decimal(0)
    expires: dt.date = dt.date.max

    @property
    def is_option(self) -> bool:
        """Whether option rules apply."""
        return self.asset_class == OPTION

    @property
    def multiplier(self) -> Decimal:
        """Shares per unit."""
        return CONTRACT_SIZE if self.is_option else Decimal(1)

    @property
    def is_broad_etf(self) -> bool:
        """Whether the later expiry-day cut-offs apply."""
        return self.underlying in BROAD_ETFS


@cache
def asset_of(symbol: str) -> Asset:
    """The asset of a symbol: an option for an OCC symbol, a stock for any other."""
    option = an_option(symbol)
    if option is None or option.option is None:
        return Asset(symbol, STOCK, stable_id("asset", symbol), _EXCHANGE_OF.get(symbol, "NASDAQ"), symbol)
    contract = option.option
    return Asset(
        symbol,
        OPTION,
        stable_id("contract", symbol),
        "",
        option.underlying,
        contract.root,
        contract.right is Right.CALL,
        contract.strike,
        contract.expires,
    )


def is_am_settled(asset: Asset) -> bool:
    """Whether an option can't be traded on its expiration date any more."""
    option = an_option(asset.symbol)
    return option is not None and option.option is not None and option.option.is_am_settled


def tick_of(asset: Asset, price: Decimal) -> Decimal:
    """The price increment in dollars at a price. Sources: Alpaca's article on option increments; Reg NMS."""
    if not asset.is_option:
        return SUB_DOLLAR_TICK if abs(price) < 1 else CENT
    if asset.underlying in ALWAYS_PENNY:
        return CENT
    if asset.underlying in PENNY_PROGRAM:
        return CENT if abs(price) < _NICKEL_FROM else NICKEL
    return NICKEL if abs(price) < _NICKEL_FROM else DIME


def on_tick(asset: Asset, price: Decimal) -> bool:
    """Whether a price is a multiple of its increment."""
    return price % tick_of(asset, price) == 0


def is_in_the_money(asset: Asset, underlying_price: Decimal) -> bool:
    """Whether an option is in the money by at least a cent, so that the clearing house exercises it at expiry."""
    value = underlying_price - asset.strike if asset.is_call else asset.strike - underlying_price
    return value >= CENT
