"""The state of one account's orders: the open ones, the exits in progress, counts, rejects and blocks.

Only `OrderManager` changes the orders in the book, by events; other modules read them.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from decimal import Decimal

from msgspec.structs import replace

from sellctl.core.model.instrument import an_option
from sellctl.core.model.intent import OpenOrder
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.position import BACKSTOP_ALLOWED, BackstopState, ExitProgress, OrderCount, Position
from sellctl.core.orders.managed_order import CancelRequest, ManagedOrder, ManagedState, Purpose
from sellctl.core.orders.order_events import (
    Adopted,
    Cancel,
    CancelRefused,
    CancelRequested,
    Effect,
    Ended,
    OrderEvent,
    Refused,
)
from sellctl.core.orders.order_rate import OrderRate, RejectStreak, TradingBlock
from sellctl.core.orders.replay import restored
from sellctl.core.orders.transitions import apply, ask_to_cancel

# An exit whose last order ended this long ago is over: the next one starts at the first step of its price ladder.
EXIT_OVER_SECONDS = 60.0


class OrderBook:
    """The orders of one account. All times are in monotonic seconds."""

    def __init__(self) -> None:
        self.trading_block = TradingBlock()
        self._rate = OrderRate()
        self._open: dict[str, ManagedOrder] = {}  # by client order id
        self._exits: dict[str, ManagedOrder] = {}  # by symbol, the last order of its exit, also once it has ended
        self._cancels_of_users_orders: dict[str, CancelRequest] = {}  # by the broker's id
        self._rejected: set[str] = set()
        self._refused_backstops: set[str] = set()
        self._backstop_pauses: dict[str, float] = {}  # end of the pause, by symbol

    # --- orders -------------------------------------------------------------------------------------------------------

    @property
    def open(self) -> tuple[ManagedOrder, ...]:
        """Every order without a known end, in the order in which they were added."""
        return tuple(self._open.values())

    def get(self, client_order_id: str) -> ManagedOrder | None:
        """The open order with this id."""
        return self._open.get(client_order_id)

    @property
    def pending_count(self) -> int:
        """The number of orders still in progress: exits, and backstops of unknown outcome."""
        return sum(order.is_pending for order in self._open.values())

    @property
    def pending_symbols(self) -> tuple[str, ...]:
        """The symbols of the orders still in progress."""
        return tuple(sorted({leg.symbol for order in self._open.values() if order.is_pending for leg in order.legs}))

    @property
    def symbols_with_backstop(self) -> tuple[str, ...]:
        """The symbols under which a backstop rests at the broker."""
        resting = (order for order in self._open.values() if order.purpose is Purpose.BACKSTOP and not order.is_unknown)
        return tuple(sorted({order.symbol for order in resting}))

    @property
    def unknown(self) -> tuple[str, ...]:
        """Client order ids of unknown outcome."""
        return tuple(order.client_order_id for order in self._open.values() if order.is_unknown)

    @property
    def pending_cancel_ids(self) -> frozenset[str]:
        """The broker's ids of orders whose cancel was requested and that have not ended yet."""
        ours = {order.order_id for order in self._open.values() if order.cancel}
        return frozenset(ours | self._cancels_of_users_orders.keys())

    def unresolved(self) -> Mapping[str, Decimal]:
        """By symbol, the quantity of orders missing from the broker's latest responses; other symbols are absent."""
        found: dict[str, Decimal] = {}
        for order in self._open.values():
            if order.unseen:
                for leg in order.legs:
                    found[leg.symbol] = found.get(leg.symbol, ZERO) + order.unresolved * leg.ratio
        return found

    # --- exits --------------------------------------------------------------------------------------------------------

    def exit_progress(self, symbol: str, now: float) -> ExitProgress | None:
        """The progress of the exit under way; None without one, or EXIT_OVER_SECONDS after its last order ended."""
        last = self._exits.get(symbol)
        if last is None or (last.ended_at is not None and now - last.ended_at > EXIT_OVER_SECONDS):
            return None
        return ExitProgress(
            reason=last.reason,
            urgency=last.urgency,
            step=last.step,
            age=dt.timedelta(seconds=now - last.sent_at),
            client_order_id=last.client_order_id,
            limit_price=last.limit_price,
        )

    def order_count(self, now: float) -> OrderCount:
        """The account's orders of the last minute, not counting backstops."""
        return self._rate.order_count(now)

    def order_counts_by_symbol(self, now: float) -> Mapping[str, OrderCount]:
        """The orders of the last minute by symbol, not counting backstops; symbols without any are absent."""
        return self._rate.order_counts_by_symbol(now)

    def rejects(self, symbol: str, now: float) -> RejectStreak:
        """How many orders for a symbol in a row were refused or rejected, and when the last one was."""
        return self._rate.rejects(symbol, now)

    @property
    def rejected(self) -> tuple[str, ...]:
        """The symbols with a rejected order without automatic recovery, and no fill since."""
        return tuple(sorted(self._rejected))

    # --- backstops ----------------------------------------------------------------------------------------------------

    def backstop_state(self, position: Position, now: float) -> BackstopState:
        """Whether the broker refuses backstops for a position, and whether the next one is paused."""
        refused = self.is_refused_a_backstop(position)
        paused = now < self._backstop_pauses.get(position.symbol, now)
        return BackstopState(refused, paused) if refused or paused else BACKSTOP_ALLOWED

    def is_refused_a_backstop(self, position: Position) -> bool:
        """Whether the broker refuses backstops for a position. A refusal for one option counts for all options."""
        if not self._refused_backstops or not position.instrument.is_option:
            return position.symbol in self._refused_backstops
        return any(an_option(symbol) for symbol in self._refused_backstops)

    # --- changes ------------------------------------------------------------------------------------------------------

    def reserve(self, order: ManagedOrder) -> None:
        """Count an order before it is recorded, so that concurrent decisions include it (K2)."""
        if order.handling.counts:
            self._rate.reserve(order.client_order_id, order.symbol, order.urgency)

    def is_reserved(self, symbol: str) -> bool:
        """Whether an order for the symbol is reserved: about to be recorded and sent."""
        return self._rate.is_reserved(symbol)

    def release(self, client_order_id: str) -> None:
        """Remove a reserved order whose intent could not be recorded; does nothing if it was recorded meanwhile."""
        self._rate.release(client_order_id)

    def add_recorded(self, order: ManagedOrder) -> None:
        """Add an order that is recorded and about to be sent."""
        self._rate.release(order.client_order_id)
        self._open[order.client_order_id] = order
        if order.purpose is Purpose.EXIT:
            self._exits[order.symbol] = order
        if order.handling.counts:
            self._rate.sending(order.symbol, order.urgency, order.sent_at)

    def restore(self, recorded: OpenOrder) -> None:
        """Add an order that an earlier process left open. An order that is in the book already stays as it is."""
        self._open.setdefault(recorded.intent.client_order_id, restored(recorded))

    def add_discovered(self, order: ManagedOrder) -> None:
        """Add an order of ours that the broker shows; the caller then records an Adopted event."""
        self._open[order.client_order_id] = order

    def record(self, client_order_id: str, event: OrderEvent) -> tuple[Effect, ...]:
        """Apply an event to an open order. Returns what to do now; nothing for an order that has ended."""
        before = self._open.get(client_order_id)
        if before is None:
            return ()
        after, effects = apply(before, event)
        if after.is_terminal:
            del self._open[client_order_id]
        else:
            self._open[client_order_id] = after
        self._follow_exit(after, event)
        self._count(before, after, event)
        return effects

    def may_request_cancel(self, order: Order, at: float) -> bool:
        """Whether to send a cancel request; False shortly after the previous request."""
        known = self._open.get(order.client_order_id)
        request = known.cancel if known else self._cancels_of_users_orders.get(order.id)
        return Cancel() in ask_to_cancel(request, at)[1]

    def request_cancel(self, order: Order, at: float) -> tuple[Effect, ...]:
        """Request the cancel of any order. The effects include Cancel when the request is to be sent now."""
        if order.client_order_id in self._open:
            return self.record(order.client_order_id, CancelRequested(order.id, at))
        self._cancels_of_users_orders[order.id], effects = ask_to_cancel(
            self._cancels_of_users_orders.get(order.id), at
        )
        return effects

    def cancel_refused(self, order: Order) -> None:
        """Record that the broker refused the cancel of an order."""
        self.record(order.client_order_id, CancelRefused())

    def cancel_ended(self, order: Order) -> None:
        """Record that an order whose cancel was requested has ended at the broker."""
        self._cancels_of_users_orders.pop(order.id, None)

    def forget_cancels_except(self, open_ids: Collection[str]) -> None:
        """Forget the cancels of the user's orders, except of those that the broker still lists as open."""
        for order_id in self._cancels_of_users_orders.keys() - open_ids:
            del self._cancels_of_users_orders[order_id]

    def mark_unseen_except(self, client_order_ids: Collection[str]) -> None:
        """Mark as unseen every order of this process except these, which the broker's view shows.

        The broker may not show an order for a while after it was accepted, or sent again.
        """
        for order in tuple(self._open.values()):
            if order.request and order.client_order_id not in client_order_ids:
                self._open[order.client_order_id] = replace(order, unseen=True)

    def position_closed(self, symbol: str) -> None:
        """Remove the exit and the pause of a symbol, because its position is closed or has changed sides."""
        self._exits.pop(symbol, None)
        self._backstop_pauses.pop(symbol, None)

    def record_backstop_refusals(self, symbols: Collection[str]) -> None:
        """Record that the broker refused backstops for these symbols earlier today."""
        self._refused_backstops.update(symbols)

    def _follow_exit(self, after: ManagedOrder, event: OrderEvent) -> None:
        """Update the last order of the exit.

        The exit is removed if its order has step 0: its only order was refused. An adopted order with a step starts an
        exit where there is none.
        """
        if after.purpose is not Purpose.EXIT:
            return
        last = self._exits.get(after.symbol)
        if last is not None and last.client_order_id == after.client_order_id:
            if after.step:
                self._exits[after.symbol] = after
            else:
                del self._exits[after.symbol]
        elif last is None and after.step and isinstance(event, Adopted):
            self._exits[after.symbol] = after

    def _count(self, before: ManagedOrder, after: ManagedOrder, event: OrderEvent) -> None:
        """Update the number of rejects in a row, and the pause before the next backstop."""
        symbol, handling = after.symbol, after.handling
        if after.filled > before.filled:
            self._rejected.discard(symbol)
        if not after.is_terminal or not isinstance(event, Refused | Ended):
            return
        refused = isinstance(event, Refused)
        rejected = event.counted if isinstance(event, Refused) else event.state is ManagedState.REJECTED
        if after.purpose is Purpose.BACKSTOP:
            pause = handling.pause_after_refusal if refused else handling.pause_after_end
            self._backstop_pauses[symbol] = event.at + pause
            if rejected:
                self._refused_backstops.add(symbol)
        elif rejected:
            recovers = isinstance(event, Refused) and event.recovers
            self._rate.rejected(symbol, event.at, recoverable=recovers)
            if not recovers:
                self._rejected.add(symbol)
        elif not refused:
            self._rate.clear_rejects(symbol)
