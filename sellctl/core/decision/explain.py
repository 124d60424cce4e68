"""Why each position stays open or is closed: the sentence, the trigger prices, the rules. Pure."""

from dataclasses import dataclass, replace
from decimal import Decimal

from sellctl.core.config.schema import ShortAction
from sellctl.core.decision.backstop import resting_note
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.engine import decide, rules_warning, triggers_of, why_not_managed
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.quote_checks import price_exits_paused, stops_paused
from sellctl.core.decision.rule_states import StrategyState, strategy_state
from sellctl.core.model.gain import Basis, price_on, side_name
from sellctl.core.model.plan import REASONS, DecisionState, Plan, PositionDecision, Trigger, Urgency
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.sell_strategies.matching import ASSET_CLASSES
from sellctl.core.sell_strategies.strategy_one import StrategyOne
from sellctl.core.text import as_dollars, as_percent

_OPEN = frozenset({DecisionState.WATCHING, DecisionState.NO_QUOTE})


@dataclass(frozen=True, slots=True)
class Explanation:
    """One position explained.

    `gain` is the gain on entry at the price one could get now, as a ratio; None when unknown. `strategy` has the rules
    of the position, each with its state; None when it isn't managed or could not be evaluated.
    """

    symbol: str
    sentence: str
    triggers: tuple[Trigger, ...]
    gain: Decimal | None
    strategy: StrategyState | None


def explain(snapshot: Snapshot, policy: Policy, symbol: str) -> Explanation | None:
    """The explanation of the decision for one position; None when it isn't held."""
    return explain_all(snapshot, policy).get(symbol)


def explain_all(snapshot: Snapshot, policy: Policy) -> dict[str, Explanation]:
    """The explanation of the decision for each position, by symbol."""
    context = DecisionContext.of(snapshot, policy)
    plan = explained(decide(snapshot, policy), snapshot, policy)
    return {decision.holding.symbol: _explanation(decision, context) for decision in plan.decisions}


def explained(plan: Plan, snapshot: Snapshot, policy: Policy) -> Plan:
    """The plan made from `snapshot`, with sentence and triggers also for positions that are only watched."""
    context = DecisionContext.of(snapshot, policy)
    return replace(plan, decisions=tuple(_explained(decision, context) for decision in plan.decisions))


def _explained(decision: PositionDecision, context: DecisionContext) -> PositionDecision:
    if decision.state not in _OPEN:
        return decision
    with_triggers = replace(decision, triggers=triggers_of(decision.holding, context))
    return replace(with_triggers, sentence=_sentence(with_triggers, context))


def _explanation(decision: PositionDecision, context: DecisionContext) -> Explanation:
    holding = decision.holding
    managed = decision.state is not DecisionState.FAULT and not why_not_managed(holding, context)
    return Explanation(
        symbol=holding.symbol,
        sentence=decision.sentence,
        triggers=decision.triggers,
        gain=decision.gain,
        strategy=strategy_state(holding, context) if managed else None,
    )


def _sentence(decision: PositionDecision, context: DecisionContext) -> str:
    """Why a position without an exit stays open, and its backstop."""
    if decision.state is DecisionState.NO_QUOTE:
        return "; ".join(note for note in (decision.sentence, resting_note(decision, context)) if note)
    warning = rules_warning(decision.holding)
    done = "" if decision.sentence == warning else decision.sentence.removeprefix(f"{warning}; ")
    notes = (_why_it_stays(decision, context), done, resting_note(decision, context))
    return "; ".join(note for note in notes if note)


def _why_it_stays(decision: PositionDecision, context: DecisionContext) -> str:
    holding = decision.holding
    alone = why_not_managed(holding, context)
    if alone:
        return alone
    if not context.snapshot.market.is_open:
        return "the market is closed"
    notes = (_cover_note(holding, context), _zero_day_note(holding, context), _price_note(decision, context))
    return "; ".join(note for note in notes if note) or "no rule applies to it"


def _cover_note(holding: Holding, context: DecisionContext) -> str:
    if holding.position.is_long or not holding.position.instrument.is_option:
        return ""
    covering = context.cover.covering.get(holding.symbol)
    if covering:
        return f"short, covered by {', '.join(covering)}"
    policy = context.policy
    if policy.short_action is ShortAction.IGNORE or holding.position.instrument.asset_class not in policy.short_classes:
        return "naked short, and short options are ignored (short_positions)"
    return "short put kept as cash-secured (short_positions.cash_secured_puts)" if context.keeps_put(holding) else ""


def _zero_day_note(holding: Holding, context: DecisionContext) -> str:
    if not context.expires_today(holding):
        return ""
    if context.policy.zero_day is None:
        return "expires today, zero-day handling is off"
    applies = holding.position.is_long or context.policy.zero_day_shorts or holding.symbol in context.cover.by_options
    return "expires today, before its deadline" if applies else "expires today, not closed (zero_day.shorts is off)"


def _price_note(decision: PositionDecision, context: DecisionContext) -> str:
    holding, market = decision.holding, context.snapshot.market
    if holding.state.suspended:
        return rules_warning(holding)
    strategy, _ = context.strategy_of(holding)
    if strategy is None:
        return _why_no_strategy(holding, context.policy) if holding.position.is_long else ""
    if rules_warning(holding):
        return rules_warning(holding)
    paused = price_exits_paused(market) or stops_paused(market)
    if paused:
        return paused
    gains = " and ".join(_gain_on(holding, basis) for basis in Basis if price_on(holding, basis) is not None)
    if not gains:
        return f"{holding.prices.problem}: no price rule can fire"
    problem = f" ({holding.prices.problem})" if holding.prices.problem else ""
    return f"{gains}: {_rules_note(decision)}{problem}"


def _why_no_strategy(holding: Holding, policy: Policy) -> str:
    one = next((each for each in policy.strategies if isinstance(each, StrategyOne)), None)
    asset = holding.position.instrument.asset_class
    if one is None or any(ASSET_CLASSES[kind] is asset for kind in one.applies_to):
        return "NOT MANAGED: no strategy matches it"
    kinds = " and ".join(f"{kind.value}s" for kind in one.applies_to)
    others = "no other strategy matches it, and strategy one's " if len(policy.strategies) > 1 else ""
    return f"NOT MANAGED: {others}rules cover {kinds} only (applies_to)"


def _gain_on(holding: Holding, basis: Basis) -> str:
    price = price_on(holding, basis)
    gain = holding.gain_at(price)
    if price is None or gain is None:
        return ""
    return f"{as_percent(gain)} at the {side_name(holding.position, basis)} of {as_dollars(price)}"


def _rules_note(decision: PositionDecision) -> str:
    if not decision.holding.prices.wide:
        return "no rule is met"
    touched = {_kind(trigger) for trigger in decision.triggers if _is_touched(trigger, decision.holding)}
    if touched:
        return f"{' and '.join(sorted(touched))} touched, but the spread is too wide to act on"
    return "the spread is wide: no target fires, and a stop only where both sides are beyond it"


def _kind(trigger: Trigger) -> str:
    return "target" if REASONS[trigger.reason].urgency is Urgency.PROFIT else "stop"


def _is_touched(trigger: Trigger, holding: Holding) -> bool:
    """Whether the price is at or beyond the trigger: above a long's target, below its stop; mirrored for a short."""
    if trigger.distance is None:
        return False
    rising = (_kind(trigger) == "target") is holding.position.is_long
    return trigger.distance <= 0 if rising else trigger.distance >= 0
