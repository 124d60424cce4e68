"""What was decided: every holding exactly once, each with its sentence, and the orders and cancels that follow."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import IntEnum, StrEnum

from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import Order, OrderType, PositionIntent, Side
from sellctl.core.model.position import Holding, Position


class Urgency(IntEnum):
    """The class of an exit: a lower number pre-empts a higher one."""

    FORCED = 0
    PROTECTIVE = 1
    TIME = 2
    PROFIT = 3


class Reason(StrEnum):
    """Why a holding leaves, in the order of the table: the first true one names the exit."""

    PANIC = "panic"
    ZERO_DAY = "zero_day"
    UNCOVERED_SHORT = "uncovered_short"
    STOP_LOSS = "stop_loss"
    CLOSED_BY_HAND = "closed_by_hand"
    TAKE_PROFIT = "take_profit"


PRECEDENCE = {reason: place for place, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True)
class ExitSignal:
    """A rule's word that a holding should leave: how much, why, how urgently. A price is not a rule's business."""

    holding: Holding
    qty: Decimal
    reason: Reason
    detail: str
    urgency: Urgency
    also: tuple[str, ...] = ()  # the details of every other true reason
    floor: Decimal | None = None  # a target never sells below the price that met it

    @property
    def sentence(self) -> str:
        """The reason as the user reads it."""
        return "; ".join((self.detail, *self.also))


class SizeError(ValueError):
    """An order outside 0 < qty <= available was asked for: a bug of ours, and no order."""


@dataclass(frozen=True, slots=True)
class SubmitOrder:
    """An order about to be sent. `closing` is the only constructor in use."""

    client_order_id: str
    symbol: str
    asset_class: AssetClass
    side: Side
    qty: Decimal
    type: OrderType
    limit_price: Decimal | None
    position_intent: PositionIntent
    time_in_force: str = "day"

    @classmethod
    def closing(
        cls, position: Position, qty: Decimal, free: Decimal, *, client_order_id: str, limit_price: Decimal | None
    ) -> "SubmitOrder":
        """The order that closes `qty` of a position; a limit at `limit_price` dollars, or a market order without one.

        Raises SizeError unless 0 < qty <= free <= what is held.
        """
        if not (qty.is_finite() and 0 < qty <= free <= position.qty):
            raise SizeError(f"{position.symbol}: {qty} is not above 0 and within {free} free of {position.qty} held")
        return cls(
            client_order_id=client_order_id,
            symbol=position.symbol,
            asset_class=position.instrument.asset_class,
            side=Side.SELL if position.is_long else Side.BUY,
            qty=qty,
            type=OrderType.MARKET if limit_price is None else OrderType.LIMIT,
            limit_price=limit_price,
            position_intent=PositionIntent.SELL_TO_CLOSE if position.is_long else PositionIntent.BUY_TO_CLOSE,
        )


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """An order about to be cancelled, and why."""

    order: Order
    why: str


class State(StrEnum):
    """Where a holding stands after a decision."""

    HELD = "held"  # no rule is true, or none applies
    LEAVING = "leaving"  # an exit is working or about to
    BLOCKED = "blocked"  # the user's own order holds the quantity
    DENIED = "denied"  # a rule is true and a guard of ours said no
    FAULT = "fault"  # it could not be judged


@dataclass(frozen=True, slots=True)
class Trigger:
    """A price at which a rule would become true, on the quote's side that the rule looks at."""

    reason: Reason
    price: Decimal
    distance: Decimal | None  # (price - now) / now; None without a usable price


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one place of a holding in a plan.

    `submit` is the order to send now. `cancel_first` are orders to end before anything can be sent; the order itself
    then follows from the next look. `alert` marks what a person should hear of at once.
    """

    holding: Holding
    state: State
    sentence: str
    signal: ExitSignal | None = None
    submit: SubmitOrder | None = None
    cancel_first: tuple[CancelOrder, ...] = ()
    objections: tuple[str, ...] = ()
    gain: Decimal | None = None
    triggers: tuple[Trigger, ...] = ()
    alert: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Every holding exactly once, most urgent first, and the stale orders to cancel.

    `needs_history` names symbols with an exit due whose orders of today were not in the snapshot: look them up and
    decide again; until then nothing is sent for them.
    """

    account: str
    made_at: dt.datetime
    verdicts: tuple[Verdict, ...]
    stale: tuple[CancelOrder, ...] = ()
    faults: tuple[str, ...] = ()
    needs_history: frozenset[str] = frozenset()

    def of(self, state: State) -> tuple[Verdict, ...]:
        """The verdicts in one state."""
        return tuple(verdict for verdict in self.verdicts if verdict.state is state)

    @property
    def submits(self) -> tuple[Verdict, ...]:
        """The verdicts with an order to send, most urgent first."""
        return tuple(verdict for verdict in self.verdicts if verdict.submit)

    @property
    def is_due(self) -> bool:
        """Whether a rule wants a holding out, whatever stands in the way."""
        return any(verdict.signal for verdict in self.verdicts)

    @property
    def cancels(self) -> tuple[CancelOrder, ...]:
        """Every order to cancel: those in the way of an exit first, then the stale ones."""
        by_id = {cancel.order.id: cancel for cancel in (*self.stale, *reversed(tuple(self._in_the_way())))}
        return tuple(reversed(by_id.values()))

    @property
    def acts(self) -> bool:
        """Whether anything would be sent or cancelled."""
        return bool(self.submits or self.cancels)

    def _in_the_way(self) -> Iterator[CancelOrder]:
        for verdict in self.verdicts:
            yield from verdict.cancel_first

    def only(self, symbols: frozenset[str]) -> "Plan":
        """The same plan with nothing carried out but for these symbols."""
        return replace(
            self,
            verdicts=tuple(v for v in self.verdicts if v.holding.symbol in symbols),
            stale=tuple(cancel for cancel in self.stale if cancel.order.symbol in symbols),
        )
