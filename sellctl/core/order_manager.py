"""The only code that sends and cancels orders: it carries out plans and turns the broker's answers into order events.

Every answer becomes an event, which is recorded in the journal and applied to the order; then its effects are carried
out. An event that can't be recorded is read from the broker again; only an acceptance is applied before it is recorded.
`orders.transitions` defines how an event changes an order.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from types import MappingProxyType

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
from sellctl.core.events import EventPublisher
from sellctl.core.leases.permit import SendPermit, Unleased
from sellctl.core.model.event import EventKind
from sellctl.core.model.intent import IntendedOrder
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.order import ZERO, Order, Side
from sellctl.core.model.plan import CancelOrder, Plan, Reason, SubmitOrder, reason_name
from sellctl.core.model.position import Position
from sellctl.core.orders.claims import UNKNOWN_SYMBOLS
from sellctl.core.orders.managed_order import HANDLING, SEPARATOR, ManagedOrder, ManagedState, Purpose
from sellctl.core.orders.order_book import OrderBook
from sellctl.core.orders.order_events import (
    Accepted,
    Adopted,
    Alert,
    Cancel,
    Effect,
    Ended,
    LookUp,
    MarkRejected,
    NotFound,
    OrderEvent,
    OutcomeUnknown,
    PartiallyFilled,
    Refused,
    Repeat,
    events_of,
)
from sellctl.core.orders.order_rate import TradingBlock
from sellctl.core.orders.transitions import apply, counts_as_not_found
from sellctl.core.ports import Broker, Clock, Journal
from sellctl.core.position_manager import PositionManager
from sellctl.core.text import as_dollars, as_limit, as_net, as_profit
from sellctl.core.tracking.in_flight_requests import InFlightRequests
from sellctl.core.tracking.todays_orders import TodaysOrders

NO_BACKSTOP, NO_MULTI_LEG = "no_backstop", "no_multi_leg"  # the kinds of the journal's notes
# The positions may not show fills of an earlier process yet that are more recent than this.
LATE_FILLS = dt.timedelta(seconds=20)
NOTHING_HELD: Mapping[str, Position] = MappingProxyType({})


@dataclass(slots=True)
class OrderManager:
    """Carries out plans for one account and follows each of our orders to its end.

    `in_flight` are the orders and cancels in flight. Where hosts share the accounts, `permit` says whether this one may
    send now: it is asked before anything is recorded, and again in the instant before each order and each cancel.
    """

    account: str
    broker: Broker
    journal: Journal
    book: OrderBook
    positions: PositionManager
    clock: Clock
    publish: EventPublisher
    halted: Callable[[], str]
    permit: SendPermit = field(default_factory=Unleased)
    in_flight: InFlightRequests = field(init=False)
    todays: TodaysOrders = field(default_factory=TodaysOrders)
    _shown: dict[str, Order] = field(default_factory=dict)  # by client order id: the broker's last answer on open ones
    _restored: bool = False
    _refused_backstops_restored: bool = False
    _refused_structures_restored: bool = False

    def __post_init__(self) -> None:
        self.in_flight = InFlightRequests(self.clock)

    @property
    def pending_count(self) -> int:
        """The number of orders still in progress."""
        return self.book.pending_count

    @property
    def pending_symbols(self) -> tuple[str, ...]:
        """The symbols of those orders."""
        return self.book.pending_symbols

    @property
    def shown(self) -> tuple[Order, ...]:
        """Our exit orders that work, each as the broker has last shown it."""
        shown = ((self.book.get(client_order_id), order) for client_order_id, order in self._shown.items())
        return tuple(order for managed, order in shown if managed and managed.is_pending)

    @property
    def symbols_with_backstop(self) -> tuple[str, ...]:
        """The symbols with a backstop that rests at the broker."""
        return self.book.symbols_with_backstop

    @property
    def unknown(self) -> tuple[str, ...]:
        """The client order ids of orders whose outcome is unknown."""
        return self.book.unknown

    @property
    def pending_cancel_ids(self) -> frozenset[str]:
        """The broker's ids of orders whose cancel has not ended them yet."""
        return self.book.pending_cancel_ids

    @property
    def rejected(self) -> tuple[str, ...]:
        """The symbols that had an order rejected and no fill since."""
        return self.book.rejected

    def no_multi_leg(self, today: dt.date) -> frozenset[str]:
        """The structures of which the broker refused a multi-leg order today, to any process; "" stands for all.

        JournalError when an earlier process's can't be read.
        """
        if not self._refused_structures_restored:
            self.book.refuse_multi_leg(self.journal.noted_today(self.account, NO_MULTI_LEG), today)
            self._refused_structures_restored = True
        return self.book.refused_structures(today)

    @property
    def trading_block(self) -> TradingBlock:
        """Whether the broker has blocked trading on the account."""
        return self.book.trading_block

    # --- following orders to their end --------------------------------------------------------------------------------

    async def settle(
        self, open_orders: Sequence[Order], now: dt.datetime, positions: Iterable[Position] = ()
    ) -> tuple[Order, ...]:
        """Update our orders. Return the open orders, including ours that the list does not show.

        The first call is the start-up reconciliation (R2): orders that an earlier process left open are looked up
        before anything can be sent for their symbols. `now` is the broker's clock. `positions` were just read; without
        them no order is sent again.
        """
        if not self._restored:
            self._restore(now)
        shown = {order.client_order_id: self._completed(order) for order in open_orders if order.is_ours}
        for order in shown.values():
            self._adopt(order, now)
            self._update(order)
        missing = [order.client_order_id for order in self.book.open if order.client_order_id not in shown]
        held = {position.symbol: position for position in positions}
        found = await asyncio.gather(*(self._look_up(client_order_id, held) for client_order_id in missing))
        listed = (shown[order.client_order_id] if order.is_ours else order for order in open_orders)
        known = (*listed, *(order for order in found if order and not order.is_terminal))
        self.book.mark_unseen_except({order.client_order_id for order in known})
        self.book.forget_cancels_except({order.id for order in open_orders})
        self._shown = {key: order for key, order in self._shown.items() if self.book.get(key)}
        return known

    async def look_up_unknown(self) -> None:
        """Look up our orders whose outcome is unknown. None is sent again."""
        await asyncio.gather(*(self._look_up(client_order_id) for client_order_id in self.book.unknown))

    def follow(self, orders: Iterable[Order]) -> None:
        """Update those of our orders that are among these."""
        for order in orders:
            self._update(self._completed(order) if order.is_ours else order)

    def _restore(self, now: dt.datetime) -> None:
        """Restore an earlier process's open orders, and its fills that the positions may not show yet."""
        for recorded in self.journal.open_orders(self.account):
            self.book.restore(recorded)
        for symbol, at in self.journal.filled_since(self.account, now - LATE_FILLS).items():
            self.positions.filled_before(symbol, now - at)
        self._restored = True

    def _adopt(self, order: Order, now: dt.datetime) -> None:
        """Adopt a working order that another process sent, with the exit that the journal has for it."""
        known = self.book.get(order.client_order_id)
        if order.is_terminal or (known and not known.awaits_adoption):
            return
        managed = known or self._from_the_journal(order)
        if known is None or managed.handling.announced:
            self._write("adopted", order.client_order_id, {"status": order.status, "symbol": managed.symbol})
        if managed.handling.announced:
            self.publish(managed.symbol, EventKind.ADOPTED, f"an order of an earlier run is working ({order.status})")
        if known is None:
            self.book.add_discovered(managed)
        age = (now - order.submitted_at).total_seconds() if order.submitted_at else 0.0
        self._record(order.client_order_id, Adopted(order.id, self.clock.monotonic() - age))

    def _from_the_journal(self, order: Order) -> ManagedOrder:
        intent = self.journal.intent_of(self.account, order.client_order_id)
        return ManagedOrder.of_intent(intent) if intent else ManagedOrder.of_broker_order(order)

    async def _look_up(self, client_order_id: str, held: Mapping[str, Position] = NOTHING_HELD) -> Order | None:
        """Read one order by our own id; None when the broker has no such order or gives no answer.

        `held` are the positions that were just read, by symbol.
        """
        try:
            order = await self.broker.order_by_client_id(client_order_id)
        except NotFoundError:
            await self._not_found(client_order_id, held)
            return None
        except BrokerError as error:
            self._write("lookup_failed", client_order_id, {"error": error.sentence})
            return None
        order = self._completed(order)
        self._update(order)
        return order

    def _completed(self, order: Order) -> Order:
        """An order of ours with its legs, which a look-up leaves out, as they are recorded."""
        if order.symbols != UNKNOWN_SYMBOLS:
            return order
        return (self.book.get(order.client_order_id) or self._from_the_journal(order)).completed(order)

    async def _not_found(self, client_order_id: str, held: Mapping[str, Position]) -> None:
        """The broker has no such order. The consequence is recorded before it is applied."""
        order = self.book.get(client_order_id)
        if order is None or not order.is_unknown:  # acknowledged before: the broker's look-up lags behind
            return
        self.permit.require()  # another host may be about to send it
        has_free_qty = order.request is not None and _is_free(order.request, held)
        event = NotFound(self.clock.monotonic(), halted=bool(self.halted()), has_free_qty=has_free_qty)
        if counts_as_not_found(order, event.at):
            self._write("not_found", client_order_id, {"times": len(order.not_found_at) + 1})
        after, _ = apply(order, event)
        if after.state is ManagedState.ABSENT:
            self._write("absent", client_order_id, {"symbol": order.symbol})
        await self._record_and_perform(client_order_id, event)

    def _update(self, order: Order) -> None:
        """Update one of our orders from the broker's view. If recording fails, the next poll repeats it (A1)."""
        self.todays.put(order)
        managed = self.book.get(order.client_order_id)
        if managed is None:
            return
        if managed.is_unknown and managed.handling.announced:
            self.publish(managed.symbol, EventKind.SENT, f"the broker has the order ({order.status})")
        for event in events_of(order, self.clock.monotonic()):
            if isinstance(event, PartiallyFilled) and event.filled > managed.filled:
                self._fill(managed, order)
            if isinstance(event, Ended):
                self._write(order.status, order.client_order_id, {"filled_qty": f"{order.filled_qty:f}"})
            self._record(order.client_order_id, event)
        self._shown[order.client_order_id] = order
        if order.is_terminal:
            del self._shown[order.client_order_id]
            self.book.cancel_ended(order)
        if order.status == "rejected":
            self._report_rejected(managed)

    def _fill(self, managed: ManagedOrder, order: Order) -> None:
        """Count, record and report a fill, exactly once however often the broker shows it (I8)."""
        self.positions.filled(managed, order.filled_qty)
        average, side = managed.price_of(order), managed.side or order.side
        price = "" if average is None else f"{average:f}"
        words: dict[str, object] = {"order_id": order.id, "symbol": managed.symbol, "side": side and side.value}
        if managed.is_multi_leg:
            words["legs"] = {leg.symbol: f"{leg.ratio:f}" for leg in managed.legs}
        words |= {"filled_qty": f"{order.filled_qty:f}", "filled_avg_price": price}
        if self.journal.record_fill(self.account, order.client_order_id, words) > 0:
            news = order.filled_qty - managed.filled
            text = f"{managed.handling.label}{news:f} of {order.qty or ZERO:f} at {_fill_text(managed, order)}"
            self.publish(managed.symbol, EventKind.FILLED, text)

    def _report_rejected(self, order: ManagedOrder) -> None:
        if order.purpose is Purpose.BACKSTOP:
            self._report_no_backstop(order.symbol, "it was rejected")
        elif order.is_multi_leg:
            self._note_no_multi_leg(order.symbol, order.symbol, "it was rejected")
        else:
            self.publish(order.symbol, EventKind.REJECTED, "the broker rejected the order", failed=True)

    # --- carrying out a plan ------------------------------------------------------------------------------------------

    async def carry_out(self, plan: Plan) -> bool:
        """Record the requests of a plan in one commit, then send and cancel concurrently, the most urgent first.

        JournalError when they can't be recorded, LeaseLostError when this host may not send for the account; then
        nothing is sent or cancelled (A3). No order waits for a cancel:
        where one has to, the plan only cancels, and a later plan sends. Return whether the next poll should follow at
        once: an order was cancelled, or an exit sent and not refused.
        """
        exits = tuple(self._exits(plan))
        backstops = tuple(self._backstops(plan))
        at = self.clock.monotonic()
        recorded = asyncio.ensure_future(self._intend((*exits, *backstops), plan.cancels_at_once, at))
        try:
            acts = self._in_order_of_urgency(plan, exits, recorded, at)
            guards = [self._sending(order, plan.made_at, recorded, at) for order in backstops]
            ended = await asyncio.gather(*acts, *guards, return_exceptions=True)
        finally:
            for order in (*exits, *backstops):
                self.book.release(order.request.client_order_id)
        for end in ended:
            if isinstance(end, BaseException):
                raise end
        return any(ended[: len(ended) - len(backstops)])

    def _exits(self, plan: Plan) -> Iterator[IntendedOrder]:
        """The orders of the plan's exits, except those that a halt forbids which began since the decision."""
        halted = self.halted()
        for decision in plan.submits:
            order, signal = decision.submit, decision.signal
            if order is None or signal is None:
                continue
            if halted and signal.reason is not Reason.PANIC:
                self.publish(order.symbol, EventKind.HALTED, f"not sent: halted ({halted})")
                continue
            yield IntendedOrder(order, self.broker.body(order), signal, signal.next_step)

    def _backstops(self, plan: Plan) -> Iterator[IntendedOrder]:
        """The plan's backstops, unless a halt is set; without those of positions for which the broker refused one."""
        if not plan.backstops or self.halted():
            return
        self._restore_refused_backstops()
        for decision in plan.backstops:
            order, holding = decision.backstop, decision.holding
            if order is not None and not self.book.is_refused_a_backstop(holding.position):
                signal = as_signal(holding, f"backstop: {terms_of(order)}")
                yield IntendedOrder(order, self.broker.body(order), signal, 1)

    def _restore_refused_backstops(self) -> None:
        """Restore today's refusals from the journal: a refused backstop is tried once per day, by any process."""
        if not self._refused_backstops_restored:
            self.book.record_backstop_refusals(self.journal.noted_today(self.account, NO_BACKSTOP))
            self._refused_backstops_restored = True

    async def _intend(self, orders: Sequence[IntendedOrder], cancels: Sequence[CancelOrder], at: float) -> None:
        """Record the requests of one decision together; on disk when this returns.

        `at` is the decision's time. A cancel requested shortly before it is neither recorded nor requested again.
        """
        new = tuple(cancel for cancel in cancels if self.book.may_request_cancel(cancel.order, at))
        if orders or new:
            await self.journal.intend(self.account, orders, new, fence=self.permit.begin())

    def _in_order_of_urgency(
        self, plan: Plan, exits: Iterable[IntendedOrder], recorded: asyncio.Task[None], at: float
    ) -> list[Awaitable[bool]]:
        """The requests of a plan's exits in the order in which to start them; the cancels of stale orders come last."""
        sends = {order.request.client_order_id: order for order in exits}
        cancels = {cancel.order.id: cancel for cancel in plan.cancels_at_once}
        requests = []
        for decision in plan.decisions:
            first = [cancels.pop(each.order.id, None) for each in decision.cancel_first]
            requests += [self._cancelling(cancel, recorded, at, decision.holding.symbol) for cancel in first if cancel]
            send = sends.pop(decision.submit.client_order_id, None) if decision.submit else None
            if send:
                requests.append(self._sending(send, plan.made_at, recorded, at))
        return requests + [self._cancelling(cancel, recorded, at) for cancel in cancels.values()]

    def _sending(
        self, order: IntendedOrder, now: dt.datetime, recorded: asyncio.Task[None], at: float
    ) -> Awaitable[bool]:
        """Send an order once its intent is recorded (I2); `now` is the broker's time. JournalError: nothing is sent."""
        request, signal = order.request, order.signal
        managed = ManagedOrder.of_request(request, signal, order.step, at=at)
        self.book.reserve(managed)

        async def send() -> bool:
            self.positions.sending(request, signal, now)
            await self.positions.save()
            self.book.add_recorded(managed)
            return await self._send(request, signal.sentence)

        return self.in_flight.track_send(request.symbols[0], send, recorded)

    def _cancelling(
        self, cancel: CancelOrder, recorded: asyncio.Task[None], at: float, *symbols: str
    ) -> Awaitable[bool]:
        """Request a cancel, which concerns these symbols and those of the order, once it is recorded."""
        concerned = frozenset(symbols).union(filter(None, cancel.order.symbols))
        return self.in_flight.track_cancel(concerned, partial(self._cancel, cancel, at), recorded)

    async def _send(self, request: SubmitOrder, why: str) -> bool:
        """Send an order whose intent is recorded. Return whether to look again at once: unless it was refused.

        LeaseLostError: it isn't sent, and whoever has the account now looks it up.
        """
        self.permit.require()
        try:
            answer = await self.broker.submit(request)
        except RequestRejectedError as error:
            return await self._refused(request, error)
        except AuthError as error:
            detail: dict[str, object] = {"refusal": "key", "message": error.sentence}
            # A backstop isn't given up for the day: the key may be in order again before.
            self._mark_rejected(request, detail, EventKind.REJECTED, error.sentence, counted=_is_exit(request))
            return False
        except BrokerError as error:
            await self._look_up_unknown(request, error)
        else:
            await self._accepted(request, answer, why)
        return True

    async def _accepted(self, request: SubmitOrder, answer: Order, why: str) -> None:
        """Apply the acceptance first: even when it can't be recorded, the order must not be sent again."""
        self._record(request.client_order_id, Accepted(answer.id))
        answer = self._completed(answer)
        self._shown[request.client_order_id] = answer
        self.todays.put(answer)
        self.book.trading_block.lift()
        detail = {"order_id": answer.id, "status": answer.status}
        await self.journal.accepted(self.account, request.client_order_id, detail)
        self.publish(request.symbol, EventKind.SENT, _sent_text(request, why))
        self._update(answer)

    async def _look_up_unknown(self, request: SubmitOrder, error: BrokerError) -> None:
        """The outcome is unknown: the next request about the order is a look-up (I3)."""
        self._write("unknown", request.client_order_id, {"error": error.sentence})
        text = f"no clear answer to the order, looking it up: {error.sentence}"
        self.publish(request.symbol, EventKind.UNKNOWN, text, failed=True)
        is_refusal = isinstance(error, UnknownOutcomeError) and error.is_refusal
        await self._record_and_perform(request.client_order_id, OutcomeUnknown(is_refusal))

    async def _refused(self, request: SubmitOrder, error: RequestRejectedError) -> bool:
        """Record a rejection; the next poll decides again. After a duplicate id it is looked up instead (I5).

        Return whether that poll should follow at once, because the legs of a structure are to be closed one by one now.
        """
        if error.refusal is Refusal.DUPLICATE_ID:
            self._write("duplicate", request.client_order_id, {"error": error.sentence})
            await self._record_and_perform(request.client_order_id, OutcomeUnknown(is_refusal=True))
            return False
        answer, refusal = error.answer, error.refusal.value
        detail: dict[str, object] = {"refusal": refusal, "status": answer.status, "message": answer.message}
        if error.refusal is Refusal.ACCOUNT:
            self._account_blocked(request, detail, answer)
            return False
        if isinstance(error, RateLimitedError) and error.is_ours:
            self._hold_back(request, detail, error.sentence)
            return False
        is_repeated = error.refusal is Refusal.INTENT_MISMATCH and self._was_refused_before(request)
        as_legs = error.refusal in _NOT_AS_ONE or is_repeated
        if request.legs and as_legs and not isinstance(error, RateLimitedError):
            self._write("refused", request.client_order_id, detail)
            self._leave_by_legs(request, answer.message, is_account=error.refusal is Refusal.OPTIONS_LEVEL)
            return True
        kind = EventKind.BLOCKED if error.refusal in _IN_THE_WAY else EventKind.REJECTED
        why, recovers = _NEXT_STEP.get(error.refusal, error.sentence), _recovers(error)
        if error.refusal is Refusal.PRICE_INCREMENT and self.positions.increment_refused(
            request.symbols[0], self.publish.now()
        ):
            why, recovers = f"{answer.message}; the next order uses the coarser price increment", True
        self._mark_rejected(request, detail, kind, why, counted=_is_exit(request) or not recovers, recovers=recovers)
        return False

    def _was_refused_before(self, request: SubmitOrder) -> bool:
        """Whether the order before it was refused too, so that its legs were read again meanwhile."""
        now = self.clock.monotonic()
        return any(self.book.rejects(symbol, now).count for symbol in request.symbols)

    def _leave_by_legs(self, request: SubmitOrder, why: str, *, is_account: bool = False) -> None:
        """The broker took no multi-leg order: for the rest of the day the structure leaves by legs.

        Where it is refused to the account, so do all structures. It doesn't count towards pausing the symbols (K4).
        """
        self._record(request.client_order_id, Refused(self.clock.monotonic(), recovers=True))
        self._note_no_multi_leg("" if is_account else request.symbol, request.symbol, why)

    def _note_no_multi_leg(self, refused: str, structure: str, why: str) -> None:
        sentence = f"the broker takes no multi-leg order ({why}); its legs are closed one by one, short ones first"
        self.journal.note(self.account, NO_MULTI_LEG, {"symbol": refused, "structure": structure, "sentence": sentence})
        self.book.refuse_multi_leg([refused], self.publish.now().astimezone(NEW_YORK).date())
        self.publish(structure, EventKind.NOTE, sentence)

    def _hold_back(self, request: SubmitOrder, detail: dict[str, object], why: str) -> None:
        """Record that sellctl's own request budget held an order back: the broker has not refused anything."""
        self._write("refused", request.client_order_id, detail)
        self._record(request.client_order_id, Refused(self.clock.monotonic()))
        if _is_exit(request):
            self.publish(request.symbol, EventKind.DENIED, f"not sent: {why}", failed=True)

    def _account_blocked(self, request: SubmitOrder, detail: dict[str, object], answer: BrokerAnswer) -> None:
        """Trading is blocked for the whole account, so this is no reject of the order. The user is told once."""
        self._write("refused", request.client_order_id, detail)
        now = self.clock.monotonic()
        self._record(request.client_order_id, Refused(now))
        if self.book.trading_block.refused(answer.message, now):
            text = f"the broker has blocked trading on this account ({answer.message}); orders are tried again later"
            self.publish("", EventKind.BLOCKED, text, failed=True)

    def _mark_rejected(  # noqa: PLR0913  the facts of one refusal
        self,
        request: SubmitOrder,
        detail: dict[str, object],
        kind: EventKind,
        why: str,
        *,
        counted: bool,
        recovers: bool = False,
    ) -> None:
        """The broker definitely has no such order. `counted` refusals in a row pause the symbol's orders (K4)."""
        self._write("refused", request.client_order_id, detail)
        self._record(request.client_order_id, Refused(self.clock.monotonic(), counted=counted, recovers=recovers))
        if _is_exit(request):
            self.publish(request.symbol, kind, f"the broker refused: {why}", failed=True)
        elif counted:
            self._report_no_backstop(request.symbol, why)

    def _report_no_backstop(self, symbol: str, why: str) -> None:
        """Record a refused backstop for the rest of the day. It doesn't count towards halting the symbol (K4)."""
        sentence = f"the broker refused the backstop ({why}); sellctl continues without one"
        self.journal.note(self.account, NO_BACKSTOP, {"symbol": symbol, "sentence": sentence})
        self.publish(symbol, EventKind.REJECTED, sentence, failed=True)

    # --- cancelling ---------------------------------------------------------------------------------------------------

    async def cancel_all(self, cancels: Sequence[CancelOrder]) -> bool:
        """Request these cancels concurrently, except those under way.

        Return whether any was requested and not refused; the account's next read shows whether they have ended (I4).
        """
        at = self.clock.monotonic()
        await self._intend((), cancels, at)
        return any(await asyncio.gather(*(self._cancel(cancel, at) for cancel in cancels)))

    async def _cancel(self, cancel: CancelOrder, at: float) -> bool:
        """Request a recorded cancel, unless it was requested shortly before `at`. Return False when it failed."""
        self.permit.require()
        order, name = cancel.order, self._name_of(cancel.order)
        effects = self.book.request_cancel(order, at)
        self._report_alerts(name, effects)
        if Cancel() not in effects:
            return False
        self.publish(name, EventKind.CANCELED, cancel.why)
        try:
            await self.broker.cancel(order.id)
        except RequestRejectedError as error:
            if error.refusal is not Refusal.NOT_CANCELABLE and not isinstance(error, NotFoundError):
                self._report_not_cancelled(order, EventKind.REJECTED, f"cancel refused: {error.sentence}")
                return False
        except UnknownOutcomeError as error:
            self._write("cancel_unknown", order.client_order_id, {"error": error.sentence})
        except BrokerError as error:
            self._report_not_cancelled(order, EventKind.DEGRADED, f"cancel failed: {error.sentence}")
            return False
        return True

    def _report_not_cancelled(self, order: Order, kind: EventKind, text: str) -> None:
        self.book.cancel_refused(order)
        self.publish(self._name_of(order), kind, text, failed=True)

    def _name_of(self, order: Order) -> str:
        """The symbol that an order trades, or the name of its structure; its legs where that isn't known."""
        ours = self.book.get(order.client_order_id)
        return ours.symbol if ours else SEPARATOR.join(order.symbols)

    # --- events and effects -------------------------------------------------------------------------------------------

    def _write(self, kind: str, client_order_id: str, detail: dict[str, object]) -> None:
        self.journal.outcome(self.account, client_order_id, kind, detail)

    def _record(self, client_order_id: str, event: OrderEvent) -> tuple[Effect, ...]:
        """Apply an event to its order and report the alerts that follow. Return its effects."""
        order = self.book.get(client_order_id)
        effects = self.book.record(client_order_id, event)
        self._report_alerts(order.symbol if order else "", effects)
        return effects

    async def _record_and_perform(self, client_order_id: str, event: OrderEvent) -> None:
        """Apply an event to its order and carry out the effects."""
        for effect in self._record(client_order_id, event):
            order = self.book.get(client_order_id)
            if isinstance(effect, LookUp):
                await self._look_up(client_order_id)
            elif isinstance(effect, Repeat) and order and order.request:
                send = partial(self._send, order.request, order.why)
                await self.in_flight.track_send(order.symbols[0], send)
            elif isinstance(effect, MarkRejected) and order and order.request:
                detail: dict[str, object] = {"refusal": "not found after a refusal"}
                if order.is_multi_leg:
                    self._write("refused", client_order_id, detail)
                    self._leave_by_legs(order.request, "it has no such order")
                    continue
                self._mark_rejected(
                    order.request, detail, EventKind.REJECTED, "it has no such order", counted=_is_exit(order.request)
                )

    def _report_alerts(self, symbol: str, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Alert):
                self.publish(symbol, EventKind.ALERT, effect.sentence, critical=True)


