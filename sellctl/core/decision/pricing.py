"""The price of each order of an exit: the walk and the ladder of its urgency, in ticks. Pure.

A step is one order of an exit. Prices are dollars per share; None is a market order. The touch is the price at which an
order fills immediately: the bid for a sale, the ask for a purchase. A tick is the price increment. A non-urgent exit (a
target, a time exit) first walks from the mid towards the touch, and so does a protective one on a wide spread; every
exit then follows the rungs of its class.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.config.schema import Style, WalkConfig
from sellctl.core.model.instrument import AssetClass, an_option
from sellctl.core.model.order import ZERO
from sellctl.core.model.plan import ExitSignal, Urgency
from sellctl.core.model.position import Holding

REPRICE_AFTER = dt.timedelta(seconds=3)
# How long a limit at the touch keeps its place in the queue before the next rung.
REST_AT_TOUCH = dt.timedelta(seconds=12)
THROUGH_FRACTION = Decimal("0.10")
# The walk of a protective exit on a wide spread. It is at the touch after 18 s and through it after 27 s,
# before the exit counts as not filled (alerts.OVERDUE_AFTER); it is skipped when the session ends sooner than that.
WIDE_WALK = WalkConfig(steps=7, every=REPRICE_AFTER)
MIN_SESSION_LEFT_FOR_WIDE_WALK = dt.timedelta(seconds=60)
CENT = Decimal("0.01")
NICKEL = Decimal("0.05")
DIME = Decimal("0.10")
SUBPENNY = Decimal("0.0001")
# Source: Alpaca's support page on option price increments.
ALWAYS_CENT = frozenset({"SPY", "QQQ", "IWM"})
THREE_DOLLARS = Decimal(3)
ONE_DOLLAR = Decimal(1)
# No walk when half the spread is exactly one tick and at most this fraction of the mid.
NARROW_FRACTION = Decimal("0.01")
# Dollars. No instrument trades above this price (Berkshire Hathaway A is below one million).
MAX_PRICE = Decimal(10_000_000)


class Rung(Enum):
    """The price of one step of a ladder."""

    TOUCH = "at the touch"
    THROUGH = "10% through it"
    MARKET = "market"


_THREE_TOUCHES = (Rung.TOUCH,) * 3
_LADDERS = {
    Urgency.FORCED: (*_THREE_TOUCHES, Rung.THROUGH, Rung.MARKET),
    Urgency.PROTECTIVE: (*_THREE_TOUCHES, Rung.THROUGH),
    Urgency.TIME: (*_THREE_TOUCHES, Rung.THROUGH),
    Urgency.PROFIT: (Rung.TOUCH,),
}


class NoPriceError(Exception):
    """The exit needs a price and none is usable; the message says why."""


class PricedStep(Struct, frozen=True):
    """The price of step `step` out of `step_count`: a limit, or None for a market order.

    `repeats`: True if the walk restarts after its last step. `follows_walk_step`: True if the previous step was part of
    a walk.
    """

    limit: Decimal | None
    step: int
    step_count: int
    repeats: bool = False
    follows_walk_step: bool = False

    @property
    def is_last(self) -> bool:
        """Whether no further step follows: the order then rests, and is repriced only when the market moves."""
        return self.step >= self.step_count and not self.repeats


def ladder(urgency: Urgency, style: Style, *, protective_market: bool) -> tuple[Rung, ...]:
    """The rungs of an exit's ladder."""
    if style is Style.MARKET:
        return (Rung.MARKET,)
    rungs = _LADDERS[urgency]
    return (*rungs, Rung.MARKET) if urgency is Urgency.PROTECTIVE and protective_market else rungs


def price_step(
    signal: ExitSignal, step: int, style: Style, *, protective_market: bool, walk: WalkConfig | None = None
) -> PricedStep:
    """The price of step number `step` (from 1) of an exit; beyond the last step, that of the last.

    The walk of a target that ends short of the touch restarts. Raises NoPriceError when no price is usable and the exit
    isn't forced.
    """
    rungs = ladder(signal.urgency, style, protective_market=protective_market)
    walk_prices = walk_of(signal, walk) if walk and rungs[0] is Rung.TOUCH else ()
    repeats = walk is not None and walk.final < 1 and signal.urgency is Urgency.PROFIT
    return step_of(walk_prices, rungs, step, partial(_at_rung, signal), repeats=repeats)


