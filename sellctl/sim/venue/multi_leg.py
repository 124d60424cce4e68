"""Multi-leg option orders: all legs fill together at a net price per share (debit > 0, credit < 0), or none does."""

from dataclasses import replace
from decimal import Decimal
from math import gcd

from sellctl.sim import rejections
from sellctl.sim.faults.order_faults import position_lag
from sellctl.sim.market.assets import asset_of
from sellctl.sim.numbers import CONTRACT_SIZE, ZERO, format_timestamp, text
from sellctl.sim.venue import order_checks
from sellctl.sim.venue.accounts import SimAccount, book_fill
from sellctl.sim.venue.coverage import uncovered_contracts
from sellctl.sim.venue.fills import Fill
from sellctl.sim.venue.order_checks import ProposedOrder
from sellctl.sim.venue.order_entry import make_order
from sellctl.sim.venue.order_requests import OrderRequest, read_leg
from sellctl.sim.venue.orders import SimOrder
from sellctl.sim.venue.state import VenueState

MIN_LEGS, MAX_LEGS = 2, 4
_LEG_CHECKS = (
    order_checks.trading_allowed,
    order_checks.known_symbol,
    order_checks.market_hours,
    order_checks.intent_matches,
    order_checks.not_expiring,
    order_checks.quantity_is_free,
)


def submit_multi_leg(venue: VenueState, account: SimAccount, request: OrderRequest) -> SimOrder:
    """Check and enter a multi-leg order. RejectionError for the first rule that it breaks."""
    if request.client_order_id in account.by_client_id:
        raise rejections.duplicate_id()
    legs = [read_leg(body, request) for body in request.legs]
    _check_form(request, legs)
    for leg in legs:
        proposed = ProposedOrder(leg, account, venue.settings, venue.now, venue.quote(leg.symbol))
        for check in _LEG_CHECKS:
            check(proposed)
    _check_cover(account, legs)
    _check_power(account, request, legs)
    return _enter(venue, account, request, legs)


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


def _check_cover(account: SimAccount, legs: list[OrderRequest]) -> None:
    holdings = {symbol: position.qty for symbol, position in account.positions.items()}
    before = uncovered_contracts(holdings, account.cash)
    for leg in legs:
        signed = (leg.qty or ZERO) * (1 if leg.side == "buy" else -1)
        holdings[leg.symbol] = holdings.get(leg.symbol, ZERO) + signed
    if uncovered_contracts(holdings, account.cash) > before:
        raise rejections.uncovered()


def _check_power(account: SimAccount, request: OrderRequest, legs: list[OrderRequest]) -> None:
    debit = max(request.limit_price or ZERO, ZERO) * (request.qty or ZERO) * CONTRACT_SIZE
    opens = any((leg.position_intent or "").endswith("_to_open") for leg in legs)
    if opens and debit > account.cash:
        raise rejections.insufficient_buying_power(account.cash, debit, option=True)


def _enter(venue: VenueState, account: SimAccount, request: OrderRequest, legs: list[OrderRequest]) -> SimOrder:
    parent = make_order(venue, replace(request, symbol="", side="", position_intent=None), "")
    for leg in legs:
        named = replace(leg, client_order_id=venue.new_id("client"))
        child = make_order(venue, named, leg.position_intent or "")
        child.parent, child.status, child.limit_price = parent, parent.status, None
        parent.legs.append(child)
    account.add(parent)
    return parent


def try_multi_leg(venue: VenueState, account: SimAccount, order: SimOrder) -> None:
    """Fill every leg at once when the net price is within the limit."""
    prices = _natural_prices(venue, order)
    if prices is None:
        return
    ratios = [leg.ratio_qty or Decimal(1) for leg in order.legs]
    signs = [1 if leg.is_buy else -1 for leg in order.legs]
    net = sum((s * r * p for s, r, p in zip(signs, ratios, prices, strict=True)), ZERO)
    if order.limit_price is None or net <= order.limit_price:
        _fill(venue, account, order, prices, net)
        return
    if _fills_inside(venue, order, net):
        slack = (order.limit_price - net) / ratios[0] * signs[0]
        _fill(venue, account, order, [prices[0] + slack, *prices[1:]], order.limit_price)


def _natural_prices(venue: VenueState, order: SimOrder) -> list[Decimal] | None:
    """The price of each leg at the side it trades against; None when a leg has none."""
    found = []
    for leg in order.legs:
        quote = venue.quote(leg.symbol)
        price = None if quote is None else (quote.ask if leg.is_buy else quote.bid)
        if price is None:
            return None
        found.append(price)
    return found


def _fills_inside(venue: VenueState, order: SimOrder, natural: Decimal) -> bool:
    """Whether a limit inside the net spread fills in this second, by the market model's probability."""
    if not venue.settings.inside_fill or order.limit_price is None:
        return False
    quotes = [venue.quote(leg.symbol) for leg in order.legs]
    width = sum(
        (quote.spread * (leg.ratio_qty or 1) for quote, leg in zip(quotes, order.legs, strict=True) if quote), ZERO
    )
    inside = natural - width < order.limit_price < natural
    return inside and venue.rng.random() < float(venue.settings.inside_fill)


def _fill(venue: VenueState, account: SimAccount, order: SimOrder, prices: list[Decimal], net: Decimal) -> None:
    lag = position_lag(venue, account)
    rows = []
    for leg, price in zip(order.legs, prices, strict=True):
        leg.status = "new"
        book_fill(account, leg, Fill(leg.leaves_qty, price), venue.now, lag)
        account.forget_if_done(leg)
        rows.append(
            {
                "execution_id": venue.new_id("execution"),
                "order_id": leg.id,
                "symbol": leg.symbol,
                "qty": text(leg.filled_qty),
                "price": text(price),
                "timestamp": format_timestamp(venue.now),
            }
        )
    order.filled_qty = order.qty or ZERO
    order.filled_value = net * order.filled_qty
    order.set_status("filled", venue.now)
    account.forget_if_done(order)
    venue.emit(
        "fill",
        account,
        order,
        price=text(net),
        qty=text(order.filled_qty),
        position_qtys={leg.symbol: text(account.qty_of(leg.symbol)) for leg in order.legs},
        legs=rows,
        execution_id=venue.new_id("execution"),
    )
