"""The broker's rules for a new multi-leg order. None of the checks changes anything."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from math import gcd

from sellctl.sim import rejections
from sellctl.sim.market.assets import EUROPEAN_ROOTS, asset_of
from sellctl.sim.numbers import CONTRACT_SIZE, ZERO
from sellctl.sim.rejections import RejectionError
from sellctl.sim.venue import order_checks
from sellctl.sim.venue.accounts import SimAccount
from sellctl.sim.venue.coverage import after_fills, uncovered_contracts
from sellctl.sim.venue.order_checks import ProposedOrder
from sellctl.sim.venue.order_requests import OrderRequest
from sellctl.sim.venue.state import VenueState

MIN_LEGS, MAX_LEGS = 2, 4
LEVEL = 3
_LEG_CHECKS = (
    order_checks.known_symbol,
    order_checks.market_hours,
    order_checks.intent_matches,
    order_checks.not_expiring,
    order_checks.quantity_is_free,
)
_EQUITY = "equity legs are allowed only with a corresponding amount of call contracts"


def check_multi_leg(
    venue: VenueState, account: SimAccount, request: OrderRequest, legs: Sequence[OrderRequest]
) -> None:
    """Apply every check in order. RejectionError for the first rule that is broken."""
    if request.client_order_id in account.by_client_id:
        raise rejections.duplicate_id()
    _check_account(venue, account, request, legs)
    _check_parent(request)
    _check_legs(venue, legs)
    check_net_limit(venue, account, request.limit_price, legs)
    for leg in legs:
        _check_leg(venue, account, leg)
    _check_cover(account, legs)
    _check_power(venue, account, request, legs)


def _check_account(venue: VenueState, account: SimAccount, request: OrderRequest, legs: Sequence[OrderRequest]) -> None:
    order_checks.trading_allowed(ProposedOrder(request, account, venue.settings, venue.now, None))
    if account.options_trading_level < LEVEL:
        raise rejections.not_allowed("account not eligible to trade spreads or uncovered contracts")
    symbols = tuple(leg.symbol for leg in legs)
    if refusal := venue.faults.trigger("O18", account=account.name, symbol=symbols):
        raise rejections.refused(int(refusal["status"]), str(refusal["message"]))


def _check_parent(request: OrderRequest) -> None:
    rules = (
        (request.type not in {"market", "limit"}, "invalid order type for options trading"),
        (request.time_in_force != "day", "invalid time in force"),
        (request.extended_hours, "extended hours is not supported for options trading"),
        (request.qty is None, "qty is required for mleg orders"),
        (request.qty is not None and request.qty % 1 != 0, "qty must be integer for options trading"),
    )
    _reject_first(rules)


def _check_legs(venue: VenueState, legs: Sequence[OrderRequest]) -> None:
    assets = [asset_of(leg.symbol) for leg in legs]
    ratios = [int(leg.ratio_qty or 0) for leg in legs]
    without_intent = next((index for index, leg in enumerate(legs) if not leg.position_intent), None)
    other = next(((a.underlying, b.underlying) for a, b in pairwise(assets) if a.underlying != b.underlying), ("", ""))
    european = {asset.expires for asset in assets if asset.root in EUROPEAN_ROOTS}
    rules = (
        (not MIN_LEGS <= len(legs) <= MAX_LEGS, "mleg orders must have 2 to 4 legs"),
        (len({leg.symbol for leg in legs}) != len(legs), "mleg legs must be unique"),
        (without_intent is not None, f"leg.{without_intent} position intent is required"),
        (any(ratio < 1 for ratio in ratios), "ratio_qty must be a positive integer"),
        (bool(ratios) and gcd(*ratios) != 1, "leg ratio quantities must be in their simplest form"),
        (not _equity_is_matched(venue, legs), _EQUITY),
        (other[0] != other[1], f"underlying asset mismatch: {other[0]} != {other[1]}"),
        (len(european) > 1, "European-style option legs in a multi-leg order must have the same expiration date"),
    )
    _reject_first(rules)


def _equity_is_matched(venue: VenueState, legs: Sequence[OrderRequest]) -> bool:
    """Whether the legs trade options only, or where the setting allows it, 100 shares for each call."""
    assets = [(asset_of(leg.symbol), leg.ratio_qty or ZERO) for leg in legs]
    shares = sum((ratio for asset, ratio in assets if not asset.is_option), ZERO)
    calls = sum((ratio for asset, ratio in assets if asset.is_option and asset.is_call), ZERO)
    return not shares or (venue.settings.equity_legs and shares == calls * CONTRACT_SIZE)


def check_net_limit(
    venue: VenueState, account: SimAccount, limit: Decimal | None, legs: Sequence[OrderRequest]
) -> None:
    """422 for a net limit off the price increment that a single order at its absolute value would have."""
    option = next(leg for leg in legs if asset_of(leg.symbol).is_option)
    view = replace(option, limit_price=limit)
    order_checks.prices_on_tick(ProposedOrder(view, account, venue.settings, venue.now, None))


def _check_leg(venue: VenueState, account: SimAccount, leg: OrderRequest) -> None:
    """Apply the checks of single orders. A body that names its symbol names none for a multi-leg order."""
    proposed = ProposedOrder(leg, account, venue.settings, venue.now, venue.quote(leg.symbol))
    try:
        for check in _LEG_CHECKS:
            check(proposed)
    except RejectionError as rejection:
        if "symbol" in rejection.body:
            rejection.body["symbol"] = ""
        raise


def _check_cover(account: SimAccount, legs: Sequence[OrderRequest]) -> None:
    """403 for a short that opens without a cover in the same order, and for more uncovered shorts than now."""
    opening = {leg.symbol: _signed_qty(leg) for leg in legs if (leg.position_intent or "").endswith("_to_open")}
    now = {symbol: position.qty for symbol, position in account.positions.items()}
    after = after_fills(account, [(leg.symbol, _signed_qty(leg)) for leg in legs])
    worse = uncovered_contracts(after, account.cash) > uncovered_contracts(now, account.cash)
    if worse or uncovered_contracts(opening, ZERO):
        raise rejections.uncovered()


def _signed_qty(leg: OrderRequest) -> Decimal:
    """The change of the position once the leg has filled."""
    return (leg.qty or ZERO) * (1 if leg.side == "buy" else -1)


def _check_power(venue: VenueState, account: SimAccount, request: OrderRequest, legs: Sequence[OrderRequest]) -> None:
    """403 when an order that opens costs more than the account can pay."""
    if not any((leg.position_intent or "").endswith("_to_open") for leg in legs):
        return
    units = request.qty or ZERO
    cost = sum((_signed_qty(leg) * asset_of(leg.symbol).multiplier * _price(venue, leg) for leg in legs), ZERO)
    if request.limit_price is not None:
        cost = request.limit_price * units * CONTRACT_SIZE
    if max(cost, ZERO) > account.cash:
        raise rejections.insufficient_buying_power(account.cash, cost, option=True)


def _price(venue: VenueState, leg: OrderRequest) -> Decimal:
    quote = venue.quote(leg.symbol)
    return (quote and (quote.ask if leg.side == "buy" else quote.bid)) or ZERO


def _reject_first(rules: Sequence[tuple[bool, str]]) -> None:
    for broken, message in rules:
        if broken:
            raise rejections.unprocessable(message)
