"""Messages that wait for the chat service: bounded, so that one that is down costs memory and time to nobody."""

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from sellctl.chat.messages import Message, Outgoing

SIZE: Final = 100
KEPT_SECONDS: Final = 3_600.0  # what could not be delivered for that long is dropped


@dataclass(frozen=True, slots=True)
class _Waiting:
    number: int
    since: float
    message: Outgoing


@dataclass(slots=True)
class Outbox:
    """Takes messages from any thread; the oldest is dropped when it is full, and the next one to its chat says so.

    `arrived` is called after each message, in the thread that put it.
    """

    monotonic: Callable[[], float]
    arrived: Callable[[], None] = lambda: None
    size: int = SIZE
    _waiting: deque[_Waiting] = field(default_factory=deque)
    _dropped: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0

    def put(self, message: Outgoing) -> None:
        """Queue a message. Never waits."""
        with self._lock:
            if len(self._waiting) >= self.size:
                self._drop_first()
            self._count += 1
            self._waiting.append(_Waiting(self._count, self.monotonic(), message))
        self.arrived()

    def first(self) -> tuple[int, Outgoing] | None:
        """The message to be sent next and its number, which stays here until `sent`; None without any."""
        with self._lock:
            while self._waiting and self.monotonic() - self._waiting[0].since > KEPT_SECONDS:
                self._drop_first()
            if not self._waiting:
                return None
            first = self._waiting[0]
            return first.number, self._with_losses(first.message)

    def sent(self, number: int) -> None:
        """The message with this number needs no further attempt: it was delivered, or never can be."""
        with self._lock:
            if self._waiting and self._waiting[0].number == number:
                message = self._waiting.popleft().message
                if isinstance(message, Message):
                    del self._dropped[message.chat]

    def __len__(self) -> int:
        return len(self._waiting)

    def _with_losses(self, message: Outgoing) -> Outgoing:
        count = self._dropped[message.chat]
        if not count or not isinstance(message, Message):
            return message
        lost = "1 message before this one was lost." if count == 1 else f"{count} messages before this one were lost."
        return replace(message, text=f"({lost})\n{message.text}")

    def _drop_first(self) -> None:
        message = self._waiting.popleft().message
        if isinstance(message, Message):
            self._dropped[message.chat] += 1
