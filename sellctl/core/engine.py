"""The page to read first: one frozen Snapshot in, one frozen Plan out. Pure: no clock, no I/O, no memory of its own.

For every holding, in this order: is it ours to manage; which rules are true; and then, in exits.py, is an exit under
way already, what is in the way, what quantity is free, at what price, does a guard object. The answer is one Verdict
with its sentence.
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from sellctl.core.exits import STEP, cancellable, describe, leave
from sellctl.core.guards import PRICE_REASONS, price_rules_rest, stops_rest
from sellctl.core.model.config import PutAction, ShortAction
from sellctl.core.model.instrument import AssetClass, Right
from sellctl.core.model.order import Order
from sellctl.core.model.plan import ExitSignal, Plan, Reason, State, Urgency, Verdict
from sellctl.core.model.position import ExitTrack, Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.policy import Policy
from sellctl.core.pricing import REPRICE_AFTER
from sellctl.core.room import Room
from sellctl.core.rules.gain import as_dollars, as_percent
from sellctl.core.rules.stale import stale_orders
from sellctl.core.rules.zero_day import expires_today
from sellctl.core.sell_strategies.base_strategy import BaseStrategy, merged

ZERO = Decimal(0)
MANAGED = frozenset(STEP)


def decide(snapshot: Snapshot, policy: Policy) -> Plan:
    """The plan for one account: every holding exactly once, most urgent first, and the stale orders to cancel."""
    room = Room.of(snapshot, policy)
    verdicts = sorted((_judge(holding, room) for holding in room.holdings), key=_by_urgency)
    running = {order.id for verdict in verdicts for order in _spoken_for(verdict, room)}
    return Plan(
        account=snapshot.account.name,
        made_at=snapshot.market.now,
        verdicts=tuple(verdicts),
        stale=stale_orders(snapshot, policy.stale_scope, policy.stale_after, running),
        faults=tuple(f"{row.symbol or 'a row'} could not be read: {row.why}" for row in snapshot.spoiled),
        needs_history=frozenset(v.holding.symbol for v in verdicts if _wants_history(v, snapshot)),
    )


def _by_urgency(verdict: Verdict) -> tuple[int, str]:
    return (verdict.signal.urgency if verdict.signal else len(Urgency), verdict.holding.symbol)


def _wants_history(verdict: Verdict, snapshot: Snapshot) -> bool:
    return verdict.submit is not None and verdict.holding.symbol not in snapshot.history


def _spoken_for(verdict: Verdict, room: Room) -> tuple[Order, ...]:
    """Orders that a verdict deals with already: they are never stale besides."""
    ours = room.ours_on(verdict.holding.symbol) if verdict.state is State.LEAVING else ()
    return (*ours, *(cancel.order for cancel in verdict.cancel_first))


# --- which rules are true ---------------------------------------------------------------------------------------------


def _judge(holding: Holding, room: Room) -> Verdict:
    """One holding's verdict."""
    alone = _left_alone(holding, room)
    if alone:
        return _held(holding, alone)
    strategy = next((s for s in room.policy.strategies if s.takes(holding)), None)
    signal = merged(tuple(_signals(holding, strategy, room)))
    verdict = leave(signal, room) if signal else _stay(holding, strategy, room)
    return replace(verdict, gain=holding.gain, triggers=strategy.triggers(holding) if strategy else ())


def _left_alone(holding: Holding, room: Room) -> str | None:
    """Why a holding is only shown."""
    position = holding.position
    asset = position.instrument.asset_class
    if asset not in MANAGED:
        return f"{asset.value}: shown, never touched"
    if asset is AssetClass.STOCK and not position.is_long and asset not in room.policy.short_classes:
        return "short stock: shown, never touched"
    return room.policy.exclusion(holding)


def _signals(holding: Holding, strategy: BaseStrategy | None, room: Room) -> Iterable[ExitSignal]:
    """Every true reason for one holding to leave."""
    market = room.snapshot.market
    if not market.is_open:
        return
    if room.policy.zero_day and _zero_day_applies(holding, room):
        signal = room.policy.zero_day.evaluate(holding, market)
        if signal:
            yield signal
    uncovered = _uncovered(holding, room)
    if uncovered:
        yield uncovered
    signal = strategy.evaluate(holding, market) if strategy else None
    if signal and not _rests(signal, room):
        yield signal


def _rests(signal: ExitSignal, room: Room) -> str:
    """Why a strategy's signal may not act at this instant of the day; "" when it may."""
    if signal.reason not in PRICE_REASONS:
        return ""
    rest = price_rules_rest(room.snapshot.market)
    if rest or signal.reason is not Reason.STOP_LOSS:
        return rest
    return stops_rest(room.snapshot.market)


