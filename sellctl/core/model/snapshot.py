"""Everything besides the policy that a decision depends on: one immutable value per account."""

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Generic, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from sellctl.core.model.market import Market, Quote
from sellctl.core.model.order import Order
from sellctl.core.model.plan import Urgency
from sellctl.core.model.position import NOTHING_SENT, Holding, OrderCount, Position, PositionState

T = TypeVar("T")


class InvalidRow(Struct, frozen=True):
    """A row that could not be read; the others are still used.

    `symbol` is "" when it was unreadable too, and in quotes when it is a text that can't be a symbol: then the row
    belongs to no symbol that is traded. `is_order` tells a row of the open orders, which can't be the cover of a short.
    """

    symbol: str
    why: str
    is_order: bool = False


class Rows(Struct, Generic[T], frozen=True):
    """A complete list from the broker, and those of its rows that could not be read."""

    rows: tuple[T, ...]
    invalid: tuple[InvalidRow, ...] = ()


class AccountFacts(Struct, frozen=True):
    """An account: its name in the configuration, its number at the broker, and what the broker lets it do."""

    name: str
    number: str
    paper: bool = True
    blocked: str = ""  # the broker's reason why trading is blocked; "" when it isn't
    equity: Decimal | None = None  # dollars now, and at the previous close; None when unknown
    last_equity: Decimal | None = None
    transfers: Decimal | None = None  # dollars paid in since then, below zero when paid out; None when unknown
    options_level: int | None = None  # up to which options may be traded; None when unknown


class AccountSettings(Struct, frozen=True):
    """An account's options level, and whether short selling is disabled; None where that is unknown."""

    options_level: int | None = None
    no_shorting: bool | None = None


class CloseTerms(Struct, frozen=True):
    """How a position or structure is closed by hand, where that isn't all of it at the usual pace.

    `qty` is how much is to be closed in all, in contracts, shares or units of a structure, and `parts` the same by
    symbol; None and empty for all of it. `limit` is the worst price in dollars per share, of a structure net per unit;
    None when any will do. `urgency` is the class whose prices the orders walk. `since` is when the request began, by
    the broker's clock. `before` and `filled` are what our orders on each symbol had filled then and have filled now, by
    client order id.
    """

    qty: Decimal | None = None
    limit: Decimal | None = None
    urgency: Urgency = Urgency.PROTECTIVE
    parts: Mapping[str, Decimal] = field(default_factory=dict)
    since: dt.datetime | None = None
    before: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    filled: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)


class Snapshot(Struct, frozen=True):
    """One account at one instant of the broker's clock.

    `orders` are the open orders. `history` has all of today's orders, in any state, of the symbols that were looked up;
    a symbol that is absent was not looked up. `positions_at` is when the positions were requested. `manual_closes` are
    symbols and names of structures that the user asked to close, and `close_terms` how, where that isn't all of it at
    the usual pace; `panic` are those to close even while `halted`, which says why no other order may be sent.
    `order_count` is the account's orders of the last minute. `exempt` are symbols, underlyings and names of structures
    that the user exempted. `named` are the structures that the user names by their names, each with the user's own name
    for it ("": none). `tripped_limit` is the account guard's limit that was reached earlier today. `underlyings` are
    quotes of underlyings, where a rule uses them. `structures` is the stored state of the held structures by name.
    `no_multi_leg` are the structures of which the broker refused a multi-leg order today; "" stands for all. `missing`
    are short options that were held and that the last reads of the positions don't show, too few of them to prove that
    they are gone. `unbooked_splits` are underlyings of which a position may not show today's split, so that the equity
    may be wrong. With `on_tick`, only exits are decided, from an earlier poll's positions and orders.
    """

    account: AccountFacts
    market: Market
    holdings: tuple[Holding, ...]
    orders: tuple[Order, ...]
    positions_at: dt.datetime
    history: Mapping[str, tuple[Order, ...]] = field(default_factory=dict)
    invalid: tuple[InvalidRow, ...] = ()
    manual_closes: frozenset[str] = frozenset()
    panic: frozenset[str] = frozenset()
    halted: str = ""
    order_count: OrderCount = field(default=NOTHING_SENT, name="sent")
    exempt: frozenset[str] = frozenset()
    tripped_limit: str = field(default="", name="tripped")
    underlyings: Mapping[str, Quote] = field(default_factory=dict)
    structures: Mapping[str, PositionState] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)
    unbooked_splits: tuple[str, ...] = ()
    on_tick: bool = False
    no_multi_leg: frozenset[str] = frozenset()
    missing: tuple[Position, ...] = ()
    close_terms: Mapping[str, CloseTerms] = field(default_factory=dict)

    def with_history(self, history: Mapping[str, tuple[Order, ...]]) -> "Snapshot":
        """This snapshot with today's orders of more symbols."""
        return replace(self, history={**self.history, **history})
