"""The only writer at the broker: one account's orders from the written intent to the broker's terminal word.

An order is WORKING once the broker answered, and UNKNOWN after any doubtful answer. UNKNOWN ends by evidence only:
the next request about it is the look-up by its client order id; two definite "not found" at least 5 s apart allow
one repeat with the same id and the same body (invariants I2-I6).
"""

import asyncio
import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from sellctl.core.decision.backstop import as_signal, terms_of
from sellctl.core.errors import (
    AuthError,
    BrokerAnswer,
    BrokerError,
    NotFoundError,
    RateLimitedError,
    Refusal,
    RequestRejectedError,
    UnknownOutcomeError,
)
from sellctl.core.events import Reporter
from sellctl.core.model.event import Kind
from sellctl.core.model.intent import Intent
from sellctl.core.model.order import ZERO, Order, is_backstop
from sellctl.core.model.plan import CancelOrder, Plan, PositionDecision, Reason, SubmitOrder
from sellctl.core.model.position import ExitProgress
from sellctl.core.ports import Broker, Clock, Journal
from sellctl.core.position_manager import PositionManager
from sellctl.core.text import as_dollars
from sellctl.core.tracking.order_rate import TradingBlock

NOT_FOUND_APART_SECONDS = 5.0
NOT_FOUND_NEEDED = 2
REPEAT_WITHIN_SECONDS = 60.0
HIDDEN_SECONDS = 10.0  # how long an order that arrived may not show by its id; before that it is not given up
CANCEL_POLLS = 8
CANCEL_POLL_SECONDS = 0.25
CANCEL_REREAD_SECONDS = 10.0
CANCEL_ALERT_SECONDS = 30.0
# Before a backstop is tried again after one has ended, and after a refusal that will pass.
BACKSTOP_AGAIN_SECONDS, BACKSTOP_REFUSED_SECONDS = 15.0, 60.0
NO_BACKSTOP = "no_backstop"
# Fills of an earlier process that are this young may be missing in the positions still.
LATE_FILLS = dt.timedelta(seconds=20)


@dataclass(frozen=True, slots=True)
class _Pending:
    """An order of ours that isn't terminal yet, as far as we know."""

    client_order_id: str
    symbol: str
    order: SubmitOrder | None  # None: adopted, another process sent it
    known: bool  # the broker has it
    filled: Decimal = ZERO
    not_found_at: tuple[float, ...] = ()
    begun_at: float = 0.0  # monotonic seconds
    why: str = ""  # the sentence of its exit, when it is one and this process sent it

    @property
    def is_backstop(self) -> bool:
        """Whether it rests under a position, and is no exit."""
        return is_backstop(self.client_order_id)


@dataclass(slots=True)
class _CancelAsked:
    first_at: float
    last_at: float
    alerted: bool = False


