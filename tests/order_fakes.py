"""A broker, a journal and a clock in memory, for tests of what drives the order book."""

import asyncio
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from builders import at, replace

from sellctl.core.errors import BrokerAnswer, JournalError, NotFoundError, Refusal, RequestRejectedError
from sellctl.core.model.episode import Episode
from sellctl.core.model.instrument import Instrument
from sellctl.core.model.intent import IntendedOrder, Intent, OpenOrder
from sellctl.core.model.market import Quote
from sellctl.core.model.order import Order, with_legs
from sellctl.core.model.plan import CancelOrder, SubmitOrder


@dataclass
class FakeClock:
    """A clock that moves when a test, or somebody who waits, moves it. It starts at noon."""

    seconds: float = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> dt.datetime:
        return at("12:00") + dt.timedelta(seconds=self.seconds)

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def as_shown(request: SubmitOrder, status: str = "new", filled: str = "0") -> Order:
    """A sent order as the broker shows it."""
    return Order(
        id=f"b-{request.client_order_id[-6:]}",
        client_order_id=request.client_order_id,
        symbol=request.symbol,
        side=request.side,
        status=status,
        type=request.type,
        time_in_force=request.time_in_force,
        qty=request.qty,
        filled_qty=Decimal(filled),
        submitted_at=at("12:00"),
        limit_price=request.limit_price,
        filled_avg_price=Decimal("0.70") if Decimal(filled) else None,
    )


def as_shown_with_legs(request: SubmitOrder, status: str = "new", filled: str = "0", net: str = "-1.10") -> Order:
    """A sent multi-leg order as a list of the broker shows it."""
    parent = as_shown(request, status, filled)
    price = Decimal(net) if Decimal(filled) else None
    parent = replace(parent, symbol="", side=None, order_class="mleg", filled_avg_price=price)
    return with_legs(parent, request.legs)


def refusal(kind: Refusal = Refusal.OTHER, message: str = "no") -> RequestRejectedError:
    """A definite no of the broker."""
    return RequestRejectedError(f"Refused: {message}.", answer=BrokerAnswer(403, 40310000, message), refusal=kind)


@dataclass
class FakeBroker:
    """Holds orders by our id. `answers` are raised, one per submission or cancel; without any the broker obeys.

    An order in `lost` arrives although its submission is answered by an error. `requests` is what it was asked.
    """

    name: str = "main"
    orders: dict[str, Order] = field(default_factory=dict)
    answers: list[Exception] = field(default_factory=list)
    cancel_answers: list[Exception] = field(default_factory=list)
    look_up_answers: list[Exception] = field(default_factory=list)
    arrives: bool = False  # what is answered by an error arrives all the same
    ends_on_cancel: bool = True
    never_answers_cancels: bool = False
    hides_legs: bool = False
    requests: list[str] = field(default_factory=list)

    def body(self, order: SubmitOrder) -> Mapping[str, str]:
        return {"client_order_id": order.client_order_id, "qty": f"{order.qty:f}"}

    async def submit(self, order: SubmitOrder) -> Order:
        self.requests.append(f"submit {order.qty:f}")
        error = self.answers.pop(0) if self.answers else None
        if error is None or self.arrives:
            self.orders[order.client_order_id] = as_shown_with_legs(order) if order.legs else as_shown(order)
        if error:
            raise error
        shown = self.orders[order.client_order_id]
        return replace(shown, legs=()) if self.hides_legs else shown

    async def order_by_client_id(self, client_order_id: str) -> Order:
        self.requests.append("look up")
        if self.look_up_answers:
            raise self.look_up_answers.pop(0)
        if client_order_id not in self.orders:
            raise NotFoundError("Not found.", answer=BrokerAnswer(404, None, "order not found"))
        return self.orders[client_order_id]

    async def cancel(self, order_id: str) -> None:
        self.requests.append("cancel")
        if self.never_answers_cancels:
            await asyncio.Event().wait()
        if self.cancel_answers:
            raise self.cancel_answers.pop(0)
        for client_order_id, order in self.orders.items():
            if order.id == order_id:
                status = "canceled" if self.ends_on_cancel else "pending_cancel"
                self.orders[client_order_id] = replace(order, status=status)

    def shows(self, client_order_id: str, **changes: Any) -> Order:
        """Change an order at the broker."""
        self.orders[client_order_id] = replace(self.orders[client_order_id], **changes)
        return self.orders[client_order_id]


