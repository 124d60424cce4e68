"""Whether a signal is confirmed: a stop by a second quote, and on IEX also by a trade or the position's price. Pure.

A stop fires only when it is also true at the best price of the quotes in the window, which begins with a quote at least
`guards.confirm` older than the newest (D2). A target needs no confirmation, because its limit price protects it; sent
as a market order, it must also be true at the worst price in that window. Time exits need no confirmation, because they
don't depend on a price.
"""

from collections.abc import Callable
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.decision.quote_checks import judge_quote
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Quote
from sellctl.core.model.plan import STOPS, ExitSignal, Urgency
from sellctl.core.model.position import Holding, Prices
from sellctl.core.model.snapshot import Snapshot

SECOND_QUOTE = "waiting for a second quote"
NO_TRADE = "waiting for a trade or the position's price to confirm the IEX quote"
_IEX = "iex"
Evaluate = Callable[[Holding], ExitSignal | None]
AtThePrice = Callable[[Holding], Holding | None]


class Confirmation(Struct, frozen=True):
    """`signal` is confirmed; `unconfirmed` isn't yet, and `waits_for` says what is missing."""

    signal: ExitSignal | None
    unconfirmed: ExitSignal | None = None
    waits_for: str = ""


def confirmed(
    signal: ExitSignal, evaluate: Evaluate, at_the_best: AtThePrice, at_the_worst: AtThePrice | None = None
) -> Confirmation:
    """The signal when it is confirmed; else the signal as unconfirmed, with any exit that is due without it.

    `evaluate` evaluates the same rule at other prices. `at_the_worst` is passed when targets have no limit price.
    """
    if _is_under_way(signal):
        return Confirmation(signal)
    if signal.reason in STOPS:
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
    if not _is_stop(other):
        return Confirmation(_without_price(other, holding), signal, SECOND_QUOTE)
    if _is_iex(holding) and not any(_is_stop(evaluate(_at(holding, price))) for price in _other_prices(holding)):
        return Confirmation(None, signal, NO_TRADE)
    return Confirmation(signal)


def _is_under_way(signal: ExitSignal) -> bool:
    """Whether an exit at least this urgent is already under way, and was therefore confirmed before."""
    state = signal.holding.state.exit
    return state is not None and state.urgency <= signal.urgency


def _is_stop(other: ExitSignal | None) -> bool:
    return other is not None and other.reason in STOPS


def _without_price(other: ExitSignal | None, holding: Holding) -> ExitSignal | None:
    """The signal at the earlier price, unless it is a target: it is due regardless of the newest price."""
    return replace(other, holding=holding) if other is not None and other.urgency is not Urgency.PROFIT else None


def at_the_best(holding: Holding, snapshot: Snapshot) -> Holding | None:
    """The position at its best prices in the window of quotes; None without an earlier quote."""
    window, is_long = holding.state.window, holding.position.is_long
    return None if window is None else _at_quote(holding, window.high if is_long else window.low, snapshot)


def at_the_worst(holding: Holding, snapshot: Snapshot) -> Holding | None:
    """The position at its worst prices in the window of quotes; None without an earlier quote."""
    window, is_long = holding.state.window, holding.position.is_long
    return None if window is None else _at_quote(holding, window.low if is_long else window.high, snapshot)


def _at_quote(holding: Holding, quote: Quote, snapshot: Snapshot) -> Holding:
    asset = holding.position.instrument.asset_class
    return replace(holding, prices=judge_quote(quote, asset, snapshot.market, holding.state.wide_for))


def _is_iex(holding: Holding) -> bool:
    stock = holding.position.instrument.asset_class is AssetClass.STOCK
    return stock and holding.quote is not None and holding.quote.feed == _IEX


def _other_prices(holding: Holding) -> tuple[Decimal, ...]:
    """The stock's other known prices: IEX handles only a fraction of its trades."""
    known = (holding.position.current_price, holding.state.last_trade)
    return tuple(price for price in known if price is not None and price > 0)


def _at(holding: Holding, price: Decimal) -> Holding:
    return replace(holding, prices=Prices(bid=price, ask=price, problem=""))
