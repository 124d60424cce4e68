"""The configuration as frozen values: every key, its unit, its default. Reading a file is config_manager's job.

A field's name is its YAML key. Units are spelled by the types below; `Doc` texts become the reference and the schema.
"""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Doc:
    """One sentence on a key, for the reference and the JSON schema."""

    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """The word that stands for None in YAML, where that isn't null."""

    text: str


class Unit(StrEnum):
    """How a scalar is written in YAML. config_units holds the one parser for each."""

    RATIO = "ratio"  # price / entry, 1.1 is +10%
    SECONDS = "seconds"  # a duration: 15s, 5m, 1h30m, 2d; a bare number is seconds
    MINUTES = "minutes"  # a duration likewise; a bare number is minutes
    SYMBOL = "symbol"  # a ticker, in capitals
    SECRET = "secret"  # text, ${ENV}, file:/path or keyring:service/name; never printed  # noqa: S105  a unit's name


Ratio = Annotated[Decimal, Unit.RATIO]
Seconds = Annotated[dt.timedelta, Unit.SECONDS]
Minutes = Annotated[dt.timedelta, Unit.MINUTES]
Symbol = Annotated[str, Unit.SYMBOL]
SecretText = Annotated[str, Unit.SECRET]


class Basis(StrEnum):
    """Which side of the quote a gain is measured on. Closing a short mirrors bid and ask."""

    BID = "bid"
    MID = "mid"


class Style(StrEnum):
    """How exits are sent."""

    SMART = "smart"
    MARKET = "market"


class CancelScope(StrEnum):
    """Which stale orders are cancelled."""

    SELLS = "sells"
    OWN = "own"
    ALL = "all"


class TakeOver(StrEnum):
    """Whether an exit may cancel the user's own resting order that holds the quantity, by the exit's class."""

    FORCED = "forced"
    PROTECTIVE = "protective"
    NEVER = "never"


class ShortAction(StrEnum):
    """What happens to short positions of the assets named."""

    CLOSE_UNCOVERED = "close_uncovered"
    CLOSE = "close"
    IGNORE = "ignore"


class PutAction(StrEnum):
    """What happens to short puts that only cash secures."""

    CLOSE = "close"
    KEEP = "keep"


class AssetKind(StrEnum):
    """The assets that rules can be applied to."""

    OPTION = "option"
    STOCK = "stock"


class StockFeed(StrEnum):
    """Alpaca's stock feeds; auto takes the best one granted."""

    AUTO = "auto"
    SIP = "sip"
    IEX = "iex"
    DELAYED_SIP = "delayed_sip"


class OptionFeed(StrEnum):
    """Alpaca's option feeds; auto takes the best one granted."""

    AUTO = "auto"
    OPRA = "opra"
    INDICATIVE = "indicative"


@dataclass(frozen=True, slots=True)
class EndpointsConfig:
    """Other addresses than Alpaca's, for a proxy or a simulator; exactly what the SDK's url_override takes."""

    trading: Annotated[str | None, Doc("Base of the trading API; /v2 is added.")] = None
    data: Annotated[str | None, Doc("Base of the data API; /v2/stocks and /v1beta1/options are added.")] = None
    trading_stream: Annotated[str | None, Doc("Whole URL of the trade-update stream.")] = None
    stock_stream: Annotated[str | None, Doc("Whole URL of the stock stream.")] = None
    option_stream: Annotated[str | None, Doc("Whole URL of the option stream.")] = None


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """One Alpaca account."""

    api_key: Annotated[SecretText, Doc("Key ID: ${ENV}, file:/path, keyring:service/name, or the text itself.")] = (
        field(repr=False)
    )
    secret_key: Annotated[SecretText, Doc("Secret, in the same ways.")] = field(repr=False)
    paper: Annotated[bool, Doc("false is real money; acting on it also needs --live or SELLCTL_LIVE=1.")] = True
    enabled: Annotated[bool, Doc("false leaves the account out.")] = True
    account_number: Annotated[str | None, Doc("When given, sellctl refuses to act on any other account.")] = None
    endpoints: Annotated[EndpointsConfig, Doc("Other addresses than Alpaca's.")] = EndpointsConfig()


