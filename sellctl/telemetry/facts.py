"""What telemetry is told: one frozen value per kind of fact, made on the event loop and used in another thread."""

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from sellctl.core.model.event import Event
from sellctl.core.model.intent import IntendedOrder
from sellctl.core.model.plan import CancelOrder, Plan
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.ports import RequestMade


class QuoteTimes(Struct, frozen=True):
    """When quotes of a symbol arrived, in monotonic seconds: the newest, and the first of those that confirm a stop."""

    newest: float | None = None
    first: float | None = None


class Planned(Struct, frozen=True):
    """A plan was carried out; `snapshot.on_tick` unless a poll made it."""

    snapshot: Snapshot
    plan: Plan


class Intended(Struct, frozen=True):
    """The intents of one decision are on disk. `began` is when they were about to be written, in monotonic seconds."""

    account: str
    orders: tuple[IntendedOrder, ...]
    cancels: tuple[CancelOrder, ...]
    began: float
    quotes: Mapping[str, QuoteTimes]


class Recorded(Struct, frozen=True):
    """Something that the journal has about an order: "accepted", "canceled", "refused" ..."""

    account: str
    client_order_id: str
    kind: str


class Filled(Struct, frozen=True):
    """An order filled `qty` more. `price` is the average of all its fills; None where the broker names none."""

    account: str
    client_order_id: str
    symbol: str
    qty: Decimal
    price: Decimal | None


class LeaseChanged(Struct, frozen=True):
    """This host has won, given up or lost the lease of an account."""

    account: str
    change: str


Fact = Planned | Intended | Recorded | Filled | RequestMade | LeaseChanged | Event
