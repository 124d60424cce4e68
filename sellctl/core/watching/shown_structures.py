"""The structures of an account as every surface shows them: one decision on the whole, and those on its legs. Pure."""

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.engine import why_not_managed
from sellctl.core.decision.explain import leg_note, watched_note
from sellctl.core.decision.multi_leg.recognised import recognised
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.strategy_results import NOT_MANAGED
from sellctl.core.model.gain import SHARES_PER_CONTRACT
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.model.view import ShownStructure
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, StrategyError
from sellctl.core.structures.held import HeldStructure
from sellctl.core.structures.kinds import Leg
from sellctl.core.structures.payoff import Payoff, payoff

# Of a structure whose legs are in several states, the one that needs attention first.
_WORST_FIRST = (
    DecisionState.FAULT,
    DecisionState.BLOCKED,
    DecisionState.DENIED,
    DecisionState.CLOSING,
    DecisionState.NO_QUOTE,
    DecisionState.NOT_MANAGED,
    DecisionState.EXEMPT,
    DecisionState.WATCHING,
)


def shown_structures(plan: Plan, snapshot: Snapshot, policy: Policy) -> tuple[ShownStructure, ...]:
    """Every structure that is held, by the explained plan made from `snapshot`.

    First those that strategies judge, then what else can be recognised; a symbol is in one of them at most.
    """
    context = DecisionContext.of(snapshot, policy)
    found = (*{each.name: each for each in context.structures.values()}.values(), *recognised(context))
    decisions = {decision.holding.symbol: decision for decision in plan.decisions}
    return tuple(_shown(each, decisions, context) for each in found if decisions.keys() >= each.holdings.keys())


def _shown(held: HeldStructure, decisions: Mapping[str, PositionDecision], context: DecisionContext) -> ShownStructure:
    legs = tuple(decisions[leg.symbol] for leg in sorted(held.structure.legs, key=_by_strike))
    strategy, dollars = _strategy(held, context), held.units * SHARES_PER_CONTRACT
    at_expiration = _payoff(held)
    return ShownStructure(
        name=held.name,
        own_name=context.snapshot.named.get(held.name, ""),
        kind=held.kind,
        units=held.units,
        quantities={leg.holding.symbol: held.qty_of(leg.holding.symbol) for leg in legs},
        decision=_on_the_whole(held, legs, strategy, context),
        legs=tuple(_as_leg(leg, held, context) for leg in legs) if strategy else legs,
        is_one=strategy is not None,
        most_profit=at_expiration.most_profit * dollars if at_expiration else None,
        most_loss=at_expiration.most_loss * dollars if at_expiration else None,
        breakevens=at_expiration.breakevens if at_expiration else (),
    )


def _by_strike(leg: Leg) -> tuple[object, ...]:
    """Shares first, then options by expiration and strike, as their name has them."""
    option = leg.instrument.option
    return (True, option.expires, option.strike, leg.symbol) if option else (False,)


def _strategy(held: HeldStructure, context: DecisionContext) -> BaseStrategy | None:
    """The strategy that judges it as one position; None when none does, or it isn't managed."""
    if _why_not_managed(held, context):
        return None
    try:
        strategy, subject = context.strategy_and_subject(next(iter(held.holdings.values())))
    except StrategyError:
        return None
    return strategy if subject.symbol == held.name else None


def _why_not_managed(held: HeldStructure, context: DecisionContext) -> str:
    """Why one of its legs is only shown; "" when all are managed."""
    return next(filter(None, (why_not_managed(leg, context) for leg in held.holdings.values())), "")


def _on_the_whole(
    held: HeldStructure,
    legs: Sequence[PositionDecision],
    strategy: BaseStrategy | None,
    context: DecisionContext,
) -> PositionDecision:
    first = min(legs, key=_first_shown)
    alert = any(leg.alert for leg in legs)
    if strategy is None:
        as_one = first.sentence if first.as_one == held.name else ""
        sentence = as_one or _why_not_managed(held, context) or _why_alone(held, legs)
        return PositionDecision(held.whole, first.state, sentence, signal=first.signal, alert=alert, step=first.step)
    triggers = _triggers(strategy, held.whole, context)
    whole = PositionDecision(
        held.whole, first.state, first.sentence, signal=first.signal, triggers=triggers, alert=alert, step=first.step
    )
    is_watched = first.state is DecisionState.WATCHING and context.snapshot.market.is_open
    return replace(whole, sentence=watched_note(whole, context)) if is_watched else whole


def _why_alone(held: HeldStructure, legs: Sequence[PositionDecision]) -> str:
    """That no strategy judges a structure as one position, and how many of its legs nothing protects."""
    unprotected = sum(leg.state is DecisionState.NOT_MANAGED for leg in legs)
    if not unprotected:
        return f"its legs are judged alone (no match on {held.kind} takes it)"
    match = f"`match: {{structure: {held.kind}}}`"
    return (
        f"{NOT_MANAGED}: {unprotected} of its {len(legs)} legs, which are judged alone; "
        f"a strategy with {match} under sell_module.strategies judges them as one"
    )


def _first_shown(leg: PositionDecision) -> tuple[int, bool, bool, str]:
    """In this order the sentence on the whole is chosen; of legs that leave as one order, that which sends it."""
    return _WORST_FIRST.index(leg.state), leg.submit is None, leg.holding.position.is_long, leg.holding.symbol


def _triggers(strategy: BaseStrategy, subject: Holding, context: DecisionContext) -> tuple[Trigger, ...]:
    """The prices at which a strategy's rules would close it."""
    if subject.state.suspended:
        return ()
    try:
        return tuple(each for each in strategy.triggers(subject, context.snapshot.market) if each.is_finite)
    except StrategyError:
        return ()


def _as_leg(leg: PositionDecision, held: HeldStructure, context: DecisionContext) -> PositionDecision:
    """The decision on a leg without what is said of the whole; what exceeds the structure keeps its triggers."""
    if leg.state is not DecisionState.WATCHING:
        return replace(leg, triggers=())
    holding = held.holdings[leg.holding.symbol]
    rest = context.rest_of(holding)
    triggers = _triggers(rest[0], rest[1], context) if rest and rest[0] else ()
    return replace(leg, triggers=triggers, sentence=leg_note(holding, held.whole, context))


def _payoff(held: HeldStructure) -> Payoff | None:
    """What it can win and lose at expiration; unknown too with an adjusted leg, which may not deliver 100 shares."""
    position = held.whole.position
    is_adjusted = any(leg.instrument.option and leg.instrument.option.is_adjusted for leg in held.structure.legs)
    if position.entry_price is None or is_adjusted:
        return None
    return payoff(held.structure.legs, position.entry_price if position.is_long else -position.entry_price)
