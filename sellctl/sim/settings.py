"""Settings for behaviour of Alpaca that is unknown, disputed or variable. The stricter variant is the default."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Settings:
    """One venue's settings; every field is a key of a scenario's `settings` block. Durations are simulated time."""

    # market model (docs/market-model.md)
    inside_fill: Decimal = Decimal(0)  # probability per second that a limit inside the spread fills
    partial_fills: Decimal = Decimal(0)  # share of eligible orders that first fill in part (Alpaca's paper engine: 10%)
    depth: bool = False  # True: the fills of one second take at most the quote's size
    impact: Decimal = Decimal(0)  # share of the spread by which the price moves against the taker per full size
    seed: int = 1

    # delays at the broker
    position_lag: dt.timedelta = dt.timedelta(0)  # the position list shows a fill this much later (real: 0-10 s)
    cancel_delay: dt.timedelta = dt.timedelta(0)  # a cancel stays pending_cancel this long
    activity_lag: bool = True  # non-trade activities appear the next day, as on paper

    # orders
    strict_options: bool = False  # True: options accept only market and limit, and only day
    reject_off_tick: bool = True  # False: option limits off their price increment are accepted
    shorting: bool = True
    close_in_expiry_window: bool = False  # False: after the cut-off closing orders on expiring options are rejected too
    cutoff: dt.timedelta = dt.timedelta(minutes=45)  # before the close: 15:15
    cutoff_broad_etf: dt.timedelta = dt.timedelta(minutes=30)  # 15:30
    liquidation: dt.timedelta = dt.timedelta(minutes=30)  # the broker liquidates: 15:30
    liquidation_broad_etf: dt.timedelta = dt.timedelta(minutes=15)  # 15:45
    liquidate: bool = True
    early_close_shifts: bool = True  # on half days the cut-offs are counted from the real close
    index_options: bool = False
    equity_legs: bool = False  # True: multi-leg orders may trade 100 shares with each call
    replace_closing_mleg: bool = False  # False: replacing a multi-leg order that closes is refused, as users report

    # shapes
    signed_short_qty: bool = True  # "-2" rather than "2" with side short
    inverted_short_plpc: bool = False  # the sign of unrealized_plpc on shorts is unverified
    done_for_day_is_open: bool = True  # True: status=open lists orders that are done_for_day
    legs_in_look_ups: bool = False  # True: the look-up of a multi-leg order has its legs also without `nested`
    day_trading_fields: bool = False  # True: accounts as before 2026-07-06, when Alpaca ended daytrade_count and others
    bare_429: bool = False  # {"message":"too many requests."} rather than the body with a code

    # limits
    rate_limit: int = 200  # requests per minute and key, trading and data counted separately; 0: no limit
    stock_stream_symbols: int = 30
    option_stream_quotes: int = 200
    trading_stream_connections: int = 1
    data_stream_connections: int = 1
    auth_timeout: float = 10.0  # seconds of the host until a socket that doesn't log in is closed
    sip: bool = False  # Basic plan: IEX and indicative only