def _recovers(error: RequestRejectedError) -> bool:
    """Whether a refusal has a known next step: the next poll reads what was in the way, or there is budget again."""
    return error.refusal in _NEXT_STEP or isinstance(error, RateLimitedError)


def _is_free(request: SubmitOrder, held: Mapping[str, Position]) -> bool:
    """Whether the positions still have the quantities that an order would close, free of other orders."""
    sides = {leg.symbol: leg.side for leg in request.legs} or {request.symbol: request.side}
    return all(_is_free_of(request.qty_of(symbol), side, held.get(symbol)) for symbol, side in sides.items())


def _is_free_of(qty: Decimal, side: Side | None, position: Position | None) -> bool:
    if position is None or position.is_long != (side is Side.SELL):
        return False
    free = position.qty if position.available is None else min(position.qty, position.available)
    return free >= qty


def _is_exit(request: SubmitOrder) -> bool:
    return Purpose.of(request.client_order_id) is Purpose.EXIT


def _sent_text(request: SubmitOrder, why: str) -> str:
    """The message about a sent order: its price and reason, or the terms of a backstop."""
    what = f"{request.side.value} {request.qty:f}"
    if Purpose.of(request.client_order_id) is Purpose.BACKSTOP:
        return f"{HANDLING[Purpose.BACKSTOP].label}{what} {terms_of(request)}"
    price = "at market"
    if request.limit_price is not None:
        price = as_limit(request.limit_price, is_net=bool(request.legs))
    return f"{what} {price}: {why}"


