"""The decision: from one Snapshot and one Policy to one Plan, all immutable. Pure: no clock, no I/O, no stored state.

For each position, in this order: whether it is managed; which rules are true and whether they are confirmed; then, in
exits.py, the next step of the exit. A position without an exit gets no explanation here; explain.py says why it stays
open.
"""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from msgspec.structs import replace

from sellctl.core.config.schema import GuardAction, ShortAction
from sellctl.core.decision import backstop
from sellctl.core.decision.alerts import with_lost_quotes, with_overdue
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.exits import (
    closing,
    continue_exit,
    describe,
    next_step,
    wait_for_confirmation,
    wait_for_second_read,
)
from sellctl.core.decision.multi_leg.steps import next_step as next_step_as_one
from sellctl.core.decision.multi_leg.together import PendingExit, PendingStructure, sort_by_way
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.risk_checks import wrong_account
from sellctl.core.decision.sizing import STEP
from sellctl.core.decision.strategy_results import (
    NOT_MANAGED,
    StrategyResult,
    Wholes,
    closing_first,
    error_text,
    results_of_wholes,
    strategy_result,
)
from sellctl.core.model.instrument import AssetClass, underlying_of
from sellctl.core.model.market import until_text
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.plan import (
    ENGINE_REASONS,
    STOPS,
    CancelOrder,
    DecisionState,
    ExitSignal,
    Plan,
    PositionDecision,
    Reason,
    Trigger,
    Urgency,
    most_urgent_first,
)
from sellctl.core.model.position import ExitAfter, Holding
from sellctl.core.model.snapshot import CloseTerms, Snapshot
from sellctl.core.orders.stale_orders import stale_orders
from sellctl.core.sell_strategies.base_strategy import merged
from sellctl.core.text import as_dollars

MANAGED = frozenset(STEP)
_STRATEGY_REASONS = frozenset(Reason) - ENGINE_REASONS
USUAL = CloseTerms()  # all of it, at the usual pace


def decide(snapshot: Snapshot, policy: Policy) -> Plan:
    """The plan for one account: every position exactly once, most urgent first, and the stale orders to cancel."""
    context = DecisionContext.of(snapshot, policy)
    wholes = results_of_wholes(context)
    evaluated = [_evaluate_or_fault(holding, wholes, context) for holding in context.holdings]
    evaluated, as_one, closed_as_one = sort_by_way(evaluated, wholes, context)
    signals = (*(each.exit.signal for each in as_one), *(each.signal for each in evaluated if each.signal))
    context = replace(context.with_walks_for(signals), closed_as_one=closed_as_one)
    decisions = most_urgent_first(
        (
            *(_step_or_fault(each, context) if isinstance(each, PendingExit) else each for each in evaluated),
            *(decision for each in as_one for decision in _steps_or_faults(each, context)),
        )
    )
    if backstop.needs_attention(context):
        decisions = _with_backstops(decisions, context)
    decisions = tuple(_with_alerts(decision, context) for decision in decisions)
    due = frozenset(symbol for decision in decisions for symbol in decision.due_symbols)
    return Plan(
        account=snapshot.account.name,
        made_at=snapshot.market.now,
        decisions=decisions,
        stale=(*_stale(decisions, context), *backstop.orphans(context)),
        faults=_faults(context),
        needs_history=due - snapshot.history.keys(),
        tripped_limit=context.tripped_limit,
        guard_problem=context.guard_problem,
    )


def _faults(context: DecisionContext) -> tuple[str, ...]:
    """What of the account can't be judged at all."""
    rows = (f"{row.symbol or 'a row'} could not be read: {row.why}" for row in context.snapshot.invalid)
    return (*rows, context.guard_problem) if context.guard_problem else tuple(rows)


def _with_backstops(decisions: Iterable[PositionDecision], context: DecisionContext) -> tuple[PositionDecision, ...]:
    pairs = [(_with_backstop(decision, context), decision) for decision in decisions]
    chosen = backstop.chosen((new for new, _ in pairs), context)
    return tuple(old if new.backstop and new.holding.symbol not in chosen else new for new, old in pairs)


