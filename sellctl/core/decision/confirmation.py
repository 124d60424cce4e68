"""Whether the looks that a stop needs agree: on its price, and on IEX with a trade or the position's price. Pure.

A stop fires when it is also true at the best price of every look since one at least `confirm` ago (invariant D2).
Targets need no second look where their limit protects them; a market order has none, and there they need one that
holds at the worst price. Time exits need none, since no price makes them true.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from sellctl.core.decision.guards import judge_quote
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Quote
from sellctl.core.model.plan import STOPS, ExitSignal, Urgency
from sellctl.core.model.position import Holding, Prices
from sellctl.core.model.snapshot import Snapshot

SECOND_QUOTE = "waits for a second quote"
NO_TRADE = "waits for a trade or the position's price to confirm the IEX quote"
NEEDS_AGREEMENT = STOPS
_IEX = "iex"
Evaluate = Callable[[Holding], ExitSignal | None]
AtThePrice = Callable[[Holding], Holding | None]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What may act of a signal; `unconfirmed` is the stop that may not yet, and `waits` what it waits for."""

    signal: ExitSignal | None
    unconfirmed: ExitSignal | None = None
    waits: str = ""


def confirmed(
    signal: ExitSignal, evaluate: Evaluate, at_the_best: AtThePrice, at_the_worst: AtThePrice | None = None
) -> Confirmation:
    """The signal when the looks that it needs agree; else what doesn't rest on its price.

    `at_the_worst` is given where no limit protects a target.
    """
    if _goes_on(signal):
        return Confirmation(signal)
    if signal.reason in NEEDS_AGREEMENT:
        return _confirmed_stop(signal, evaluate, at_the_best)
    if at_the_worst and signal.urgency is Urgency.PROFIT:
        earlier = at_the_worst(signal.holding)
        if earlier is None or evaluate(earlier) is None:
            return Confirmation(None, signal, SECOND_QUOTE)
    return Confirmation(signal)


def _confirmed_stop(signal: ExitSignal, evaluate: Evaluate, at_the_best: AtThePrice) -> Confirmation:
    holding = signal.holding
    earlier = at_the_best(holding)
    other = evaluate(earlier) if earlier else None
    if not _agrees(other):
        return Confirmation(_without_price(other, holding), signal, SECOND_QUOTE)
    if _is_iex(holding) and not any(_agrees(evaluate(_at(holding, price))) for price in _other_prices(holding)):
        return Confirmation(None, signal, NO_TRADE)
    return Confirmation(signal)


def _goes_on(signal: ExitSignal) -> bool:
    """Whether an exit this urgent is under way already: then looks have agreed before."""
    state = signal.holding.state.exit
    return state is not None and state.urgency <= signal.urgency


def _agrees(other: ExitSignal | None) -> bool:
    return other is not None and other.reason in NEEDS_AGREEMENT


def _without_price(other: ExitSignal | None, holding: Holding) -> ExitSignal | None:
    """What is true at the earlier price too and is no target: a time exit waits for nothing."""
    return replace(other, holding=holding) if other is not None and other.urgency is not Urgency.PROFIT else None


def at_the_best(holding: Holding, snapshot: Snapshot) -> Holding | None:
    """The holding at the best prices for it in the window of looks; None without an earlier look."""
    window, is_long = holding.state.window, holding.position.is_long
    return None if window is None else _at_quote(holding, window.high if is_long else window.low, snapshot)


def at_the_worst(holding: Holding, snapshot: Snapshot) -> Holding | None:
    """Likewise at the worst prices."""
    window, is_long = holding.state.window, holding.position.is_long
    return None if window is None else _at_quote(holding, window.low if is_long else window.high, snapshot)


def _at_quote(holding: Holding, quote: Quote, snapshot: Snapshot) -> Holding:
    asset = holding.position.instrument.asset_class
    return replace(holding, prices=judge_quote(quote, asset, snapshot.market, holding.state.wide_for))


def _is_iex(holding: Holding) -> bool:
    stock = holding.position.instrument.asset_class is AssetClass.STOCK
    return stock and holding.quote is not None and holding.quote.feed == _IEX


def _other_prices(holding: Holding) -> tuple[Decimal, ...]:
    """What else says where a stock trades: IEX alone sees a fraction of its trades."""
    known = (holding.position.current_price, holding.state.last_trade)
    return tuple(price for price in known if price is not None and price > 0)


def _at(holding: Holding, price: Decimal) -> Holding:
    return replace(holding, prices=Prices(bid=price, ask=price, problem=""))
