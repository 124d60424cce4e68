"""The configuration as frozen values: every key, its unit, its default. Reading a file is config_manager's job.

A field's name is its YAML key. Units are spelled by the types below; `Doc` texts become the reference and the schema.
"""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from sellctl.core.model.instrument import StructureKind


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
    GAIN = "gain"  # a share of the entry price: 40% or 40
    AMOUNT = "amount"  # how far from entry, four ways: 40%, $120/contract, $500/position, price 1.50
    PULLBACK = "pullback"  # how far below the peak: 15pt of return, or 10% of the peak's price
    COUNTS = "counts"  # whole numbers: 7, <=7, >=30, 7-30
    TIME = "time"  # a time of day in New York: 15:30
    SECRET = "secret"  # text, ${ENV}, file:/path or keyring:service/name; never printed  # noqa: S105  a unit's name


Ratio = Annotated[Decimal, Unit.RATIO]
Seconds = Annotated[dt.timedelta, Unit.SECONDS]
Minutes = Annotated[dt.timedelta, Unit.MINUTES]
Symbol = Annotated[str, Unit.SYMBOL]
SecretText = Annotated[str, Unit.SECRET]


class Per(StrEnum):
    """What an amount counts in."""

    GAIN = "gain"  # a share of the entry price
    CONTRACT = "contract"  # dollars a contract of 100 shares, or a share of stock
    POSITION = "position"  # dollars of the whole position
    PRICE = "price"  # the price itself, in dollars a share


@dataclass(frozen=True, slots=True)
class Amount:
    """How far a target or a stop is from entry; always positive, the rule knows the direction."""

    value: Decimal
    per: Per = Per.GAIN


@dataclass(frozen=True, slots=True)
class Pullback:
    """How far a price may fall back from its peak: points of return on entry, or a share of the peak's price."""

    value: Decimal
    of_price: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """A range of whole numbers, both ends included; None is open."""

    least: int | None = None
    most: int | None = None

    def __contains__(self, number: Decimal | int) -> bool:
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


@dataclass(frozen=True, slots=True)
class Ladder:
    """Marks a tuple of two-field steps that YAML writes as a table: {0: 100%, 60m: 50%}."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Marks the field that takes every other key of its section, as text: the options of a strategy of one's own."""


Gain = Annotated[Decimal, Unit.GAIN]
AmountText = Annotated[Amount, Unit.AMOUNT]
PullbackText = Annotated[Pullback, Unit.PULLBACK]
CountsText = Annotated[Counts, Unit.COUNTS]
TimeOfDay = Annotated[dt.time, Unit.TIME]


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


class SideKind(StrEnum):
    """Long or short."""

    LONG = "long"
    SHORT = "short"


class Hours(StrEnum):
    """How minutes held are counted."""

    WALL = "wall"
    SESSION = "session"


class GuardAction(StrEnum):
    """What the account guard does."""

    FLATTEN = "flatten"
    HALT = "halt"


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
class MatchConfig:
    """Which positions a strategy takes: a position fits when every key given here fits it. Without keys, all fit."""

    account: Annotated[tuple[str, ...], Doc("Account names of this file.")] = ()
    symbol: Annotated[tuple[Symbol, ...], Doc("Exact symbols.")] = ()
    underlying: Annotated[tuple[Symbol, ...], Doc("Underlyings.")] = ()
    asset: Annotated[tuple[AssetKind, ...], Doc("option, stock.")] = ()
    side: Annotated[SideKind | None, Doc("long or short.")] = None
    dte: Annotated[CountsText | None, Doc("Calendar days until expiry, 0 on the last day.")] = None
    size: Annotated[CountsText | None, Doc("Contracts or shares held.")] = None
    tag: Annotated[tuple[str, ...], Doc("How the client order id of the opening order begins.")] = ()
    structure: Annotated[
        tuple[StructureKind, ...],
        Doc("What the option is part of. With vertical, calendar or diagonal the rules judge the whole of it."),
    ] = ()


@dataclass(frozen=True, slots=True)
class TrailingStopConfig:
    """A stop that follows the best price. It never moves back, and the look that arms it doesn't fire it."""

    trail: Annotated[PullbackText, Doc("Out this far below the peak: points of return, or a share of its price.")]
    activation: Annotated[Gain, Doc("Armed once the peak's gain reaches this.")] = Decimal(0)
    floor: Annotated[Gain | None, Doc("Once armed, never out below this gain by design.")] = None
    max_pullback: Annotated[PullbackText | None, Doc("A second trail; the nearer of the two counts.")] = None