def _fill_text(managed: ManagedOrder, order: Order) -> str:
    """The average price of an order's fills, what they brought where that is known, and why it was sent."""
    price = _price_text(order.filled_avg_price, is_net=managed.is_multi_leg)
    pnl = managed.basis.profit(managed.price_of(order), order.filled_qty)
    in_all = " in all" if managed.filled else ""
    brought = "" if pnl is None else f", {as_profit(pnl)}{in_all}"
    is_named = managed.reason and managed.purpose is not Purpose.BACKSTOP  # whose label says it
    return f"{price}{brought}{f': {reason_name(managed.reason)}' if is_named else ''}"


def _price_text(price: Decimal | None, *, is_net: bool) -> str:
    if price is None:
        return "an unknown price"
    return as_net(price) if is_net else as_dollars(price)


# A multi-leg order that is refused so is not tried again on the same day.
_NOT_AS_ONE = frozenset({Refusal.OPTIONS_LEVEL, Refusal.UNCOVERED, Refusal.OTHER})
_IN_THE_WAY = frozenset({Refusal.INSUFFICIENT_QTY, Refusal.WASH_TRADE})
# The next poll re-reads positions and orders and decides again; the sentence gives the cause of the refusal.
_NEXT_STEP = {
    Refusal.INSUFFICIENT_QTY: "another order holds the quantity; positions and orders are read again",
    Refusal.WASH_TRADE: "an opposite order rests (wash-trade rule); orders are read again",
    Refusal.UNCOVERED: "it covers a short, which closes first",
    Refusal.INTENT_MISMATCH: "the position is gone or has changed; it is read again",
}