@dataclass(slots=True)
class OrderManager:
    """Carries plans out for one account and follows every order of ours to its end."""

    account: str
    broker: Broker
    journal: Journal
    positions: PositionManager
    clock: Clock
    report: Reporter
    halted: Callable[[], str]
    trading_block: TradingBlock = field(default_factory=TradingBlock)
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _cancels: dict[str, _CancelAsked] = field(default_factory=dict)
    _reconciled: bool = False
    _knows_refusals: bool = False
    _rejected: set[str] = field(default_factory=set)

    @property
    def rejected(self) -> tuple[str, ...]:
        """The symbols whose last order the broker refused or rejected, for no reason that has a next step."""
        return tuple(sorted(self._rejected))

    @property
    def working(self) -> int:
        """How many exits of ours aren't terminal yet, backstops whose fate is unknown among them."""
        return sum(1 for pending in self._pending.values() if not (pending.is_backstop and pending.known))

    @property
    def symbols_working(self) -> tuple[str, ...]:
        """The symbols of those orders."""
        return tuple(sorted({p.symbol for p in self._pending.values() if not (p.is_backstop and p.known)}))

    @property
    def symbols_guarded(self) -> tuple[str, ...]:
        """The symbols under which a backstop rests at the broker."""
        return tuple(sorted({p.symbol for p in self._pending.values() if p.is_backstop and p.known}))

    @property
    def hanging(self) -> frozenset[str]:
        """The broker's ids of orders whose cancel was asked for and has no end yet."""
        return frozenset(self._cancels)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Client order ids whose fate is unknown."""
        return tuple(p.client_order_id for p in self._pending.values() if not p.known)

    # --- following orders to their end --------------------------------------------------------------------------------

    async def settle(self, open_orders: Sequence[Order], now: dt.datetime) -> tuple[Order, ...]:
        """Learn what became of our orders. The open orders, and with them those of ours that the list doesn't show.

        The first time this is the start-up reconciliation (R2): intents that an earlier process left without an end
        are looked up before anything can be sent for their symbols. `now` is the broker's clock.
        """
        if not self._reconciled:
            self._take_up_intents()
            for symbol, at in self.journal.filled_since(self.account, now - LATE_FILLS).items():
                self.positions.filled_before(symbol, at)
        shown = {order.client_order_id: order for order in open_orders if order.is_ours}
        for order in shown.values():
            self._adopt(order, now)
            self._learn(order)
        missing = [pending for pending in self._pending.values() if pending.client_order_id not in shown]
        found = await asyncio.gather(*(self._look_up(pending) for pending in missing))
        known = (*open_orders, *(order for order in found if order and not order.is_terminal))
        self._hold_unseen({order.client_order_id for order in known})
        return known

    def _hold_unseen(self, seen: Collection[str]) -> None:
        """The quantity of an order that this look doesn't show (hidden still, or repeated just now) is spoken for."""
        for pending in self._pending.values():
            if pending.order and pending.client_order_id not in seen:
                left = pending.order.qty - pending.filled
                self.positions.unresolved(pending.symbol, pending.client_order_id, left)

    def _take_up_intents(self) -> None:
        """What an earlier process wrote down and never saw the end of."""
        for client_order_id in self.journal.open_intents(self.account):
            intent = self.journal.intent_of(self.account, client_order_id)
            if intent and client_order_id not in self._pending:
                self._pending[client_order_id] = _Pending(client_order_id, intent.symbol, None, known=False)
                self.positions.unresolved(intent.symbol, client_order_id, intent.qty)
        self._reconciled = True

    def _adopt(self, order: Order, now: dt.datetime) -> None:
        """Take over an order of ours that another process sent, with what the journal knows of its exit."""
        if order.is_terminal:
            return
        if order.is_backstop:
            self._adopt_backstop(order)
            return
        if order.client_order_id not in self._pending:
            self._pending[order.client_order_id] = _Pending(order.client_order_id, order.symbol, None, known=True)
        elif self._pending[order.client_order_id].known or self._pending[order.client_order_id].order:
            return
        self._write("adopted", order.client_order_id, {"status": order.status, "symbol": order.symbol})
        self.report(order.symbol, Kind.ADOPTED, f"adopted an order of ours that works already ({order.status})")
        intent = self.journal.intent_of(self.account, order.client_order_id)
        if intent:
            self.positions.adopted(order.symbol, _progress_of(intent, order, now))

    def _adopt_backstop(self, order: Order) -> None:
        """One that an earlier process, or another host, let rest is no exit under way."""
        known = self._pending.get(order.client_order_id)
        if known is None:
            self._write("adopted", order.client_order_id, {"status": order.status, "symbol": order.symbol})
        if known is None or (known.order is None and not known.known):
            self._pending[order.client_order_id] = _Pending(order.client_order_id, order.symbol, None, known=True)

    async def _look_up(self, pending: _Pending) -> Order | None:
        """Ask the broker about one order by our own id."""
        try:
            order = await self.broker.order_by_client_id(pending.client_order_id)
        except NotFoundError:
            await self._not_found(pending)
            return None
        except BrokerError as error:
            self._write("lookup_failed", pending.client_order_id, {"error": error.sentence})
            return None
        self._learn(order)
        return order

    async def _not_found(self, pending: _Pending) -> None:
        """A definite no. An order that the broker acknowledged stays pending; one it may never have got is repeated."""
        if pending.known:
            return
        now = self.clock.monotonic()
        seen = pending.not_found_at
        if not seen or now - seen[-1] >= NOT_FOUND_APART_SECONDS:
            seen = (*seen, now)
            self._write("not_found", pending.client_order_id, {"times": len(seen)})
        pending = self._pending[pending.client_order_id] = replace(pending, not_found_at=seen)
        if len(seen) < NOT_FOUND_NEEDED:
            return
        young = not pending.is_backstop and now - pending.begun_at < REPEAT_WITHIN_SECONDS  # a backstop is made anew
        if pending.order and young and not self.halted():
            self._pending[pending.client_order_id] = replace(pending, not_found_at=())
            await self._send(pending.order)
        elif now - seen[0] >= HIDDEN_SECONDS:
            self._never_arrived(pending)

    def _never_arrived(self, pending: _Pending) -> None:
        """Too old to repeat, or another process's: the next look decides afresh, with the same id."""
        self._write("absent", pending.client_order_id, {"symbol": pending.symbol})
        del self._pending[pending.client_order_id]
        self.positions.resolved(pending.symbol, pending.client_order_id)

    def _learn(self, order: Order) -> None:
        """Fold in what the broker shows of an order of ours."""
        pending = self._pending.get(order.client_order_id)
        if pending is None:
            return
        if not pending.known and not order.is_backstop:
            self.report(order.symbol, Kind.SENT, f"the broker has the order after all ({order.status})")
        self.positions.resolved(order.symbol, order.client_order_id)
        if order.filled_qty > pending.filled:
            self._rejected.discard(order.symbol)
            self._fill(order, order.filled_qty - pending.filled)
        self._pending[order.client_order_id] = replace(pending, known=True, filled=order.filled_qty)
        if order.is_terminal:
            self._end(order)

    def _fill(self, order: Order, news: Decimal) -> None:
        price = "" if order.filled_avg_price is None else f"{order.filled_avg_price:f}"
        words = {"order_id": order.id, "symbol": order.symbol, "side": order.side and order.side.value}
        words |= {"filled_qty": f"{order.filled_qty:f}", "filled_avg_price": price}
        text = f"{news:f} of {order.qty or ZERO:f} at {_dollars(order.filled_avg_price)}"
        if order.is_backstop:
            at = order.filled_at or order.updated_at or self.report.now()
            self.positions.backstop_filled(order.symbol, order.client_order_id, order.filled_qty, at)
            if self.journal.fold_fill(self.account, order.client_order_id, words) <= 0:
                return
            text = f"backstop: {text}"
        else:
            self.positions.filled(order.symbol, order.client_order_id, order.filled_qty)
            self.journal.fold_fill(self.account, order.client_order_id, words)
        self.report(order.symbol, Kind.FILLED, text)

    def _end(self, order: Order) -> None:
        self._write(order.status, order.client_order_id, {"filled_qty": f"{order.filled_qty:f}"})
        del self._pending[order.client_order_id]  # only now: what could not be written is learnt again (A1)
        self._cancels.pop(order.id, None)
        rejected = order.status == "rejected"
        if order.is_backstop:
            self.positions.resolved(order.symbol, order.client_order_id)
            self.positions.backstop_waits(order.symbol, BACKSTOP_AGAIN_SECONDS)
            if rejected:
                self._take_no_backstop(order.symbol, "it was rejected")
            return
        self.positions.ended(order.symbol, order.client_order_id, rejected=rejected)
        if rejected:
            self._rejected.add(order.symbol)
            self.report(order.symbol, Kind.REJECTED, "the broker rejected the order", failed=True)

    # --- carrying out a plan ------------------------------------------------------------------------------------------

    async def carry_out(self, plan: Plan) -> bool:
        """Cancel what the plan cancels and send what it sends, the most urgent first.

        Whether the next look should follow at once: something was cancelled, or sent and not refused.
        """
        cancelled = await self.cancel_all(plan.cancels)
        sent = await asyncio.gather(*(self._submit(decision, plan.made_at) for decision in plan.submits))
        if plan.backstops:
            self._take_up_refusals()
            await asyncio.gather(*(self._guard(decision, plan.made_at) for decision in plan.backstops))
        return cancelled or any(sent)

    async def cancel_all(self, cancels: Sequence[CancelOrder]) -> bool:
        """Cancel these orders at the same time. Whether any was asked for now, and not a moment ago already."""
        asked = await asyncio.gather(*(self.cancel(cancel) for cancel in cancels))
        return any(asked)

    async def _submit(self, decision: PositionDecision, now: dt.datetime) -> bool:
        """Write the intent down, then send. If it can't be written, nothing is sent (A3): JournalError goes up.

        Whether the broker took the order, or may have.
        """
        order, signal = decision.submit, decision.signal
        if order is None or signal is None:
            return False
        halted = self.halted()
        if halted and signal.reason is not Reason.PANIC:
            self.report(order.symbol, Kind.HALTED, f"not sent: {halted}")
            return False
        state = signal.holding.state.exit
        step = state.step + 1 if state and state.urgency == signal.urgency else 1
        self.journal.intend(self.account, order, self.broker.body(order), signal, step)
        self.positions.sending(signal, order, step, now)
        self._pending[order.client_order_id] = _Pending(
            order.client_order_id,
            order.symbol,
            order,
            known=False,
            begun_at=self.clock.monotonic(),
            why=signal.sentence,
        )
        return await self._send(order)

    def _take_up_refusals(self) -> None:
        """What an earlier process of today learnt: where the broker takes no backstop it is asked once a day."""
        if not self._knows_refusals:
            for symbol in self.journal.noted_today(self.account, NO_BACKSTOP):
                self.positions.takes_no_backstop(symbol)
            self._knows_refusals = True

    async def _guard(self, decision: PositionDecision, now: dt.datetime) -> None:
        """Let a backstop rest under a position: written down first, as every order is."""
        order, holding = decision.backstop, decision.holding
        if order is None or self.halted() or self.positions.is_refused_a_backstop(holding.position):
            return
        signal = as_signal(holding, f"backstop: {terms_of(order)}")
        self.journal.intend(self.account, order, self.broker.body(order), signal, 1)
        self.positions.guarding(order, holding.position.qty, now)
        self._pending[order.client_order_id] = _Pending(
            order.client_order_id, order.symbol, order, known=False, begun_at=self.clock.monotonic()
        )
        await self._send(order)

    async def _send(self, order: SubmitOrder) -> bool:
        """Whether the broker took it, or may have."""
        try:
            answer = await self.broker.submit(order)
        except RequestRejectedError as error:
            await self._refused(order, error)
            return False
        except AuthError as error:
            self._withdraw(order, Kind.REJECTED, error.sentence, {"refusal": "key", "message": error.sentence})
            return False
        except BrokerError as error:
            await self._doubt(order, error)
        else:
            self._accepted(order, answer)
        return True

    def _accepted(self, order: SubmitOrder, answer: Order) -> None:
        pending = self._pending[order.client_order_id]
        self._pending[order.client_order_id] = replace(pending, known=True)
        self.trading_block.lift()
        self._write("accepted", order.client_order_id, {"order_id": answer.id, "status": answer.status})
        self.report(order.symbol, Kind.SENT, f"{_words(order)}: {pending.why}" if pending.why else _words(order))
        self._learn(answer)

    async def _doubt(self, order: SubmitOrder, error: BrokerError) -> None:
        """Nobody knows whether it arrived: the very next request about it is the look-up (I3)."""
        self._write("unknown", order.client_order_id, {"error": error.sentence})
        text = f"no clear answer to the order, looking it up: {error.sentence}"
        self.report(order.symbol, Kind.UNKNOWN, text, failed=True)
        await self._look_up(self._pending[order.client_order_id])

    async def _refused(self, order: SubmitOrder, error: RequestRejectedError) -> None:
        """A definite no. A duplicate id means that the order exists (I5); every other refusal sends the next look."""
        if error.refusal is Refusal.DUPLICATE_ID:
            self._write("duplicate", order.client_order_id, {"error": error.sentence})
            await self._look_up(self._pending[order.client_order_id])
            return
        if error.refusal is Refusal.ACCOUNT:
            self._barred(order, error.answer)
            return
        kind = Kind.BLOCKED if error.refusal in _IN_THE_WAY else Kind.REJECTED
        answer = error.answer
        words = {"refusal": error.refusal.value, "status": answer.status, "message": answer.message}
        self._withdraw(order, kind, _NEXT_STEP.get(error.refusal, error.sentence), words, rejected=_counts(error))

    def _barred(self, order: SubmitOrder, answer: BrokerAnswer) -> None:
        """The whole account may not trade: no fault of the order's. A person hears of it once."""
        self._gone(order, {"refusal": Refusal.ACCOUNT.value, "status": answer.status, "message": answer.message})
        if self.trading_block.refused(answer.message, self.clock.monotonic()):
            text = f"the broker does not let this account trade ({answer.message}); it is read again, and tried again"
            self.report("", Kind.BLOCKED, text, failed=True)

    def _withdraw(
        self, order: SubmitOrder, kind: Kind, why: str, words: dict[str, object], *, rejected: bool = False
    ) -> None:
        """The broker definitely has no such order. `rejected` ones count towards halting the symbol (K4)."""
        self._gone(order, words, rejected=rejected)
        if not is_backstop(order.client_order_id):
            self.report(order.symbol, kind, f"the broker refused: {why}", failed=True)
        elif rejected:
            self._take_no_backstop(order.symbol, why)

    def _gone(self, order: SubmitOrder, words: dict[str, object], *, rejected: bool = False) -> None:
        """Write down why the broker does not have it, then forget it: what can't be written is looked up again (A1)."""
        self._write("refused", order.client_order_id, words)
        del self._pending[order.client_order_id]
        if is_backstop(order.client_order_id):
            self.positions.resolved(order.symbol, order.client_order_id)
            self.positions.backstop_waits(order.symbol, BACKSTOP_REFUSED_SECONDS)
            return
        self.positions.refused(order.symbol, order.client_order_id, has_next_step=not rejected)
        if rejected:
            self._rejected.add(order.symbol)

    def _take_no_backstop(self, symbol: str, why: str) -> None:
        """A definite no: it is said once, remembered for the day, and no reject that would halt the symbol (K4)."""
        self.positions.takes_no_backstop(symbol)
        sentence = f"the broker takes no backstop here ({why}); sellctl goes on without"
        self.journal.note(self.account, NO_BACKSTOP, {"symbol": symbol, "sentence": sentence})
        self.report(symbol, Kind.REJECTED, sentence, failed=True)

    async def cancel(self, cancel: CancelOrder) -> bool:
        """Ask the broker to end an order and wait a moment for its terminal word. Whether it was asked."""
        if not self._may_ask(cancel.order):
            return False
        self.journal.note(
            self.account,
            "cancel",
            {"client_order_id": cancel.order.client_order_id, "symbol": cancel.order.symbol, "why": cancel.why},
        )
        self.report(cancel.order.symbol, Kind.CANCELED, f"cancel asked: {cancel.why}")
        try:
            await self.broker.cancel(cancel.order.id)
        except RequestRejectedError as error:
            if error.refusal is not Refusal.NOT_CANCELABLE and not isinstance(error, NotFoundError):
                self.report(cancel.order.symbol, Kind.REJECTED, f"cancel refused: {error.sentence}", failed=True)
                return False
        except UnknownOutcomeError as error:
            self._write("cancel_unknown", cancel.order.client_order_id, {"error": error.sentence})
        except BrokerError as error:
            self.report(cancel.order.symbol, Kind.DEGRADED, f"cancel failed: {error.sentence}", failed=True)
            return False
        await self._terminal_word(cancel.order)
        return True

    async def _terminal_word(self, order: Order) -> None:
        """Re-read a cancelled order until it is terminal; a 204 is not the end (I4)."""
        for _ in range(CANCEL_POLLS):
            try:
                seen = await self.broker.order_by_client_id(order.client_order_id)
            except RateLimitedError:
                return
            except BrokerError:
                seen = order
            if seen.is_terminal:
                self._cancels.pop(order.id, None)
                self._learn(seen)
                return
            await self.clock.sleep(CANCEL_POLL_SECONDS)

    def _may_ask(self, order: Order) -> bool:
        """A cancel that hangs is asked again after 10 s, and a person hears of it after 30 s."""
        now = self.clock.monotonic()
        asked = self._cancels.get(order.id)
        if asked is None:
            self._cancels[order.id] = _CancelAsked(now, now)
            return True
        if now - asked.first_at >= CANCEL_ALERT_SECONDS and not asked.alerted:
            asked.alerted = True
            self.report(order.symbol, Kind.ALERT, "a cancel has hung for 30 s; look at the order", critical=True)
        if now - asked.last_at < CANCEL_REREAD_SECONDS:
            return False
        asked.last_at = now
        return True

    def _write(self, kind: str, client_order_id: str, detail: dict[str, object]) -> None:
        self.journal.outcome(self.account, client_order_id, kind, detail)


