"""How many requests a key may send: 180 of Alpaca's 200 a minute, a quarter of them kept for orders (invariant K3)."""

import threading
from collections import deque
from collections.abc import Callable

MINUTE = 60.0
SHARE_USED = 0.9  # of what the broker grants; the rest is for the user's other programs
GRANTED = 200  # a minute, until the broker's headers say otherwise
KEPT_FOR_ORDERS = 0.25


class Budget:
    """The requests of one key in the last minute. `monotonic` gives seconds that never step; threads may share it."""

    def __init__(self, monotonic: Callable[[], float], *, kept: float = KEPT_FOR_ORDERS) -> None:
        self._monotonic = monotonic
        self._kept = kept
        self._sent: deque[float] = deque()
        self._granted = GRANTED
        self._lock = threading.Lock()

    @property
    def used(self) -> int:
        """Requests in the last minute."""
        with self._lock:
            self._forget_old()
            return len(self._sent)

    def grants(self, a_minute: int | None) -> None:
        """What the broker's headers say it grants; None when they say nothing."""
        self._granted = a_minute or self._granted

    def take(self, *, for_order: bool) -> float:
        """Take one request; 0, or the seconds until there is one to take, when there is none now."""
        most = int(self._granted * SHARE_USED * (1 if for_order else 1 - self._kept))
        with self._lock:
            self._forget_old()
            if len(self._sent) < most:
                self._sent.append(self._monotonic())
                return 0.0
            return max(self._sent[len(self._sent) - most] + MINUTE - self._monotonic(), 0.001)

    def _forget_old(self) -> None:
        while self._sent and self._monotonic() - self._sent[0] >= MINUTE:
            self._sent.popleft()