def as_texts(orders: Sequence[IntendedOrder], cancels: Sequence[CancelOrder]) -> tuple[str, ...]:
    """What is recorded together: "send SYMBOL", "cancel ID"."""
    sends = [f"send {order.request.symbol}" for order in orders]
    return (*sends, *(f"cancel {cancel.order.id}" for cancel in cancels))


@dataclass
class FakeJournal:
    """Rows in memory. `broken` names the kinds that can't be written; `decisions` is what was intended together."""

    rows: list[tuple[str, str]] = field(default_factory=list)  # kind, client order id or symbol
    broken: set[str] = field(default_factory=set)
    decisions: list[tuple[str, ...]] = field(default_factory=list)
    left_open: tuple[OpenOrder, ...] = ()
    intents: dict[str, Intent] = field(default_factory=dict)
    fences: list[int | None] = field(default_factory=list)
    noted: tuple[str, ...] = ()
    late_fills: dict[str, dt.datetime] = field(default_factory=dict)
    _filled: dict[str, Decimal] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.rows]

    def _write(self, kind: str, about: str) -> None:
        if kind in self.broken:
            raise JournalError("The disk is full.")
        self.rows.append((kind, about))

    async def intend(
        self,
        _account: str,
        orders: Sequence[IntendedOrder],
        cancels: Sequence[CancelOrder],
        *,
        fence: int | None = None,
    ) -> None:
        self.fences.append(fence)
        rows = [("intent", order.request.client_order_id) for order in orders]
        rows += [("cancel", cancel.order.symbol) for cancel in cancels]
        if self.broken.intersection(kind for kind, _ in rows):
            raise JournalError("The disk is full.")
        self.rows += rows
        self.decisions.append(as_texts(orders, cancels))

    def intent_of(self, _account: str, client_order_id: str) -> Intent | None:
        return self.intents.get(client_order_id)

    async def accepted(self, _account: str, client_order_id: str, _detail: Mapping[str, object]) -> None:
        self._write("accepted", client_order_id)

    def outcome(self, _account: str, client_order_id: str, kind: str, _detail: Mapping[str, object]) -> None:
        self._write(kind, client_order_id)

    def record_fill(self, _account: str, client_order_id: str, detail: Mapping[str, object]) -> Decimal:
        total = Decimal(str(detail["filled_qty"]))
        new = total - self._filled.get(client_order_id, Decimal(0))
        if new > 0:
            self._write("fill", client_order_id)
            self._filled[client_order_id] = total
        return max(new, Decimal(0))

    def note(self, _account: str, kind: str, detail: Mapping[str, object]) -> None:
        self._write(kind, str(detail["symbol"]))

    def noted_today(self, _account: str, _kind: str) -> Sequence[str]:
        return self.noted

    def filled_since(self, _account: str, _start: dt.datetime) -> Mapping[str, dt.datetime]:
        return self.late_fills

    def open_orders(self, _account: str) -> Sequence[OpenOrder]:
        return self.left_open


@dataclass
class FakeEpisodeStore:
    """Episodes in memory."""

    episodes: dict[str, Episode] = field(default_factory=dict)

    def load(self, _account: str) -> dict[str, Episode]:
        return dict(self.episodes)

    async def save(self, _account: str, episodes: Mapping[str, Episode]) -> None:
        self.episodes = dict(episodes)


class NoQuotes:
    """A source that has none."""

    last_problems: tuple[str, ...] = ()

    async def latest(self, _instruments: Collection[Instrument]) -> dict[str, Quote]:
        return {}
