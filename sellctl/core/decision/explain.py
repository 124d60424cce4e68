"""Why each position stays open or is closed: the sentence, the trigger prices, the rules. Pure."""

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.config.schema import ShortAction
from sellctl.core.decision.backstop import resting_note
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.engine import decide, rules_warning, triggers_of, why_not_managed
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.quote_checks import price_exits_paused, stops_paused
from sellctl.core.decision.rule_states import StrategyState, strategy_state
from sellctl.core.decision.strategy_results import NOT_MANAGED
from sellctl.core.model.gain import Basis, price_on, side_name
from sellctl.core.model.market import WIDE_SETTLES
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.rules.zero_day import why_last_day
from sellctl.core.sell_strategies.base_strategy import StrategyError
from sellctl.core.sell_strategies.matching import ASSET_CLASSES
from sellctl.core.sell_strategies.strategy_one import StrategyOne
from sellctl.core.text import as_dollars, as_percent, as_time_span

_OPEN = frozenset({DecisionState.WATCHING, DecisionState.NO_QUOTE})


class Explanation(Struct, frozen=True):
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
    managed = managed and not _is_without_strategy(decision)
    return Explanation(
        symbol=holding.symbol,
        sentence=decision.sentence,
        triggers=decision.triggers,
        gain=decision.gain,
        strategy=_strategy_state(holding, context) if managed else None,
    )


def _strategy_state(holding: Holding, context: DecisionContext) -> StrategyState | None:
    try:
        return strategy_state(holding, context)
    except StrategyError:  # it was evaluated for the decision, and does not answer a second time
        return None


def _is_without_strategy(decision: PositionDecision) -> bool:
    """Whether its strategy is stopped for the day, which its sentence says."""
    return decision.sentence.startswith(NOT_MANAGED)


def _sentence(decision: PositionDecision, context: DecisionContext) -> str:
    """Why a position that is only watched stays open, and its backstop."""
    if decision.state is DecisionState.NO_QUOTE:
        return "; ".join(note for note in (decision.sentence, resting_note(decision, context)) if note)
    if _is_without_strategy(decision):
        return decision.sentence
    warning = rules_warning(decision.holding, context)
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
    longs = context.cover.longs_by_short.get(holding.symbol)
    if longs:
        return f"short, covered by {', '.join(longs)}"
    policy = context.policy
    if policy.short_action is ShortAction.IGNORE or holding.position.instrument.asset_class not in policy.short_classes:
        return "naked short, and short options are ignored (short_positions)"
    kept = context.is_cash_secured_put(holding)
    return "short put kept as cash-secured (short_positions.cash_secured_puts)" if kept else ""


def _zero_day_note(holding: Holding, context: DecisionContext) -> str:
    if not context.is_last_day(holding):
        return ""
    why = why_last_day(holding)
    if context.policy.zero_day is None:
        return f"{why}, zero-day handling is off"
    applies = (
        holding.position.is_long
        or context.policy.zero_day_shorts
        or holding.symbol in context.cover.contracts_covered_by_options
    )
    return f"{why}, before its deadline" if applies else f"{why}, not closed (zero_day.shorts is off)"


def _price_note(decision: PositionDecision, context: DecisionContext) -> str:
    holding = decision.holding
    if holding.state.suspended:
        return rules_warning(holding, context)
    try:
        strategy, subject = context.strategy_and_subject(holding)
    except StrategyError as error:
        return f"its strategy could not be evaluated: {error}"
    if strategy is None:
        return _why_no_strategy(holding, context.policy) if holding.position.is_long else ""
    return watched_note(decision, context) if subject is holding else leg_note(holding, subject, context)


def leg_note(holding: Holding, structure: Holding, context: DecisionContext) -> str:
    """That a position is judged as a part of a structure, how much of it is not, and what prevents rules on it."""
    rest = context.rest_of(holding)
    beyond = f"{rest[1].position.qty:f} beyond it" if rest else ""
    return "; ".join(filter(None, (f"judged as a leg of {structure.symbol}", beyond, rules_warning(holding, context))))


def watched_note(decision: PositionDecision, context: DecisionContext) -> str:
    """Why the rules of its strategy don't close a position, or a structure."""
    holding, market = decision.holding, context.snapshot.market
    if rules_warning(holding, context):
        return rules_warning(holding, context)
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
        why = "no strategy matches it"
    else:
        kinds = " and ".join(f"{kind.value}s" for kind in one.applies_to)
        others = "no other strategy matches it, and strategy one's " if len(policy.strategies) > 1 else ""
        why = f"{others}rules cover {kinds} only (applies_to)"
    # Without a strategy an option is still closed on its last day, by a panic and by the account guard; a stock is not.
    return f"without a target or stop: {why}" if holding.position.instrument.is_option else f"{NOT_MANAGED}: {why}"


def _gain_on(holding: Holding, basis: Basis) -> str:
    price = price_on(holding, basis)
    gain = holding.gain_at(price)
    if price is None or gain is None:
        return ""
    return f"{as_percent(gain)} at the {side_name(holding.position, basis)} of {as_dollars(price)}"


def _rules_note(decision: PositionDecision) -> str:
    if not decision.holding.prices.wide:
        return "no rule is met"
    touched = {_kind(each) for each in decision.triggers if each.is_reached(decision.holding.position)}
    if touched:
        until = f"; {_when_a_stop_fires(decision.holding)}" if "stop" in touched else ""
        return f"{' and '.join(sorted(touched))} touched, but the spread is too wide to act on{until}"
    return f"the spread is wide: no target fires, and {_when_a_stop_fires(decision.holding)}"


def _when_a_stop_fires(holding: Holding) -> str:
    """At which price a stop fires on a wide spread, as text."""
    if holding.prices.wide_settled:
        return f"a stop fires on the mid, because the spread has been wide for {as_time_span(WIDE_SETTLES)}"
    far = "ask" if holding.position.is_long else "bid"
    so_far = as_time_span(holding.state.wide_for)
    return (
        f"a stop fires on the {far} now, and on the mid after {as_time_span(WIDE_SETTLES)} of width ({so_far} so far)"
    )


def _kind(trigger: Trigger) -> str:
    return "target" if trigger.is_target else "stop"
