"""A recorded exit: the position when it was decided, its orders and its fills; and totals over those that filled."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from sellctl.core.model.gain import Total, total_of
from sellctl.core.model.plan import REASONS, Reason
from sellctl.core.model.position import Holding

CONTRACT = Decimal(100)  # shares per contract, as in the broker's profit and loss figures
_ZERO = Decimal(0)


class Point(Struct, frozen=True):
    """The quote at one instant, in dollars per share; None for an unknown side."""

    at: dt.datetime
    bid: Decimal | None
    ask: Decimal | None


class SentOrder(Struct, frozen=True):
    """One order of an exit. `price` is its limit in dollars per share, of a structure net as in `Exit`; None at market.

    `symbol` is what it closes: the position or structure, or a leg or part of it. `ended` is how it ended in the words
    of the broker, or of sellctl where it never got there; "" while it works or its outcome is unknown. `message` is the
    broker's when it refused the order.
    """

    at: dt.datetime
    symbol: str
    qty: Decimal
    price: Decimal | None
    ended: str = ""
    message: str = ""


class HistoryKind(StrEnum):
    """What became of an exit, or of an order that sellctl cancelled."""

    CLOSED = "closed"
    PARTLY_CLOSED = "partly closed"
    WORKING = "working"  # or its outcome is unknown
    NOT_FILLED = "not filled"
    REJECTED = "rejected"  # by the broker
    NOT_SENT = "not sent"  # a check of sellctl refused it, or it never got there
    BLOCKED = "blocked"  # by an order of the user's
    CANCELLED_STALE = "cancelled stale"
    CANCELLED = "cancelled"  # an order of the user's that was in the way of an exit


_REJECTED = frozenset({"refused", "rejected"})
_NEVER_THERE = frozenset({"absent", "denied", "not_sent"})


class Part(Struct, frozen=True):
    """One fill: its quantity, and its price in dollars per share; None when the broker gave none.

    Of a structure, units at a net price. `by_legs` means that it is put together from fills of the legs.
    """

    at: dt.datetime
    qty: Decimal
    price: Decimal | None
    by_legs: bool = False


class LegFill(Struct, frozen=True):
    """One fill of a leg that left by itself, or of a part of a structure, with its name, in units at a net price.

    `unit` is the dollars per dollar of its price: of a contract 100, of a share 1, negative for a short leg.
    """

    symbol: str
    at: dt.datetime
    qty: Decimal
    price: Decimal | None
    entry: Decimal | None
    unit: Decimal

    @property
    def pnl(self) -> Decimal | None:
        """Its profit in dollars; None while its price or the entry price is unknown."""
        return None if self.price is None or self.entry is None else (self.price - self.entry) * self.qty * self.unit


class Exit(Struct, frozen=True):
    """One exit. Prices are dollars per share; slippage is a cost: above zero when the fill was worse.

    That of a structure has its name as the symbol, units as its quantity, and net prices: what one unit brought, of a
    structure that was sold what it cost. A unit counts once all of its legs are closed.
    """

    account: str
    symbol: str
    reason: str
    day: str
    began: dt.datetime
    strategy: str = ""
    asked: Decimal = _ZERO
    steps: int = 0
    decided_on: Holding | None = None  # with the quote at decision; None when its plan was deleted
    stop: Decimal | None = None
    parts: tuple[Part, ...] = ()
    path: tuple[Point, ...] = ()
    row: int = 0  # the journal's row with which it began
    way: str = ""  # how a structure left: "as one order", "in parts", "by legs", or several; "" for anything else
    fills_of_legs: tuple[LegFill, ...] = ()  # also those that complete no unit
    why: str = ""  # the sentence with which its first order was sent
    target: Decimal | None = None
    orders: tuple[SentOrder, ...] = ()

    @property
    def qty(self) -> Decimal:
        """The quantity filled."""
        return sum((part.qty for part in self.parts), _ZERO)

    @property
    def held(self) -> Decimal:
        """The quantity that was held when it was decided; what was asked for where that is unknown."""
        return self.decided_on.position.qty if self.decided_on else self.asked

    @property
    def kind(self) -> HistoryKind:
        """What became of it."""
        if self.is_filled:
            return HistoryKind.CLOSED if self.qty >= self.held else HistoryKind.PARTLY_CLOSED
        if not self.orders or any(not order.ended for order in self.orders):
            return HistoryKind.WORKING
        ended = self.orders[-1].ended
        if ended in _REJECTED:
            return HistoryKind.REJECTED
        return HistoryKind.NOT_SENT if ended in _NEVER_THERE else HistoryKind.NOT_FILLED

    @property
    def sentence(self) -> str:
        """Why it was closed, and where the broker refused its last order, what it said."""
        if self.reason == Reason.BACKSTOP:
            return REASONS[Reason.BACKSTOP].means
        if self.kind is not HistoryKind.REJECTED:
            return self.why
        return f"{self.why}; Alpaca refused the order: {self.orders[-1].message or 'it gave no reason'}"

    @property
    def last_at(self) -> dt.datetime:
        """When it last filled; when its last order was sent while nothing has."""
        fills = [*(part.at for part in self.parts), *(fill.at for fill in self.fills_of_legs)]
        return max(fills or [order.at for order in self.orders] or [self.began])

    @property
    def is_filled(self) -> bool:
        """Whether anything has filled, if only a leg."""
        return bool(self.parts or self.fills_of_legs)

    @property
    def price(self) -> Decimal | None:
        """The average price of the fills; None while there is none, and when one came without a price."""
        total = _total(None if part.price is None else part.qty * part.price for part in self.parts)
        return total / self.qty if total is not None and self.qty else None

    @property
    def bid(self) -> Decimal | None:
        """The price one could get at decision: the bid; for a short, the ask."""
        return self.decided_on.exit_price if self.decided_on else None

    @property
    def mid(self) -> Decimal | None:
        """The mid of the quote at decision."""
        return self.decided_on.prices.mid if self.decided_on else None

    @property
    def entry(self) -> Decimal | None:
        """The entry price of the position."""
        return self.decided_on.position.entry_price if self.decided_on else None

    @property
    def peak(self) -> Decimal | None:
        """The best price since entry, where a rule uses it."""
        return self.decided_on.state.peak if self.decided_on else None

    @property
    def sign(self) -> int:
        """-1 when it closes what is short, or a structure that was sold: a lower price is better then."""
        return 1 if self.decided_on is None or self.decided_on.position.is_long else -1

    @property
    def pnl(self) -> Decimal | None:
        """Realised profit in dollars, with what single legs made; None without a fill, a price or an entry price."""
        own = [self._pnl_of(part) for part in self.parts if not part.by_legs]
        return _total((*own, *(fill.pnl for fill in self.fills_of_legs))) if self.is_filled else None

    def _pnl_of(self, part: Part) -> Decimal | None:
        if part.price is None or self.entry is None or self.decided_on is None:
            return None
        unit = CONTRACT if self.decided_on.position.instrument.is_option else Decimal(1)
        return (part.price - self.entry) * part.qty * self.sign * unit

    @property
    def gain(self) -> Decimal | None:
        """The gain on entry at the average price, as a ratio (0.1 is +10%); None where the profit is unknown."""
        return None if self.decided_on is None or self.pnl is None else self.decided_on.gain_at(self.price)

    @property
    def time_held(self) -> dt.timedelta | None:
        """How long it was held until it last filled; at least so long unless `knows_opening`. None when unknown."""
        since = self.decided_on.state.held_since if self.decided_on else None
        return None if since is None or since > self.last_at else self.last_at - since

    @property
    def knows_opening(self) -> bool:
        """Whether the time of the opening fill is known; else it is held since it was first seen."""
        return self.decided_on is not None and self.decided_on.state.opened_at is not None

    @property
    def against_mid(self) -> Decimal | None:
        """Slippage against the mid at decision."""
        return self._against(self.mid)

    @property
    def against_bid(self) -> Decimal | None:
        """Slippage against the price one could get at decision."""
        return self._against(self.bid)

    def _against(self, mark: Decimal | None) -> Decimal | None:
        return None if mark is None or self.price is None else (mark - self.price) * self.sign

    @property
    def seconds(self) -> float | None:
        """Seconds from the first order to the last fill; None before the first fill, and for a backstop."""
        rests = self.reason == Reason.BACKSTOP
        return (self.parts[-1].at - self.began).total_seconds() if self.parts and not rests else None


def _total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None when an amount is unknown."""
    total = _ZERO
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


