"""The structures among the positions that no match judges as a part of one. Pure.

They are shown, and one with a short option leaves as one order when all of its legs are to leave at once.
"""

from collections.abc import Container, Iterator

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.multi_leg.wholes import with_state_of_legs
from sellctl.core.model.instrument import StructureKind, a_stock, an_option
from sellctl.core.model.order import Order, Side
from sellctl.core.model.position import ExitAfter
from sellctl.core.structures.held import HeldStructure, held_structures
from sellctl.core.structures.kinds import Leg, kind_of_legs
from sellctl.core.structures.names import structure_name
from sellctl.core.structures.recognition import KINDS, shape_of


def recognised(context: DecisionContext, underlyings: Container[str] | None = None) -> tuple[HeldStructure, ...]:
    """Those on these underlyings, or on all; none with `structures: off`.

    First come those that orders of ours are closing, so that a new position puts nothing together anew meanwhile.
    """
    if not context.policy.recognises_structures:
        return ()
    taken = context.structures.keys() | context.invalid_reasons.keys()
    free = [
        holding
        for holding in context.holdings
        if holding.symbol not in taken
        and (underlyings is None or holding.position.instrument.underlying in underlyings)
    ]
    leaving = {each.symbol: ExitAfter.of(each.state.exit_after) for each in free if each.state.exit_after}
    first = (*_being_closed(context), *context.snapshot.named)
    return tuple(map(with_state_of_legs, held_structures(free, (), {}, KINDS, leaving, first=first)))


def _being_closed(context: DecisionContext) -> Iterator[str]:
    """The names of the structures that open multi-leg orders of ours close."""
    for order in context.snapshot.orders:
        if order.is_ours and order.legs and all(leg.qty for leg in order.legs):
            shape = shape_of(_closed_leg(leg) for leg in order.legs)
            yield structure_name(kind_of_legs(shape) or StructureKind.CUSTOM, shape)


def _closed_leg(order: Order) -> Leg:
    """The leg that a part of a multi-leg order closes: a long one is sold."""
    contracts = int(order.qty or 0)
    return Leg(an_option(order.symbol) or a_stock(order.symbol), contracts if order.side is Side.SELL else -contracts)
