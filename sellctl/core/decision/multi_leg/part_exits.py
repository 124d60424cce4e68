"""The exit in parts of a structure that has more legs than one order may have: what each part has of it. Pure."""

from collections.abc import Collection, Mapping
from decimal import Decimal

from msgspec.structs import replace

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.multi_leg.ways import StructureExit
from sellctl.core.model.order import ZERO
from sellctl.core.model.plan import ExitSignal
from sellctl.core.model.position import Holding
from sellctl.core.structures.held import HeldStructure
from sellctl.core.structures.names import legs_named


def for_part(own: ExitSignal, part: HeldStructure, context: DecisionContext) -> ExitSignal | None:
    """The signal of a structure's own rules, as one on a part of it; None when no price of the part can be told.

    Its quantity is not that of the structure: how much of each leg is to be closed is known from the legs' signals.
    """
    signal = replace(own, qty=Decimal(part.units))
    if own.worst_price is None:
        return signal
    least = _least(own.worst_price if own.holding.position.is_long else -own.worst_price, part, context)
    if least is None:
        return None
    return replace(signal, worst_price=least if part.whole.position.is_long else -least)


def closed_by_other_parts(part: HeldStructure, context: DecisionContext) -> tuple[Mapping[str, Decimal], ...]:
    """What the other parts of a structure may close, by symbol; nothing for what is no part."""
    return tuple(each.quantities for each in context.other_parts(part)) if part.part_of else ()


def as_own_exit(each: StructureExit, due: Collection[str], context: DecisionContext) -> StructureExit:
    """The exit of a part, as one of its own where neither the other parts are `due` nor follow."""
    others = {symbol for part in context.other_parts(each.structure) for symbol in part.holdings}
    if each.signal.then_close or others.issubset(due):
        return each
    return replace(each, signal=replace(each.signal, structure=""))


def _least(least: Decimal, part: HeldStructure, context: DecisionContext) -> Decimal | None:
    """What a unit of a part may bring at least, so that all parts together bring the `least` of their structure.

    The parts that have an order bring its limit, and the others share what is above the least equally. None when what
    a part brings now is unknown.
    """
    natural, times = _natural(part.whole), _per_whole(part)
    for other in context.other_parts(part):
        limit = _limit_of_order(other, context)
        if limit is not None:
            least -= _per_whole(other) * limit
            continue
        brings = _natural(other.whole)
        if natural is None or brings is None:
            return None
        least -= _per_whole(other) * brings
        times += _per_whole(other)
    if natural is None:
        return None
    return natural - (_per_whole(part) * natural - least) / times


def _natural(whole: Holding) -> Decimal | None:
    """What a unit brings at once; below zero what it costs."""
    price = whole.exit_price
    return price if price is None or whole.position.is_long else -price


def _per_whole(part: HeldStructure) -> Decimal:
    """How many units of a part one unit of its structure has."""
    first = part.structure.legs[0]
    ratio = next((leg.ratio for leg in legs_named(part.part_of) if leg.symbol == first.symbol), ZERO)
    return Decimal(ratio) / abs(first.ratio)


def _limit_of_order(part: HeldStructure, context: DecisionContext) -> Decimal | None:
    """What a unit brings at the limit of the part's order; None while it has none."""
    symbols = frozenset(part.holdings)
    orders = context.ours_on(min(symbols))
    limit = next((order.limit_price for order in orders if frozenset(order.symbols) == symbols), None)
    return None if limit is None else -limit
