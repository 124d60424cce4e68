"""Which exits leave together: the structures that leave as one order, and what leaves for itself. Pure.

A structure that a strategy judges leaves together by its rules or for any reason of the engine. Of those that no match
names, one with a short option does in a panic, by the account guard and on its last day; otherwise each of its legs
leaves for itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.exits import denied
from sellctl.core.decision.multi_leg.part_exits import as_own_exit, closed_by_other_parts, for_part
from sellctl.core.decision.multi_leg.recognised import recognised
from sellctl.core.decision.multi_leg.ways import StructureExit, exit_of, in_all, why_by_legs
from sellctl.core.decision.multi_leg.wholes import with_state_of_legs
from sellctl.core.decision.strategy_results import StrategyResult, Wholes, error_text
from sellctl.core.model.instrument import underlying_of
from sellctl.core.model.order import ZERO
from sellctl.core.model.plan import ExitSignal, PositionDecision, Reason
from sellctl.core.model.position import Holding
from sellctl.core.sell_strategies.base_strategy import merged
from sellctl.core.structures.held import HeldStructure, held_parts

# The reasons for which all legs of a structure leave, whatever judges them.
REASONS_TO_CLOSE_ALL = frozenset({Reason.PANIC, Reason.ACCOUNT_GUARD, Reason.ZERO_DAY})
_BY_LEGS = "by legs: "


class PendingExit(Struct, frozen=True):
    """An exit that is due: its next step depends on how many others are due with it.

    `of_engine` is the exit by the engine's reasons alone; None when there are none. `problem` says what else about the
    position could not be evaluated; "" when there is nothing.
    """

    signal: ExitSignal
    of_engine: ExitSignal | None
    result: StrategyResult
    problem: str

    @property
    def holding(self) -> Holding:
        """The position."""
        return self.signal.holding


class PendingStructure(Struct, frozen=True):
    """The exit of a structure as one order, and the pending exits of its legs."""

    exit: StructureExit
    legs: tuple[PendingExit, ...]


class _ByLegs(Struct, frozen=True):
    """That the legs of a structure are closed one by one, and why: "" where nothing else was to be expected."""

    why: str


def sort_by_way(
    evaluated: Sequence[PositionDecision | PendingExit], wholes: Wholes, context: DecisionContext
) -> tuple[list[PositionDecision | PendingExit], list[PendingStructure], Mapping[str, Decimal]]:
    """What leaves for itself, the structures that leave as one order, and what of each symbol such orders close.

    A leg of a structure that leaves for itself although it might not says why.
    """
    pending = {each.holding.symbol: each for each in evaluated if isinstance(each, PendingExit)}
    judged = {held.name: held for symbol in pending if (held := context.leaves_as(symbol))}
    as_one: list[PendingStructure] = []
    by_underlying = _closed_by_orders(context)
    for structure in (*judged.values(), *_unmatched_to_close(pending, context)):
        if not structure.holdings.keys() <= pending.keys():
            continue
        legs = tuple(pending[symbol] for symbol in structure.holdings)
        taken = by_underlying.setdefault(structure.structure.underlying, [])
        way = _way_of(structure, legs, wholes, taken, context)
        if isinstance(way, StructureExit):
            each = as_own_exit(way, pending.keys(), context) if structure.part_of else way
            as_one.append(PendingStructure(each, legs))
            taken.append(each.closes)
        elif way is not None:
            for leg in legs:
                signal = _by_legs(leg.signal, structure.part_of or structure.name, way.why)
                pending[leg.holding.symbol] = replace(leg, signal=signal)
    together = {symbol for each in as_one for symbol in each.exit.legs}
    rest = (pending.get(_symbol_of(each), each) for each in evaluated if _symbol_of(each) not in together)
    rest = (_unless_net_limit(each, context) for each in rest)
    return list(rest), as_one, in_all(closes for taken in by_underlying.values() for closes in taken)


def _unless_net_limit(each: PositionDecision | PendingExit, context: DecisionContext) -> PositionDecision | PendingExit:
    """The exit of a leg by itself; it is refused when the user asked for a net limit, which no leg alone can keep."""
    if not isinstance(each, PendingExit) or each.signal.reason is not Reason.CLOSED_MANUALLY:
        return each
    terms, (_, structure) = context.terms_of(each.holding), context.asked_to_close(each.holding)
    if structure is None or terms is None or terms.limit is None:
        return each
    why = next((why.removeprefix(_BY_LEGS) for why in each.signal.other_reasons if why.startswith(_BY_LEGS)), "")
    refusal = f"a net limit needs one order for all legs{f': {why}' if why else ''}"
    return denied(each.signal, (refusal,))


def _unmatched_to_close(pending: Mapping[str, PendingExit], context: DecisionContext) -> Iterator[HeldStructure]:
    """The structures that no match names, with a short option, all of which is to leave for REASONS_TO_CLOSE_ALL.

    One with more legs than an order may have leaves as its parts.
    """
    due = {
        symbol: each.holding
        for symbol, each in pending.items()
        if each.of_engine and each.of_engine.reason in REASONS_TO_CLOSE_ALL and context.leaves_as(symbol) is None
    }
    options = {symbol: holding for symbol, holding in due.items() if holding.position.instrument.is_option}
    underlyings = {each.position.instrument.underlying for each in options.values() if not each.position.is_long}
    if underlyings:
        for structure in recognised(context, underlyings):
            if structure.shorts and structure.holdings.keys() <= options.keys():
                parts = held_parts(structure.name, structure.holdings, structure)
                yield from map(with_state_of_legs, parts) if parts else (structure,)


def _closed_by_orders(context: DecisionContext) -> dict[str, list[Mapping[str, Decimal]]]:
    """What each of our open multi-leg orders may still close, by underlying."""
    found: dict[str, list[Mapping[str, Decimal]]] = {}
    for order in context.snapshot.orders:
        if order.is_ours and order.legs:
            closes = {leg.symbol: leg.leaves_qty for leg in order.legs}
            found.setdefault(underlying_of(order.legs[0].symbol), []).append(closes)
    return found


def _by_legs(signal: ExitSignal, structure: str, why: str) -> ExitSignal:
    """The signal of a leg whose structure might have left as one order, with why it doesn't."""
    reasons = (*signal.other_reasons, f"{_BY_LEGS}{why}") if why else signal.other_reasons
    return replace(signal, structure=structure, other_reasons=reasons)


