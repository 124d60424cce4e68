"""The broker's rules for a new order, in the order of checking. Each check is a function that raises RejectionError.

None of them changes anything.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sellctl.sim import rejections
from sellctl.sim.market import calendar
from sellctl.sim.market.assets import EUROPEAN_ROOTS, Asset, asset_of, is_am_settled, on_tick, tick_of
from sellctl.sim.market.price_paths import TwoSidedQuote
from sellctl.sim.numbers import SHARE_STEP, ZERO, text
from sellctl.sim.settings import Settings
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.order_requests import OrderRequest, is_simple
from sellctl.sim.venue.orders import SimOrder


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """A requested order, with everything that the checks use."""

    request: OrderRequest
    account: SimAccount
    settings: Settings
    now: dt.datetime
    quote: TwoSidedQuote | None

    @property
    def asset(self) -> Asset:
        """The asset that the order trades."""
        return asset_of(self.request.symbol)

    @property
    def held(self) -> Decimal:
        """The signed quantity held."""
        return self.account.qty_of(self.request.symbol)

    @property
    def inferred_intent(self) -> str:
        """The intent the broker infers: closing when the position is opposite and large enough, else opening."""
        qty = self.request.qty or ZERO
        if self.request.side == "sell":
            closing = self.held > 0 and (qty <= self.held or self.request.notional is not None)
            return "sell_to_close" if closing else "sell_to_open"
        return "buy_to_close" if self.held < 0 and qty <= -self.held else "buy_to_open"

    @property
    def closes(self) -> bool:
        """Whether the inferred intent is to close."""
        return self.inferred_intent.endswith("_to_close")


def check_all(proposed: ProposedOrder) -> None:
    """Apply every check in order. RejectionError for the first rule that is broken."""
    for check in CHECKS:
        check(proposed)


def trading_allowed(proposed: ProposedOrder) -> None:
    """403 when the account may not trade."""
    account = proposed.account
    if account.account_blocked or account.trading_blocked:
        raise rejections.not_allowed("account is not authorized to trade")
    if account.configuration["suspend_trade"]:
        raise rejections.not_allowed("new orders are rejected by user request")


def client_id_is_new(proposed: ProposedOrder) -> None:
    """422 when the client order id was used before, in an order of any status."""
    if proposed.request.client_order_id in proposed.account.by_client_id:
        raise rejections.duplicate_id()


def known_symbol(proposed: ProposedOrder) -> None:
    """422 for expired contracts, and for index options unless the venue has them."""
    asset = proposed.asset
    if not asset.is_option:
        if not asset.symbol.replace(".", "").replace("/", "").isalnum():
            raise rejections.unprocessable(f'asset "{asset.symbol}" not found')
        return
    if asset.expires < calendar.exchange_date(proposed.now) or _after_last_close(proposed):
        raise rejections.unprocessable(f'contract "{asset.symbol}" is expired')
    if is_am_settled(asset) and asset.expires == calendar.exchange_date(proposed.now):
        raise rejections.unprocessable("orders for morning-expiration index options cannot be placed on expiration day")
    if asset.root in EUROPEAN_ROOTS and not proposed.settings.index_options:
        raise rejections.unprocessable(f'contract "{asset.symbol}" not found')


def _after_last_close(proposed: ProposedOrder) -> bool:
    hours = calendar.hours_on(proposed.asset.expires)
    return hours is not None and proposed.now >= hours.closes_at


def supported_for_options(proposed: ProposedOrder) -> None:
    """422 for features that options lack: fractions, notional, extended hours, complex classes, trailing stops."""
    request = proposed.request
    if not proposed.asset.is_option:
        return
    strict = proposed.settings.strict_options
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
    _reject_first(rules)


def supported_for_stocks(proposed: ProposedOrder) -> None:
    """422 for extended hours on other than DAY or GTC limits, and for fractions beyond simple day orders."""
    request = proposed.request
    if proposed.asset.is_option:
        return
    fractional = request.notional is not None or (request.qty is not None and request.qty % 1 != 0)
    is_day_or_gtc_limit = request.type == "limit" and request.time_in_force in {"day", "gtc"}
    rules = (
        (request.extended_hours and not is_day_or_gtc_limit, "extended hours order must be DAY or GTC limit orders"),
        (fractional and request.time_in_force != "day", "fractional orders must be DAY orders"),
        (fractional and request.type == "trailing_stop", "fractional orders must not be trailing stop orders"),
        (fractional and not is_simple(request), "fractional orders must be simple orders"),
        (request.qty is not None and request.qty % SHARE_STEP != 0, "qty can have at most 9 decimal places"),
        (request.type == "trailing_stop" and not is_simple(request), "trailing stop orders must be simple orders"),
    )
    _reject_first(rules)


def prices_on_tick(proposed: ProposedOrder) -> None:
    """422 for limits and stops off the price increment; for options `reject_off_tick` decides."""
    for name in ("limit_price", "stop_price"):
        price: Decimal | None = getattr(proposed.request, name)
        if price is None:
            continue
        decimals = -int(price.normalize().as_tuple().exponent)
        sub_penny = decimals > 2 if proposed.asset.is_option else not on_tick(proposed.asset, price)  # noqa: PLR2004  cents
        if sub_penny:
            raise rejections.unprocessable(
                f"invalid {name} {text(price)}. sub-penny increment does not fulfill minimum pricing criteria"
            )
        if proposed.asset.is_option and proposed.settings.reject_off_tick and not on_tick(proposed.asset, price):
            step = text(tick_of(proposed.asset, price))
            raise rejections.unprocessable(f"invalid {name} {text(price)}. price must be a multiple of {step}")


def market_hours(proposed: ProposedOrder) -> None:
    """422 for option market orders outside the session; stocks' are queued for the next one."""
    if proposed.asset.is_option and proposed.request.type == "market" and not calendar.is_open(proposed.now):
        raise rejections.unprocessable("options market orders are only allowed during market hours")