@dataclass(frozen=True, slots=True)
class BreakevenConfig:
    """A stop at entry once the position was ahead."""

    activation: Annotated[Gain, Doc("Armed once the peak's gain reaches this.")]
    keep: Annotated[Gain, Doc("Out at this gain; 0 is entry.")] = Decimal(0)


@dataclass(frozen=True, slots=True)
class LockStep:
    """One rung of the profit lock: once the peak's gain reached `at`, out when the gain falls to `keep`."""

    at: Annotated[Gain, Doc("The peak's gain that sets this rung.")]
    keep: Annotated[Gain, Doc("The gain that it keeps.")]


@dataclass(frozen=True, slots=True)
class RoiStep:
    """From `after` held on, out at `gain`."""

    after: Minutes
    gain: Gain


@dataclass(frozen=True, slots=True)
class DteConfig:
    """Out when few days are left."""

    days: Annotated[int, Doc("Out when this many calendar days or fewer are left.")]
    gain: Annotated[Gain | None, Doc("Only while the gain is at least this.")] = None


@dataclass(frozen=True, slots=True)
class UnderlyingConfig:
    """Out when the underlying touches a price, on its mid."""

    above: Annotated[Decimal | None, Doc("Out at or above this many dollars.")] = None
    below: Annotated[Decimal | None, Doc("Out at or below this many dollars.")] = None


@dataclass(frozen=True, slots=True)
class ScaleStep:
    """One slice of a scale-out: at this gain, sell so much of what the position once was."""

    at: Annotated[Gain, Doc("The gain that sells this slice.")]
    sell: Annotated[Gain, Doc("How much of the whole position; less than one contract sells nothing.")]


@dataclass(frozen=True, slots=True)
class RulesConfig:
    """The exit rules of a strategy. Percentages are of the entry price; for a short, the mirror."""

    take_profit: Annotated[AmountText | None, Doc("Out when so far ahead, on price_basis.profit.")] = None
    stop_loss: Annotated[AmountText | None, Doc("Out when so far behind, on price_basis.loss.")] = None
    trailing_stop: Annotated[TrailingStopConfig | None, Doc("A stop that follows the best price.")] = None
    breakeven: Annotated[BreakevenConfig | None, Doc("A stop at entry once ahead.")] = None
    profit_lock: Annotated[tuple[LockStep, ...], Doc("Rungs such as {at: 50%, keep: 20%}.")] = ()
    roi_table: Annotated[tuple[RoiStep, ...], Ladder(), Doc("Time held to gain, as {0: 100%, 60m: 50%}.")] = ()
    roi_hours: Annotated[Hours, Doc("wall or session: whether closed hours and days count in roi_table.")] = Hours.WALL
    max_hold: Annotated[Minutes | None, Doc("Out when held this long, nights included.")] = None
    before_close: Annotated[Minutes | None, Doc("Out this long before each day's close.")] = None
    exit_at: Annotated[TimeOfDay | None, Doc("Out from this time of day on, New York.")] = None
    days_to_expiry: Annotated[int | None, Doc("Out when this many calendar days or fewer are left.")] = None
    days_to_expiry_with_gain: Annotated[DteConfig | None, Doc("The same, only while ahead.")] = None
    underlying: Annotated[UnderlyingConfig | None, Doc("Out when the underlying touches a price.")] = None
    in_the_money: Annotated[
        Decimal | None, Doc("Out when the option is this many dollars in the money; 0 is at the strike.")
    ] = None
    scale_out: Annotated[tuple[ScaleStep, ...], Doc("Slices such as {at: 50%, sell: 50%}.")] = ()


@dataclass(frozen=True, slots=True)
class StrategyConfig:
    """One strategy: a name, what it takes and its rules; or `use`, a class of your own with its fields as keys."""

    name: Annotated[str | None, Doc("A word of your choice; reasons and pages show it.")] = None
    use: Annotated[str | None, Doc("./file.py:Class beside this file, or the name of an installed strategy.")] = None
    match: Annotated[MatchConfig, Doc("Which positions it takes.")] = MatchConfig()
    rules: Annotated[RulesConfig, Doc("When they leave.")] = RulesConfig()
    options: Annotated[tuple[tuple[str, str], ...], Rest(), Doc("With use: the fields of your class.")] = ()


