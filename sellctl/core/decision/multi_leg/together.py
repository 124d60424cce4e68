"""Which exits leave together: the structures that leave as one order, and what leaves for itself. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.multi_leg.ways import StructureExit, exit_of, why_by_legs
from sellctl.core.decision.strategy_results import StrategyResult, Wholes
from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.plan import ExitSignal, PositionDecision
from sellctl.core.sell_strategies.base_strategy import merged
from sellctl.core.structures.held import HeldStructure


class PendingExit(Struct, frozen=True):
    """An exit that is due: its next step depends on how many others are due with it.

    `problem` says what else about the position could not be evaluated; "" when there is nothing.
    """

    signal: ExitSignal
    result: StrategyResult
    problem: str


class PendingStructure(Struct, frozen=True):
    """The exit of a structure as one order, and the pending exits of its legs."""

    exit: StructureExit
    legs: tuple[PendingExit, ...]


def apart(
    evaluated: Sequence[PositionDecision | PendingExit], wholes: Wholes, context: DecisionContext
) -> tuple[list[PositionDecision | PendingExit], list[PendingStructure], Mapping[str, Decimal]]:
    """What leaves for itself, the structures that leave as one order, and what of each symbol such orders close.

    A leg of a structure that leaves for itself although it might not says why.
    """
    pending = {each.signal.holding.symbol: each for each in evaluated if isinstance(each, PendingExit)}
    structures = {held.name: held for symbol in pending if (held := context.structures.get(symbol))}
    as_one: list[PendingStructure] = []
    beside = _closed_by_orders(context)
    for structure in structures.values():
        if not structure.holdings.keys() <= pending.keys():
            continue
        legs = tuple(pending[symbol] for symbol in structure.holdings)
        taken = beside.setdefault(structure.structure.underlying, {})
        each, why = _exit_and_way(structure, legs, wholes, taken, context)
        if each is None:
            continue
        if why is None:
            as_one.append(PendingStructure(each, legs))
            taken |= each.closes
            continue
        for leg in legs:
            pending[leg.signal.holding.symbol] = replace(leg, signal=_by_legs(leg.signal, structure.name, why))
    together = {symbol for each in as_one for symbol in each.exit.legs}
    rest = (pending.get(_symbol_of(each), each) for each in evaluated if _symbol_of(each) not in together)
    return list(rest), as_one, {symbol: qty for taken in beside.values() for symbol, qty in taken.items()}


def _closed_by_orders(context: DecisionContext) -> dict[str, dict[str, Decimal]]:
    """What our open multi-leg orders may still close, by underlying and symbol."""
    found: dict[str, dict[str, Decimal]] = {}
    for order in context.snapshot.orders:
        for leg in order.legs if order.is_ours else ():
            found.setdefault(underlying_of(leg.symbol), {})[leg.symbol] = leg.leaves_qty
    return found


def _by_legs(signal: ExitSignal, structure: str, why: str) -> ExitSignal:
    """The signal of a leg whose structure might have left as one order, with why it doesn't."""
    reasons = (*signal.other_reasons, f"by legs: {why}") if why else signal.other_reasons
    return replace(signal, structure=structure, other_reasons=reasons)


def _symbol_of(each: PositionDecision | PendingExit) -> str:
    return each.signal.holding.symbol if isinstance(each, PendingExit) else each.holding.symbol


def _exit_and_way(
    structure: HeldStructure,
    legs: Iterable[PendingExit],
    wholes: Wholes,
    taken: Mapping[str, Decimal],
    context: DecisionContext,
) -> tuple[StructureExit | None, str | None]:
    """The exit of all legs as one, and why it is by legs; without an exit where they leave each for itself.

    So they do when that can't be told. `taken` is what other multi-leg orders on the underlying close.
    """
    try:
        signals = {each.signal.holding.symbol: each.signal for each in legs}
        each = exit_of(structure, signals, merged(_own_signals(structure, wholes, context)))
        each = replace(each, beside=dict(taken)) if each else None
        return each, why_by_legs(each, context) if each else ""
    except Exception:  # noqa: BLE001  a strategy of the user's own may raise anything
        return None, ""


def _own_signals(structure: HeldStructure, wholes: Wholes, context: DecisionContext) -> tuple[ExitSignal, ...]:
    """The confirmed signals of the strategy that manages a structure, on all of it."""
    managed = (context.strategy_and_subject(holding) for holding in structure.holdings.values())
    is_one = all(subject is structure.whole for _, subject in managed)
    return wholes[structure.name].signals if is_one else ()
