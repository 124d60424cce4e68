"""How many orders went out in the last minute, how many were rejected in a row, and a block of the whole account."""

import datetime as dt
from collections import deque
from dataclasses import dataclass, field

from sellctl.core.model.plan import Urgency
from sellctl.core.model.position import NOTHING_SENT, OrderCount

MINUTE = 60.0
# Seconds until the next try, by how often in a row the broker said that the account may not trade.
TRIED_AGAIN_AFTER = (5.0, 15.0, 60.0)
_AT_ONCE = dt.timedelta(0)


@dataclass(slots=True)
class OrderRate:
    """The orders of one account in the last minute, and its rejects. Instants are monotonic seconds."""

    _sent: deque[tuple[float, str, Urgency]] = field(default_factory=deque)
    _rejects: dict[str, tuple[int, float]] = field(default_factory=dict)

    def sending(self, symbol: str, urgency: Urgency, now: float) -> None:
        """An order is about to be sent."""
        self._sent.append((now, symbol, urgency))

    def rejected(self, symbol: str, now: float) -> None:
        """An order was refused or rejected without a known next step."""
        self._rejects[symbol] = (self._rejects.get(symbol, (0, 0.0))[0] + 1, now)

    def ended_well(self, symbol: str) -> None:
        """An order ended without a reject, so the row is over. Acceptance is no such end: a reject may follow it."""
        self._rejects.pop(symbol, None)

    def sent(self, now: float) -> OrderCount:
        """The last minute's orders of the account."""
        return _counted([urgency for _, urgency in self._last_minute(now)])

    def sent_of_each(self, now: float) -> dict[str, OrderCount]:
        """The last minute's orders of every symbol that had any."""
        urgencies: dict[str, list[Urgency]] = {}
        for symbol, urgency in self._last_minute(now):
            urgencies.setdefault(symbol, []).append(urgency)
        return {symbol: _counted(its) for symbol, its in urgencies.items()}

    def _last_minute(self, now: float) -> list[tuple[str, Urgency]]:
        while self._sent and now - self._sent[0][0] > MINUTE:
            self._sent.popleft()
        return [(symbol, urgency) for _, symbol, urgency in self._sent]

    def rejects(self, symbol: str, now: float) -> tuple[int, dt.timedelta]:
        """How many orders were rejected in a row, and how long ago the last one was."""
        if symbol not in self._rejects:
            return 0, _AT_ONCE
        count, at = self._rejects[symbol]
        return count, dt.timedelta(seconds=now - at)


def _counted(urgencies: list[Urgency]) -> OrderCount:
    return (
        OrderCount(len(urgencies), sum(urgency >= Urgency.TIME for urgency in urgencies)) if urgencies else NOTHING_SENT
    )


@dataclass(slots=True)
class TradingBlock:
    """The broker refused an order because the whole account may not trade. Instants are monotonic seconds."""

    why: str = ""
    row: int = 0  # refusals in a row
    until: float = 0.0

    def refused(self, why: str, now: float) -> bool:
        """Count a refusal. Whether it is the first of a row."""
        news = self.row == 0
        if now >= self.until:  # orders that were refused side by side count once
            self.until = now + TRIED_AGAIN_AFTER[min(self.row, len(TRIED_AGAIN_AFTER) - 1)]
            self.row += 1
        self.why = why
        return news

    def lift(self) -> None:
        """The broker took an order, or the account itself says whether it may trade."""
        self.why, self.row, self.until = "", 0, 0.0

    def holds(self, now: float) -> str:
        """Why no order may be sent now; "" when one may."""
        return self.why if now < self.until else ""