def _with_backstop(decision: PositionDecision, context: DecisionContext) -> PositionDecision:
    try:
        return backstop.with_backstop(decision, context) if backstop.may_change(decision, context) else decision
    except Exception as error:  # noqa: BLE001  an error must not stop the other decisions
        return _with_error(decision, "its backstop is left as it is", error)


def _stale(decisions: Iterable[PositionDecision], context: DecisionContext) -> tuple[CancelOrder, ...]:
    """Cancels for stale orders of managed symbols, except orders that an exit already handles; none on a tick."""
    snapshot, policy = context.snapshot, context.policy
    if not snapshot.orders or snapshot.on_tick or wrong_account(snapshot, policy):
        return ()
    active = [d for d in decisions if d.signal or d.cancel_first or d.holding.state.exit]
    spared = {order.id for decision in active for order in _handled(decision, context)}
    spared |= {order.id for order in snapshot.orders if is_left_alone(order.symbol, context)}
    return stale_orders(snapshot, policy.stale_scope, policy.stale_after, spared)


def is_left_alone(symbol: str, context: DecisionContext) -> bool:
    """Whether the user exempted a symbol, by command or by configuration."""
    return context.policy.excludes(symbol, underlying_of(symbol)) or context.is_exempt(symbol)


def _handled(decision: PositionDecision, context: DecisionContext) -> tuple[Order, ...]:
    """Our orders of the exit under way, and the orders that the decision already cancels."""
    under_way = decision.signal is not None or decision.holding.state.exit is not None
    ours = context.ours_on(decision.holding.symbol) if under_way else ()
    return (*ours, *(cancel.order for cancel in decision.cancel_first))


# --- one position -----------------------------------------------------------------------------------------------------


def _evaluate_or_fault(holding: Holding, wholes: Wholes, context: DecisionContext) -> PositionDecision | PendingExit:
    """One position evaluated; an error is a fault of this position only."""
    try:
        return _evaluate(holding, wholes, context)
    except Exception as error:  # noqa: BLE001  one invalid position must not prevent decisions on the others
        return _fault(holding, error_text(error))


def _step_or_fault(pending: PendingExit, context: DecisionContext) -> PositionDecision:
    try:
        decision = _with_problem(_next_step(pending, context), pending.problem)
        return _with_result(decision, pending.result, context)
    except Exception as error:  # noqa: BLE001  as above
        return _fault(pending.signal.holding, error_text(error))


def _steps_or_faults(each: PendingStructure, context: DecisionContext) -> tuple[PositionDecision, ...]:
    legs = {leg.signal.holding.symbol: leg for leg in each.legs}
    try:
        decisions = tuple(next_step_as_one(each.exit, context))
    except Exception as error:  # noqa: BLE001  as above
        faults = (_fault(leg.holding, error_text(error)) for leg in each.legs)
        return tuple(replace(fault, as_one=each.exit.structure.name) for fault in faults)
    return tuple(
        _with_result(_with_problem(decision, leg.problem), leg.result, context)
        for decision in decisions
        if (leg := legs[decision.holding.symbol])
    )


def _with_alerts(decision: PositionDecision, context: DecisionContext) -> PositionDecision:
    """The decision, with what is said of quotes that stay unusable and of an exit that stays open."""
    try:
        return with_overdue(with_lost_quotes(decision, _quote_problem(decision, context)), context)
    except Exception as error:  # noqa: BLE001  a strategy of the user's own may raise anything
        return _with_error(decision, "whether its quotes are lost or its exit overdue can't be told", error)


def _quote_problem(decision: PositionDecision, context: DecisionContext) -> str:
    """What is wrong with the quotes that the rules of a position need while the market is open; "" when nothing is."""
    holding, snapshot = decision.holding, context.snapshot
    if not snapshot.market.is_open or holding.state.suspended or decision.state is DecisionState.FAULT:
        return ""
    if holding.prices.problem and triggers_of(holding, context) and not _is_worth_known(holding, context):
        return holding.prices.problem
    option = holding.position.instrument.is_option
    if not (option and context.policy.needs_underlyings and holding.underlying.problem):
        return ""
    if why_not_managed(holding, context):
        return ""
    strategy, _ = context.strategy_and_subject(holding)
    needs_it = strategy is not None and strategy.needs_underlying
    return f"{holding.position.instrument.underlying}: {holding.underlying.problem}" if needs_it else ""


