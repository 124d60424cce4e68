"""The schema of the configuration: every key with its type, its default and one sentence about it.

A field's name is its YAML key, and its type defines how the value is written. The reader, `config show`, the JSON
schema, config.example.yml and docs/configuration.md are all generated from these frozen dataclasses. The rest of the
program, and user-defined strategies, import them from here.
"""

import datetime as dt
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from sellctl.core.model.gain import Amount, Basis
from sellctl.core.model.instrument import StructureKind


@dataclass(frozen=True, slots=True)
class Doc:
    """One sentence about a key. A section without one is described by its docstring."""

    text: str


@dataclass(frozen=True, slots=True)
class NoneLiteral:
    """The literal that stands for None in YAML, where that isn't null."""

    text: str


@dataclass(frozen=True, slots=True)
class WrittenAsTable:
    """Marks a tuple of sections with two fields that YAML writes as a table, such as `example`."""

    example: str = "{0: 100%, 60m: 50%}"


@dataclass(frozen=True, slots=True)
class OtherKeys:
    """Marks the field that holds every other key of its section, as text."""


@dataclass(frozen=True, slots=True)
class MayBeEmpty:
    """Marks a list or table that may be written as []."""


@dataclass(frozen=True, slots=True)
class RequiredUnless:
    """Marks a required key that is left out where another key of its section is written."""

    key: str


@dataclass(frozen=True, slots=True)
class DefaultsWord:
    """The word that may be written instead of a section, for all of its defaults."""

    text: str


class ValueFormat(StrEnum):
    """How a value is written in YAML; units.py defines the format of each."""

    RATIO = "ratio"  # price / entry, 1.1 is +10%
    SECONDS = "seconds"  # a duration: 15s, 5m, 1h30m, 2d; a bare number is seconds
    MINUTES = "minutes"  # the same; a bare number is minutes
    SYMBOL = "symbol"  # a ticker, in capitals
    DOLLARS = "dollars"  # a price or a difference of prices, in dollars per share
    PERCENT = "percent"  # a percentage: 40% or 40
    AMOUNT = "amount"  # how far from entry, in one of four ways: 40%, $120/contract, $500/position, price 1.50
    PULLBACK = "pullback"  # how far below the peak: 15pt of return, or 10% of the peak's price
    INT_RANGE = "int_range"  # whole numbers: 7, <=7, >=30, 7-30
    TIME = "time"  # a time of day in New York: 15:30
    LEG = "leg"  # a symbol, and how many contracts of it are in one unit: AAPL261218C00200000 x2
    CHAT = "chat"  # Telegram's number of a chat, negative for a group
    SECRET = "secret"  # text, ${ENV}, file:/path or keyring:service/name; never printed  # noqa: S105  a format's name


@dataclass(frozen=True, slots=True)
class Pullback:
    """How far a price may fall from its peak: points of return on entry, or a percentage of the peak's price."""

    value: Decimal
    of_price: bool = False


@dataclass(frozen=True, slots=True)
class IntRange:
    """A range of whole numbers, both ends included; None leaves an end open."""

    least: int | None = None
    most: int | None = None

    def __contains__(self, number: Decimal | int) -> bool:
        return (self.least is None or number >= self.least) and (self.most is None or number <= self.most)


@dataclass(frozen=True, slots=True)
class LegConfig:
    """One leg of a structure: contracts, or hundreds of shares, per unit. The side is the one that is held."""

    symbol: str
    ratio: int = 1


Ratio = Annotated[Decimal, ValueFormat.RATIO]
Seconds = Annotated[dt.timedelta, ValueFormat.SECONDS]
Minutes = Annotated[dt.timedelta, ValueFormat.MINUTES]
Symbol = Annotated[str, ValueFormat.SYMBOL]
SecretText = Annotated[str, ValueFormat.SECRET]
Dollars = Annotated[Decimal, ValueFormat.DOLLARS]
Percent = Annotated[Decimal, ValueFormat.PERCENT]
Gain = Percent  # of the entry price
AmountValue = Annotated[Amount, ValueFormat.AMOUNT]
PullbackValue = Annotated[Pullback, ValueFormat.PULLBACK]
IntRangeValue = Annotated[IntRange, ValueFormat.INT_RANGE]
TimeOfDay = Annotated[dt.time, ValueFormat.TIME]
LegText = Annotated[LegConfig, ValueFormat.LEG]


