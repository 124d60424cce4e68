"""A recorded exit: the position when it was decided, its orders and its fills."""

import datetime as dt
from decimal import Decimal

from msgspec import Struct

from sellctl.core.model.plan import Reason
from sellctl.core.model.position import Holding

CONTRACT = Decimal(100)  # shares per contract, as in the broker's profit and loss figures
_ZERO = Decimal(0)


class Point(Struct, frozen=True):
    """The quote at one instant, in dollars per share; None for an unknown side."""

    at: dt.datetime
    bid: Decimal | None
    ask: Decimal | None


class Part(Struct, frozen=True):
    """One fill: its quantity, and its price in dollars per share."""

    at: dt.datetime
    qty: Decimal
    price: Decimal


class Exit(Struct, frozen=True):
    """One exit. Prices are dollars per share; slippage is a cost: above zero when the fill was worse."""

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

    @property
    def qty(self) -> Decimal:
        """The quantity filled."""
        return sum((part.qty for part in self.parts), _ZERO)

    @property
    def price(self) -> Decimal | None:
        """The average price of the fills; None while there is none."""
        return sum((part.qty * part.price for part in self.parts), _ZERO) / self.qty if self.qty else None

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
    def _sign(self) -> int:
        return 1 if self.decided_on is None or self.decided_on.position.is_long else -1

    @property
    def pnl(self) -> Decimal | None:
        """Realised profit in dollars; None without a fill or an entry price."""
        if self.price is None or self.entry is None or self.decided_on is None:
            return None
        unit = CONTRACT if self.decided_on.position.instrument.is_option else Decimal(1)
        entry = self.entry
        return sum(((part.price - entry) * part.qty for part in self.parts), _ZERO) * self._sign * unit

    @property
    def against_mid(self) -> Decimal | None:
        """Slippage against the mid at decision."""
        return self._against(self.mid)

    @property
    def against_bid(self) -> Decimal | None:
        """Slippage against the price one could get at decision."""
        return self._against(self.bid)

    def _against(self, mark: Decimal | None) -> Decimal | None:
        return None if mark is None or self.price is None else (mark - self.price) * self._sign

    @property
    def seconds(self) -> float | None:
        """Seconds from the first order to the last fill; None before the first fill, and for a backstop."""
        rests = self.reason == Reason.BACKSTOP
        return (self.parts[-1].at - self.began).total_seconds() if self.parts and not rests else None


class ExitsSince(Struct, frozen=True):
    """What was recorded about the orders of one symbol since some row of the journal.

    `price` is the average of the fills; None without one, or when a fill came without a price. `sent` says whether an
    order was intended, and `refusal` why the broker refused the last one; "" when it didn't.
    """

    filled: Decimal = Decimal(0)
    price: Decimal | None = None
    sent: bool = False
    refusal: str = ""