def _counts(error: RequestRejectedError) -> bool:
    """Whether a refusal counts as a reject: one with a known next step doesn't."""
    return error.refusal not in _NEXT_STEP and not isinstance(error, RateLimitedError)


def _progress_of(intent: Intent, order: Order, now: dt.datetime) -> ExitProgress:
    return ExitProgress(
        reason=intent.reason,
        urgency=intent.urgency,
        step=intent.step,
        age=now - (order.submitted_at or intent.at),
        client_order_id=order.client_order_id,
        limit_price=order.limit_price,
    )


def _words(order: SubmitOrder) -> str:
    """An order that was sent, in a few words."""
    what = f"{order.side.value} {order.qty:f}"
    if is_backstop(order.client_order_id):
        return f"backstop: {what} {terms_of(order)}"
    return f"{what} at market" if order.limit_price is None else f"{what} limit {as_dollars(order.limit_price)}"


def _dollars(price: Decimal | None) -> str:
    return "an unknown price" if price is None else as_dollars(price)


_IN_THE_WAY = frozenset({Refusal.INSUFFICIENT_QTY, Refusal.WASH_TRADE})
# The next look re-reads positions and orders and decides afresh; the sentence says what it will find.
_NEXT_STEP = {
    Refusal.INSUFFICIENT_QTY: "another order holds the quantity; positions and orders are read again",
    Refusal.WASH_TRADE: "an opposite order rests (wash-trade rule); orders are read again",
    Refusal.UNCOVERED: "it covers a short, which closes first",
    Refusal.INTENT_MISMATCH: "the position is gone or has changed; it is read again",
}