def _zero_day_applies(holding: Holding, room: Room) -> bool:
    """Longs always; a short only when an option covers it, or when the configuration wants shorts closed too."""
    if holding.position.is_long or room.policy.zero_day_shorts:
        return True
    return any(holding.symbol in shorts and _is_option(long, room) for long, shorts in room.cover.leaning.items())


def _is_option(symbol: str, room: Room) -> bool:
    return any(h.symbol == symbol and h.position.instrument.is_option for h in room.holdings)


def _uncovered(holding: Holding, room: Room) -> ExitSignal | None:
    """The cover of a short that nothing covers; with `action: close`, of every short."""
    position, policy = holding.position, room.policy
    if position.is_long or position.instrument.asset_class not in policy.short_classes:
        return None
    if policy.short_action is ShortAction.IGNORE:
        return None
    if policy.short_action is ShortAction.CLOSE:
        return ExitSignal(
            holding, position.qty, Reason.UNCOVERED_SHORT, "short, and all are closed", Urgency.PROTECTIVE
        )
    missing = room.cover.uncovered.get(holding.symbol, position.qty)
    if missing <= 0 or _is_kept_put(holding, room):
        return None
    detail = f"{missing:f} short with nothing that covers them"
    return ExitSignal(holding, missing, Reason.UNCOVERED_SHORT, detail, Urgency.PROTECTIVE)


def _is_kept_put(holding: Holding, room: Room) -> bool:
    option = holding.position.instrument.option
    return option is not None and option.right is Right.PUT and room.policy.cash_secured_puts is PutAction.KEEP


# --- a holding without a reason to leave ------------------------------------------------------------------------------


def _stay(holding: Holding, strategy: BaseStrategy | None, room: Room) -> Verdict:
    """No rule is true: an exit under way goes on unless it was a target's."""
    ours = room.ours_on(holding.symbol)
    track = holding.track.exit
    if ours and track and _target_is_missed(holding, track):
        why = "the target is no longer met"
        return Verdict(holding, State.LEAVING, why, cancel_first=cancellable(ours, why))
    if ours and track:
        return Verdict(holding, State.LEAVING, f"leaving: {track.reason}; {describe(ours[0])}")
    return _held(holding, _why_held(holding, strategy, room))


def _target_is_missed(holding: Holding, track: ExitTrack) -> bool:
    """Whether the exit under way is a target's and the price, which is known, no longer meets it."""
    known = holding.exit_price is not None and not holding.prices.wide
    return track.urgency >= Urgency.PROFIT and known and track.age >= REPRICE_AFTER


def _held(holding: Holding, sentence: str) -> Verdict:
    return Verdict(holding, State.HELD, sentence, gain=holding.gain)


def _why_held(holding: Holding, strategy: BaseStrategy | None, room: Room) -> str:
    """The sentence on a holding that stays."""
    if not room.snapshot.market.is_open:
        return "the market is closed"
    notes = [_cover_note(holding, room), _zero_day_note(holding, room), _price_note(holding, strategy, room)]
    return "; ".join(note for note in notes if note)


def _cover_note(holding: Holding, room: Room) -> str:
    if holding.position.is_long or not holding.position.instrument.is_option:
        return ""
    if room.policy.short_action is ShortAction.IGNORE:
        return "short positions are ignored"
    covering = [long for long, shorts in room.cover.leaning.items() if holding.symbol in shorts]
    return f"short, covered by {', '.join(covering)}" if covering else "short put kept: cash secures it"


def _zero_day_note(holding: Holding, room: Room) -> str:
    if not expires_today(holding, room.snapshot.market):
        return ""
    return "expires today, before its deadline" if room.policy.zero_day else "expires today, zero-day handling is off"


def _price_note(holding: Holding, strategy: BaseStrategy | None, room: Room) -> str:
    if strategy is None:
        return "no strategy takes it" if holding.position.is_long else ""
    if holding.position.entry_price is None:
        return "entry price unknown: no percentage rule can fire"
    rest = price_rules_rest(room.snapshot.market) or stops_rest(room.snapshot.market)
    if rest:
        return rest
    if holding.gain is None:
        return f"{holding.prices.problem}: no price rule can fire"
    wide = ", wide spread: guarded" if holding.prices.wide else ""
    return f"{as_percent(holding.gain)} at {as_dollars(holding.exit_price or ZERO)}, no rule is met{wide}"