class Style(StrEnum):
    """How exits are sent."""

    SMART = "smart"
    MARKET = "market"


class CancelScope(StrEnum):
    """Which stale orders are cancelled."""

    SELLS = "sells"
    OWN = "own"
    ALL = "all"


class Preempt(StrEnum):
    """Which exits may cancel the user's own resting order that holds the quantity, by urgency."""

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


class TimeCounting(StrEnum):
    """How time held is counted."""

    WALL = "wall"  # clock time, nights included
    SESSION = "session"  # trading hours


class GuardAction(StrEnum):
    """What the account guard does."""

    FLATTEN = "flatten"
    HALT = "halt"


class AssetKind(StrEnum):
    """The assets that rules can be applied to."""

    OPTION = "option"
    STOCK = "stock"


class StockFeed(StrEnum):
    """Alpaca's stock feeds; auto uses the best one granted."""

    AUTO = "auto"
    SIP = "sip"
    IEX = "iex"
    DELAYED_SIP = "delayed_sip"


class OptionFeed(StrEnum):
    """Alpaca's option feeds; auto uses the best one granted."""

    AUTO = "auto"
    OPRA = "opra"
    INDICATIVE = "indicative"


@dataclass(frozen=True, slots=True)
class EndpointsConfig:
    """Addresses to use instead of Alpaca's, for a proxy or a simulator."""

    trading: Annotated[str | None, Doc("Base of the trading API; /v2 is added.")] = None
    data: Annotated[str | None, Doc("Base of the data API; /v2/stocks and /v1beta1/options are added.")] = None
    trading_stream: Annotated[str | None, Doc("Full URL of the trade-update stream.")] = None
    stock_stream: Annotated[str | None, Doc("Full URL of the stock stream.")] = None
    option_stream: Annotated[str | None, Doc("Full URL of the option stream.")] = None


@dataclass(frozen=True, slots=True)
class AccountConfig:
    """One Alpaca account."""

    api_key: Annotated[
        SecretText,
        RequiredUnless("profile"),
        Doc("Key ID: ${ENV}, file:/path, keyring:service/name, or the text itself."),
    ] = field(repr=False)
    secret_key: Annotated[SecretText, RequiredUnless("profile"), Doc("Secret key, written in the same ways.")] = field(
        repr=False
    )
    profile: Annotated[str | None, Doc("In place of both keys: a profile of Alpaca's own command line, by name.")] = (
        None
    )
    paper: Annotated[bool, Doc("false trades real money, which also needs --live or SELLCTL_LIVE=1.")] = True
    enabled: Annotated[bool, Doc("false: the account is not used.")] = True
    account_number: Annotated[str | None, Doc("If set, sellctl refuses to act on any other account.")] = None
    endpoints: EndpointsConfig = EndpointsConfig()


@dataclass(frozen=True, slots=True)
class MarketDataConfig:
    """Where quotes come from."""

    accounts: Annotated[
        tuple[str, ...] | None,
        NoneLiteral("auto"),
        Doc("Accounts whose keys fetch quotes, in order; auto uses every account in turn."),
    ] = None
    stock_feed: Annotated[StockFeed, Doc("sip, iex, delayed_sip, or auto for the best one granted.")] = StockFeed.AUTO
    option_feed: Annotated[OptionFeed, Doc("opra, indicative, or auto for the best one granted.")] = OptionFeed.AUTO


@dataclass(frozen=True, slots=True)
class StrategyOneConfig:
    """Strategy one: a take-profit and a stop-loss ratio on the entry price."""

    enabled: Annotated[bool, Doc("false turns this target and this stop off.")] = True
    profit_rate: Annotated[Ratio, Doc("Sell when price / entry is at or above this; 1.1 is +10%.")] = Decimal("1.1")
    stop_loss_rate: Annotated[Ratio, Doc("Sell when price / entry is at or below this; 0.8 is -20%.")] = Decimal("0.8")
    applies_to: Annotated[tuple[AssetKind, ...], Doc("Which assets it manages: option, stock.")] = (AssetKind.OPTION,)