def _is_worth_known(holding: Holding, context: DecisionContext) -> bool:
    """Whether all of it is judged with a structure whose net is known although its own quote lacks a side."""
    _, subject = context.strategy_and_subject(holding)
    return subject is not holding and not subject.prices.problem and context.rest_of(holding) is None


def _fault(holding: Holding, why: str) -> PositionDecision:
    return PositionDecision(holding, DecisionState.FAULT, f"it could not be evaluated: {why}", alert=True)


def _evaluate(holding: Holding, wholes: Wholes, context: DecisionContext) -> PositionDecision | PendingExit:
    symbol = holding.symbol
    if symbol in context.invalid_reasons:
        return _fault(holding, context.invalid_reasons[symbol])
    if why_not_managed(holding, context):
        return PositionDecision(holding, DecisionState.WATCHING)
    result = strategy_result(holding, wholes, context)
    problem = result.failure or _unreadable_cover(holding, context)
    of_engine = tuple(_engine_signals(holding, result, context))
    signal = _merged((*of_engine, *_with_what_follows(holding, result, context)), holding, context)
    if signal:
        return PendingExit(signal, _merged(of_engine, holding, context), result, problem)
    ours = context.ours_on(symbol)
    if result.unconfirmed and not ours:
        decision = wait_for_confirmation(result.unconfirmed, result.waits_for)
    elif (unconfirmed := _unconfirmed_short(holding, context)) and not ours:
        decision = wait_for_second_read(unconfirmed)
    elif problem:
        decision = _fault(holding, "; ".join((problem, *map(describe, ours))))
    elif ours:
        decision = continue_exit(holding, ours, context)
    else:
        is_judged = holding.state.suspended or result.taken
        own_warning = rules_warning(holding, context) or _net_warning(holding, context)
        warning = result.not_managed or own_warning if is_judged else ""
        return PositionDecision(
            holding,
            DecisionState.WATCHING,
            warning,
            alert=bool(warning),
            unconfirmed=result.needs_another_poll,
        )
    return _with_result(decision, result, context)


def _merged(signals: tuple[ExitSignal, ...], holding: Holding, context: DecisionContext) -> ExitSignal | None:
    """All true reasons as one signal.

    A request for a quantity or with a limit is apart from them: a stop isn't bound by it, and what it doesn't ask for
    isn't closed at its pace. It waits for any other exit that is due; without a limit it goes before a less urgent one.
    """
    terms = context.terms_of(holding)
    if terms is None or (terms.qty is None and terms.limit is None):
        return merged(signals)
    asked = next((signal for signal in signals if signal.reason is Reason.CLOSED_MANUALLY), None)
    others = merged(tuple(signal for signal in signals if signal is not asked))
    if asked is None or others is None:
        return asked or others
    if terms.limit is None and asked.urgency < others.urgency and others.urgency > Urgency.PROTECTIVE:
        return replace(asked, other_reasons=others.reasons)
    return replace(others, other_reasons=(*others.other_reasons, asked.detail))


def _with_what_follows(holding: Holding, result: StrategyResult, context: DecisionContext) -> tuple[ExitSignal, ...]:
    """The signals of a result; of a structure that is closed in part, with what of this leg is to follow besides."""
    follows = context.left_to_follow(holding)
    is_in_part = holding.symbol in context.parts
    if follows <= 0 or (closing_first(holding, context) and not is_in_part):
        return result.signals
    return tuple(replace(signal, qty=signal.qty + follows) for signal in result.signals)


def _with_result(decision: PositionDecision, result: StrategyResult, context: DecisionContext) -> PositionDecision:
    """The decision with its triggers, and whether another poll has to follow."""
    triggers = () if result.failure else triggers_of(decision.holding, context)
    unconfirmed = decision.unconfirmed or result.needs_another_poll
    return replace(decision, triggers=triggers, unconfirmed=unconfirmed)