def step_of(
    walk_prices: Sequence[Decimal],
    rungs: Sequence[Rung],
    step: int,
    at_rung: Callable[[Rung, int, int], PricedStep],
    *,
    repeats: bool,
) -> PricedStep:
    """The price of a step: first `walk_prices`, then those that `at_rung` has for the rungs.

    With `repeats` a walk starts again after its last price. `at_rung` takes a rung, the step and the number of steps.
    """
    if walk_prices and repeats:
        index = (step - 1) % len(walk_prices)
        return PricedStep(
            walk_prices[index], index + 1, len(walk_prices), repeats=len(walk_prices) > 1, follows_walk_step=step > 1
        )
    steps, follows_walk_step = len(walk_prices) + len(rungs), 1 < step <= len(walk_prices) + 1
    step = min(step, steps)
    if step <= len(walk_prices):
        return PricedStep(walk_prices[step - 1], step, steps, follows_walk_step=follows_walk_step)
    return replace(at_rung(rungs[step - len(walk_prices) - 1], step, steps), follows_walk_step=follows_walk_step)


def _at_rung(signal: ExitSignal, rung: Rung, step: int, steps: int) -> PricedStep:
    if rung is Rung.MARKET and signal.user_limit is not None:  # at any price down to that one
        return PricedStep(_at_worst(signal, signal.user_limit), step, steps)
    if rung is Rung.MARKET and not has_no_bid(signal.holding):
        return PricedStep(None, step, steps)
    reference = reference_price(signal)
    if reference is None:
        return _without_a_price(signal, steps)
    return PricedStep(_limit(signal, reference, rung), step, steps)


def walk_of(signal: ExitSignal, walk: WalkConfig) -> tuple[Decimal, ...]:
    """The prices of a walk that lie inside the spread, from the mid on, each rounded to the tick in our favour.

    Empty for a forced exit, for a protective one unless the spread is wide, without a mid (a one-sided, crossed or
    unusable quote), in a locked market, and where the spread is too narrow. When the walk ends at the touch,
    that price is not included: it is the first rung of the ladder.
    """
    holding = signal.holding
    mid, touch_price = holding.prices.mid, holding.exit_price
    if mid is None or touch_price is None or not may_walk(signal):
        return ()
    distance_to_touch = touch_price - mid  # below zero for a sale
    if is_narrow(distance_to_touch, mid, tick_of(holding, mid)):
        return ()
    prices = (_walk_price(signal, mid + distance_to_touch * fraction) for fraction in walk_fractions(walk))
    return tuple(dict.fromkeys(price for price in prices if _is_inside(price, holding)))


def is_narrow(distance_to_touch: Decimal, mid: Decimal, tick: Decimal) -> bool:
    """Whether half a spread is too small to be walked."""
    return abs(distance_to_touch) <= tick and (
        abs(distance_to_touch) <= abs(mid) * NARROW_FRACTION or tick > abs(distance_to_touch)
    )


def walk_fractions(walk: WalkConfig) -> Iterator[Decimal]:
    """How far along the way from the mid each price of a walk is, without its end at the touch."""
    last = max(walk.steps - 1, 1)
    fractions = [walk.final * n / last for n in range(walk.steps)] if walk.steps > 1 else [walk.final]
    return (fraction for fraction in fractions if fraction < 1)


def may_walk(signal: ExitSignal) -> bool:
    """Whether an exit may start between mid and touch; on a wide spread the touch is a poor estimate of value."""
    return signal.urgency >= Urgency.TIME or (signal.urgency is Urgency.PROTECTIVE and signal.holding.prices.wide)


def _walk_price(signal: ExitSignal, price: Decimal) -> Decimal:
    long = signal.holding.position.is_long
    rounded = to_tick(price, tick_of(signal.holding, price), up=long)
    worst_price = signal.worst_price
    if worst_price is None or _is_within(rounded, worst_price, long=long):
        return rounded
    return _at_worst(signal, worst_price)


def _is_inside(price: Decimal, holding: Holding) -> bool:
    bid, ask = holding.prices.bid, holding.prices.ask
    return bid is not None and ask is not None and bid < price < ask


def reference_price(signal: ExitSignal) -> Decimal | None:
    """The price that an exit's limit is computed from: the usable side it trades against.

    A target needs that side. Every other exit may fall back on the quote as received, and then on the broker's price of
    the position, so that an unusable quote never blocks a time exit. The order is still a limit order.
    """
    holding = signal.holding
    if holding.exit_price is not None or signal.urgency is Urgency.PROFIT or has_no_bid(holding):
        return holding.exit_price
    quote, long = holding.quote, holding.position.is_long
    raw = believable(quote.bid if long else quote.ask) if quote else None
    return raw or believable(holding.position.current_price)


