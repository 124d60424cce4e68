"""Who is served: the chats of the configuration, each within its role. Everybody else gets no answer and a log line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sellctl.core.config.schema import ChatRole
from sellctl.ui.formatting import sanitize

QUIET_SECONDS: Final = 600.0  # between two lines about the same chat
LINES: Final = 10  # about different chats in that time; the others are counted
LONGEST_NAME: Final = 40
_RANK: Final = {role: rank for rank, role in enumerate(ChatRole)}


def allows(role: ChatRole, needed: ChatRole) -> bool:
    """Whether a role includes another one."""
    return _RANK[role] >= _RANK[needed]


def name_in(name: str, chat: int) -> str:
    """A person in a chat: "Ann (chat 42)"."""
    shown = sanitize(name).strip()[:LONGEST_NAME] or "somebody"
    return f"{shown} (chat {chat})"


def person(name: str, chat: int) -> str:
    """Who asked, for the journal and the log: "Ann (chat 42) over Telegram"."""
    return f"{name_in(name, chat)} over Telegram"


@dataclass(slots=True)
class Access:
    """The roles of the chats. `report` publishes a line about a chat without one, at most LINES per QUIET_SECONDS."""

    roles: Mapping[int, ChatRole]
    report: Callable[[str], None]
    monotonic: Callable[[], float]
    _reported: dict[int, float] = field(default_factory=dict)
    _since: float = float("-inf")
    _unreported: int = 0

    def role_of(self, chat: int, who: str) -> ChatRole | None:
        """The role of a chat; None, and a line in the log, when it has none."""
        role = self.roles.get(chat)
        if role is None:
            self._report(chat, who)
        return role

    def _report(self, chat: int, who: str) -> None:
        now = self.monotonic()
        if now - self._since >= QUIET_SECONDS:
            if self._unreported:
                self.report(f"{self._unreported} more messages from chats that telegram.chats doesn't name")
            self._since, self._unreported = now, 0
            self._reported.clear()
        if chat in self._reported:
            return
        if len(self._reported) >= LINES:
            self._unreported += 1
            return
        self._reported[chat] = now
        self.report(f"not answered: {person(who, chat)}, because telegram.chats doesn't name that chat")