@dataclass(frozen=True, slots=True)
class PriceBasisConfig:
    """Which price a gain is measured on."""

    profit: Annotated[
        Basis, Doc("bid or mid. The bid (for a short: the ask) is a price at which you can sell now.")
    ] = Basis.EXIT_SIDE
    loss: Annotated[Basis, Doc("mid or bid. On the mid, a wide spread alone is not a loss.")] = Basis.MID


@dataclass(frozen=True, slots=True)
class BroadEtfsConfig:
    """Later deadlines for broad ETFs, whose options trade longer at Alpaca on their last day."""

    symbols: Annotated[tuple[Symbol, ...], MayBeEmpty(), Doc("Underlyings with the later deadlines.")] = (
        "SPY",
        "QQQ",
        "IWM",
        "DIA",
    )
    start: Annotated[
        Minutes | None, NoneLiteral("open"), Doc("Time exit from this long before the close; open: from the open on.")
    ] = dt.timedelta(minutes=50)
    eager: Annotated[Minutes, Doc("Priced like a stop (protective) from this long before the close.")] = dt.timedelta(
        minutes=43
    )
    final: Annotated[Minutes, Doc("Exit at any price from this long before the close.")] = dt.timedelta(minutes=35)


@dataclass(frozen=True, slots=True)
class ZeroDayConfig:
    """When options that expire today are closed, counted back from that day's close."""

    start: Annotated[
        Minutes | None, NoneLiteral("open"), Doc("Time exit from this long before the close; open: from the open on.")
    ] = dt.timedelta(minutes=65)
    eager: Annotated[Minutes, Doc("Priced like a stop (protective) from this long before the close.")] = dt.timedelta(
        minutes=58
    )
    final: Annotated[Minutes, Doc("Exit at any price from this long before the close.")] = dt.timedelta(minutes=50)
    broad_etfs: BroadEtfsConfig = BroadEtfsConfig()
    shorts: Annotated[bool, Doc("true: covered calls and kept cash-secured puts are closed too.")] = False


@dataclass(frozen=True, slots=True)
class ShortPositionsConfig:
    """What happens to short positions."""

    action: Annotated[ShortAction, Doc("close_uncovered, close (all of them) or ignore.")] = ShortAction.CLOSE_UNCOVERED
    assets: Annotated[tuple[AssetKind, ...], Doc("Which assets it applies to: option, stock.")] = (AssetKind.OPTION,)
    cash_secured_puts: Annotated[PutAction, Doc("close or keep short puts that only cash secures.")] = PutAction.CLOSE


@dataclass(frozen=True, slots=True)
class ExcludeConfig:
    """Positions that sellctl shows and never trades; a position is excluded when it matches every key given here."""

    symbol: Annotated[tuple[Symbol, ...], Doc("Exact symbols.")] = ()
    underlying: Annotated[tuple[Symbol, ...], Doc("Underlyings.")] = ()
    account: Annotated[tuple[str, ...], Doc("Account names of this file.")] = ()


@dataclass(frozen=True, slots=True)
class ManageConfig:
    """Which positions are never traded."""

    exclude: Annotated[
        tuple[ExcludeConfig, ...], Doc("Entries such as {symbol: TSLA} or {underlying: [SPY], account: main}.")
    ] = ()


@dataclass(frozen=True, slots=True)
class MatchConfig:
    """Which positions a strategy manages: those that match every key given here. Without keys, all of them."""

    account: Annotated[tuple[str, ...], Doc("Account names of this file.")] = ()
    symbol: Annotated[tuple[Symbol, ...], Doc("Exact symbols.")] = ()
    underlying: Annotated[tuple[Symbol, ...], Doc("Underlyings.")] = ()
    asset: Annotated[tuple[AssetKind, ...], Doc("option, stock.")] = ()
    side: Annotated[SideKind | None, Doc("long or short.")] = None
    dte: Annotated[IntRangeValue | None, Doc("Calendar days until the last trading day; 0 on that day.")] = None
    size: Annotated[IntRangeValue | None, Doc("Contracts or shares held.")] = None
    tag: Annotated[tuple[str, ...], Doc("How the client order id of the opening order begins.")] = ()
    structure: Annotated[
        tuple[StructureKind, ...],
        Doc("What the option is part of. A structure of several legs is judged as one position, if its kind is named."),
    ] = ()


