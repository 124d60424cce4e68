"""Buttons that work once: in the chat they were sent to, for a limited time, and in this process only.

What a button sends back is a random text. What it does is known here and nowhere else, so that a message can't be
forged, and after a restart no button of before does anything.
"""

import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from sellctl.chat.messages import Button

KEPT: Final = 2_000  # the oldest are forgotten beyond it
_BYTES: Final = 16

Action = TypeVar("Action")


@dataclass(frozen=True, slots=True)
class _Issued(Generic[Action]):
    chat: int
    group: str
    action: Action
    ends_at: float
    exclusive: bool


@dataclass(slots=True)
class Buttons(Generic[Action]):
    """The buttons that have been sent and not used, for any thread. `monotonic` is a clock in seconds."""

    monotonic: Callable[[], float]
    new_token: Callable[[], str] = lambda: secrets.token_urlsafe(_BYTES)
    _issued: "dict[str, _Issued[Action]]" = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue(
        self, chat: int, actions: "Iterable[tuple[str, Action]]", seconds: float, *, exclusive: bool
    ) -> tuple[Button, ...]:
        """The buttons of one message. With `exclusive`, using one of them ends the others too."""
        ends_at, group = self.monotonic() + seconds, self.new_token()
        buttons = []
        with self._lock:
            for label, action in actions:
                button = Button(label, self.new_token())
                self._issued[button.token] = _Issued(chat, group, action, ends_at, exclusive)
                buttons.append(button)
            for token in list(self._issued)[: max(len(self._issued) - KEPT, 0)]:
                del self._issued[token]
        return tuple(buttons)

    def take(self, token: str, chat: int) -> Action | None:
        """What a button does, once; None when it was used, has expired, is unknown or belongs to another chat."""
        with self._lock:
            issued = self._issued.get(token)
            if issued is None or issued.chat != chat:
                return None
            others = [other for other, each in self._issued.items() if issued.exclusive and each.group == issued.group]
            for each in {token, *others}:
                del self._issued[each]
        return issued.action if self.monotonic() <= issued.ends_at else None