def _next_step(pending: PendingExit, context: DecisionContext) -> PositionDecision:
    """The next step of an exit; a long leg of a structure waits until the short ones are closed.

    An order of ours that works on it is followed all the same: it may be of a part that is no longer held in full.
    """
    signal = pending.signal
    shorts = closing_first(signal.holding, context)
    by_rule = signal.reason in _STRATEGY_REASONS
    is_asked = context.asked_to_close(signal.holding)[1] is not None
    waits = (by_rule and not pending.result.is_alone) or (
        is_asked and (by_rule or signal.reason is Reason.CLOSED_MANUALLY)
    )
    waits = waits or (signal.reason is Reason.STRUCTURE and signal.holding.symbol in context.parts)
    if shorts and waits and not context.ours_on(signal.holding.symbol):
        closes = "closes" if len(shorts) == 1 else "close"
        # Of what has filled no order works any more: only the next poll shows that the long legs may follow.
        is_filled = any(_has_unshown_fill(held) for short in shorts if (held := context.held(short)))
        return replace(closing(signal, f"{', '.join(shorts)} {closes} first"), unconfirmed=is_filled)
    return next_step(signal, context)


def _has_unshown_fill(holding: Holding) -> bool:
    """Whether our fills have closed some of it that the positions still show."""
    left = holding.state.qty_left
    return left is not None and left < holding.position.qty


def _with_error(decision: PositionDecision, what: str, error: Exception) -> PositionDecision:
    """The decision, with an alert on what an error keeps from being done for it."""
    said = f"{decision.sentence}; " if decision.sentence else ""
    return replace(decision, sentence=f"{said}{what}: {error_text(error)}", alert=True)


def _with_problem(decision: PositionDecision, problem: str) -> PositionDecision:
    """The decision, with an alert when part of its position could not be evaluated, or a stop acts on a wide spread."""
    signal = decision.signal
    on_wide_spread = signal is not None and signal.reason in STOPS and signal.holding.prices.wide
    if not problem and not on_wide_spread:
        return decision
    sentence = f"{decision.sentence}; also, it could not be evaluated: {problem}" if problem else decision.sentence
    return replace(decision, sentence=sentence, alert=True)


def triggers_of(holding: Holding, context: DecisionContext) -> tuple[Trigger, ...]:
    """The prices at which the rules of a position would become true.

    Empty when no strategy manages it, while its rules are suspended, or when its strategy fails. One of a user-defined
    strategy that is no number is left out: nothing could compare it.
    """
    if holding.symbol in context.invalid_reasons or why_not_managed(holding, context):
        return ()
    try:
        strategy, subject = context.strategy_and_subject(holding)
        rest = context.rest_of(holding) if subject is not holding else None
        if holding.state.suspended or subject.state.suspended:
            return ()
        each_part = ((strategy, subject), rest) if rest else ((strategy, subject),)
        found = (part.triggers(of, context.snapshot.market) for part, of in each_part if part)
        return tuple(trigger for triggers in found for trigger in triggers if trigger.is_finite)
    except Exception:  # noqa: BLE001  a strategy of the user's own may raise anything
        return ()


def why_not_managed(holding: Holding, context: DecisionContext) -> str:
    """Why a position is only shown, and the setting that would change that; "" when it is managed."""
    instrument = holding.position.instrument
    if context.is_exempt(instrument.symbol):
        end = context.exempt_until(instrument.symbol)
        return f"exempt (by you, until {until_text(end)})" if end else "exempt (by you)"
    if context.policy.excludes(instrument.symbol, instrument.underlying):
        return "exempt (manage.exclude)"
    why = _why_no_rule_applies(holding, context)
    return f"{NOT_MANAGED}: {why}" if why else ""


