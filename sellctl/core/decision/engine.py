"""The page to read first: one frozen Snapshot in, one frozen Plan out. Pure: no clock, no I/O, no memory of its own.

For every holding, in this order: is it ours to manage; which rules are true; and then, in exits.py, is an exit under
way already, what is in the way, what quantity is free, at what price, does a guard object. The answer is one PositionDecision
with its sentence. What has no reason to leave gets its sentence in staying.py.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from sellctl.core.config.schema import GuardAction, ShortAction, Style
from sellctl.core.decision import backstop
from sellctl.core.decision.confirmation import SECOND_QUOTE, Confirmation, confirmed
from sellctl.core.decision.context import DecisionContext
from sellctl.core.decision.exits import describe, leave, wait
from sellctl.core.decision.explain import Told, go_on, is_kept_put
from sellctl.core.decision.guards import price_rules_rest, stops_rest, wrong_account
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.sizing import STEP
from sellctl.core.model.instrument import AssetClass, underlying_of
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.plan import (
    NO_STRATEGYS_REASON,
    PRICE_REASONS,
    STOPS,
    TABLE,
    CancelOrder,
    ExitSignal,
    Plan,
    PositionDecision,
    Reason,
    State,
    Urgency,
    Words,
)
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.orders.stale_orders import stale_orders
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, merged

MANAGED = frozenset(STEP)
_PAIR_REASONS = frozenset(Reason) - NO_STRATEGYS_REASON


def decide(snapshot: Snapshot, policy: Policy) -> Plan:
    """The plan for one account: every holding exactly once, most urgent first, and the stale orders to cancel."""
    context = DecisionContext.of(snapshot, policy)
    words = Told(context)
    judged = [_judged(holding, context, words) for holding in context.holdings]
    context = context.shared_by(sum(1 for each in judged if each.signal and each.signal.urgency >= Urgency.TIME))
    decisions = _most_urgent_first(
        [_next_step(each, context, words) if isinstance(each, PendingExit) else each for each in judged]
    )
    if backstop.is_concerned(context):
        decisions = _with_backstops(decisions, context)
    return Plan(
        account=snapshot.account.name,
        made_at=snapshot.market.now,
        decisions=decisions,
        stale=(*_stale(decisions, context), *backstop.orphans(context)),
        faults=tuple(f"{row.symbol or 'a row'} could not be read: {row.why}" for row in snapshot.invalid),
        tripped=context.tripped,
        needs_history=frozenset(_symbol(v) for v in decisions if v.submit or v.backstop) - snapshot.history.keys(),
    )


def _most_urgent_first(decisions: Iterable[PositionDecision]) -> tuple[PositionDecision, ...]:
    by_symbol = sorted(decisions, key=_symbol)
    leaving = [(decision.signal.urgency, decision) for decision in by_symbol if decision.signal]
    return (
        *(decision for urgency in Urgency for its, decision in leaving if its is urgency),
        *(decision for decision in by_symbol if not decision.signal),
    )


def _symbol(decision: PositionDecision) -> str:
    return decision.holding.position.instrument.symbol


def _with_backstops(decisions: Iterable[PositionDecision], context: DecisionContext) -> tuple[PositionDecision, ...]:
    """What their backstops need now."""
    both = [(_with_backstop(decision, context), decision) for decision in decisions]
    chosen = backstop.chosen((new for new, _ in both), context)
    return tuple(old if new.backstop and _symbol(new) not in chosen else new for new, old in both)


def _with_backstop(decision: PositionDecision, context: DecisionContext) -> PositionDecision:
    try:
        return backstop.with_backstop(decision, context) if backstop.may_change(decision, context) else decision
    except Exception:  # noqa: BLE001  what raises has made a fault of the holding above, and its backstop stays as it is
        return decision


def _stale(decisions: Iterable[PositionDecision], context: DecisionContext) -> tuple[CancelOrder, ...]:
    """The stale orders that no exit deals with and that are ours to touch."""
    snapshot, policy = context.snapshot, context.policy
    if wrong_account(snapshot, policy):
        return ()
    if not snapshot.orders:
        return ()
    active = [v for v in decisions if v.signal or v.cancel_first or v.holding.state.exit]
    spared = {order.id for decision in active for order in _dealt_with(decision, context)}
    spared |= {order.id for order in snapshot.orders if _is_not_ours_to_touch(order.symbol, context)}
    return stale_orders(snapshot, policy.stale_scope, policy.stale_after, spared)


def _is_not_ours_to_touch(symbol: str, context: DecisionContext) -> bool:
    underlying = underlying_of(symbol)
    return context.policy.excludes(symbol, underlying) or not context.snapshot.exempt.isdisjoint({symbol, underlying})


def _dealt_with(decision: PositionDecision, context: DecisionContext) -> tuple[Order, ...]:
    """The orders of the exit under way, and those that it cancels already."""
    under_way = decision.signal is not None or decision.holding.state.exit is not None
    ours = context.ours_on(decision.holding.symbol) if under_way else ()
    return (*ours, *(cancel.order for cancel in decision.cancel_first))


# --- one holding ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PendingExit:
    """A holding that a rule wants out: its next step is found once it is known how many leave with it."""

    signal: ExitSignal
    result: "StrategyResult"
    doubt: str


def _judged(holding: Holding, context: DecisionContext, words: Words) -> PositionDecision | PendingExit:
    """What is thought of one holding, whatever happens meanwhile: a fault is this holding's own."""
    try:
        return _judge(holding, context, words)
    except Exception as error:  # noqa: BLE001  a row may be odder than anybody thought; the rest goes on
        return _fault(holding, _what(error))