@dataclass(frozen=True, slots=True)
class StructureConfig:
    """Legs that belong together because you say so; they are in no other structure then.

    By default sellctl puts structures together from what is held. One whose kind a `match` names is judged as one
    position; any other has a name only, and its legs are judged alone. `structures: off` recognises none. One of which
    a leg isn't held, or too little of it, and that was never held as a whole, is a mistake: `run-once` and `watch` end.
    """

    name: Annotated[
        str | None, Doc("A name of your choice, for close, exempt, manage, positions, history and report.")
    ] = None
    legs: Annotated[
        tuple[LegText, ...],
        Doc("As [AAPL261218C00200000, AAPL261218C00210000 x2]; AAPL is a hundred of its shares."),
    ] = ()
    order: Annotated[
        str | None, Doc("In place of legs: the client order id of the multi-leg order that opened it.")
    ] = None


@dataclass(frozen=True, slots=True)
class TrailingStopConfig:
    """A stop that follows the best price. It never moves back, and it cannot fire on the check that arms it."""

    trail: Annotated[
        PullbackValue, Doc("Exit this far below the peak: points of return on entry, or a percentage of its price.")
    ]
    activation: Annotated[Gain, Doc("Armed once the peak's gain is at or above this.")] = Decimal(0)
    floor: Annotated[Gain | None, Doc("Once armed, the stop is never below this gain.")] = None
    max_pullback: Annotated[PullbackValue | None, Doc("A second trail; the one closer to the peak applies.")] = None


@dataclass(frozen=True, slots=True)
class BreakevenConfig:
    """A stop at entry, armed by a gain."""

    activation: Annotated[Gain, Doc("Armed once the peak's gain is at or above this.")]
    keep: Annotated[Gain, Doc("Exit at or below this gain; 0 is entry.")] = Decimal(0)


@dataclass(frozen=True, slots=True)
class LockStep:
    """One step of the profit lock: once the peak's gain was `at`, exit when the gain falls to `keep`."""

    at: Annotated[Gain, Doc("The peak's gain that arms this step.")]
    keep: Annotated[Gain, Doc("The gain that it locks in.")]


@dataclass(frozen=True, slots=True)
class RoiStep:
    """From `after` held on, the target is `gain`."""

    after: Minutes
    gain: Gain


@dataclass(frozen=True, slots=True)
class DteConfig:
    """Exit when few days are left."""

    days: Annotated[int, Doc("Exit this many calendar days or fewer before the last trading day.")]
    gain: Annotated[Gain | None, Doc("Only while the gain is at or above this.")] = None


@dataclass(frozen=True, slots=True)
class UnderlyingConfig:
    """Exit when the underlying touches a price, measured on its mid."""

    above: Annotated[Dollars | None, Doc("Exit when the underlying is at or above this price.")] = None
    below: Annotated[Dollars | None, Doc("Exit when the underlying is at or below this price.")] = None


@dataclass(frozen=True, slots=True)
class ShortStrikeConfig:
    """Exit when the underlying comes near a strike that is sold, measured on its mid; `touched` is at the strike."""

    within: Annotated[Gain, Doc("Exit when it is at most this share of the strike away, or beyond it.")] = Decimal(0)


@dataclass(frozen=True, slots=True)
class ScaleStep:
    """One partial exit of a scale-out: at this gain, sell this percentage of the original quantity."""

    at: Annotated[Gain, Doc("The gain that triggers this partial exit.")]
    sell: Annotated[Percent, Doc("Percentage of the original quantity; less than one contract sells nothing.")]


