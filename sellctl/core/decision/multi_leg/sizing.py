"""How many units of a structure one order may close now (S8), and what limits them. Pure."""

from collections.abc import Iterator
from decimal import ROUND_FLOOR, Decimal

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.sizing import Limit, Size, claims_on
from sellctl.core.model.order import ZERO
from sellctl.core.structures.held import HeldStructure


def units_of(units: Decimal, structure: HeldStructure, context: DecisionContext) -> Size:
    """How many of so many units are free of each leg, not claimed, and by the ledger left; whole units only."""
    limits = tuple(_limits(structure, context))
    tightest = min((Limit(units, ""), *limits), key=lambda limit: limit.qty)
    qty = max(tightest.qty, ZERO)
    return Size(qty, units, tightest.why, any(each.settles and each.qty <= tightest.qty for each in limits))


def _limits(structure: HeldStructure, context: DecisionContext) -> Iterator[Limit]:
    for leg in structure.structure.legs:
        for claim in claims_on(structure.holdings[leg.symbol], context):
            units = (claim.qty / abs(leg.ratio)).to_integral_value(ROUND_FLOOR)
            yield Limit(units, f"{leg.symbol}: {claim.why}", claim.settles)