@dataclass(frozen=True, slots=True)
class AccountGuardConfig:
    """The day's profit or loss of the whole account, equity against the day before: a share of that, or dollars."""

    loss: Annotated[AmountText | None, Doc("5% or $1000/position: acts when the day's loss reaches it.")] = None
    profit: Annotated[AmountText | None, Doc("Likewise for the day's profit.")] = None
    action: Annotated[GuardAction, Doc("flatten what is managed, or halt.")] = GuardAction.FLATTEN


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
    strategies: Annotated[
        tuple[StrategyConfig, ...], Doc("Your strategies; the first whose match fits decides, strategy_one comes last.")
    ] = ()
    account_guard: Annotated[AccountGuardConfig, Doc("The day's limit for the whole account.")] = AccountGuardConfig()
    strategy_one: Annotated[StrategyOneConfig, Doc("Profit and stop ratios.")] = StrategyOneConfig()


@dataclass(frozen=True, slots=True)
class WalkConfig:
    """How a patient exit comes from the mid to the price one can get, in even steps."""

    steps: Annotated[int, Doc("Orders it takes from the mid to its end; 1 goes straight to the end.")] = 4
    every: Annotated[Seconds, Doc("How long each order may fill before the next.")] = dt.timedelta(seconds=6)
    final: Annotated[Decimal, Doc("Where it ends: 1 is the bid (a cover: the ask), 0.8 is 80% of the way there.")] = (
        Decimal(1)
    )


@dataclass(frozen=True, slots=True)
class WalksConfig:
    """The walk of each patient class."""

    profit: Annotated[WalkConfig, Doc("Targets. They never go below the price that met them.")] = WalkConfig()
    time: Annotated[WalkConfig, Doc("Time exits. After the walk they follow the bid, and then go through it.")] = (
        WalkConfig()
    )


@dataclass(frozen=True, slots=True)
class BackstopConfig:
    """A wide stop that rests at the broker under each long that a strategy takes, for the day when this host is dead.

    Every exit cancels it first. It is a market order once it is touched, and while it rests Alpaca refuses a purchase
    of the same symbol (wash-trade rule; not beside a trailing stop).
    """

    stop: Annotated[
        Gain | None, Doc("How far below entry it rests, farther than every stop of your strategies; null: none.")
    ] = None
    trail: Annotated[
        Gain | None, Doc("Stocks, in place of stop: a trailing stop, this far below the best price since it rests.")
    ] = None
    assets: Annotated[
        tuple[AssetKind, ...], Doc("option, stock. Where Alpaca takes no stop on an option, it is asked once a day.")
    ] = (AssetKind.OPTION, AssetKind.STOCK)


@dataclass(frozen=True, slots=True)
class ExecutionConfig:
    """How exits are sent."""

    style: Annotated[Style, Doc("smart: limits at a price one can get; market: market orders.")] = Style.SMART
    protective_market: Annotated[bool, Doc("true lets a stop end in a market order after its limits.")] = False
    walk: Annotated[WalksConfig, Doc("How targets and time exits look for a price better than the bid.")] = (
        WalksConfig()
    )
    backstop: Annotated[BackstopConfig, Doc("A wide stop that rests at the broker.")] = BackstopConfig()


@dataclass(frozen=True, slots=True)
class GuardsConfig:
    """What a price has to prove before it sells."""

    confirm: Annotated[Seconds, Doc("Time between the two agreeing looks that a stop needs; 0s needs only one.")] = (
        dt.timedelta(seconds=1.5)
    )


class News(StrEnum):
    """What a notification is about."""

    FILLED = "filled"  # an exit was filled
    FAILED = "failed"  # an order was rejected, or nobody knows its fate
    BLOCKED = "blocked"  # an exit is due and may not go out
    HALTED = "halted"
    DEGRADED = "degraded"  # an account, a stream or quotes fail, or answer again
    ALERT = "alert"  # look at it now
    SUMMARY = "summary"  # once after the close


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """Somebody who is told."""

    url: Annotated[SecretText, Doc("An Apprise URL (mailto://, ntfy://, tgram:// ...); it counts as a secret.")] = (
        field(repr=False)
    )
    kinds: Annotated[
        tuple[News, ...], Doc("filled, failed, blocked, halted, degraded, alert, summary; left out: all.")
    ] = tuple(News)


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """How a watch shows that it lives."""

    heartbeat: Annotated[
        SecretText | None, Doc("Address that a watch asks for once a minute, for a dead man's switch; a secret.")
    ] = field(default=None, repr=False)


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
    guards: Annotated[GuardsConfig, Doc("What a price has to prove.")] = GuardsConfig()
    notify: Annotated[tuple[NotifyConfig, ...], Doc("Who is told of what; needs the extra notify.")] = ()
    watch: Annotated[WatchConfig, Doc("How a watch shows that it lives.")] = WatchConfig()
    api: Annotated[ApiConfig, Doc("The control API, `sellctl serve`.")] = ApiConfig()
