"""Whether a structure leaves as one order, and if not, why by legs. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from itertools import combinations

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.exits import walk_for
from sellctl.core.decision.multi_leg.pricing import price_step, without_price
from sellctl.core.decision.multi_leg.wholes import with_newest_quote
from sellctl.core.decision.pricing import NoPriceError, PricedStep, has_no_bid
from sellctl.core.decision.risk_checks import REJECTS_IN_A_ROW, newly_naked, without
from sellctl.core.model.order import ZERO
from sellctl.core.model.plan import ENGINE_REASONS, MOST_LEGS, ExitSignal, Reason, Urgency
from sellctl.core.model.position import ExitAfter, Holding
from sellctl.core.orders.claims import would_wash
from sellctl.core.structures.coverage import cover_of
from sellctl.core.structures.held import HeldStructure
from sellctl.core.structures.names import kind_named, legs_of

MULTI_LEG_OPTIONS_LEVEL = 3  # from which on Alpaca takes multi-leg orders
# How many other orders on its underlying are looked at in every combination.
_MOST_OTHER_ORDERS = 8


class StructureExit(Struct, frozen=True):
    """The exit of all legs of a structure: its `signal` is for units of the whole, and `legs` has each leg's own.

    `other_orders` are what each other multi-leg order on its underlying closes in the same moment, by symbol. Of a part
    of a structure, `other_parts` are what each other part closes.
    """

    structure: HeldStructure
    signal: ExitSignal
    legs: Mapping[str, ExitSignal]
    other_orders: tuple[Mapping[str, Decimal], ...] = ()
    other_parts: tuple[Mapping[str, Decimal], ...] = ()

    @property
    def closes(self) -> dict[str, Decimal]:
        """How much of each leg it closes."""
        return {symbol: self.structure.qty_of(symbol, self.signal.qty) for symbol in self.structure.holdings}

    @property
    def lead(self) -> str:
        """The leg whose decision sends the order: the first short one, or the first."""
        return min(self.structure.shorts or self.structure.holdings)


def exit_of(structure: HeldStructure, legs: Mapping[str, ExitSignal], own: ExitSignal | None) -> StructureExit | None:
    """The exit of a structure whose legs all leave equally urgently; None where each leaves for itself.

    They leave by the structure's `own` rules, or all for the same reason of the engine. A part of a structure that
    follows the other parts leaves although a leg of it has a reason of its own besides. The others follow a part where
    their structure is to be closed, and not where this is about the part's legs.
    """
    urgency = min(signal.urgency for signal in legs.values())
    if any(signal.urgency is not urgency for signal in legs.values()):
        return None
    units = min(_units(legs[leg.symbol].qty, Decimal(abs(leg.ratio))) for leg in structure.structure.legs)
    common = {signal.reason for signal in legs.values()}
    if own is not None and own.urgency is urgency:
        kind = kind_named(structure.part_of) if structure.part_of else structure.kind
        signal = replace(own, qty=min(units, _units(own.qty)), detail=f"{kind}: {own.detail}")
    elif len(common) == 1 and common <= ENGINE_REASONS:
        signal = replace(legs[min(structure.shorts or legs)], qty=units, worst_price=None)
    elif structure.part_of and urgency <= Urgency.PROTECTIVE and Reason.STRUCTURE in common:
        follows = next(signal for _, signal in sorted(legs.items()) if signal.reason is Reason.STRUCTURE)
        signal = replace(follows, qty=units, worst_price=None)
    else:
        return None
    if signal.qty <= 0:
        return None
    name = structure.part_of
    follow = signal.reason not in ENGINE_REASONS or any(each.structure == name for each in legs.values())
    others = tuple(symbol for symbol in legs_of(name) if follow and symbol not in structure.holdings)
    whole = replace(signal, holding=with_newest_quote(structure), then_close=others, structure=name)
    return StructureExit(structure, whole, legs)


def priced(each: StructureExit, context: DecisionContext) -> PricedStep:
    """The next step of the one order. Raises NoPriceError when no price is usable and the exit isn't forced."""
    signal, policy = each.signal, context.policy
    return price_step(
        signal,
        each.structure,
        signal.next_step,
        policy.style,
        protective_market=policy.protective_market,
        walk=walk_for(signal, context),
    )


