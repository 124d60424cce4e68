"""The page to read first: one frozen Snapshot in, one frozen Plan out. Pure: no clock, no I/O, no memory of its own.

For every holding, in this order: is it ours to manage; which rules are true; and then, in exits.py, is an exit under
way already, what is in the way, what quantity is free, at what price, does a guard object. The answer is one Verdict
with its sentence. What has no reason to leave gets its sentence in staying.py.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from msgspec import structs

from sellctl.core.config.schema import GuardAction, ShortAction, Style
from sellctl.core.decision import backstop
from sellctl.core.decision.confirmation import SECOND_QUOTE, Agreed, agreed
from sellctl.core.decision.context import Room
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
    Reason,
    State,
    Urgency,
    Verdict,
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
    room = Room.of(snapshot, policy)
    words = Told(room)
    judged = [_judged(holding, room, words) for holding in room.holdings]
    room = room.shared_by(sum(1 for each in judged if each.signal and each.signal.urgency >= Urgency.TIME))
    verdicts = _most_urgent_first(
        [_next_step(each, room, words) if isinstance(each, _Due) else each for each in judged]
    )
    if backstop.is_concerned(room):
        verdicts = _with_backstops(verdicts, room)
    return Plan(
        account=snapshot.account.name,
        made_at=snapshot.market.now,
        verdicts=verdicts,
        stale=(*_stale(verdicts, room), *backstop.orphans(room)),
        faults=tuple(f"{row.symbol or 'a row'} could not be read: {row.why}" for row in snapshot.spoiled),
        tripped=room.tripped,
        needs_history=frozenset(_symbol(v) for v in verdicts if v.submit or v.backstop) - snapshot.history.keys(),
    )


def _most_urgent_first(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    by_symbol = sorted(verdicts, key=_symbol)
    leaving = [(verdict.signal.urgency, verdict) for verdict in by_symbol if verdict.signal]
    return (
        *(verdict for urgency in Urgency for its, verdict in leaving if its is urgency),
        *(verdict for verdict in by_symbol if not verdict.signal),
    )


def _symbol(verdict: Verdict) -> str:
    return verdict.holding.position.instrument.symbol


def _with_backstops(verdicts: Iterable[Verdict], room: Room) -> tuple[Verdict, ...]:
    """What their backstops need now."""
    both = [(_with_backstop(verdict, room), verdict) for verdict in verdicts]
    chosen = backstop.chosen((new for new, _ in both), room)
    return tuple(old if new.backstop and _symbol(new) not in chosen else new for new, old in both)


def _with_backstop(verdict: Verdict, room: Room) -> Verdict:
    try:
        return backstop.with_backstop(verdict, room) if backstop.may_change(verdict, room) else verdict
    except Exception:  # noqa: BLE001  what raises has made a fault of the holding above, and its backstop stays as it is
        return verdict


def _stale(verdicts: Iterable[Verdict], room: Room) -> tuple[CancelOrder, ...]:
    """The stale orders that no exit deals with and that are ours to touch."""
    snapshot, policy = room.snapshot, room.policy
    if wrong_account(snapshot, policy):
        return ()
    if not snapshot.orders:
        return ()
    active = [v for v in verdicts if v.signal or v.cancel_first or v.holding.track.exit]
    spared = {order.id for verdict in active for order in _dealt_with(verdict, room)}
    spared |= {order.id for order in snapshot.orders if _is_not_ours_to_touch(order.symbol, room)}
    return stale_orders(snapshot, policy.stale_scope, policy.stale_after, spared)


def _is_not_ours_to_touch(symbol: str, room: Room) -> bool:
    underlying = underlying_of(symbol)
    return room.policy.excludes(symbol, underlying) or not room.snapshot.exempt.isdisjoint({symbol, underlying})


def _dealt_with(verdict: Verdict, room: Room) -> tuple[Order, ...]:
    """The orders of the exit under way, and those that it cancels already."""
    under_way = verdict.signal is not None or verdict.holding.track.exit is not None
    ours = room.ours_on(verdict.holding.symbol) if under_way else ()
    return (*ours, *(cancel.order for cancel in verdict.cancel_first))


# --- one holding ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Due:
    """A holding that a rule wants out: its next step is found once it is known how many leave with it."""

    signal: ExitSignal
    opinion: "_Opinion"
    doubt: str


def _judged(holding: Holding, room: Room, words: Words) -> Verdict | _Due:
    """What is thought of one holding, whatever happens meanwhile: a fault is this holding's own."""
    try:
        return _judge(holding, room, words)
    except Exception as error:  # noqa: BLE001  a row may be odder than anybody thought; the rest goes on
        return _fault(holding, _what(error))