class TradeTotals(Struct, frozen=True):
    """Totals over trades of one mode. `won` are those of which the profit is known and above zero.

    `time_held` is the average over `timed` trades, those whose time is known; it is at least so long unless `is_exact`.
    `best` and `worst` are by profit in dollars. None is unknown.
    """

    pnl: Total
    won: int
    time_held: dt.timedelta | None
    timed: int
    is_exact: bool
    best: Exit | None
    worst: Exit | None

    @property
    def trades(self) -> int:
        """The number of trades."""
        return self.pnl.count

    @property
    def win_rate(self) -> Decimal | None:
        """The share of trades won, of those whose profit is known; None when there is none."""
        return Decimal(self.won) / self.pnl.known if self.pnl.known else None


def trade_totals(trades: Iterable[Exit]) -> TradeTotals:
    """The totals of trades. What is unknown of one is not counted."""
    every = list(trades)
    known = [(pnl, each) for each in every if (pnl := each.pnl) is not None]
    times = [(span, each.knows_opening) for each in every if (span := each.time_held) is not None]
    best = max(known, key=_profit, default=None)
    worst = min(known, key=_profit, default=None)
    return TradeTotals(
        pnl=total_of((each.pnl, 1) for each in every),
        won=sum(pnl > 0 for pnl, _ in known),
        time_held=sum((span for span, _ in times), dt.timedelta(0)) / len(times) if times else None,
        timed=len(times),
        is_exact=all(exact for _, exact in times),
        best=best[1] if best else None,
        worst=worst[1] if worst else None,
    )


def _profit(known: tuple[Decimal, Exit]) -> Decimal:
    return known[0]


class HistoryEntry(Struct, frozen=True):
    """One line of what happened on an account: an exit, one that was due and not sent, or an order that was cancelled.

    `qty` of `held` was closed; of an exit that wasn't sent, and of a cancelled order, `qty` is what it was about.
    `price` is the average of the fills, and `pnl` is in dollars. None is unknown or doesn't apply.
    """

    row: int  # the journal's row with which it began
    at: dt.datetime
    account: str
    symbol: str
    reason: str
    kind: HistoryKind
    why: str
    qty: Decimal | None = None
    held: Decimal | None = None
    price: Decimal | None = None
    pnl: Decimal | None = None


class ExitsSince(Struct, frozen=True):
    """What was recorded about the orders of one symbol since some row of the journal.

    `price` is the average of the fills; None without one, or when a fill came without a price. `sent` says whether an
    order was intended, and `refusal` why the broker refused the last one; "" when it didn't. `net` is the average net
    price of the multi-leg orders that filled all of it, below zero a credit; None when others did. `why` is the reason
    of the last order; "" when none was intended.
    """

    filled: Decimal = Decimal(0)
    price: Decimal | None = None
    net: Decimal | None = None
    sent: bool = False
    refusal: str = ""
    why: str = ""