@dataclass(frozen=True, slots=True)
class MarketDataConfig:
    """Where quotes come from."""

    accounts: Annotated[
        tuple[str, ...] | None,
        Doc("Accounts whose keys fetch quotes, in order; auto is every account in turn."),
        Word("auto"),
    ] = None
    stock_feed: Annotated[StockFeed, Doc("sip, iex, delayed_sip, or auto: the best one granted.")] = StockFeed.AUTO
    option_feed: Annotated[OptionFeed, Doc("opra, indicative, or auto: the best one granted.")] = OptionFeed.AUTO


@dataclass(frozen=True, slots=True)
class StrategyOneConfig:
    """Strategy one: a profit and a stop ratio on the entry price."""

    enabled: Annotated[bool, Doc("false: no profit and stop rule.")] = True
    profit_rate: Annotated[Ratio, Doc("Sell when price / entry reaches this; 1.1 is +10%.")] = Decimal("1.1")
    stop_loss_rate: Annotated[Ratio, Doc("Sell when price / entry falls to this; 0.8 is -20%.")] = Decimal("0.8")
    applies_to: Annotated[tuple[AssetKind, ...], Doc("Assets it takes: option, stock.")] = (AssetKind.OPTION,)


@dataclass(frozen=True, slots=True)
class PriceBasisConfig:
    """Which price a gain is measured on."""

    profit: Annotated[Basis, Doc("bid or mid: a target must be money one could take now.")] = Basis.BID
    loss: Annotated[Basis, Doc("mid or bid: a stop must be a loss that isn't just the spread.")] = Basis.MID


@dataclass(frozen=True, slots=True)
class BroadEtfsConfig:
    """The later deadlines of broad ETFs, whose options Alpaca lets trade longer on their last day."""

    symbols: Annotated[tuple[Symbol, ...], Doc("Underlyings with the later deadlines.")] = ("SPY", "QQQ", "IWM", "DIA")
    start: Annotated[
        Minutes | None, Doc("Time exit from this long before the close; open is from the open on."), Word("open")
    ] = dt.timedelta(minutes=50)
    eager: Annotated[Minutes, Doc("Protective exit from this long before the close.")] = dt.timedelta(minutes=43)
    final: Annotated[Minutes, Doc("At any price from this long before the close.")] = dt.timedelta(minutes=35)


@dataclass(frozen=True, slots=True)
class ZeroDayConfig:
    """When options that expire today are closed, counted back from that day's close. `start` None is "open"."""

    start: Annotated[
        Minutes | None, Doc("Time exit from this long before the close; open is from the open on."), Word("open")
    ] = dt.timedelta(minutes=65)
    eager: Annotated[Minutes, Doc("Protective exit from this long before the close.")] = dt.timedelta(minutes=58)
    final: Annotated[Minutes, Doc("At any price from this long before the close.")] = dt.timedelta(minutes=50)
    broad_etfs: Annotated[BroadEtfsConfig, Doc("The later set for broad ETFs.")] = BroadEtfsConfig()
    shorts: Annotated[bool, Doc("true also closes covered calls and kept cash-secured puts.")] = False


@dataclass(frozen=True, slots=True)
class ShortPositionsConfig:
    """What happens to short positions."""

    action: Annotated[ShortAction, Doc("close_uncovered, close (all of them) or ignore.")] = ShortAction.CLOSE_UNCOVERED
    assets: Annotated[tuple[AssetKind, ...], Doc("Assets it looks at.")] = (AssetKind.OPTION,)
    cash_secured_puts: Annotated[PutAction, Doc("close, or keep short puts that only cash secures.")] = PutAction.CLOSE


@dataclass(frozen=True, slots=True)
class ExcludeConfig:
    """Positions that sellctl shows and never touches; a position is excluded when every key given here fits it."""

    symbol: Annotated[tuple[Symbol, ...], Doc("Exact symbols.")] = ()
    underlying: Annotated[tuple[Symbol, ...], Doc("Underlyings.")] = ()
    account: Annotated[tuple[str, ...], Doc("Account names of this file.")] = ()


