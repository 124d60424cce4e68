"""The request budget of a key: 180 of Alpaca's 200 per minute, a quarter of them kept for orders.

docs/reliability.md tests it as K3.
"""

import threading
from collections import deque
from collections.abc import Callable

MINUTE = 60.0
SHARE_USED = 0.9  # of the broker's limit; the rest is for the user's other programs
DEFAULT_LIMIT = 200  # requests per minute, until the broker's headers name another limit
KEPT_FOR_ORDERS = 0.25
KEPT_FROM_URGENT_READS = 0.2  # the share of what is kept for orders that urgent reads leave unused


class Budget:
    """Counts the requests of one key in the last minute. `monotonic` returns seconds. Threads may share it."""

    def __init__(self, monotonic: Callable[[], float], *, kept: float = KEPT_FOR_ORDERS) -> None:
        self._monotonic = monotonic
        self._kept = kept
        self._sent: deque[float] = deque()
        self._limit = DEFAULT_LIMIT
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Requests in the last minute."""
        with self._lock:
            self._forget_old()
            return len(self._sent)

    @property
    def load(self) -> float:
        """The share of the budget that the last minute has used, from 0.0 to 1.0."""
        return self.used / max(int(self._limit * SHARE_USED), 1)

    @property
    def left(self) -> int:
        """Requests that an order could still use in this minute; reads leave some of them unused."""
        return max(int(self._limit * SHARE_USED) - self.used, 0)

    def set_limit(self, per_minute: int | None) -> None:
        """Set the broker's limit as its headers name it; None changes nothing."""
        self._limit = per_minute or self._limit

    def take(self, *, for_order: bool, urgent: bool = False) -> float:
        """Take one request and return 0.0, or return the seconds until one is available.

        Ordinary reads leave unused what is kept for orders; `urgent` ones leave a fifth of it.
        """
        kept = 0.0 if for_order else self._kept * (KEPT_FROM_URGENT_READS if urgent else 1)
        available = int(self._limit * SHARE_USED * (1 - kept))
        with self._lock:
            self._forget_old()
            if len(self._sent) < available:
                self._sent.append(self._monotonic())
                return 0.0
            return max(self._sent[len(self._sent) - available] + MINUTE - self._monotonic(), 0.001)

    def _forget_old(self) -> None:
        while self._sent and self._monotonic() - self._sent[0] >= MINUTE:
            self._sent.popleft()
