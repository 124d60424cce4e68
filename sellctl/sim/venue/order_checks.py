"""The broker's rules on a new order, in the order of asking. Each check is one question; a no is a RefusedError.

A check gets a Case: the request, the account's books and the market at that instant. None of them changes anything.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sellctl.sim import rejections
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import EUROPEAN_ROOTS, Asset, asset_of, on_tick, tick_of
from sellctl.sim.market.price_paths import Level
from sellctl.sim.numbers import SHARE_STEP, ZERO, text
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.order_requests import OrderRequest, is_simple
from sellctl.sim.venue.orders import SimOrder


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a check may look at."""

    request: OrderRequest
    account: SimAccount
    settings: Settings
    now: dt.datetime
    quote: Level | None

    @property
    def asset(self) -> Asset:
        """What the order trades."""
        return asset_of(self.request.symbol)

    @property
    def held(self) -> Decimal:
        """The signed quantity held."""
        return self.account.qty_of(self.request.symbol)

    @property
    def inferred(self) -> str:
        """The intent the broker infers: closing when the position is opposite and large enough, else opening."""
        qty = self.request.qty or ZERO
        if self.request.side == "sell":
            closing = self.held > 0 and (qty <= self.held or self.request.notional is not None)
            return "sell_to_close" if closing else "sell_to_open"
        return "buy_to_close" if self.held < 0 and qty <= -self.held else "buy_to_open"

    @property
    def closes(self) -> bool:
        """Whether the order closes."""
        return self.inferred.endswith("_to_close")


def check_all(case: Case) -> None:
    """Ask every question in turn. RefusedError is the first no."""
    for check in CHECKS:
        check(case)


def trading_allowed(case: Case) -> None:
    """403 when the account may not trade."""
    account = case.account
    if account.account_blocked or account.trading_blocked:
        raise rejections.not_allowed("account is not authorized to trade")
    if account.configuration["suspend_trade"]:
        raise rejections.not_allowed("new orders are rejected by user request")


def client_id_is_new(case: Case) -> None:
    """422 when the client order id was used before, whatever became of that order."""
    if case.request.client_order_id in case.account.by_client_id:
        raise rejections.duplicate_id()


def known_symbol(case: Case) -> None:
    """422 for contracts that are over, and for index options unless the venue has them."""
    asset = case.asset
    if not asset.is_option:
        if not asset.symbol.replace(".", "").replace("/", "").isalnum():
            raise rejections.unprocessable(f'asset "{asset.symbol}" not found')
        return
    if asset.expires < calendar.exchange_date(case.now) or _after_last_close(case):
        raise rejections.unprocessable(f'contract "{asset.symbol}" is expired')
    if asset.root in EUROPEAN_ROOTS and not case.settings.index_options:
        raise rejections.unprocessable(f'contract "{asset.symbol}" not found')


def _after_last_close(case: Case) -> bool:
    hours = calendar.hours_on(case.asset.expires)
    return hours is not None and case.now >= hours.closes_at


def option_form(case: Case) -> None:
    """422 for what options don't take: fractions, notional, extended hours, complex classes, trailing stops."""
    request = case.request
    if not case.asset.is_option:
        return
    strict = case.settings.strict_options
    rules = (
        (request.notional is not None, "notional is not supported for options trading"),
        (request.qty is not None and request.qty % 1 != 0, "qty must be integer for options trading"),
        (request.extended_hours, "extended hours not supported for options trading"),
        (not is_simple(request), "complex orders not supported for options trading"),
        (request.type == "trailing_stop", "invalid options order_type"),
        (strict and request.type not in {"market", "limit"}, "invalid options order_type"),
        (request.time_in_force not in {"day", "gtc"}, "invalid option time_in_force"),
        (strict and request.time_in_force != "day", "invalid option time_in_force"),
    )
    _refuse_first(rules)