@dataclass(frozen=True, slots=True)
class ManageConfig:
    """What is left alone."""

    exclude: Annotated[
        tuple[ExcludeConfig, ...], Doc("Entries such as {symbol: TSLA} or {underlying: [SPY], account: main}.")
    ] = ()


@dataclass(frozen=True, slots=True)
class SellModuleConfig:
    """The rules. The seed's block is valid as it stands."""

    enabled: Annotated[bool, Doc("false: read commands work; watch and run-once say so and exit 0.")] = True
    check_interval: Annotated[Seconds, Doc("Time between checks; a bare number is seconds.")] = dt.timedelta(seconds=5)
    order_cancel_minutes: Annotated[Decimal, Doc("Cancel sell orders older than this many minutes.")] = Decimal(3)
    order_cancel_scope: Annotated[CancelScope, Doc("sells, own (only ours) or all (buys too).")] = CancelScope.SELLS
    zero_day_handling: Annotated[bool, Doc("Force-close options that expire today.")] = True
    zero_day: Annotated[ZeroDayConfig, Doc("The deadlines of the last day.")] = ZeroDayConfig()
    price_basis: Annotated[PriceBasisConfig, Doc("Which price a gain is measured on.")] = PriceBasisConfig()
    max_position_age: Annotated[
        Seconds, Doc("No order from an older view of the position; at least twice check_interval.")
    ] = dt.timedelta(seconds=15)
    take_over: Annotated[
        TakeOver,
        Doc("forced, protective or never: which exits may cancel your own closing order that holds the quantity."),
    ] = TakeOver.FORCED
    allow_legging_out: Annotated[bool, Doc("true lets a long that covers a short be closed alone.")] = False
    short_positions: Annotated[ShortPositionsConfig, Doc("What happens to shorts.")] = ShortPositionsConfig()
    manage: Annotated[ManageConfig, Doc("What is left alone.")] = ManageConfig()
    strategy_one: Annotated[StrategyOneConfig, Doc("Profit and stop ratios.")] = StrategyOneConfig()


@dataclass(frozen=True, slots=True)
class ExecutionConfig:
    """How exits are sent."""

    style: Annotated[Style, Doc("smart: limits at a price one can get; market: market orders.")] = Style.SMART
    protective_market: Annotated[bool, Doc("true lets a stop end in a market order after its limits.")] = False


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """The control API of `sellctl serve`."""

    host: Annotated[str, Doc("Address it listens on; beyond this machine it needs TLS files or a named proxy.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Doc("Port it listens on.")] = 8090
    names: Annotated[tuple[str, ...], Doc("Host names it answers to, besides localhost and bare addresses.")] = ()
    secret: Annotated[SecretText, Doc("What signs its tokens, 32 bytes or more; only serve and token read it.")] = (
        field(default="${SELLCTL_API_SECRET}", repr=False)
    )
    allow: Annotated[tuple[str, ...], Doc("Addresses and networks that may call it; empty is this machine only.")] = ()
    proxies: Annotated[
        tuple[str, ...], Doc("Addresses and networks of your proxies, the only ones whose X-Forwarded-For counts.")
    ] = ()
    tls_cert: Annotated[str | None, Doc("Certificate chain, PEM; a relative path counts from this file.")] = None
    tls_key: Annotated[str | None, Doc("Its private key, PEM.")] = None
    requests_a_second: Annotated[int, Doc("Requests a second from one address, on average.")] = 30
    autostart: Annotated[bool, Doc("false: watch only from POST start on.")] = True


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a file says."""

    accounts: Annotated[dict[str, AccountConfig], Doc("Your accounts, by a name of your choice.")]
    market_data: Annotated[MarketDataConfig, Doc("Where quotes come from.")] = MarketDataConfig()
    sell_module: Annotated[SellModuleConfig, Doc("The rules.")] = SellModuleConfig()
    execution: Annotated[ExecutionConfig, Doc("How exits are sent.")] = ExecutionConfig()
    api: Annotated[ApiConfig, Doc("The control API, `sellctl serve`.")] = ApiConfig()
