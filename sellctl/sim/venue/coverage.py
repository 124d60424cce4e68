"""The coverage of an account's short options by long options, shares and cash."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from sellctl.sim.market.assets import Asset, asset_of
from sellctl.sim.numbers import CONTRACT_SIZE, ZERO
from sellctl.sim.venue.accounts import SimAccount


def uncovered_contracts(holdings: Mapping[str, Decimal], cash: Decimal) -> Decimal:
    """The number of uncovered short contracts, given signed quantities per symbol.

    A short is covered by a long of the same underlying and type that expires no earlier, a short call by 100 shares,
    a short put by cash for its strike. Each cover counts once; options cover before shares and cash.
    """
    longs = {asset_of(s): qty for s, qty in holdings.items() if qty > 0}
    shorts = [(asset_of(s), -qty) for s, qty in holdings.items() if qty < 0 and asset_of(s).is_option]
    spare_cash, naked = cash, ZERO
    for short, qty in sorted(shorts, key=lambda item: item[0].expires, reverse=True):
        left = _use_options(short, qty, longs)
        if short.is_call:
            left = _use_shares(short, left, longs)
        else:
            secured = min(left, max(spare_cash, ZERO) // (short.strike * CONTRACT_SIZE))
            spare_cash -= secured * short.strike * CONTRACT_SIZE
            left -= secured
        naked += left
    return naked


def after_fills(account: SimAccount, trades: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """The signed quantities per symbol after these trades and the open orders that could uncover a short.

    Every single sale counts as filled, and each multi-leg order that would leave more shorts uncovered.
    """
    held = {symbol: position.qty for symbol, position in account.positions.items()}
    orders = tuple(account.open_orders.values())
    sales = [(one.symbol, -one.leaves_qty) for one in orders if one.side == "sell" and one.parent is None]
    held = _traded(held, [*sales, *trades])
    for order in orders:
        if order.is_multi_leg:
            filled = _traded(
                held, [(leg.symbol, leg.leaves_qty if leg.is_buy else -leg.leaves_qty) for leg in order.legs]
            )
            if uncovered_contracts(filled, account.cash) > uncovered_contracts(held, account.cash):
                held = filled
    return held


def _traded(held: Mapping[str, Decimal], trades: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    after = dict(held)
    for symbol, qty in trades:
        after[symbol] = after.get(symbol, ZERO) + qty
    return after


def _use_options(short: Asset, qty: Decimal, longs: dict[Asset, Decimal]) -> Decimal:
    """Use up long options that cover `short`; returns what stays uncovered. The earliest to expire are used first."""
    for cover in sorted((a for a in longs if _covers(a, short)), key=lambda asset: asset.expires):
        used = min(qty, longs[cover])
        longs[cover] -= used
        qty -= used
    return qty


def _use_shares(short: Asset, qty: Decimal, longs: dict[Asset, Decimal]) -> Decimal:
    shares = asset_of(short.underlying)
    used = min(qty, longs.get(shares, ZERO) // CONTRACT_SIZE)
    if used:
        longs[shares] -= used * CONTRACT_SIZE
    return qty - used


def _covers(cover: Asset, short: Asset) -> bool:
    return (
        cover.is_option
        and cover.underlying == short.underlying
        and cover.is_call == short.is_call
        and cover.expires >= short.expires
    )