def believable(price: Decimal | None) -> Decimal | None:
    """`price` when it is finite, above zero and at most MAX_PRICE; else None."""
    return price if price is not None and price.is_finite() and ZERO < price <= MAX_PRICE else None


def _without_a_price(signal: ExitSignal, steps: int) -> PricedStep:
    """The step of a forced exit when no reference price exists.

    A limit of one tick if there is an ask but no bid, else a market order. Raises NoPriceError for any other exit.
    """
    if signal.urgency is not Urgency.FORCED:
        side = "bid" if signal.holding.position.is_long else "ask"
        raise NoPriceError(f"no price to send it at ({signal.holding.prices.problem or 'no ' + side})")
    if signal.user_limit is not None:
        return PricedStep(_at_worst(signal, signal.user_limit), steps, steps)
    if has_no_bid(signal.holding):
        return PricedStep(tick_of(signal.holding, CENT), steps, steps)
    return PricedStep(None, steps, steps)


def has_no_bid(holding: Holding) -> bool:
    """Whether a long has an ask but no bid: a market order would find no buyer."""
    return holding.position.is_long and holding.prices.bid is None and holding.prices.ask is not None


def _limit(signal: ExitSignal, reference: Decimal, rung: Rung) -> Decimal:
    """The limit of one step: a multiple of the tick, rounded towards the fill, never beyond the worst price.

    A limit slightly through the market costs nothing, because it fills at the market's price; one rounded the other way
    may not fill at all. If rounding crosses the worst price, the unrounded price is sent when it is in whole cents and
    not worse than the worst price; otherwise the worst price.
    """
    long = signal.holding.position.is_long
    price = reference if rung is Rung.TOUCH else reference * (1 - THROUGH_FRACTION if long else 1 + THROUGH_FRACTION)
    rounded = to_tick(price, tick_of(signal.holding, price), up=not long)
    if long and rounded > price:  # the bid is less than one tick
        rounded = to_tick(price, CENT, up=False)
    worst_price = signal.worst_price
    if worst_price is None or _is_within(rounded, worst_price, long=long):
        return rounded
    exact = to_tick(price, CENT, up=long)
    if exact == price and _is_within(exact, worst_price, long=long):
        return exact
    return _at_worst(signal, worst_price)


def _at_worst(signal: ExitSignal, worst_price: Decimal) -> Decimal:
    """The worst price, or the next better one on the tick."""
    return to_tick(worst_price, tick_of(signal.holding, worst_price), up=signal.holding.position.is_long)


def _is_within(price: Decimal, worst_price: Decimal, *, long: bool) -> bool:
    return price >= worst_price if long else price <= worst_price


def to_tick(price: Decimal, tick: Decimal, *, up: bool) -> Decimal:
    """`price` rounded up or down to a multiple of `tick`, and at least one tick."""
    steps = (price / tick).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    return max(steps, Decimal(1)) * tick


def tick_of(holding: Holding, price: Decimal) -> Decimal:
    """The tick at `price`. For an option it is the coarser one unless the finer one is known to apply."""
    instrument = holding.position.instrument
    if instrument.asset_class is not AssetClass.OPTION:
        return CENT if price >= ONE_DOLLAR else SUBPENNY
    if instrument.underlying in ALWAYS_CENT:
        return CENT
    fine, coarse = (CENT, NICKEL) if price < THREE_DOLLARS else (NICKEL, DIME)
    return fine if _is_in_penny_program(holding) else coarse


def needs_price_increment(symbol: str) -> bool:
    """Whether the tick depends on the broker's data: an option that doesn't always trade in cents."""
    option = an_option(symbol)
    return option is not None and option.underlying not in ALWAYS_CENT


def _is_in_penny_program(holding: Holding) -> bool:
    """From the broker's data; without it, True if bid or ask is not a multiple of the coarser tick."""
    if holding.state.penny is not None:
        return holding.state.penny
    quote = holding.quote
    raw = (believable(quote.bid), believable(quote.ask)) if quote else ()
    return any(price % (NICKEL if price < THREE_DOLLARS else DIME) for price in raw if price is not None)