def _what(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _fault(holding: Holding, what: str) -> Verdict:
    return Verdict(holding, State.FAULT, f"it could not be judged: {what}", alert=True)


def _next_step(due: _Due, room: Room, words: Words) -> Verdict:
    try:
        return _completed(_doubted(_leave(due.signal, room), due.doubt), due.opinion, words)
    except Exception as error:  # noqa: BLE001  as above
        return _fault(due.signal.holding, _what(error))


def _judge(holding: Holding, room: Room, words: Words) -> Verdict | _Due:
    symbol = holding.position.instrument.symbol
    if symbol in room.unfit:
        return _fault(holding, room.unfit[symbol])
    alone = _left_alone(holding, room)
    if alone:
        return Verdict(holding, State.HELD, alone, gain=holding.gain)
    opinion = _opinion(holding, room)
    doubt = opinion.failure or _unseen_cover(holding, room)
    signal = merged((*_signals(holding, room), *opinion.signals))
    if signal:
        return _Due(signal, opinion, doubt)
    ours = room.ours_on(symbol)
    if opinion.unconfirmed and not ours:
        verdict = wait(opinion.unconfirmed, opinion.waits)
    elif doubt:
        verdict = _fault(holding, "; ".join((doubt, *map(describe, ours))))
    elif ours:
        verdict = go_on(holding, ours, room)
    else:
        alarming = bool(holding.track.frozen) or (opinion.taken and holding.position.entry_price is None)
        return Verdict.held(holding, words, alert=alarming, unconfirmed=opinion.peak_waits)
    return _completed(verdict, opinion, words)


def _completed(verdict: Verdict, opinion: "_Opinion", words: Words) -> Verdict:
    """The verdict with what is known of its holding besides."""
    if opinion.failure:
        return replace(verdict, gain=verdict.holding.gain)
    return verdict.completed(
        words, unconfirmed=verdict.unconfirmed or opinion.peak_waits or opinion.waits == SECOND_QUOTE
    )


def _leave(signal: ExitSignal, room: Room) -> Verdict:
    """The next step of an exit; the long leg of a pair waits until the short one is closed."""
    pair = room.pairs.get(signal.holding.symbol)
    if pair and signal.reason in _PAIR_REASONS and signal.holding.symbol == pair.long.symbol:
        sentence = f"{signal.sentence}; {pair.short.symbol} closes first"
        return Verdict(signal.holding, State.LEAVING, sentence, signal=signal)
    return leave(signal, room)


def _doubted(verdict: Verdict, doubt: str) -> Verdict:
    """An exit that goes on though something about its holding could not be judged, or that fires on a wide spread."""
    wide = verdict.signal is not None and _fires_wide(verdict.signal)
    if not doubt and not wide:
        return verdict
    sentence = f"{verdict.sentence}; besides, it could not be judged: {doubt}" if doubt else verdict.sentence
    return replace(verdict, sentence=sentence, alert=True)


def _fires_wide(signal: ExitSignal) -> bool:
    """A stop on a wide spread is worth a look (design, section 6)."""
    return signal.reason in STOPS and signal.holding.prices.wide


def _left_alone(holding: Holding, room: Room) -> str:
    """Why a holding is only shown; "" when it is ours to manage."""
    position, instrument = holding.position, holding.position.instrument
    asset = instrument.asset_class
    if asset not in MANAGED:
        return f"{asset.value}: shown, never touched"
    if asset is AssetClass.STOCK and not position.is_long and asset not in room.policy.short_classes:
        return "short stock: shown, never touched"
    exempt = room.snapshot.exempt
    if instrument.symbol in exempt or instrument.underlying in exempt:
        return "exempt by hand: shown, never touched"
    if room.policy.exclude and room.policy.excludes(instrument.symbol, instrument.underlying):
        return "excluded by manage.exclude: shown, never touched"
    if instrument.option and instrument.option.expires < room.today:
        return f"expired on {instrument.option.expires}: the broker settles it"
    return ""


# --- which rules are true ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Opinion:
    """What the strategy that takes a holding says of it."""

    signals: tuple[ExitSignal, ...] = ()
    taken: bool = False
    unconfirmed: ExitSignal | None = None
    waits: str = ""
    peak_waits: bool = False  # a rule follows the best price, and one look alone can't tell it
    failure: str = ""  # why the strategy could not say; "" when it could


_NOT_TAKEN, _NOTHING_TO_SAY, _PEAK_WAITS = _Opinion(), _Opinion(taken=True), _Opinion(taken=True, peak_waits=True)


def _opinion(holding: Holding, room: Room) -> _Opinion:
    try:
        return _asked(holding, room)
    except Exception as error:  # noqa: BLE001  a strategy of the user's own may raise anything; the rest goes on
        return _Opinion(failure=_what(error))


def _asked(holding: Holding, room: Room) -> _Opinion:
    strategy, subject = room.strategy_of(holding)
    if strategy is None:
        return _NOT_TAKEN
    market = room.snapshot.market
    if holding.track.frozen or subject.track.frozen:
        return _NOTHING_TO_SAY
    if strategy.may_raise:
        strategy.triggers(subject, market)
    signals = strategy.signals(subject, market) if market.is_open else ()
    if signals:
        return _agreed_on(signals, strategy, holding, subject, room)
    peak_waits = market.is_open and _peak_waits(holding, strategy)
    return _PEAK_WAITS if peak_waits else _NOTHING_TO_SAY


def _peak_waits(holding: Holding, strategy: BaseStrategy) -> bool:
    return holding.track.window is None and holding.quote is not None and strategy.needs_peak


def _agreed_on(
    signals: Iterable[ExitSignal], strategy: BaseStrategy, holding: Holding, subject: Holding, room: Room
) -> _Opinion:
    """What may act of a strategy's signals on a holding, or on the pair that it is a leg of."""
    looks = [_agreed(_checked(s, subject), strategy, room) for s in signals if not _rests(s, room)]
    known = (_on_the_leg(look.signal, holding, room) for look in looks if look.signal)
    agreed_on = tuple(signal.said_by(strategy.name) for signal in known)
    unconfirmed = next((look for look in looks if look.unconfirmed), None)
    if unconfirmed is None or unconfirmed.unconfirmed is None:
        return _Opinion(agreed_on, taken=True, peak_waits=_peak_waits(holding, strategy))
    waiting = _on_the_leg(unconfirmed.unconfirmed, holding, room)
    return _Opinion(agreed_on, taken=True, unconfirmed=waiting, waits=unconfirmed.waits)


def _checked(signal: ExitSignal, subject: Holding) -> ExitSignal:
    """A strategy's signal on what it was asked about; SignalError when it asks for what is not a strategy's to ask."""
    reason, qty = signal.reason, signal.qty
    if reason in NO_STRATEGYS_REASON or signal.urgency not in TABLE[reason].classes:
        raise SignalError(f"a strategy can't leave for {reason} with urgency {signal.urgency}")
    if not (qty.is_finite() and qty > 0):
        raise SignalError(f"a strategy asked to close {qty}")
    return signal if signal.holding is subject else structs.replace(signal, holding=subject)


class SignalError(ValueError):
    """A strategy's signal makes no sense."""


def _agreed(signal: ExitSignal, strategy: BaseStrategy, room: Room) -> Agreed:
    """What may act of one signal: a stop needs two looks, and so does a target that no limit protects."""
    market = room.snapshot.market

    def same_rule(at_another_price: Holding) -> ExitSignal | None:
        others = strategy.signals(at_another_price, market)
        return next((other for other in others if other.reason is signal.reason), None)

    unprotected = room.policy.style is Style.MARKET
    return agreed(signal, same_rule, room.at_the_best, room.at_the_worst if unprotected else None)


def _on_the_leg(signal: ExitSignal, holding: Holding, room: Room) -> ExitSignal:
    """A signal as one of this holding: what a pair's rules say, its short leg does first and its long leg after it."""
    if signal.holding is holding:
        return signal
    pair = room.pairs.get(holding.symbol)
    if pair is None or signal.holding is not pair.whole:
        return structs.replace(signal, holding=holding)
    leads = (pair.long.symbol,) if holding.symbol == pair.short.symbol else ()
    qty = min(signal.qty, holding.position.qty)
    return structs.replace(
        signal, holding=holding, qty=qty, detail=f"{pair.kind}: {signal.detail}", floor=None, leads=leads
    )


def _rests(signal: ExitSignal, room: Room) -> str:
    """Why a strategy's signal may not act at this instant of the day; "" when it may."""
    if signal.reason not in PRICE_REASONS:
        return ""
    rest = price_rules_rest(room.snapshot.market)
    return rest or (stops_rest(room.snapshot.market) if signal.reason in STOPS else "")


def _signals(holding: Holding, room: Room) -> list[ExitSignal]:
    """Every true reason for one holding to leave that isn't a strategy's."""
    snapshot, position, symbol = room.snapshot, holding.position, holding.position.instrument.symbol
    if not snapshot.market.is_open:
        return []
    found: list[ExitSignal] = []
    if room.expires_today(holding):
        found += _zero_day(holding, room)
    if not position.is_long:
        found += _left_uncovered(holding, room)
    if symbol in snapshot.panic:
        found.append(ExitSignal(holding, position.qty, Reason.PANIC, "panic: everything leaves", Urgency.FORCED))
    if room.tripped and room.policy.account_guard.action is GuardAction.FLATTEN:
        found.append(ExitSignal(holding, position.qty, Reason.ACCOUNT_GUARD, room.tripped, Urgency.FORCED))
    if holding.track.follow and position.qty > room.cover.reserved.get(symbol, ZERO):
        detail = f"its short leg was closed: {holding.track.follow}"
        found.append(ExitSignal(holding, position.qty, Reason.STRUCTURE, detail, Urgency.PROTECTIVE))
    if symbol in snapshot.by_hand:
        found.append(ExitSignal(holding, position.qty, Reason.CLOSED_BY_HAND, "closed by hand", Urgency.PROTECTIVE))
    return found


def _zero_day(holding: Holding, room: Room) -> Iterator[ExitSignal]:
    qty = _expiring(holding, room)
    rule = room.policy.zero_day
    signal = rule.evaluate(holding, room.snapshot.market) if rule and qty > 0 else None
    if signal:
        yield structs.replace(signal, qty=qty)


def _left_uncovered(holding: Holding, room: Room) -> Iterator[ExitSignal]:
    missing = _uncovered(holding, room)
    if missing > 0 and not _unseen_cover(holding, room):
        all_of_it = room.policy.short_action is ShortAction.CLOSE
        detail = "short, and all shorts are closed" if all_of_it else f"{missing:f} short with nothing that covers them"
        yield ExitSignal(holding, missing, Reason.UNCOVERED_SHORT, detail, Urgency.PROTECTIVE)


def _expiring(holding: Holding, room: Room) -> Decimal:
    """What of a holding the last day closes: a long whole; of a short all but covered calls and kept puts.

    With `zero_day.shorts` those too.
    """
    position = holding.position
    if position.is_long or room.policy.zero_day_shorts:
        return position.qty
    by_options = room.cover.by_options.get(holding.symbol, ZERO)
    uncovered = ZERO if _unseen_cover(holding, room) else _uncovered(holding, room)
    return min(by_options + uncovered, position.qty)


def _uncovered(holding: Holding, room: Room) -> Decimal:
    """How much of a short is closed because nothing covers it; with `action: close`, all of every short."""
    position, policy = holding.position, room.policy
    if position.is_long or position.instrument.asset_class not in policy.short_classes:
        return ZERO
    if policy.short_action is ShortAction.IGNORE:
        return ZERO
    if policy.short_action is ShortAction.CLOSE:
        return position.qty
    return ZERO if is_kept_put(holding, room) else room.cover.uncovered.get(holding.symbol, position.qty)


def _unseen_cover(holding: Holding, room: Room) -> str:
    """Why a short can't be called uncovered: a row that can't be made out may be its cover; "" when none may be."""
    if holding.position.is_long:
        return ""
    close_uncovered = room.policy.short_action is ShortAction.CLOSE_UNCOVERED
    if close_uncovered and _uncovered(holding, room) > 0 and room.may_have_unseen_cover(holding):
        return "nothing seen covers it, but a position that can't be made out may"
    return ""
