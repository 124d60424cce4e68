"""Instruments: stocks, options, and others, which are only shown. All symbols are parsed here."""

import datetime as dt
import re
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

_OCC = re.compile(
    r"(?P<root>[0-9A-Z.]{1,6})(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)(?P<right>[CP])(?P<strike>\d{8})", re.ASCII
)
_CENTURY = 2000
_DIGIT = re.compile(r"[0-9]")
# The text of a contract: AAPL 18 Dec 26 230 C. The months are named here so that no locale changes them.
_TEXT = re.compile(
    r"(?P<root>[0-9A-Z.]{1,6}) +(?P<day>\d{1,2}) +(?P<month>[A-Z]{3}) +(?P<year>\d{2})"
    r" +(?P<strike>\d{1,5}(\.\d{1,3})?) +(?P<right>[CP])",
    re.ASCII,
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = {month.upper(): number for number, month in enumerate(_MONTHS, 1)}
_STRIKE_SCALE = 1000
_KEPT = 16_384  # parsed symbols to keep: every poll needs the terms of every position
# Index and share-class roots whose underlying has another symbol; any other root is its own underlying.
_UNDERLYING_OF_ROOT = {
    "SPXW": "SPX",
    "NDXP": "NDX",
    "RUTW": "RUT",
    "VIXW": "VIX",
    "BRKB": "BRK.B",
    "BRKA": "BRK.A",
    "BFB": "BF.B",
}


# Index options that settle at the opening prices of their expiration date, and trade for the last time on the day
# before. The weeklies SPXW, NDXP and RUTW settle at the close. Source: Cboe's and Nasdaq's contract specifications.
_AM_SETTLED = frozenset({"SPX", "NDX", "RUT", "DJX", "VIX", "VIXW"})


class AssetClass(StrEnum):
    """The asset classes. Rules exist for stocks and options; everything else is shown only."""

    STOCK = "stock"
    OPTION = "option"
    CRYPTO = "crypto"
    OTHER = "other"


class Right(StrEnum):
    """Call or put."""

    CALL = "call"
    PUT = "put"


class StructureKind(StrEnum):
    """The structure of which an option position is a part."""

    SINGLE = "single"
    VERTICAL = "vertical"
    CALENDAR = "calendar"  # same strike, two expirations
    DIAGONAL = "diagonal"  # two strikes, two expirations
    COVERED_CALL = "covered_call"
    SHORT_PUT = "short_put"
    COLLAR = "collar"  # shares, a long put and a short call
    STRADDLE = "straddle"  # a put and a call of one strike, both long or both short
    STRANGLE = "strangle"  # the same of two strikes
    RATIO = "ratio"  # a vertical with more contracts on one side
    BUTTERFLY = "butterfly"  # two contracts between one below and one above
    IRON_CONDOR = "iron_condor"  # a vertical of puts below a vertical of calls
    IRON_BUTTERFLY = "iron_butterfly"  # the same with a common strike in the middle
    CUSTOM = "custom"  # named by the user or opened as one order, and none of the above


class OptionContract(Struct, frozen=True):
    """The terms of an OCC symbol. `strike` is in dollars per share; `expires` is an exchange date.

    `expires` isn't always the last trading day: see `holding_time.last_trading_day`.
    """

    root: str
    expires: dt.date
    right: Right
    strike: Decimal

    @property
    def is_adjusted(self) -> bool:
        """Whether the root contains a digit: after a corporate action, the contract may not deliver 100 shares."""
        return _DIGIT.search(self.root) is not None

    @property
    def text(self) -> str:
        """The contract as people read it: AAPL 18 Dec 26 230 C. `symbol_of` reads it."""
        expires, strike = self.expires, f"{self.strike:f}"
        strike = strike.rstrip("0").rstrip(".") if "." in strike else strike
        month = _MONTHS[expires.month - 1]
        return f"{self.root} {expires.day} {month} {expires:%y} {strike} {self.right.value[0].upper()}"

    @property
    def is_am_settled(self) -> bool:
        """Whether it can't be traded on its expiration date any more."""
        return self.root in _AM_SETTLED


class Instrument(Struct, frozen=True):
    """One symbol. `underlying` is the symbol whose price moves it; for stocks the symbol itself."""

    symbol: str
    asset_class: AssetClass
    underlying: str
    option: OptionContract | None = None

    @property
    def is_option(self) -> bool:
        """Whether rules for options apply."""
        return self.option is not None


def parse_occ(symbol: str) -> OptionContract | None:
    """The contract that an OCC symbol names, or None when it is not one.

    Parsed from the right: the last 15 characters are fixed (YYMMDD, C or P, strike x 1000 in 8 digits) and the rest
    is the root, which may contain digits (`AAPL1`, `2GOOG`). Source: OCC symbology, as Alpaca writes it (unpadded).
    """
    match = _OCC.fullmatch(symbol)
    if match is None:
        return None
    try:
        expires = dt.date(_CENTURY + int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None
    right = Right.CALL if match["right"] == "C" else Right.PUT
    return OptionContract(match["root"], expires, right, Decimal(match["strike"]) / _STRIKE_SCALE)


def symbol_of(text: str) -> str | None:
    """The OCC symbol of a contract that is written as `OptionContract.text` does, in any case; None for other text."""
    match = _TEXT.fullmatch(text.upper())
    if match is None or match["month"] not in _NUMBERS:
        return None
    date = f"{match['year']}{_NUMBERS[match['month']]:02}{int(match['day']):02}"
    symbol = f"{match['root']}{date}{match['right']}{int(Decimal(match['strike']) * _STRIKE_SCALE):08}"
    return symbol if parse_occ(symbol) else None


def contract_text(symbol: str) -> str:
    """A symbol as people read it: an option's contract, and any other symbol as it is."""
    option = an_option(symbol)
    return option.option.text if option and option.option else symbol


@lru_cache(_KEPT)
def an_option(symbol: str) -> Instrument | None:
    """The option that `symbol` names, or None when it is not an OCC symbol."""
    contract = parse_occ(symbol)
    if contract is None:
        return None
    underlying = _UNDERLYING_OF_ROOT.get(contract.root, contract.root)
    return Instrument(symbol, AssetClass.OPTION, underlying, contract)


def underlying_of(symbol: str) -> str:
    """The symbol whose price moves this one: an option's underlying, else the symbol itself."""
    option = an_option(symbol)
    return option.underlying if option else symbol


def a_stock(symbol: str) -> Instrument:
    """The stock or fund that `symbol` names."""
    return Instrument(symbol, AssetClass.STOCK, symbol)


@lru_cache(maxsize=_KEPT)
def instrument_of(symbol: str, broker_class: str) -> Instrument:
    """The instrument for a symbol and the broker's asset class (`us_equity`, `us_option`, `crypto` or another)."""
    if broker_class == "us_option":
        return an_option(symbol) or Instrument(symbol, AssetClass.OTHER, symbol)
    if broker_class == "us_equity":
        return a_stock(symbol)
    if broker_class.startswith("crypto"):
        return Instrument(symbol, AssetClass.CRYPTO, symbol)
    return Instrument(symbol, AssetClass.OTHER, symbol)