def intent_matches(proposed: ProposedOrder) -> None:
    """422 when the intent sent differs from the one that follows from the position."""
    specified = proposed.request.position_intent
    if specified and specified != proposed.inferred_intent:
        raise rejections.intent_mismatch(proposed.inferred_intent, specified)


def not_expiring(proposed: ProposedOrder) -> None:
    """422 from the cut-off of the last day on; `close_in_expiry_window` decides on closing orders."""
    if not proposed.asset.is_option or proposed.now < cutoff(proposed.asset, proposed.settings):
        return
    if not proposed.closes or not proposed.settings.close_in_expiry_window:
        raise rejections.unprocessable(f'contract "{proposed.asset.symbol}" expires soon, unable to open new positions')


def quantity_is_free(proposed: ProposedOrder) -> None:
    """403 when open orders reserve the quantity that this one would close, or when it would reverse a position."""
    request, account = proposed.request, proposed.account
    size = abs(proposed.held)
    if not proposed.closes:
        if (request.side == "sell") == (proposed.held > 0) and proposed.held:  # more than is held: no flip in one order
            related = [order.id for order in account.closing_orders(request.symbol)]
            held = account.held_for_orders(request.symbol)
            if proposed.asset.is_option and request.side == "sell":
                raise rejections.uncovered()
            raise rejections.insufficient_qty(request.symbol, request.qty or ZERO, size, held, related)
        return
    held = account.held_for_orders(request.symbol)
    if (request.qty or ZERO) > size - held:
        related = [order.id for order in account.closing_orders(request.symbol)]
        raise rejections.insufficient_qty(request.symbol, request.qty or ZERO, size, held, related)


def no_wash_trade(proposed: ProposedOrder) -> None:
    """403 when the account has an opposite open order on the symbol that this one could trade with."""
    if not is_simple(proposed.request) or proposed.request.type == "trailing_stop":
        return
    for order in proposed.account.open_on(proposed.request.symbol):
        if order.side != proposed.request.side and _may_wash(order) and _could_trade(proposed.request, order):
            limits = {order.side: order.limit_price, proposed.request.side: proposed.request.limit_price}
            crossing = {order.type, proposed.request.type} <= {"limit", "stop_limit"}
            raise rejections.wash_trade(
                order.id,
                limits["buy"] if crossing else None,
                limits["sell"] if crossing else None,
                resting_side=order.side,
            )