@dataclass(frozen=True, slots=True)
class RulesConfig:
    """The exit rules of a strategy. Percentages are of the entry price, mirrored for a short position."""

    take_profit: Annotated[AmountValue | None, Doc("Exit at this profit, measured on price_basis.profit.")] = None
    stop_loss: Annotated[AmountValue | None, Doc("Exit at this loss, measured on price_basis.loss.")] = None
    trailing_stop: TrailingStopConfig | None = None
    breakeven: BreakevenConfig | None = None
    profit_lock: Annotated[tuple[LockStep, ...], Doc("Steps such as {at: 50%, keep: 20%}.")] = ()
    roi_table: Annotated[
        tuple[RoiStep, ...], WrittenAsTable(), Doc("Targets by time held, as {0: 100%, 60m: 50%}.")
    ] = ()
    roi_hours: Annotated[
        TimeCounting, Doc("How roi_table counts time held. wall: clock time, nights included; session: trading hours.")
    ] = TimeCounting.WALL
    max_hold: Annotated[Minutes | None, Doc("Exit after this long, nights included.")] = None
    before_close: Annotated[Minutes | None, Doc("Exit this long before each day's close.")] = None
    exit_at: Annotated[TimeOfDay | None, Doc("Exit from this time of day on, New York time.")] = None
    days_to_expiry: Annotated[int | None, Doc("Exit this many calendar days or fewer before the last trading day.")] = (
        None
    )
    days_to_expiry_with_gain: DteConfig | None = None
    underlying: UnderlyingConfig | None = None
    in_the_money: Annotated[
        Dollars | None, Doc("Exit when the option is this far in the money, in dollars per share; 0 is at the strike.")
    ] = None
    short_strike: Annotated[
        ShortStrikeConfig | None,
        DefaultsWord("touched"),
        Doc("touched, or {within: 1%}: exit when the underlying comes near a strike that is sold."),
    ] = None
    scale_out: Annotated[tuple[ScaleStep, ...], Doc("Partial exits such as {at: 50%, sell: 50%}.")] = ()


@dataclass(frozen=True, slots=True)
class StrategyConfig:
    """One strategy: a name, a match and rules; or `use`, a class of your own with its fields as further keys."""

    name: Annotated[str | None, Doc("A name of your choice, shown wherever the strategy is.")] = None
    use: Annotated[str | None, Doc("./file.py:Class next to this file, or the name of an installed strategy.")] = None
    match: MatchConfig = MatchConfig()
    rules: RulesConfig = RulesConfig()
    parameters: Annotated[tuple[tuple[str, str], ...], OtherKeys()] = ()


@dataclass(frozen=True, slots=True)
class AccountGuardConfig:
    """Limits on the account's profit or loss of the day: equity against the previous close, not counting transfers."""

    loss: Annotated[
        AmountValue | None, Doc("5% or $1000/position; triggers when the day's loss is at or above it.")
    ] = None
    profit: Annotated[AmountValue | None, Doc("The same for the day's profit.")] = None
    action: Annotated[GuardAction, Doc("flatten closes every managed position; halt stops new orders.")] = (
        GuardAction.FLATTEN
    )


@dataclass(frozen=True, slots=True)
class SellModuleConfig:
    """What is managed, how often it is checked, and the strategies."""

    enabled: Annotated[
        bool, Doc("false: watch and run-once report that it is disabled, send nothing and exit with 0.")
    ] = True
    check_interval: Annotated[Seconds, Doc("Time between checks; a bare number is seconds.")] = dt.timedelta(seconds=5)
    order_cancel_minutes: Annotated[Decimal, Doc("Cancel sell orders older than this many minutes.")] = Decimal(3)
    order_cancel_scope: Annotated[CancelScope, Doc("sells, own (only sellctl's) or all (buys too).")] = (
        CancelScope.SELLS
    )
    zero_day_handling: Annotated[bool, Doc("Force-close options on their last trading day.")] = True
    zero_day: ZeroDayConfig = ZeroDayConfig()
    price_basis: PriceBasisConfig = PriceBasisConfig()
    max_position_age: Annotated[
        Seconds, Doc("Send no order when the last read of the positions is older; at least twice check_interval.")
    ] = dt.timedelta(seconds=15)
    take_over: Annotated[
        Preempt,
        Doc("forced, protective or never: which exits may cancel your own closing order that holds the quantity."),
    ] = Preempt.FORCED
    allow_legging_out: Annotated[bool, Doc("true: a long that covers a short may be closed alone.")] = False
    short_positions: ShortPositionsConfig = ShortPositionsConfig()
    structures: Annotated[
        tuple[StructureConfig, ...] | None,
        NoneLiteral("off"),
        MayBeEmpty(),
        Doc("Structures that you name yourself; off recognises none at all."),
    ] = ()
    manage: ManageConfig = ManageConfig()
    strategies: Annotated[
        tuple[StrategyConfig, ...],
        Doc("Your strategies; the first that matches manages a position, strategy_one comes last."),
    ] = ()
    account_guard: AccountGuardConfig = AccountGuardConfig()
    strategy_one: StrategyOneConfig = StrategyOneConfig()