def stock_form(case: Case) -> None:
    """422 for what stocks don't take: extended hours without a day limit, fractions beyond day orders."""
    request = case.request
    if case.asset.is_option:
        return
    fractional = request.notional is not None or (request.qty is not None and request.qty % 1 != 0)
    limit_day = request.type == "limit" and request.time_in_force in {"day", "gtc"}
    rules = (
        (request.extended_hours and not limit_day, "extended hours order must be DAY or GTC limit orders"),
        (fractional and request.time_in_force != "day", "fractional orders must be DAY orders"),
        (fractional and request.type == "trailing_stop", "fractional orders must not be trailing stop orders"),
        (fractional and not is_simple(request), "fractional orders must be simple orders"),
        (request.qty is not None and request.qty % SHARE_STEP != 0, "qty can have at most 9 decimal places"),
        (request.type == "trailing_stop" and not is_simple(request), "trailing stop orders must be simple orders"),
    )
    _refuse_first(rules)


def prices_on_tick(case: Case) -> None:
    """422 for limits and stops off the price step. Option prices off theirs may be routed elsewhere (a setting)."""
    for name in ("limit_price", "stop_price"):
        price: Decimal | None = getattr(case.request, name)
        if price is None:
            continue
        decimals = -int(price.normalize().as_tuple().exponent)
        sub_penny = decimals > 2 if case.asset.is_option else not on_tick(case.asset, price)  # noqa: PLR2004  cents
        if sub_penny:
            raise rejections.unprocessable(
                f"invalid {name} {text(price)}. sub-penny increment does not fulfill minimum pricing criteria"
            )
        if case.asset.is_option and case.settings.reject_off_tick and not on_tick(case.asset, price):
            step = text(tick_of(case.asset, price))
            raise rejections.unprocessable(f"invalid {name} {text(price)}. price must be a multiple of {step}")


def market_hours(case: Case) -> None:
    """422 for option market orders outside the session; stocks' are queued for the next one."""
    if case.asset.is_option and case.request.type == "market" and not calendar.is_open(case.now):
        raise rejections.unprocessable("options market orders are only allowed during market hours")


def intent_matches(case: Case) -> None:
    """422 when the intent sent isn't the one that the position tells."""
    specified = case.request.position_intent
    if specified and specified != case.inferred:
        raise rejections.intent_mismatch(case.inferred, specified)


def not_expiring(case: Case) -> None:
    """422 from the cut-off of the last day on; whether closing is refused too is a setting."""
    if not case.asset.is_option or case.now < cutoff(case.asset, case.settings):
        return
    if not case.closes or not case.settings.close_in_expiry_window:
        raise rejections.unprocessable(f'contract "{case.asset.symbol}" expires soon, unable to open new positions')


def quantity_is_free(case: Case) -> None:
    """403 when open orders hold what this one would close, or one order would turn a position round."""
    request, account = case.request, case.account
    size = abs(case.held)
    if not case.closes:
        if (request.side == "sell") == (case.held > 0) and case.held:  # more than is held: no flip in one order
            related = [order.id for order in account.closing_orders(request.symbol)]
            held = account.held_for_orders(request.symbol)
            if case.asset.is_option and request.side == "sell":
                raise rejections.uncovered()
            raise rejections.insufficient_qty(request.symbol, request.qty or ZERO, size, held, related)
        return
    held = account.held_for_orders(request.symbol)
    if (request.qty or ZERO) > size - held:
        related = [order.id for order in account.closing_orders(request.symbol)]
        raise rejections.insufficient_qty(request.symbol, request.qty or ZERO, size, held, related)


def no_wash_trade(case: Case) -> None:
    """403 when an opposite order of the account rests on the symbol and the two could meet."""
    if not is_simple(case.request) or case.request.type == "trailing_stop":
        return
    for order in case.account.open_on(case.request.symbol):
        if order.side != case.request.side and _exposed(order) and _could_meet(case.request, order):
            limits = {order.side: order.limit_price, case.request.side: case.request.limit_price}
            crossing = {order.type, case.request.type} <= {"limit", "stop_limit"}
            raise rejections.wash_trade(
                order.id,
                limits["buy"] if crossing else None,
                limits["sell"] if crossing else None,
                rests=order.side,
            )