def why_by_legs(each: StructureExit, context: DecisionContext) -> str | None:
    """Why a structure leaves by legs, for the user; "" where nothing else was to be expected. None: as one order."""
    found = (check(each, context) for check in _CHECKS)
    return next((why for why in found if why is not None), None)


def _units(qty: Decimal, ratio: Decimal = Decimal(1)) -> Decimal:
    return (qty / ratio).to_integral_value(ROUND_FLOOR)


def _has_shares(each: StructureExit, _context: DecisionContext) -> str | None:
    return None if all(leg.instrument.is_option for leg in each.structure.structure.legs) else ""


def _has_many_legs(each: StructureExit, _context: DecisionContext) -> str | None:
    is_large = len(each.structure.holdings) > MOST_LEGS
    return "it has more than four legs, and no parts that cover themselves" if is_large else None


def _leaves_by_legs_already(each: StructureExit, context: DecisionContext) -> str | None:
    """Whether an order for some of its legs works, or was the last one: the other legs are marked to follow it.

    The legs are marked also while it leaves as one order; then all of them have that order's exit.
    """
    legs = frozenset(each.structure.holdings)
    if any(frozenset(order.symbols) != legs for symbol in legs for order in context.ours_on(symbol)):
        return ""
    marks = (ExitAfter.of(holding.state.exit_after).structure for holding in each.structure.holdings.values())
    return "" if each.structure.name in marks and each.signal.holding.state.exit is None else None


def _is_partly_manual(each: StructureExit, context: DecisionContext) -> str | None:
    """Whether the user asked to close some legs only, or each at a limit of its own."""
    asked, terms = context.snapshot.manual_closes & each.structure.holdings.keys(), context.snapshot.close_terms
    has_limits = any(symbol in terms and terms[symbol].limit is not None for symbol in asked)
    return "" if asked and (has_limits or asked != each.structure.holdings.keys()) else None


def _level_is_too_low(_each: StructureExit, context: DecisionContext) -> str | None:
    level = context.snapshot.account.options_level
    if level is None or level >= MULTI_LEG_OPTIONS_LEVEL:
        return None
    return f"the account's options level is {level}, and a multi-leg order needs {MULTI_LEG_OPTIONS_LEVEL}"


def _was_refused(each: StructureExit, context: DecisionContext) -> str | None:
    refused = context.snapshot.no_multi_leg
    if "" in refused:
        return "the broker lets the account send no multi-leg orders"
    is_of_it = each.structure.name in refused or (each.structure.part_of and _has_a_leg_of(each, refused))
    return "the broker refused a multi-leg order of it today" if is_of_it else None


def _has_a_leg_of(each: StructureExit, structures: Iterable[str]) -> bool:
    return any(symbol in each.structure.holdings for name in structures for symbol in legs_of(name))


def _is_refused_again_and_again(each: StructureExit, _context: DecisionContext) -> str | None:
    """Whatever the broker says against it: legs that were opened separately may be no structure to it."""
    rejects = each.signal.holding.state.rejects
    return f"the broker refused {rejects} orders for it in a row" if rejects >= REJECTS_IN_A_ROW else None


def _is_in_question(each: StructureExit, _context: DecisionContext) -> str | None:
    quarantined = [symbol for symbol, holding in each.structure.holdings.items() if holding.state.quarantine]
    return f"{quarantined[0]} is quarantined" if quarantined else None


def _is_opposed(each: StructureExit, context: DecisionContext) -> str | None:
    """Whether an order of the user's could meet a leg's; whether it does depends on that leg's price."""
    for symbol, holding in each.structure.holdings.items():
        for order in context.orders_on(symbol):
            if not order.is_ours and would_wash(order, holding.position.direction, None):
                return f"your order for {symbol} is opposite to it"
    return None


