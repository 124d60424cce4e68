"""Why each position stays open or is closed: the sentence, the trigger prices, the rules. Pure."""

import datetime as dt
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.config.schema import GuardAction, ShortAction
from sellctl.core.decision.backstop import resting_note
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.engine import (
    decide,
    is_left_alone,
    qty_to_buy_back,
    rules_warning,
    triggers_of,
    why_not_managed,
)
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.quote_checks import price_exits_paused, stops_paused
from sellctl.core.decision.rule_states import StrategyState, strategy_state
from sellctl.core.decision.strategy_results import NOT_MANAGED
from sellctl.core.model.gain import Basis, price_on, side_name
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.market import NEW_YORK, WIDE_SETTLES
from sellctl.core.model.plan import PRICE_REASONS, DecisionState, Plan, PositionDecision, Reason, Trigger
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.rules.zero_day import why_last_day
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, StrategyError
from sellctl.core.sell_strategies.declared import Declared
from sellctl.core.sell_strategies.strategy_one import StrategyOne
from sellctl.core.text import as_dollars, as_percent, as_time_span

_OPEN = frozenset({DecisionState.WATCHING, DecisionState.NO_QUOTE})
_WITHOUT_ENTRY = frozenset({Reason.UNDERLYING, Reason.IN_THE_MONEY, Reason.SHORT_STRIKE})  # need no entry price

_STARTED_AGAIN = "it is started again on the next day, or when sellctl is"  # said of a strategy that is disabled


class Explanation(Struct, frozen=True):
    """One position explained.

    `gain` is the gain on entry at the price one could get now, as a ratio; None when unknown. `strategy` has the rules
    of the position, each with its state; None when it isn't managed or could not be evaluated. `last_day_close` is when
    the handling of its last day closes an option that expires today; None on any other day or when that is unknown.
    """

    symbol: str
    sentence: str
    triggers: tuple[Trigger, ...]
    gain: Decimal | None
    strategy: StrategyState | None
    last_day_close: dt.datetime | None = None


def explain(snapshot: Snapshot, policy: Policy, symbol: str) -> Explanation | None:
    """The explanation of the decision for one position; None when it isn't held."""
    return explain_all(snapshot, policy).get(symbol)


def explain_all(snapshot: Snapshot, policy: Policy) -> dict[str, Explanation]:
    """The explanation of the decision for each position, by symbol."""
    context = DecisionContext.of(snapshot, policy)
    plan = explained(decide(snapshot, policy), snapshot, policy)
    return {decision.holding.symbol: _explanation(decision, context) for decision in plan.decisions}


def strategy_of(decision: PositionDecision, snapshot: Snapshot, policy: Policy) -> StrategyState | None:
    """The strategy and rules of one position, as in its Explanation. `decision` is that of an explained plan."""
    return _explanation(decision, DecisionContext.of(snapshot, policy)).strategy


def explained(plan: Plan, snapshot: Snapshot, policy: Policy) -> Plan:
    """The plan made from `snapshot`, with sentence and triggers also for positions that are only watched."""
    context = DecisionContext.of(snapshot, policy)
    return replace(plan, decisions=tuple(_explained(decision, context) for decision in plan.decisions))


def _explained(decision: PositionDecision, context: DecisionContext) -> PositionDecision:
    if decision.state not in _OPEN:
        return decision
    shown = replace(decision, triggers=triggers_of(decision.holding, context))
    why = why_unprotected(shown, context)
    state = shown.state
    if is_left_alone(shown.holding.symbol, context):
        state = DecisionState.EXEMPT
    elif why:
        state = DecisionState.NOT_MANAGED
    return replace(shown, state=state, sentence=_sentence(shown, why, context))


def _explanation(decision: PositionDecision, context: DecisionContext) -> Explanation:
    holding = decision.holding
    managed = decision.state is not DecisionState.FAULT and not why_not_managed(holding, context)
    managed = managed and _STARTED_AGAIN not in decision.sentence
    return Explanation(
        symbol=holding.symbol,
        sentence=decision.sentence,
        triggers=decision.triggers,
        gain=decision.gain,
        strategy=_strategy_state(holding, context) if managed else None,
        last_day_close=_last_day_close(holding, context),
    )


def _strategy_state(holding: Holding, context: DecisionContext) -> StrategyState | None:
    try:
        return strategy_state(holding, context)
    except StrategyError:  # it was evaluated for the decision, and does not answer a second time
        return None


