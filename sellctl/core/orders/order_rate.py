"""The number of orders in the last minute, of rejects in a row, and a block of the whole account."""

from collections import deque
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.model.plan import Urgency
from sellctl.core.model.position import NOTHING_SENT, OrderCount

MINUTE = 60.0
# Seconds until the next try, by the number of refusals in a row because the account may not trade.
RETRY_AFTER_SECONDS = (5.0, 15.0, 60.0)
# A streak of refusals is over this long after the last one. While an exit is due, it is tried once per minute.
STREAK_ENDS_SECONDS = 600.0


class RejectStreak(Struct, frozen=True):
    """Orders for a symbol that were refused or rejected in a row: how many, and the seconds since the last one.

    `recoverable`: the last one was refused because of something that the next poll shows.
    """

    count: int = 0
    seconds: float = 0.0
    recoverable: bool = False


NO_REJECTS = RejectStreak()


@dataclass(slots=True)
class OrderRate:
    """The orders of one account in the last minute, and its rejects. Times are monotonic seconds."""

    _sent: deque[tuple[float, str, Urgency]] = field(default_factory=deque)
    _reserved: dict[str, tuple[str, Urgency]] = field(default_factory=dict)  # by client order id
    _rejects: dict[str, tuple[RejectStreak, float]] = field(default_factory=dict)  # with the instant of the last one

    def reserve(self, client_order_id: str, symbol: str, urgency: Urgency) -> None:
        """Count an order before it is recorded and sent."""
        self._reserved[client_order_id] = (symbol, urgency)

    def is_reserved(self, symbol: str) -> bool:
        """Whether an order for the symbol is about to be recorded and sent."""
        return any(symbol == each for each, _ in self._reserved.values())

    def release(self, client_order_id: str) -> None:
        """Don't count a reserved order any more: it is sent, or won't be."""
        self._reserved.pop(client_order_id, None)

    def sending(self, symbol: str, urgency: Urgency, now: float) -> None:
        """Count an order that is about to be sent."""
        self._sent.append((now, symbol, urgency))

    def rejected(self, symbol: str, now: float, *, recoverable: bool = False) -> None:
        """Count an order that was refused or rejected, for whatever reason."""
        self._rejects[symbol] = (RejectStreak(self.rejects(symbol, now).count + 1, recoverable=recoverable), now)

    def clear_rejects(self, symbol: str) -> None:
        """Reset the rejects in a row, because an order has ended without one.

        An acceptance doesn't reset them: a reject may follow it.
        """
        self._rejects.pop(symbol, None)

    def order_count(self, now: float) -> OrderCount:
        """The account's orders of the last minute, and those that are reserved."""
        return _counted([urgency for _, urgency in self._last_minute(now)])

    def order_counts_by_symbol(self, now: float) -> dict[str, OrderCount]:
        """The same by symbol; symbols without any are absent."""
        urgencies: dict[str, list[Urgency]] = {}
        for symbol, urgency in self._last_minute(now):
            urgencies.setdefault(symbol, []).append(urgency)
        return {symbol: _counted(its) for symbol, its in urgencies.items()}

    def _last_minute(self, now: float) -> list[tuple[str, Urgency]]:
        while self._sent and now - self._sent[0][0] > MINUTE:
            self._sent.popleft()
        return [*((symbol, urgency) for _, symbol, urgency in self._sent), *self._reserved.values()]

    def rejects(self, symbol: str, now: float) -> RejectStreak:
        """The orders that were refused or rejected in a row."""
        if symbol not in self._rejects:
            return NO_REJECTS
        streak, at = self._rejects[symbol]
        return NO_REJECTS if now - at > STREAK_ENDS_SECONDS else replace(streak, seconds=now - at)


def _counted(urgencies: list[Urgency]) -> OrderCount:
    return (
        OrderCount(len(urgencies), sum(urgency >= Urgency.TIME for urgency in urgencies)) if urgencies else NOTHING_SENT
    )


@dataclass(slots=True)
class TradingBlock:
    """A pause after the broker refused an order because the account may not trade. Times are monotonic seconds."""

    why: str = ""
    refusals: int = 0  # in a row
    until: float = 0.0

    def refused(self, why: str, now: float) -> bool:
        """Count a refusal. Returns whether it is the first in a row."""
        is_first = self.refusals == 0
        if now >= self.until:  # orders that were refused at the same time count once
            self.until = now + RETRY_AFTER_SECONDS[min(self.refusals, len(RETRY_AFTER_SECONDS) - 1)]
            self.refusals += 1
        self.why = why
        return is_first

    def lift(self) -> None:
        """End the pause: the broker accepted an order, or showed whether the account may trade."""
        self.why, self.refusals, self.until = "", 0, 0.0

    def holds(self, now: float) -> str:
        """Why no order may be sent now; "" when one may."""
        return self.why if now < self.until else ""
