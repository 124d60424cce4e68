"""The net price of each step of the one order that closes a structure. Pure.

Here a price is what one unit is worth to its owner, per share: above zero what closing it brings, below zero what it
costs. So every structure is sold, and a lower price fills sooner. The limit of an order is the opposite, as Alpaca
writes it: above zero a debit, below zero a credit.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.config.schema import Style, WalkConfig
from sellctl.core.decision.pricing import (
    CENT,
    THROUGH_FRACTION,
    NoPriceError,
    PricedStep,
    Rung,
    has_no_bid,
    is_narrow,
    ladder,
    may_walk,
    reference_price,
    step_of,
    tick_of,
    walk_fractions,
)
from sellctl.core.model.order import ZERO
from sellctl.core.model.plan import ExitSignal, Urgency
from sellctl.core.model.position import Holding
from sellctl.core.structures.held import HeldStructure
from sellctl.core.structures.payoff import value_range

# A limit through the natural price is so far beyond it at least.
SHORTEST_THROUGH = 5 * CENT


class _Exit(Struct, frozen=True):
    """The exit of a structure that is being priced."""

    signal: ExitSignal
    structure: HeldStructure

    def tick(self, price: Decimal) -> Decimal:
        """The price increment at a net price: that of a leg there. All are on one underlying, and one tells for all."""
        return min(tick_of(holding, abs(price)) for holding in self.structure.holdings.values())

    def rounded(self, price: Decimal, *, up: bool) -> Decimal:
        """A price on the increment. It is never zero, which is neither a debit nor a credit."""
        tick = self.tick(price)
        on_tick = (price / tick).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR) * tick
        return on_tick or (tick if up else -tick)

    @property
    def least(self) -> Decimal | None:
        """The lowest price of an order: the price that met a target, and what the structure can cost at expiration."""
        bounds = [bound for bound in (self._floor, self._most_cost) if bound is not None]
        return max(bounds, default=None)

    @property
    def _floor(self) -> Decimal | None:
        floor = self.signal.worst_price
        return None if floor is None else floor if self.signal.holding.position.is_long else -floor

    @property
    def _most_cost(self) -> Decimal | None:
        """Closing never costs more than the structure can at expiration, unless it is forced."""
        if self.signal.urgency is Urgency.FORCED:
            return None
        bounds = value_range(self.structure.structure.legs)
        return bounds.least if bounds and bounds.least.is_finite() and bounds.least < 0 else None

    @property
    def at_worst(self) -> Decimal | None:
        """The limit of the user's on the increment, as a limit order at any price has it; None without one."""
        return None if self.signal.user_limit is None or self._floor is None else self.rounded(self._floor, up=True)

    def kept(self, price: Decimal) -> Decimal:
        """A price on the increment that isn't below the least one."""
        least = self.least
        return price if least is None or price >= least else self.rounded(least, up=True)


def price_step(  # noqa: PLR0913  what a price depends on
    signal: ExitSignal,
    structure: HeldStructure,
    step: int,
    style: Style,
    *,
    protective_market: bool,
    walk: WalkConfig | None = None,
) -> PricedStep:
    """The limit of step number `step` (from 1) of an exit of all of a structure, whose whole is the signal's holding.

    The steps are those of a single position. Raises NoPriceError when no price is usable and the exit isn't forced.
    """
    rungs = ladder(signal.urgency, style, protective_market=protective_market)
    each = _Exit(signal, structure)
    inside = _walk_of(each, walk) if walk and rungs[0] is Rung.TOUCH else ()
    repeats = walk is not None and walk.final < 1 and signal.urgency is Urgency.PROFIT
    priced = step_of(inside, rungs, step, partial(_at_rung, each), repeats=repeats)
    return priced if priced.limit is None else replace(priced, limit=-priced.limit)


def natural_price(signal: ExitSignal, structure: HeldStructure) -> Decimal | None:
    """The price one can get at once: long legs at their bid, short ones at their ask; None when one is unknown.

    As with a single position, only a target needs usable quotes. A long leg that nobody bids for is worth nothing.
    """
    total = ZERO
    for leg in structure.structure.legs:
        holding = structure.holdings[leg.symbol]
        side = reference_price(replace(signal, holding=holding))
        if side is None and (signal.urgency is Urgency.PROFIT or not has_no_bid(holding)):
            return None
        total += leg.ratio * (side or ZERO)
    return total


def without_price(signal: ExitSignal, structure: HeldStructure) -> str:
    """The first leg without a price; "" when each has one."""
    for symbol, holding in structure.holdings.items():
        if reference_price(replace(signal, holding=holding)) is None and not has_no_bid(holding):
            return symbol
    return ""


def _at_rung(each: _Exit, rung: Rung, step: int, steps: int) -> PricedStep:
    if rung is Rung.MARKET:
        return PricedStep(each.at_worst, step, steps)
    natural = natural_price(each.signal, each.structure)
    if natural is None:
        if each.signal.urgency is Urgency.FORCED:
            return PricedStep(each.at_worst, steps, steps)
        why = each.signal.holding.prices.problem or "no net price"
        raise NoPriceError(f"no net price to send it at ({why})")
    through = max(abs(natural) * THROUGH_FRACTION, SHORTEST_THROUGH) if rung is Rung.THROUGH else ZERO
    return PricedStep(each.kept(each.rounded(natural - through, up=False)), step, steps)


def _walk_of(each: _Exit, walk: WalkConfig) -> tuple[Decimal, ...]:
    """The prices of a walk inside the net spread, as pricing.walk_of has them for a single position."""
    natural, far = _sides(each.signal.holding)
    if natural is None or far is None or not may_walk(each.signal):
        return ()
    mid = (natural + far) / 2
    way = natural - mid
    if is_narrow(way, mid, each.tick(mid)):
        return ()
    prices = (each.kept(each.rounded(mid + way * share, up=True)) for share in walk_fractions(walk))
    return tuple(dict.fromkeys(price for price in prices if natural < price < far))


def _sides(whole: Holding) -> tuple[Decimal | None, Decimal | None]:
    """The natural price and the opposite one, by usable quotes only."""
    prices = whole.prices
    if prices.bid is None or prices.ask is None:
        return None, None
    return (prices.bid, prices.ask) if whole.position.is_long else (-prices.ask, -prices.bid)