def _what(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _fault(holding: Holding, what: str) -> PositionDecision:
    return PositionDecision(holding, State.FAULT, f"it could not be judged: {what}", alert=True)


def _next_step(due: PendingExit, context: DecisionContext, words: Words) -> PositionDecision:
    try:
        return _completed(_doubted(_leave(due.signal, context), due.doubt), due.result, words)
    except Exception as error:  # noqa: BLE001  as above
        return _fault(due.signal.holding, _what(error))


def _judge(holding: Holding, context: DecisionContext, words: Words) -> PositionDecision | PendingExit:
    symbol = holding.position.instrument.symbol
    if symbol in context.unfit:
        return _fault(holding, context.unfit[symbol])
    alone = _left_alone(holding, context)
    if alone:
        return PositionDecision(holding, State.HELD, alone, gain=holding.gain)
    result = _evaluated(holding, context)
    doubt = result.failure or _unseen_cover(holding, context)
    signal = merged((*_signals(holding, context), *result.signals))
    if signal:
        return PendingExit(signal, result, doubt)
    ours = context.ours_on(symbol)
    if result.unconfirmed and not ours:
        decision = wait(result.unconfirmed, result.waits)
    elif doubt:
        decision = _fault(holding, "; ".join((doubt, *map(describe, ours))))
    elif ours:
        decision = go_on(holding, ours, context)
    else:
        alarming = bool(holding.state.frozen) or (result.taken and holding.position.entry_price is None)
        return PositionDecision.held(holding, words, alert=alarming, unconfirmed=result.peak_waits)
    return _completed(decision, result, words)


def _completed(decision: PositionDecision, result: "StrategyResult", words: Words) -> PositionDecision:
    """The verdict with what is known of its holding besides."""
    if result.failure:
        return replace(decision, gain=decision.holding.gain)
    return decision.completed(
        words, unconfirmed=decision.unconfirmed or result.peak_waits or result.waits == SECOND_QUOTE
    )


def _leave(signal: ExitSignal, context: DecisionContext) -> PositionDecision:
    """The next step of an exit; the long leg of a pair waits until the short one is closed."""
    pair = context.pairs.get(signal.holding.symbol)
    if pair and signal.reason in _PAIR_REASONS and signal.holding.symbol == pair.long.symbol:
        sentence = f"{signal.sentence}; {pair.short.symbol} closes first"
        return PositionDecision(signal.holding, State.LEAVING, sentence, signal=signal)
    return leave(signal, context)


def _doubted(decision: PositionDecision, doubt: str) -> PositionDecision:
    """An exit that goes on though something about its holding could not be judged, or that fires on a wide spread."""
    wide = decision.signal is not None and _fires_wide(decision.signal)
    if not doubt and not wide:
        return decision
    sentence = f"{decision.sentence}; besides, it could not be judged: {doubt}" if doubt else decision.sentence
    return replace(decision, sentence=sentence, alert=True)


def _fires_wide(signal: ExitSignal) -> bool:
    """A stop on a wide spread is worth a look (design, section 6)."""
    return signal.reason in STOPS and signal.holding.prices.wide


def _left_alone(holding: Holding, context: DecisionContext) -> str:
    """Why a holding is only shown; "" when it is ours to manage."""
    position, instrument = holding.position, holding.position.instrument
    asset = instrument.asset_class
    if asset not in MANAGED:
        return f"{asset.value}: shown, never touched"
    if asset is AssetClass.STOCK and not position.is_long and asset not in context.policy.short_classes:
        return "short stock: shown, never touched"
    exempt = context.snapshot.exempt
    if instrument.symbol in exempt or instrument.underlying in exempt:
        return "exempt by hand: shown, never touched"
    if context.policy.exclude and context.policy.excludes(instrument.symbol, instrument.underlying):
        return "excluded by manage.exclude: shown, never touched"
    if instrument.option and instrument.option.expires < context.today:
        return f"expired on {instrument.option.expires}: the broker settles it"
    return ""


# --- which rules are true ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """What the strategy that takes a holding says of it."""

    signals: tuple[ExitSignal, ...] = ()
    taken: bool = False
    unconfirmed: ExitSignal | None = None
    waits: str = ""
    peak_waits: bool = False  # a rule follows the best price, and one look alone can't tell it
    failure: str = ""  # why the strategy could not say; "" when it could


_NOT_TAKEN, _NOTHING_TO_SAY, _PEAK_WAITS = (
    StrategyResult(),
    StrategyResult(taken=True),
    StrategyResult(taken=True, peak_waits=True),
)


def _evaluated(holding: Holding, context: DecisionContext) -> StrategyResult:
    try:
        return _evaluate(holding, context)
    except Exception as error:  # noqa: BLE001  a strategy of the user's own may raise anything; the rest goes on
        return StrategyResult(failure=_what(error))


def _evaluate(holding: Holding, context: DecisionContext) -> StrategyResult:
    strategy, subject = context.strategy_of(holding)
    if strategy is None:
        return _NOT_TAKEN
    market = context.snapshot.market
    if holding.state.frozen or subject.state.frozen:
        return _NOTHING_TO_SAY
    if strategy.may_raise:
        strategy.triggers(subject, market)
    signals = strategy.signals(subject, market) if market.is_open else ()
    if signals:
        return _confirmed_signals(signals, strategy, holding, subject, context)
    peak_waits = market.is_open and _peak_waits(holding, strategy)
    return _PEAK_WAITS if peak_waits else _NOTHING_TO_SAY


def _peak_waits(holding: Holding, strategy: BaseStrategy) -> bool:
    return holding.state.window is None and holding.quote is not None and strategy.needs_peak


def _confirmed_signals(
    signals: Iterable[ExitSignal], strategy: BaseStrategy, holding: Holding, subject: Holding, context: DecisionContext
) -> StrategyResult:
    """What may act of a strategy's signals on a holding, or on the pair that it is a leg of."""
    looks = [_confirmed(_checked(s, subject), strategy, context) for s in signals if not _rests(s, context)]
    known = (_on_the_leg(look.signal, holding, context) for look in looks if look.signal)
    confirmed_signals = tuple(signal.said_by(strategy.name) for signal in known)
    unconfirmed = next((look for look in looks if look.unconfirmed), None)
    if unconfirmed is None or unconfirmed.unconfirmed is None:
        return StrategyResult(confirmed_signals, taken=True, peak_waits=_peak_waits(holding, strategy))
    waiting = _on_the_leg(unconfirmed.unconfirmed, holding, context)
    return StrategyResult(confirmed_signals, taken=True, unconfirmed=waiting, waits=unconfirmed.waits)


def _checked(signal: ExitSignal, subject: Holding) -> ExitSignal:
    """A strategy's signal on what it was asked about; SignalError when it asks for what is not a strategy's to ask."""
    reason, qty = signal.reason, signal.qty
    if reason in NO_STRATEGYS_REASON or signal.urgency not in TABLE[reason].classes:
        raise SignalError(f"a strategy can't leave for {reason} with urgency {signal.urgency}")
    if not (qty.is_finite() and qty > 0):
        raise SignalError(f"a strategy asked to close {qty}")
    return signal if signal.holding is subject else replace(signal, holding=subject)


class SignalError(ValueError):
    """A strategy's signal makes no sense."""


def _confirmed(signal: ExitSignal, strategy: BaseStrategy, context: DecisionContext) -> Confirmation:
    """What may act of one signal: a stop needs two looks, and so does a target that no limit protects."""
    market = context.snapshot.market

    def same_rule(at_another_price: Holding) -> ExitSignal | None:
        others = strategy.signals(at_another_price, market)
        return next((other for other in others if other.reason is signal.reason), None)

    unprotected = context.policy.style is Style.MARKET
    return confirmed(signal, same_rule, context.at_the_best, context.at_the_worst if unprotected else None)


def _on_the_leg(signal: ExitSignal, holding: Holding, context: DecisionContext) -> ExitSignal:
    """A signal as one of this holding: what a pair's rules say, its short leg does first and its long leg after it."""
    if signal.holding is holding:
        return signal
    pair = context.pairs.get(holding.symbol)
    if pair is None or signal.holding is not pair.whole:
        return replace(signal, holding=holding)
    leads = (pair.long.symbol,) if holding.symbol == pair.short.symbol else ()
    qty = min(signal.qty, holding.position.qty)
    return replace(signal, holding=holding, qty=qty, detail=f"{pair.kind}: {signal.detail}", floor=None, leads=leads)


def _rests(signal: ExitSignal, context: DecisionContext) -> str:
    """Why a strategy's signal may not act at this instant of the day; "" when it may."""
    if signal.reason not in PRICE_REASONS:
        return ""
    rest = price_rules_rest(context.snapshot.market)
    return rest or (stops_rest(context.snapshot.market) if signal.reason in STOPS else "")


def _signals(holding: Holding, context: DecisionContext) -> list[ExitSignal]:
    """Every true reason for one holding to leave that isn't a strategy's."""
    snapshot, position, symbol = context.snapshot, holding.position, holding.position.instrument.symbol
    if not snapshot.market.is_open:
        return []
    found: list[ExitSignal] = []
    if context.expires_today(holding):
        found += _zero_day(holding, context)
    if not position.is_long:
        found += _left_uncovered(holding, context)
    if symbol in snapshot.panic:
        found.append(ExitSignal(holding, position.qty, Reason.PANIC, "panic: everything leaves", Urgency.FORCED))
    if context.tripped and context.policy.account_guard.action is GuardAction.FLATTEN:
        found.append(ExitSignal(holding, position.qty, Reason.ACCOUNT_GUARD, context.tripped, Urgency.FORCED))
    if holding.state.follow and position.qty > context.cover.reserved.get(symbol, ZERO):
        detail = f"its short leg was closed: {holding.state.follow}"
        found.append(ExitSignal(holding, position.qty, Reason.STRUCTURE, detail, Urgency.PROTECTIVE))
    if symbol in snapshot.by_hand:
        found.append(ExitSignal(holding, position.qty, Reason.CLOSED_BY_HAND, "closed by hand", Urgency.PROTECTIVE))
    return found


def _zero_day(holding: Holding, context: DecisionContext) -> Iterator[ExitSignal]:
    qty = _expiring(holding, context)
    rule = context.policy.zero_day
    signal = rule.evaluate(holding, context.snapshot.market) if rule and qty > 0 else None
    if signal:
        yield replace(signal, qty=qty)


def _left_uncovered(holding: Holding, context: DecisionContext) -> Iterator[ExitSignal]:
    missing = _uncovered(holding, context)
    if missing > 0 and not _unseen_cover(holding, context):
        all_of_it = context.policy.short_action is ShortAction.CLOSE
        detail = "short, and all shorts are closed" if all_of_it else f"{missing:f} short with nothing that covers them"
        yield ExitSignal(holding, missing, Reason.UNCOVERED_SHORT, detail, Urgency.PROTECTIVE)


def _expiring(holding: Holding, context: DecisionContext) -> Decimal:
    """What of a holding the last day closes: a long whole; of a short all but covered calls and kept puts.

    With `zero_day.shorts` those too.
    """
    position = holding.position
    if position.is_long or context.policy.zero_day_shorts:
        return position.qty
    by_options = context.cover.by_options.get(holding.symbol, ZERO)
    uncovered = ZERO if _unseen_cover(holding, context) else _uncovered(holding, context)
    return min(by_options + uncovered, position.qty)


def _uncovered(holding: Holding, context: DecisionContext) -> Decimal:
    """How much of a short is closed because nothing covers it; with `action: close`, all of every short."""
    position, policy = holding.position, context.policy
    if position.is_long or position.instrument.asset_class not in policy.short_classes:
        return ZERO
    if policy.short_action is ShortAction.IGNORE:
        return ZERO
    if policy.short_action is ShortAction.CLOSE:
        return position.qty
    return ZERO if is_kept_put(holding, context) else context.cover.uncovered.get(holding.symbol, position.qty)


def _unseen_cover(holding: Holding, context: DecisionContext) -> str:
    """Why a short can't be called uncovered: a row that can't be made out may be its cover; "" when none may be."""
    if holding.position.is_long:
        return ""
    close_uncovered = context.policy.short_action is ShortAction.CLOSE_UNCOVERED
    if close_uncovered and _uncovered(holding, context) > 0 and context.may_have_unseen_cover(holding):
        return "nothing seen covers it, but a position that can't be made out may"
    return ""
