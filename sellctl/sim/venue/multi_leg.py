"""Multi-leg option orders: all legs fill together at a net price a share (debit > 0, credit < 0), or none does."""

from dataclasses import replace
from decimal import Decimal
from math import gcd
from typing import TYPE_CHECKING

from sellctl.sim import rejections
from sellctl.sim.faults.order_faults import lag
from sellctl.sim.market.assets import asset_of
from sellctl.sim.numbers import CONTRACT_SIZE, ZERO, stamp, text
from sellctl.sim.venue import order_checks
from sellctl.sim.venue.booking import book_fill
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.fills import Fill
from sellctl.sim.venue.order_checks import Case
from sellctl.sim.venue.order_factory import make_order
from sellctl.sim.venue.order_requests import OrderRequest, read_leg
from sellctl.sim.venue.orders import SimOrder

if TYPE_CHECKING:
    from sellctl.sim.venue.accounts import SimAccount
    from sellctl.sim.venue.exchange import Exchange

MIN_LEGS, MAX_LEGS = 2, 4
_LEG_CHECKS = (
    order_checks.trading_allowed,
    order_checks.known_symbol,
    order_checks.market_hours,
    order_checks.intent_matches,
    order_checks.not_expiring,
    order_checks.quantity_is_free,
)


def submit_multi_leg(exchange: "Exchange", account: "SimAccount", request: OrderRequest) -> SimOrder:
    """Take a multi-leg order into the books; RefusedError when the broker says no."""
    if request.client_order_id in account.by_client_id:
        raise rejections.duplicate_id()
    legs = [read_leg(body, request) for body in request.legs]
    _check_form(request, legs)
    for leg in legs:
        case = Case(leg, account, exchange.settings, exchange.now, exchange.quote(leg.symbol))
        for check in _LEG_CHECKS:
            check(case)
    _check_cover(account, legs)
    _check_power(account, request, legs)
    return _enter(exchange, account, request, legs)


def _check_form(request: OrderRequest, legs: list[OrderRequest]) -> None:
    ratios = [int(leg.ratio_qty or 0) for leg in legs]
    options = [asset_of(leg.symbol) for leg in legs if asset_of(leg.symbol).is_option]
    rules = (
        (not MIN_LEGS <= len(legs) <= MAX_LEGS, "mleg orders must have 2 to 4 legs"),
        (len({leg.symbol for leg in legs}) != len(legs), "mleg legs must be unique"),
        (request.type not in {"market", "limit"}, "mleg orders must be market or limit orders"),
        (request.time_in_force != "day", "mleg orders must be day orders"),
        (request.qty is None or request.qty % 1 != 0, "qty must be integer for options trading"),
        (any(not leg.position_intent for leg in legs), "position_intent is required for mleg legs"),
        (any(ratio < 1 for ratio in ratios), "ratio_qty must be a positive integer"),
        (bool(ratios) and gcd(*ratios) != 1, "leg ratio quantities must be in their simplest form"),
        (not options or len({asset.underlying for asset in options}) > 1, "all legs must have the same underlying"),
    )
    for broken, message in rules:
        if broken:
            raise rejections.unprocessable(message)


def _check_cover(account: "SimAccount", legs: list[OrderRequest]) -> None:
    holdings = {symbol: position.qty for symbol, position in account.positions.items()}
    before = uncovered_contracts(holdings, account.cash)
    for leg in legs:
        signed = (leg.qty or ZERO) * (1 if leg.side == "buy" else -1)
        holdings[leg.symbol] = holdings.get(leg.symbol, ZERO) + signed
    if uncovered_contracts(holdings, account.cash) > before:
        raise rejections.uncovered()


def _check_power(account: "SimAccount", request: OrderRequest, legs: list[OrderRequest]) -> None:
    debit = max(request.limit_price or ZERO, ZERO) * (request.qty or ZERO) * CONTRACT_SIZE
    opens = any((leg.position_intent or "").endswith("_to_open") for leg in legs)
    if opens and debit > account.cash:
        raise rejections.insufficient_buying_power(account.cash, debit, option=True)


def _enter(exchange: "Exchange", account: "SimAccount", request: OrderRequest, legs: list[OrderRequest]) -> SimOrder:
    parent = make_order(exchange, replace(request, symbol="", side="", position_intent=None), "")
    for leg in legs:
        named = replace(leg, client_order_id=exchange.new_id("client"))
        child = make_order(exchange, named, leg.position_intent or "")
        child.parent, child.status, child.limit_price = parent, parent.status, None
        parent.legs.append(child)
    account.add(parent)
    return parent


def try_multi_leg(exchange: "Exchange", account: "SimAccount", order: SimOrder) -> None:
    """Trade every leg at once when the net price allows."""
    prices = _natural_prices(exchange, order)
    if prices is None:
        return
    ratios = [leg.ratio_qty or Decimal(1) for leg in order.legs]
    signs = [1 if leg.is_buy else -1 for leg in order.legs]
    net = sum((s * r * p for s, r, p in zip(signs, ratios, prices, strict=True)), ZERO)
    if order.limit_price is None or net <= order.limit_price:
        _fill(exchange, account, order, prices, net)
        return
    if _is_lucky(exchange, order, net):
        slack = (order.limit_price - net) / ratios[0] * signs[0]
        _fill(exchange, account, order, [prices[0] + slack, *prices[1:]], order.limit_price)


def _natural_prices(exchange: "Exchange", order: SimOrder) -> list[Decimal] | None:
    """Each leg at the side it trades against; None when one has none."""
    found = []
    for leg in order.legs:
        quote = exchange.quote(leg.symbol)
        price = None if quote is None else (quote.ask if leg.is_buy else quote.bid)
        if price is None:
            return None
        found.append(price)
    return found


def _is_lucky(exchange: "Exchange", order: SimOrder, natural: Decimal) -> bool:
    """Whether a limit between the natural net and its mirror fills this second (the market model's probability)."""
    if not exchange.settings.inside_fill or order.limit_price is None:
        return False
    spreads = [exchange.quote(leg.symbol) for leg in order.legs]
    width = sum(
        (quote.spread * (leg.ratio_qty or 1) for quote, leg in zip(spreads, order.legs, strict=True) if quote), ZERO
    )
    inside = natural - width < order.limit_price < natural
    return inside and exchange.rng.random() < float(exchange.settings.inside_fill)


def _fill(exchange: "Exchange", account: "SimAccount", order: SimOrder, prices: list[Decimal], net: Decimal) -> None:
    delay = lag(exchange, account)
    rows = []
    for leg, price in zip(order.legs, prices, strict=True):
        leg.status = "new"
        book_fill(account, leg, Fill(leg.leaves, price), exchange.now, delay)
        account.forget_if_done(leg)
        rows.append(
            {
                "execution_id": exchange.new_id("execution"),
                "order_id": leg.id,
                "symbol": leg.symbol,
                "qty": text(leg.filled_qty),
                "price": text(price),
                "timestamp": stamp(exchange.now),
            }
        )
    order.filled_qty = order.qty or ZERO
    order.filled_value = net * order.filled_qty
    order.set_status("filled", exchange.now)
    account.forget_if_done(order)
    exchange.emit(
        "fill",
        account,
        order,
        price=text(net),
        qty=text(order.filled_qty),
        position_qtys={leg.symbol: text(account.qty_of(leg.symbol)) for leg in order.legs},
        legs=rows,
        execution_id=exchange.new_id("execution"),
    )