def _symbol_of(each: PositionDecision | PendingExit) -> str:
    return each.holding.symbol


def _way_of(
    structure: HeldStructure,
    legs: Iterable[PendingExit],
    wholes: Wholes,
    taken: Iterable[Mapping[str, Decimal]],
    context: DecisionContext,
) -> StructureExit | _ByLegs | None:
    """The exit of all legs as one order, or that they are closed one by one; None where each is closed for itself.

    By legs also after an error, with its text. `taken` is what each other multi-leg order on the underlying closes.
    """
    try:
        signals = {leg.holding.symbol: _signal_of(leg, context) for leg in legs}
        own = merged(_own_signals(structure, wholes, context))
        each = exit_of(structure, signals, for_part(own, structure, context) if own and structure.part_of else own)
        each = _with_net_limit(each, context) if each else None
        if each is None:
            return None
        each = replace(each, other_orders=tuple(taken), other_parts=closed_by_other_parts(structure, context))
        why = why_by_legs(each, context)
        return each if why is None else _ByLegs(why)
    except Exception as error:  # noqa: BLE001  a strategy of the user's own may raise anything
        return _ByLegs(f"it can't be told whether one order would do: {error_text(error)}")


def _with_net_limit(each: StructureExit, context: DecisionContext) -> StructureExit | None:
    """The exit with the net limit that the user asked for; None for a part of a structure, of which it is no limit."""
    if each.signal.reason is not Reason.CLOSED_MANUALLY:
        return each
    first = each.structure.holdings[each.lead]
    terms, (_, asked) = context.terms_of(first), context.asked_to_close(first)
    if asked is None or terms is None or terms.limit is None:
        return each
    if each.structure.part_of:
        return None
    return replace(each, signal=replace(each.signal, worst_price=terms.limit))


def _signal_of(leg: PendingExit, context: DecisionContext) -> ExitSignal:
    """The signal of a leg as a part of its structure.

    That of a long leg that is judged alone may be more urgent, and yet it can't leave before the shorts that it covers.
    What is closed by its structure's name leaves with it, also where a rule on the leg alone would close it now.
    """
    holding, of_engine = leg.holding, leg.of_engine
    terms = context.terms_of(holding)
    is_bound = terms is not None and (terms.qty is not None or terms.limit is not None)
    if is_bound and leg.signal.reason is not Reason.CLOSED_MANUALLY:
        return leg.signal  # what a rule closes isn't kept back by the quantity or the limit of a request
    is_asked = context.asked_to_close(holding)[1] is not None
    if of_engine is not None and is_asked and leg.signal.urgency is of_engine.urgency:
        return of_engine
    if of_engine is None or leg.signal.urgency >= of_engine.urgency or context.leaves_as(holding.symbol):
        return leg.signal
    is_bound = holding.position.is_long and not context.policy.allow_legging_out
    is_bound = is_bound and context.cover.reserved.get(holding.symbol, ZERO) >= holding.position.qty
    return of_engine if is_bound else leg.signal


def _own_signals(structure: HeldStructure, wholes: Wholes, context: DecisionContext) -> tuple[ExitSignal, ...]:
    """The confirmed signals of the strategy that manages a structure, on all of it, also for a part of it."""
    whole = context.structures_by_name.get(structure.part_of or structure.name)
    managed = (context.strategy_and_subject(holding) for holding in structure.holdings.values())
    is_one = whole is not None and all(subject is whole.whole for _, subject in managed)
    return wholes[whole.name].signals if whole and is_one else ()