def _may_wash(order: SimOrder) -> bool:
    """Whether a resting order can be the other side of a wash trade."""
    return order.order_class in {"", "simple"} and order.type != "trailing_stop"


def _could_trade(request: OrderRequest, order: SimOrder) -> bool:
    if not {request.type, order.type} <= {"limit", "stop_limit"}:
        return True
    buy, sell = (request, order) if request.side == "buy" else (order, request)
    return (buy.limit_price or ZERO) >= (sell.limit_price or ZERO)


def stays_covered(proposed: ProposedOrder) -> None:
    """403 when this order and every open sale, once filled, would leave more uncovered short options than now."""
    request, account = proposed.request, proposed.account
    if request.side != "sell":
        return
    after = {symbol: position.qty for symbol, position in account.positions.items()}
    before = uncovered_contracts(after, account.cash)
    resting = [(o.symbol, o.leaves_qty) for o in account.open_orders.values() if o.side == "sell" and not o.parent]
    for symbol, qty in (*resting, (request.symbol, request.qty or ZERO)):
        if symbol:
            after[symbol] = after.get(symbol, ZERO) - qty
    if uncovered_contracts(after, account.cash) > before:
        raise rejections.uncovered()


def shorting_allowed(proposed: ProposedOrder) -> None:
    """403 for a stock sale without shares where shorting is off."""
    if proposed.asset.is_option or proposed.inferred_intent != "sell_to_open":
        return
    if not proposed.settings.shorting or proposed.account.configuration["no_shorting"]:
        raise rejections.not_allowed("account is not allowed to short")
    if proposed.request.notional is not None or (proposed.request.qty or ZERO) % 1 != 0:
        raise rejections.unprocessable("fractional orders cannot be sold short")


def enough_buying_power(proposed: ProposedOrder) -> None:
    """403 when a purchase costs more than the account can pay."""
    request, asset = proposed.request, proposed.asset
    if request.side != "buy" or proposed.closes:
        return
    price = request.limit_price or request.stop_price or (proposed.quote.ask if proposed.quote else None)
    cost = request.notional if request.notional is not None else (request.qty or ZERO) * (price or ZERO)
    cost *= asset.multiplier
    power = proposed.account.cash if asset.is_option else proposed.account.cash * 2
    if cost > power:
        raise rejections.insufficient_buying_power(power, cost, option=asset.is_option)


def cutoff(asset: Asset, settings: Settings) -> dt.datetime:
    """The instant from which new orders on an expiring contract are rejected."""
    return before_close(asset, settings, settings.cutoff_broad_etf if asset.is_broad_etf else settings.cutoff)


def liquidation_time(asset: Asset, settings: Settings) -> dt.datetime:
    """The instant from which the broker liquidates an expiring position."""
    return before_close(asset, settings, settings.liquidation_broad_etf if asset.is_broad_etf else settings.liquidation)


def before_close(asset: Asset, settings: Settings, before: dt.timedelta) -> dt.datetime:
    """The instant `before` the close of the last day.

    On half days it is counted from the early close, or without `early_close_shifts` from the ordinary one.
    """
    hours = calendar.hours_on(asset.expires)
    if hours is None:
        return dt.datetime.max.replace(tzinfo=dt.UTC)
    ordinary = dt.datetime.combine(asset.expires, calendar.CLOSE, calendar.NEW_YORK).astimezone(dt.UTC)
    return (hours.closes_at if settings.early_close_shifts else ordinary) - before


def _reject_first(rules: tuple[tuple[bool, str], ...]) -> None:
    for broken, message in rules:
        if broken:
            raise rejections.unprocessable(message)


CHECKS: tuple[Callable[[ProposedOrder], None], ...] = (
    trading_allowed,
    client_id_is_new,
    known_symbol,
    supported_for_options,
    supported_for_stocks,
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