@dataclass(frozen=True, slots=True)
class WalkConfig:
    """How the limit price moves from the mid to a price that fills, in even steps."""

    steps: Annotated[int, Doc("Number of orders on the way; 1: a single order at the final price.")] = 4
    every: Annotated[Seconds, Doc("How long each order may rest before the next.")] = dt.timedelta(seconds=6)
    final: Annotated[
        Decimal, Doc("Where it ends: 1 is the bid (the ask for a cover), 0.8 is 80% of the way there.")
    ] = Decimal(1)


@dataclass(frozen=True, slots=True)
class WalksConfig:
    """The price walk of each kind of exit that isn't urgent."""

    profit: Annotated[WalkConfig, Doc("Profit targets. Their limit never gets worse than the target price.")] = (
        WalkConfig()
    )
    time: Annotated[WalkConfig, Doc("Time exits. After the walk, orders are repriced at the bid, then below it.")] = (
        WalkConfig()
    )


@dataclass(frozen=True, slots=True)
class BackstopConfig:
    """A wide stop order that rests at the broker under each managed long, in case this host fails.

    Every exit cancels it first. Once touched it becomes a market order. While it rests, Alpaca refuses to buy the same
    symbol (wash-trade rule), unless it is a trailing stop.
    """

    stop: Annotated[
        Percent | None, Doc("Distance below entry, wider than every stop of your strategies; null places none.")
    ] = None
    trail: Annotated[
        Percent | None,
        Doc("Stocks only, instead of `stop`: a trailing stop this far below the best price since it was placed."),
    ] = None
    assets: Annotated[
        tuple[AssetKind, ...], Doc("option, stock. Where Alpaca refuses a stop on an option, it is tried once per day.")
    ] = (AssetKind.OPTION, AssetKind.STOCK)


@dataclass(frozen=True, slots=True)
class ExecutionConfig:
    """How exits are sent."""

    style: Annotated[Style, Doc("smart sends limit orders near the market, market sends market orders.")] = Style.SMART
    protective_market: Annotated[bool, Doc("true: if its limit orders don't fill, a stop sends a market order.")] = (
        False
    )
    walk: WalksConfig = WalksConfig()
    backstop: BackstopConfig = BackstopConfig()


@dataclass(frozen=True, slots=True)
class StopConfirmationConfig:
    """How quotes confirm a stop before it fires."""

    confirm: Annotated[Seconds, Doc("Time between the two confirming quotes that a stop needs; 0s needs only one.")] = (
        dt.timedelta(seconds=1.5)
    )


class NotificationKind(StrEnum):
    """What a notification is about."""

    FILLED = "filled"  # an exit was filled
    FAILED = "failed"  # an order was rejected, or its outcome is unknown
    BLOCKED = "blocked"  # an exit is due but could not be sent: denied by a check, or a user's order is in the way
    HALTED = "halted"
    DEGRADED = "degraded"  # an account, a stream or quotes fail, or have recovered
    ALERT = "alert"  # needs attention now
    SUMMARY = "summary"  # once after the close


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """One recipient of notifications."""

    url: Annotated[SecretText, Doc("An Apprise URL (mailto://, ntfy://, tgram:// ...), treated as a secret.")] = field(
        repr=False
    )
    kinds: Annotated[
        tuple[NotificationKind, ...],
        Doc("filled, failed, blocked, halted, degraded, alert, summary; all when left out."),
    ] = tuple(NotificationKind)


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """Where the journal is kept: in the state folder, or for several hosts in a database on a PostgreSQL server."""

    url: Annotated[
        SecretText | None,
        Doc(
            "postgresql+psycopg://user:password@host/database, PostgreSQL 15 or newer, treated as a secret; requires "
            "sellctl[postgres]. null: the file journal.sqlite in the state folder."
        ),
    ] = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """How a running watcher reports that it works."""

    heartbeat: Annotated[
        SecretText | None,
        Doc("URL requested once per minute and per run-once, for a dead man's switch; treated as a secret."),
    ] = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """The control API of `sellctl serve`."""

    host: Annotated[str, Doc("Address to listen on; beyond this machine it needs TLS files or a proxy.")] = "127.0.0.1"
    port: Annotated[int, Doc("Port to listen on.")] = 8090
    names: Annotated[
        tuple[str, ...], MayBeEmpty(), Doc("Host names that it accepts, besides localhost and IP addresses.")
    ] = ()
    secret: Annotated[SecretText, Doc("Signs its tokens, 32 bytes or more; only serve and token read it.")] = field(
        default="${SELLCTL_API_SECRET}", repr=False
    )
    allow: Annotated[
        tuple[str, ...], MayBeEmpty(), Doc("Addresses and networks that may call it; when empty, only this machine.")
    ] = ()
    proxies: Annotated[
        tuple[str, ...], MayBeEmpty(), Doc("Addresses and networks of your proxies, whose X-Forwarded-For is trusted.")
    ] = ()
    tls_cert: Annotated[str | None, Doc("Certificate chain, PEM; a relative path starts at this file's folder.")] = None
    tls_key: Annotated[str | None, Doc("Its private key, PEM.")] = None
    requests_a_second: Annotated[
        int, Doc("Requests per second of one subject, or of one address without a token, on average.")
    ] = 30
    autostart: Annotated[bool, Doc("false: watching begins with POST /api/v1/sell/start.")] = True