def _sentence(decision: PositionDecision, why: str, context: DecisionContext) -> str:
    """Why a position that is only watched stays open, and its backstop. `why` is why nothing protects it."""
    if decision.state is DecisionState.NO_QUOTE:
        return "; ".join(note for note in (decision.sentence, resting_note(decision, context)) if note)
    warning = rules_warning(decision.holding, context)
    done = "" if decision.sentence in {warning, why} else decision.sentence.removeprefix(f"{warning}; ")
    done = "" if _is_disabled(decision) else done
    notes = (why or _why_it_stays(decision, context), done, resting_note(decision, context))
    return "; ".join(note for note in notes if note)


def _set_note(holding: Holding, context: DecisionContext) -> str:
    """What a person has set for the position; "" where nothing is set."""
    override = holding.state.override
    return override.text if override and override.is_in_force(context.snapshot.market.now) else ""


def _why_it_stays(decision: PositionDecision, context: DecisionContext) -> str:
    holding = decision.holding
    if not context.snapshot.market.is_open:
        return "the market is closed"
    notes = (_cover_note(holding, context), _zero_day_note(holding, context), _price_note(decision, context))
    return "; ".join(note for note in notes if note) or "no rule applies to it"


# --- what nothing protects --------------------------------------------------------------------------------------------


def why_unprotected(decision: PositionDecision, context: DecisionContext) -> str:
    """Why nothing protects a position that stays open, and what would change that; "" when something does.

    The market may be closed: what counts is whether a rule could close it. Begins with NOT MANAGED, except for what the
    user exempted. `decision` has its triggers.
    """
    if decision.state is not DecisionState.WATCHING:
        return ""
    holding = decision.holding
    alone = why_not_managed(holding, context)
    if alone:
        return alone
    if _is_disabled(decision):
        return f"{decision.sentence}; {_STARTED_AGAIN}"
    try:
        strategy, subject = context.strategy_and_subject(holding)
    except StrategyError:
        return ""
    why = (
        _why_rules_cannot_fire(strategy, subject, decision, context)
        if strategy
        else _without_strategy(holding, context)
    )
    return f"{NOT_MANAGED}: {why}" if why else ""


def _is_disabled(decision: PositionDecision) -> bool:
    """Whether its strategy is disabled for the day, which the sentence of the decision says."""
    return decision.sentence.startswith(f"{NOT_MANAGED}: ")


def _why_rules_cannot_fire(
    strategy: BaseStrategy, subject: Holding, decision: PositionDecision, context: DecisionContext
) -> str:
    """Why no rule of its strategy can close a position, or the structure of which it is a leg; "" when one can."""
    suspended = next((each for each in (decision.holding, subject) if each.state.suspended), None)
    if suspended:
        return "" if qty_to_buy_back(decision.holding, context) > 0 else rules_warning(suspended, context)
    if (
        subject.position.entry_price is not None
        or decision.triggers
        or not isinstance(strategy, Declared | StrategyOne)
    ):
        return ""
    if qty_to_buy_back(decision.holding, context) > 0:
        return ""
    need_entry = PRICE_REASONS - _WITHOUT_ENTRY
    if not all(getattr(rule, "reason", None) in need_entry for rule in strategy.rules()):
        return ""
    warning = rules_warning(subject, context)
    return f"{warning}; a strategy with `stop_loss: price $1.00` under sell_module.strategies needs none"


def _without_strategy(holding: Holding, context: DecisionContext) -> str:
    """Why no strategy manages a position, and the setting that adds one; "" for a short that is to be bought back."""
    if qty_to_buy_back(holding, context) > 0:
        return ""
    if holding.position.is_long:
        why = _why_no_strategy(holding, context.policy)
    else:
        cover = _cover_note(holding, context) or "short"
        why = f"{cover}; a strategy with `match: {{side: short}}` under sell_module.strategies adds rules"
    return "; ".join(filter(None, (why, _what_closes_it(holding, context))))


def _why_no_strategy(holding: Holding, policy: Policy) -> str:
    """Why no strategy matches a long position, and the setting that lets strategy one do so."""
    one = next((each for each in policy.strategies if isinstance(each, StrategyOne)), None)
    is_option = holding.position.instrument.is_option
    both = "`applies_to: [option, stock]`"
    if one is None:
        line = "`enabled: true`" if is_option else f"`enabled: true` with {both}"
        return f"no strategy matches it; {line} under sell_module.strategy_one adds a target and a stop"
    kinds = " and ".join(f"{kind.value}s" for kind in one.applies_to)
    others = "no other strategy matches it, and strategy one's " if len(policy.strategies) > 1 else ""
    added = "options" if is_option else "stocks"
    return f"{others}rules cover {kinds} only; {both} under sell_module.strategy_one adds {added}"