def _why_no_rule_applies(holding: Holding, context: DecisionContext) -> str:
    position, instrument, policy = holding.position, holding.position.instrument, context.policy
    asset = instrument.asset_class
    if asset not in MANAGED:
        return f"rules cover options and stocks only, this is {asset.value}; no setting adds it"
    if asset is AssetClass.STOCK and not position.is_long and asset not in policy.short_classes:
        buys_back = policy.short_action is not ShortAction.IGNORE
        then = "has it bought back" if buys_back else "lets a strategy match it"
        return f"short stock; `assets: [option, stock]` under sell_module.short_positions {then}"
    if instrument.option and context.has_ended(holding):
        ended = "expired" if instrument.option.expires < context.today else "stopped trading before its expiration"
        return f"{ended} on {instrument.option.expires}: the broker settles it"
    return ""


def rules_warning(holding: Holding, context: DecisionContext) -> str:
    """Why a strategy's rules can't protect a position, so that the user is alerted; "" when they can."""
    if holding.state.suspended:
        resume = f"`{context.policy.program} manage {holding.symbol}` resumes them"
        return f"its strategy's rules are suspended: {holding.state.suspended}; {resume}"
    if holding.position.entry_price is not None:
        return ""
    why = f" ({holding.position.contradiction})" if holding.position.contradiction else ""
    return f"entry price unknown{why}: no percentage rule can fire"


def _net_warning(holding: Holding, context: DecisionContext) -> str:
    """Why the rules on a structure can't protect it although its legs' entries are known, said with its first leg."""
    structure = context.structures.get(holding.symbol)
    if structure is None or holding.symbol != min(structure.holdings) or not structure.whole.position.contradiction:
        return ""
    _, subject = context.strategy_and_subject(holding)
    return f"{structure.name}: {rules_warning(subject, context)}" if subject is structure.whole else ""


def _engine_signals(holding: Holding, result: StrategyResult, context: DecisionContext) -> Iterator[ExitSignal]:
    """Every exit that is due for a reason of the engine rather than of a strategy."""
    snapshot, position, symbol = context.snapshot, holding.position, holding.symbol
    if not snapshot.market.is_open:
        return
    if context.is_last_day(holding):
        yield from _zero_day(holding, context)
    if not position.is_long:
        yield from _naked_short(holding, context)
    managed = not _is_stock_without_rules(holding, result)
    if managed and symbol in snapshot.panic:
        yield ExitSignal(holding, position.qty, Reason.PANIC, "panic: closing everything", Urgency.FORCED)
    if managed and context.tripped_limit and context.policy.account_guard.action is GuardAction.FLATTEN:
        yield ExitSignal(holding, position.qty, Reason.ACCOUNT_GUARD, context.tripped_limit, Urgency.FORCED)
    follows = context.left_to_follow(holding)
    if follows > 0 and (symbol in context.parts or position.qty > context.cover.reserved.get(symbol, ZERO)):
        mark = ExitAfter.of(holding.state.exit_after)
        detail = f"the rest of a structure that is being closed: {mark.structure}: {mark.why}"
        yield ExitSignal(holding, follows, Reason.STRUCTURE, detail, Urgency.PROTECTIVE, structure=mark.structure)
    asked, structure = context.asked_to_close(holding)
    if asked > 0:
        waits = bool(closing_first(holding, context))
        others = structure.others(symbol) if structure and not waits else ()
        terms = context.terms_of(holding) or USUAL
        yield ExitSignal(
            holding,
            asked,
            Reason.CLOSED_MANUALLY,
            _manual_detail(terms, is_whole=structure is not None),
            terms.urgency,
            worst_price=None if structure else terms.limit,
            then_close=others,
            structure=structure.name if structure else "",
        )


def _manual_detail(terms: CloseTerms, *, is_whole: bool) -> str:
    """What the user asked for, as text."""
    parts = ["closed manually as a whole" if is_whole else "closed manually"]
    if terms.qty is not None:
        parts.append(f"{terms.qty:f} {'unit' if terms.qty == 1 else 'units'}" if is_whole else f"{terms.qty:f} of it")
    if terms.limit is not None:
        parts.append(f"{'net ' if is_whole else ''}limit {as_dollars(terms.limit)}")
    return ", ".join(parts)