def _exposed(order: SimOrder) -> bool:
    return order.order_class in {"", "simple"} and order.type != "trailing_stop"


def _could_meet(request: OrderRequest, order: SimOrder) -> bool:
    if not {request.type, order.type} <= {"limit", "stop_limit"}:
        return True
    buy, sell = (request, order) if request.side == "buy" else (order, request)
    return (buy.limit_price or ZERO) >= (sell.limit_price or ZERO)


def stays_covered(case: Case) -> None:
    """403 when the order and every open sale, once filled, would leave more short options without cover than now."""
    request, account = case.request, case.account
    if request.side != "sell":
        return
    after = {symbol: position.qty for symbol, position in account.positions.items()}
    before = uncovered_contracts(after, account.cash)
    resting = [(o.symbol, o.leaves) for o in account.open_orders.values() if o.side == "sell" and not o.parent]
    for symbol, qty in (*resting, (request.symbol, request.qty or ZERO)):
        if symbol:
            after[symbol] = after.get(symbol, ZERO) - qty
    if uncovered_contracts(after, account.cash) > before:
        raise rejections.uncovered()


def shorting_allowed(case: Case) -> None:
    """403 for a stock sale without shares where shorting is off."""
    if case.asset.is_option or case.inferred != "sell_to_open":
        return
    if not case.settings.shorting or case.account.configuration["no_shorting"]:
        raise rejections.not_allowed("account is not allowed to short")
    if case.request.notional is not None or (case.request.qty or ZERO) % 1 != 0:
        raise rejections.unprocessable("fractional orders cannot be sold short")


def enough_buying_power(case: Case) -> None:
    """403 when a purchase costs more than the account can pay."""
    request, asset = case.request, case.asset
    if request.side != "buy" or case.closes:
        return
    price = request.limit_price or request.stop_price or (case.quote.ask if case.quote else None)
    cost = request.notional if request.notional is not None else (request.qty or ZERO) * (price or ZERO)
    cost *= asset.multiplier
    power = case.account.cash if asset.is_option else case.account.cash * 2
    if cost > power:
        raise rejections.insufficient_buying_power(power, cost, option=asset.is_option)


def cutoff(asset: Asset, settings: Settings) -> dt.datetime:
    """From when on new orders on an expiring contract are refused."""
    return before_close(asset, settings, settings.cutoff_broad_etf if asset.is_broad_etf else settings.cutoff)


def liquidation_time(asset: Asset, settings: Settings) -> dt.datetime:
    """From when on the broker sells an expiring position out by itself."""
    return before_close(asset, settings, settings.liquidation_broad_etf if asset.is_broad_etf else settings.liquidation)


def before_close(asset: Asset, settings: Settings, before: dt.timedelta) -> dt.datetime:
    """So long before the last day's close; on half days the real one, or the ordinary one (a setting)."""
    hours = calendar.hours_on(asset.expires)
    if hours is None:
        return dt.datetime.max.replace(tzinfo=dt.UTC)
    ordinary = dt.datetime.combine(asset.expires, calendar.CLOSE, calendar.NEW_YORK).astimezone(dt.UTC)
    return (hours.closes_at if settings.early_close_shifts else ordinary) - before


def _refuse_first(rules: tuple[tuple[bool, str], ...]) -> None:
    for broken, message in rules:
        if broken:
            raise rejections.unprocessable(message)


CHECKS: tuple[Callable[[Case], None], ...] = (
    trading_allowed,
    client_id_is_new,
    known_symbol,
    option_form,
    stock_form,
    prices_on_tick,
    market_hours,
    intent_matches,
    not_expiring,
    quantity_is_free,
    no_wash_trade,
    shorting_allowed,
    stays_covered,
    enough_buying_power,
)