def _what_closes_it(holding: Holding, context: DecisionContext) -> str:
    """What still closes an option without rules; "" for anything else, which nothing closes."""
    if not holding.position.instrument.is_option:
        return ""
    policy = context.policy
    today = _zero_day_note(holding, context)
    if today:
        return today
    last_day = policy.zero_day is not None and _is_closed_on_last_day(holding, context)
    guards = policy.guards_the_account and policy.account_guard.action is GuardAction.FLATTEN
    ways = ["its last day"] * last_day + ["a panic"] + ["the account guard"] * guards
    listed = " and ".join(filter(None, (", ".join(ways[:-1]), ways[-1])))
    return f"only {listed} {'closes' if len(ways) == 1 else 'close'} it"


# --- what is watched --------------------------------------------------------------------------------------------------


def _cover_note(holding: Holding, context: DecisionContext) -> str:
    if holding.position.is_long or not holding.position.instrument.is_option:
        return ""
    longs = context.cover.longs_by_short.get(holding.symbol)
    if longs:
        return f"short, covered by {', '.join(map(contract_text, longs))}"
    policy = context.policy
    if policy.short_action is ShortAction.IGNORE or holding.position.instrument.asset_class not in policy.short_classes:
        return "naked short, and short options are ignored (short_positions)"
    kept = context.is_cash_secured_put(holding)
    return "short put kept as cash-secured (short_positions.cash_secured_puts)" if kept else ""


def _zero_day_note(holding: Holding, context: DecisionContext) -> str:
    if not context.is_last_day(holding):
        return ""
    why = why_last_day(holding)
    handling = context.policy.zero_day
    if handling is None:
        return f"{why}, zero-day handling is off"
    if not _is_closed_on_last_day(holding, context):
        return f"{why}, not closed (zero_day.shorts is off)"
    starts = handling.starts_at(holding, context.snapshot.market)
    return f"{why}, closed from {starts.astimezone(NEW_YORK):%H:%M} ET on" if starts else f"{why}, not closed yet"


def _last_day_close(holding: Holding, context: DecisionContext) -> dt.datetime | None:
    """When the handling of its last day closes an option today; None when it doesn't, or while the close is unknown."""
    handling = context.policy.zero_day
    if handling is None or not context.is_last_day(holding) or not _is_closed_on_last_day(holding, context):
        return None
    return handling.starts_at(holding, context.snapshot.market)


def _is_closed_on_last_day(holding: Holding, context: DecisionContext) -> bool:
    """Whether the handling of the last day, if it is on, includes the option."""
    return (
        holding.position.is_long
        or context.policy.zero_day_shorts
        or holding.symbol in context.cover.contracts_covered_by_options
    )


def _price_note(decision: PositionDecision, context: DecisionContext) -> str:
    holding = decision.holding
    try:
        strategy, subject = context.strategy_and_subject(holding)
    except StrategyError as error:
        return f"its strategy could not be evaluated: {error}"
    if strategy is None:
        return ""
    return watched_note(decision, context) if subject is holding else leg_note(holding, subject, context)


def leg_note(holding: Holding, structure: Holding, context: DecisionContext) -> str:
    """That a position is judged as a part of a structure, how much of it is not, and what prevents rules on it."""
    rest = context.rest_of(holding)
    unmatched = " that no strategy matches" if rest and rest[0] is None else ""
    beyond = f"{rest[1].position.qty:f} beyond it{unmatched}" if rest else ""
    return "; ".join(filter(None, (f"judged as a leg of {structure.symbol}", beyond, rules_warning(holding, context))))


def watched_note(decision: PositionDecision, context: DecisionContext) -> str:
    """Why the rules of its strategy don't close a position, or a structure, and what is set for it by hand."""
    return "; ".join(filter(None, (_why_open(decision, context), _set_note(decision.holding, context))))


def _why_open(decision: PositionDecision, context: DecisionContext) -> str:
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
    # A command that looks once has not seen the spread before, and can't say how long a running watcher has.
    so_far = f" ({as_time_span(wide_for)} so far)" if (wide_for := holding.state.wide_for) else ""
    return f"a stop fires on the {far} now, and on the mid after {as_time_span(WIDE_SETTLES)} of width{so_far}"


def _kind(trigger: Trigger) -> str:
    return "target" if trigger.is_target else "stop"