def _is_stock_without_rules(holding: Holding, result: StrategyResult) -> bool:
    """Whether it is a long stock that no strategy takes: it is shown as not managed, so nothing closes it unasked.

    Options are always managed: their last day is handled, and naked shorts are bought back. A strategy that failed may
    have taken the stock.
    """
    position = holding.position
    no_strategy = not result.taken and not result.failure
    return no_strategy and position.is_long and not position.instrument.is_option


def _zero_day(holding: Holding, context: DecisionContext) -> Iterator[ExitSignal]:
    qty = _expiring(holding, context)
    rule = context.policy.zero_day
    signal = rule.evaluate(holding, context.snapshot.market) if rule and qty > 0 else None
    if signal:
        yield replace(signal, qty=qty)


def _naked_short(holding: Holding, context: DecisionContext) -> Iterator[ExitSignal]:
    naked = min(qty_to_buy_back(holding, context), _confirmed_uncovered(holding, context))
    if naked > 0 and not _unreadable_cover(holding, context):
        yield _closing_short(holding, naked, context)


def _closing_short(holding: Holding, naked: Decimal, context: DecisionContext) -> ExitSignal:
    every_short = context.policy.short_action is ShortAction.CLOSE
    detail = "short_positions.action closes every short" if every_short else f"naked short contracts: {naked:f}"
    return ExitSignal(holding, naked, Reason.UNCOVERED_SHORT, detail, Urgency.PROTECTIVE)


def _confirmed_uncovered(holding: Holding, context: DecisionContext) -> Decimal:
    """How much of a short may be closed as naked: what several reads of the positions agree on.

    One read isn't enough, because it may lack the cover. All of it, whatever covers it, where every short is closed,
    and where an exit at least as urgent is under way.
    """
    under_way = holding.state.exit
    is_under_way = under_way is not None and under_way.urgency <= Urgency.PROTECTIVE
    if is_under_way or context.policy.short_action is ShortAction.CLOSE:
        return holding.position.qty
    return holding.state.confirmed_uncovered


def _unconfirmed_short(holding: Holding, context: DecisionContext) -> ExitSignal | None:
    """The exit of a short that is naked by this read of the positions, and that others have yet to confirm."""
    if holding.position.is_long or not context.snapshot.market.is_open or _unreadable_cover(holding, context):
        return None
    naked = qty_to_buy_back(holding, context)
    is_confirmed = naked <= _confirmed_uncovered(holding, context)
    return None if is_confirmed else _closing_short(holding, naked, context)


def _expiring(holding: Holding, context: DecisionContext) -> Decimal:
    """How much of a position to close on its last day.

    All of a long; of a short, everything except covered calls and puts that are kept. With `zero_day.shorts`, all of a
    short too.
    """
    position = holding.position
    if position.is_long or context.policy.zero_day_shorts:
        return position.qty
    covered = context.cover.contracts_covered_by_options.get(holding.symbol, ZERO)
    uncovered = ZERO if _unreadable_cover(holding, context) else qty_to_buy_back(holding, context)
    return min(covered + uncovered, position.qty)


def qty_to_buy_back(holding: Holding, context: DecisionContext) -> Decimal:
    """How much of a short to close because it is naked; with `short_positions.action: close`, all of it."""
    position, policy = holding.position, context.policy
    if position.is_long or position.instrument.asset_class not in policy.short_classes:
        return ZERO
    if policy.short_action is ShortAction.IGNORE:
        return ZERO
    if policy.short_action is ShortAction.CLOSE:
        return position.qty
    return ZERO if context.is_cash_secured_put(holding) else context.cover.uncovered.get(holding.symbol, position.qty)


def _unreadable_cover(holding: Holding, context: DecisionContext) -> str:
    """Why a short can't be treated as naked: a position that can't be read may cover it; "" when none can."""
    if holding.position.is_long:
        return ""
    close_uncovered = context.policy.short_action is ShortAction.CLOSE_UNCOVERED
    if close_uncovered and qty_to_buy_back(holding, context) > 0 and context.may_have_unknown_cover(holding):
        return "no other position covers it, but one that can't be read may"
    return ""