class ChatRole(StrEnum):
    """What a chat may do; each role includes those before it."""

    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # also closes, exempts, manages and halts
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ChatConfig:
    """One chat, by Telegram's number for it, and its role."""

    id: Annotated[int, ValueFormat.CHAT]
    role: ChatRole


@dataclass(frozen=True, slots=True)
class TelegramConfig:
    """A Telegram bot that sends alerts to your chats and answers their commands, in `watch` and `serve`."""

    token: Annotated[SecretText | None, Doc("The bot's token from @BotFather; requires sellctl[telegram].")] = field(
        default=None, repr=False
    )
    chats: Annotated[
        tuple[ChatConfig, ...],
        WrittenAsTable("{123456: operator}"),
        MayBeEmpty(),
        Doc(
            "The chats that it serves, each with its role, as {123456: operator}: a viewer reads, an operator also "
            "closes, exempts, manages and halts, and so does an admin."
        ),
    ] = ()
    kinds: Annotated[
        tuple[NotificationKind, ...],
        Doc("What it sends unasked: filled, failed, blocked, halted, degraded, alert, summary; all when left out."),
    ] = tuple(NotificationKind)
    api_url: Annotated[str, Doc("Address of the Bot API; another one for a server of your own.")] = (
        "https://api.telegram.org"
    )


@dataclass(frozen=True, slots=True)
class TelemetryConfig:
    """Traces and metrics by OpenTelemetry, in `watch`, `serve` and `run-once`; requires sellctl[telemetry]."""

    endpoint: Annotated[
        str | None, Doc("Base of an OTLP/HTTP collector, such as http://127.0.0.1:4318; null sends nothing.")
    ] = None
    token: Annotated[SecretText | None, Doc("The bearer token that it wants; treated as a secret.")] = field(
        default=None, repr=False
    )
    interval: Annotated[Seconds, Doc("Time between two pushes of the metrics.")] = dt.timedelta(seconds=15)
    prometheus: Annotated[
        bool, Doc("true: serve answers GET /metrics, for a token with the role viewer as its other routes.")
    ] = False


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    accounts: Annotated[dict[str, AccountConfig], Doc("Your accounts, each under a name of your choice.")] = field(
        default_factory=dict
    )
    market_data: MarketDataConfig = MarketDataConfig()
    sell_module: SellModuleConfig = SellModuleConfig()
    execution: ExecutionConfig = ExecutionConfig()
    guards: StopConfirmationConfig = StopConfirmationConfig()
    notify: Annotated[tuple[NotifyConfig, ...], Doc("Recipients of notifications; requires sellctl[notify].")] = ()
    watch: WatchConfig = WatchConfig()
    journal: JournalConfig = JournalConfig()
    telegram: TelegramConfig = TelegramConfig()
    api: ApiConfig = ApiConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    simulator: Annotated[
        bool,
        Doc("true: the accounts are simulated; journal, halt and exempt symbols are kept separate from the real ones."),
    ] = False
