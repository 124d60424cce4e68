"""The net quote of a multi-leg order, and the booking of its fills: each unit fills with every leg, or not at all.

A net price is what one unit costs per share, above zero for a debit and below zero for a credit; a leg of one contract,
or of a hundred shares, counts once.
"""

from decimal import Decimal

from sellctl.sim.faults.order_faults import fill_price_of, position_lag
from sellctl.sim.market.price_paths import CENT, TwoSidedQuote
from sellctl.sim.numbers import CONTRACT_SIZE, ZERO, format_timestamp, text
from sellctl.sim.venue.accounts import SimAccount, book_fill, count_fill
from sellctl.sim.venue.fills import Fill
from sellctl.sim.venue.orders import NetQuote, SimOrder
from sellctl.sim.venue.state import VenueState

_FINEST = Decimal("1e-6")  # dollars: the precision of the one leg's price that makes the net exact


def net_level(venue: VenueState, order: SimOrder) -> TwoSidedQuote | None:
    """Both sides of one unit's net price: the ask is what it costs at once, the bid the same at the other sides.

    None while a leg has no price at the side that it trades against. The same object as long as no quote changes.
    """
    quotes = tuple(venue.quote(leg.symbol) for leg in order.legs)
    known = order.net
    if known is None or any(new is not old for new, old in zip(quotes, known.quotes, strict=True)):
        order.net = known = NetQuote(quotes, _level_of(order, quotes))
    return known.level


def _level_of(order: SimOrder, quotes: tuple[TwoSidedQuote | None, ...]) -> TwoSidedQuote | None:
    ask = bid = ZERO
    one_sided = False
    for leg, quote in zip(order.legs, quotes, strict=True):
        near, far = _sides(leg, quote)
        if near is None:
            return None
        ask += _weight(leg) * near
        bid += _weight(leg) * (far or ZERO)
        one_sided = one_sided or far is None
    return TwoSidedQuote(None if one_sided else bid, ask)


def _sides(leg: SimOrder, quote: TwoSidedQuote | None) -> tuple[Decimal | None, Decimal | None]:
    """The price at which a leg trades at once, and the price at the other side."""
    if quote is None:
        return None, None
    return (quote.ask, quote.bid) if leg.is_buy else (quote.bid, quote.ask)


def _weight(leg: SimOrder) -> Decimal:
    """How often a leg's price counts in the net price, below zero for what is sold."""
    weight = (leg.ratio_qty or ZERO) * leg.asset.multiplier / CONTRACT_SIZE
    return weight if leg.is_buy else -weight


def available_units(venue: VenueState, order: SimOrder) -> Decimal:
    """The units for which the quotes of every leg have the size left in this second."""
    units = []
    for leg in order.legs:
        quote = venue.quote(leg.symbol)
        size = venue.market.available_size(leg.symbol, leg.side, quote, venue.now) if quote else ZERO
        units.append(size // (leg.ratio_qty or 1))
    return min(units)


def leg_prices(venue: VenueState, order: SimOrder, net: Decimal) -> list[Decimal]:
    """The price of each leg for a fill at a net price: every leg moves by the same share of its own spread.

    All are in cents but that of the leg with the smallest weight, which makes the net exact.
    """
    sides = [_sides(leg, venue.quote(leg.symbol)) for leg in order.legs]
    near = [price or ZERO for price, _ in sides]
    far = [price if other is None else other for (_, other), price in zip(sides, near, strict=True)]
    weights = [_weight(leg) for leg in order.legs]
    natural = sum((w * p for w, p in zip(weights, near, strict=True)), ZERO)
    width = natural - sum((w * p for w, p in zip(weights, far, strict=True)), ZERO)
    share = (natural - net) / width if width else ZERO
    prices = [p + ((q - p) * share).quantize(CENT) for p, q in zip(near, far, strict=True)]
    exact = min(range(len(weights)), key=lambda index: abs(weights[index]))
    rest = sum((w * p for i, (w, p) in enumerate(zip(weights, prices, strict=True)) if i != exact), ZERO)
    prices[exact] = ((net - rest) / weights[exact]).quantize(_FINEST)
    return prices


def fill_units(venue: VenueState, account: SimAccount, order: SimOrder, trade: Fill) -> None:
    """Book a number of units at a net price on the order and every leg, and emit one event for all."""
    lag = position_lag(venue, account)
    found = zip(order.legs, leg_prices(venue, order, trade.price), strict=True)
    trades = [(leg, Fill(trade.qty * (leg.ratio_qty or 1), fill_price_of(venue, leg, price))) for leg, price in found]
    for leg, part in trades:
        book_fill(account, leg, part, venue.now, lag)
        venue.market.consume(leg.symbol, leg.side, part.qty, venue.now, venue.settings)
    net = sum((_weight(leg) * part.price for leg, part in trades), ZERO)
    count_fill(order, Fill(trade.qty, net), venue.now)
    account.forget_if_done(order)
    venue.emit(
        "fill" if order.status == "filled" else "partial_fill",
        account,
        order,
        price=text(net),
        qty=text(trade.qty),
        position_qtys={leg.symbol: text(account.qty_of(leg.symbol)) for leg in order.legs},
        legs=[
            {
                "execution_id": venue.new_id("execution"),
                "qty": text(part.qty),
                "price": text(part.price),
                "order_id": leg.id,
                "symbol": leg.symbol,
                "timestamp": format_timestamp(venue.now),
            }
            for leg, part in trades
        ],
    )
