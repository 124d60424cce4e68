"""The price to which a peak may move: the worse of two agreeing quotes, never a wide one."""

from decimal import Decimal

from sellctl.core.decision.quote_checks import judge_quote, price_exits_paused, stops_paused
from sellctl.core.model.gain import Basis
from sellctl.core.model.market import Market, Quote
from sellctl.core.model.position import Holding, Prices
from sellctl.core.structures.held import HeldStructure


def peaks_move(market: Market) -> bool:
    """Whether this is a time of day at which prices may set a peak."""
    return market.is_open and not price_exits_paused(market) and not stops_paused(market)


def peak_of(holding: Holding, market: Market, basis: Basis) -> Decimal | None:
    """A price in dollars per share that the holding's peak may move to; None when it stays."""
    if not _may_set_a_peak(holding, basis):
        return None
    prices = _worst_prices(holding, market)
    return _price_on(prices, holding, basis) if prices and not prices.wide else None


def peak_of_structure(structure: HeldStructure, market: Market, basis: Basis) -> Decimal | None:
    """The net price that the structure's peak may move to; None when it stays."""
    newest = structure.at(lambda leg: newest_prices(leg, market))
    worst = structure.at(lambda leg: _worst_sides(leg, market))
    if newest is None or worst is None or newest.prices.problem or newest.prices.wide or worst.prices.wide:
        return None
    return _price_on(worst.prices, worst, basis)


def newest_prices(holding: Holding, market: Market) -> Prices:
    """The usable sides of the newest quote."""
    asset = holding.position.instrument.asset_class
    return judge_quote(holding.quote, asset, market, holding.state.wide_for)


def _may_set_a_peak(holding: Holding, basis: Basis) -> bool:
    """Whether the window's worst price beats the peak. Usually not, which saves the checks of its quotes."""
    window, peak = holding.state.window, holding.state.peak
    if window is None or peak is None:
        return window is not None
    long = holding.position.is_long
    price = _price_on(window.low if long else window.high, holding, basis)
    return price is not None and (price > peak if long else price < peak)


def _worst_prices(holding: Holding, market: Market) -> Prices | None:
    """The worst sides in the window of quotes; None without an earlier quote, or when either is not usable."""
    worst = _worst_sides(holding, market)
    if worst is None:
        return None
    newest = newest_prices(holding, market)
    return None if newest.wide or worst.wide or newest.problem else worst


def _worst_sides(holding: Holding, market: Market) -> Prices | None:
    """The usable ones of the worst sides in the window of quotes; None without an earlier quote."""
    window, asset = holding.state.window, holding.position.instrument.asset_class
    if window is None:
        return None
    return judge_quote(window.low if holding.position.is_long else window.high, asset, market, holding.state.wide_for)


def _price_on(prices: Prices | Quote, holding: Holding, basis: Basis) -> Decimal | None:
    if basis is Basis.MID:
        return prices.mid
    return prices.bid if holding.position.is_long else prices.ask
