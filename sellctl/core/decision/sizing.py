"""How much of a position an exit may close now (S8), and what limits it. Pure."""

from collections.abc import Iterator
from decimal import ROUND_FLOOR, Decimal

from msgspec import Struct

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.risk_checks import covering_violation, newly_naked, remaining_qty, without
from sellctl.core.model.gain import SHARES_PER_CONTRACT
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import ZERO
from sellctl.core.model.plan import ExitSignal
from sellctl.core.model.position import Holding
from sellctl.core.orders.claims import UNKNOWN_SYMBOLS, claim

# Alpaca: quantities are whole contracts, or shares with up to nine decimals.
STEP = {AssetClass.OPTION: Decimal(1), AssetClass.STOCK: Decimal("1e-9")}


class Size(Struct, frozen=True):
    """`wanted` is the quantity to close, `qty` the part of it that is free now; `why` says what limits them, or is "".

    Both are multiples of the asset's STEP, and 0 <= qty <= wanted <= held. `settles` means that a fill of ours is the
    limit, which the position doesn't show yet.
    """

    qty: Decimal
    wanted: Decimal
    why: str = ""
    settles: bool = False


class Limit(Struct, frozen=True):
    """A quantity, and why no more may be closed now; as in Size."""

    qty: Decimal
    why: str
    settles: bool = False


def size_of(signal: ExitSignal, context: DecisionContext) -> Size:
    """The smallest of the requested, free, unclaimed and, by the ledger, remaining quantities, rounded down (S8)."""
    holding = signal.holding
    requested = Limit(min(signal.qty, holding.position.qty), "")
    wanted = min((requested, *_reserves(holding, context)), key=lambda limit: limit.qty)
    limits = (wanted, *claims_on(holding, context))
    tightest = min(limits, key=lambda limit: limit.qty)
    qty, full = _floored(tightest.qty, holding), _floored(wanted.qty, holding)
    tiny = "the rest is smaller than the smallest order" if qty <= 0 else ""
    return Size(qty, full, tightest.why or tiny, any(each.settles and each.qty <= tightest.qty for each in limits))


def free(holding: Holding) -> Decimal:
    """The quantity that no open order holds by the broker's count, at most the quantity held."""
    held = holding.position.qty
    return held if holding.position.available is None else min(held, holding.position.available)


def _floored(qty: Decimal, holding: Holding) -> Decimal:
    step = STEP[holding.position.instrument.asset_class]
    return max((qty / step).to_integral_value(ROUND_FLOOR) * step, ZERO)


def _reserves(holding: Holding, context: DecisionContext) -> Iterator[Limit]:
    """The limit that leaves the part of a long that covers a short (S7), also once multi-leg orders have filled."""
    if context.policy.allow_legging_out:
        return
    reserved = context.cover.reserved.get(holding.symbol)
    if reserved:
        yield Limit(remaining_qty(holding) - reserved, covering_violation(holding.symbol, context.cover))
    if context.closed_as_one and holding.position.is_long:
        yield from _reserves_beside(holding, context)


def why_cover_is_missing(signal: ExitSignal, context: DecisionContext) -> str:
    """Why a long has to wait: it may cover a short that only the last reads of the positions don't show; "" if not."""
    holding, symbol = signal.holding, signal.holding.symbol
    cover, held = context.cover_if_shown, remaining_qty(signal.holding)
    reserved = cover.reserved.get(symbol, ZERO)
    if reserved <= context.cover.reserved.get(symbol, ZERO) or context.policy.allow_legging_out:
        return ""
    if not holding.position.is_long or min(signal.qty, held) <= held - reserved:
        return ""
    missing = {position.symbol for position in context.snapshot.missing}
    shorts = ", ".join(short for short in cover.shorts_by_long[symbol] if short in missing)
    return f"{reserved:f} of it cover {shorts}, which the last read of the positions lacks: waiting for another read"


def _reserves_beside(holding: Holding, context: DecisionContext) -> Iterator[Limit]:
    """The same, where a multi-leg order closes another long that could cover the short instead."""
    left = without(context.closed_as_one, context.on_underlying(holding.position.instrument.underlying))
    naked = newly_naked({holding.symbol: holding.position.qty}, left)
    if naked > 0:
        per_contract = 1 if holding.position.instrument.is_option else SHARES_PER_CONTRACT
        yield Limit(remaining_qty(holding) - naked * per_contract, "the rest of it covers a short")


def claims_on(holding: Holding, context: DecisionContext) -> Iterator[Limit]:
    """The limits from open orders, orders of unknown outcome, and fills that the position doesn't show yet.

    Of a notional order the broker says what it leaves free. A multi-leg order whose legs aren't shown may take all of
    it: the positions may have been read a moment before the order was accepted.
    """
    position, state = holding.position, holding.state
    orders = context.orders_on(position.symbol)
    claims = [claim(order, position.symbol, position.direction) for order in orders]
    claimed = sum((each for each in claims if each is not None), ZERO)
    is_hidden = any(order.symbols == UNKNOWN_SYMBOLS for order in orders)
    if is_hidden or (None in claims and position.available is None):
        claimed = position.qty
    yield Limit(free(holding), f"the broker reports {free(holding):f} of {position.qty:f} as free")
    yield Limit(position.qty - claimed - state.unresolved, f"open orders claim {claimed:f} of {position.qty:f}")
    if state.qty_left is not None:
        left = state.qty_left - claimed
        is_news = state.qty_left < position.qty
        yield Limit(left, f"our own fills leave {max(left, ZERO):f} of it", settles=is_news)