def _covers_another(each: StructureExit, context: DecisionContext) -> str | None:
    """Whether a long leg covers a short outside of the structure, so that only a part of it may be closed.

    Other multi-leg orders may fill before this one or after it, and so may each other part of its structure.
    """
    related = context.on_underlying(each.structure.structure.underlying)
    known = {*each.structure.holdings, *(symbol for part in each.other_parts for symbol in part)}
    others = ({symbol: qty for symbol, qty in closes.items() if symbol not in known} for closes in each.other_orders)
    choices = (*each.other_parts, *filter(None, others))
    earlier_fills = _possible_earlier_fills(each, choices, related)
    if earlier_fills is None:
        return "a long leg of it may cover another short"
    naked = max(newly_naked(each.closes, without(before, related)) for before in earlier_fills)
    return "a long leg of it covers another short" if naked > 0 else None


def _possible_earlier_fills(
    each: StructureExit, choices: Sequence[Mapping[str, Decimal]], related: Sequence[Holding]
) -> Iterable[dict[str, Decimal]] | None:
    """What may have filled before an exit does; None when that is too much to look at.

    Where each order covers its own shorts, what is left once all or none of the others have filled tells for the rest.
    """
    if all(_covers_itself(closes, related) for closes in (each.closes, *choices)):
        return ({}, in_all(choices))
    if len(choices) > _MOST_OTHER_ORDERS:
        return None
    counts = range(len(choices) + 1)
    return (in_all(chosen) for count in counts for chosen in combinations(choices, count))


def in_all(orders: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    """How much of each symbol several orders close."""
    total: dict[str, Decimal] = {}
    for closes in orders:
        for symbol, qty in closes.items():
            total[symbol] = total.get(symbol, ZERO) + qty
    return total


def _covers_itself(closes: Mapping[str, Decimal], related: Iterable[Holding]) -> bool:
    """Whether no short of what an order closes needs another cover than its own long legs."""
    held = (each for each in related if each.symbol in closes)
    own = (replace(each, position=replace(each.position, qty=closes[each.symbol])) for each in held)
    return not any(cover_of(own).uncovered.values())


def _is_its_last_hour(each: StructureExit, context: DecisionContext) -> str | None:
    rule, market = context.policy.zero_day, context.snapshot.market
    last = (rule.evaluate(holding, market) for holding in each.structure.holdings.values()) if rule else ()
    is_final = any(signal is not None and signal.urgency is Urgency.FORCED for signal in last)
    return "the final deadline of its last day has come" if is_final else None


def _lacks_a_price(each: StructureExit, _context: DecisionContext) -> str | None:
    symbol = "" if each.signal.urgency is Urgency.PROFIT else without_price(each.signal, each.structure)
    return f"{symbol} has no price" if symbol else None


def _does_not_fill(each: StructureExit, context: DecisionContext) -> str | None:
    """Whether all prices were tried in vain with a leg that nobody bids for, or that has no usable quote.

    Its part of the order may find no buyer, and the others don't wait for it. Of what is quoted, it stays one order: by
    legs it would cost more.
    """
    state, signal = each.signal.holding.state.exit, each.signal
    unwanted = next(filter(None, map(_why_unwanted, each.structure.holdings.values())), "")
    if not unwanted or state is None or state.urgency != signal.urgency:
        return None
    try:
        price = priced(each, context)
    except NoPriceError:
        return None
    is_over = state.step >= price.step_count and not price.repeats
    return f"{unwanted}, and it did not fill as one order" if is_over else None


def _why_unwanted(leg: Holding) -> str:
    if has_no_bid(leg):
        return f"nobody bids for {leg.symbol}"
    return f"{leg.symbol} has no usable quote" if leg.prices.bid is None and leg.prices.ask is None else ""


_CHECKS: tuple[Callable[[StructureExit, DecisionContext], str | None], ...] = (
    _has_shares,
    _leaves_by_legs_already,
    _is_partly_manual,
    _has_many_legs,
    _level_is_too_low,
    _was_refused,
    _is_refused_again_and_again,
    _is_in_question,
    _is_its_last_hour,
    _is_opposed,
    _covers_another,
    _lacks_a_price,
    _does_not_fill,
)
