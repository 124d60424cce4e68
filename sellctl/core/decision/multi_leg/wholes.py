"""The state of a structure as one position, from that of its legs. Pure."""

from collections.abc import Sequence

from msgspec.structs import replace

from sellctl.core.model.market import Quote
from sellctl.core.model.position import ExitProgress, Holding, OrderCount, PositionState
from sellctl.core.structures.held import HeldStructure

_IDLE = PositionState()


def with_state_of_legs(structure: HeldStructure) -> HeldStructure:
    """The structure, whose whole also says what is sent, refused and unresolved of its legs.

    Its exit is the one that all legs have in common, by a multi-leg order.
    """
    states = [holding.state for holding in structure.holdings.values()]
    if not any(_is_busy(state) for state in states):
        return structure
    worst = max(states, key=lambda state: (state.rejects, -state.rejected_for))
    state = replace(
        structure.whole.state,
        exit=_common_exit(states),
        order_count=OrderCount(
            max(each.order_count.all for each in states), max(each.order_count.non_urgent for each in states)
        ),
        rejects=worst.rejects,
        rejected_for=worst.rejected_for,
        recoverable=any(each.recoverable for each in states),
        unresolved=max(each.unresolved for each in states),
        quarantine=next((each.quarantine for each in states if each.quarantine), ""),
        due_for=max((each.due_for for each in states if each.due_for is not None), default=None),
    )
    return replace(structure, whole=replace(structure.whole, state=state))


def with_newest_quote(structure: HeldStructure) -> Holding:
    """The whole with a quote of no prices, which only says when the quote of a leg last changed."""
    times = [holding.quote.at for holding in structure.holdings.values() if holding.quote]
    quote = Quote(structure.name, None, None, max(times)) if times else None
    return replace(structure.whole, quote=quote)


def _is_busy(state: PositionState) -> bool:
    is_due = state.due_for is not None
    return bool(state.exit or state.order_count.all or state.rejects or state.unresolved or state.quarantine or is_due)


def _common_exit(states: Sequence[PositionState]) -> ExitProgress | None:
    exits = [state.exit for state in states if state.exit]
    ids = {each.client_order_id for each in exits}
    return exits[0] if len(exits) == len(states) and len(ids) == 1 else None
