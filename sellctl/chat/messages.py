"""What a chat service and sellctl exchange, as plain values: neither knows the other's types."""

from enum import StrEnum
from typing import Protocol

from msgspec import Struct


class Command(Struct, frozen=True):
    """A message that somebody wrote. `who` is the name that the service shows; `sent_at` is in Unix seconds."""

    chat: int
    who: str
    text: str
    sent_at: float


class Tap(Struct, frozen=True):
    """A tap on a button of the message with this number. `query` is the service's number of the tap."""

    chat: int
    who: str
    token: str
    query: str
    message: int


class Button(Struct, frozen=True):
    """A button with what it sends when it is tapped."""

    label: str
    token: str


class Message(Struct, frozen=True):
    """A message to a chat, with one button per row. `replaces` is the message whose place it takes; 0 for none."""

    chat: int
    text: str
    buttons: tuple[Button, ...] = ()
    replaces: int = 0


class TapAnswer(Struct, frozen=True):
    """Ends the waiting sign of a tapped button, with a short text that the phone shows for a moment."""

    chat: int
    query: str
    text: str = ""


Incoming = Command | Tap
Outgoing = Message | TapAnswer


class FailureKind(StrEnum):
    """What a failed request means for the next one."""

    UNREACHABLE = "unreachable"  # try again
    BUSY = "busy"  # try again after `retry_after`
    LOCKED_OUT = "locked out"  # the token is refused, or another process uses it: try again, seldom
    REFUSED = "refused"  # this request, now and later


class ChatError(Exception):
    """A request to the chat service failed. The sentence holds nothing of what was sent or received."""

    def __init__(self, sentence: str, kind: FailureKind, retry_after: float = 0.0) -> None:
        super().__init__(sentence)
        self.kind = kind
        self.retry_after = retry_after


class ChatService(Protocol):
    """A chat service. Each method but `close` raises ChatError."""

    async def name(self) -> str:
        """The bot's name."""

    async def updates(self, offset: int | None) -> tuple[int | None, list[Incoming]]:
        """What has arrived, and the offset for the next call. Waits for it for some time."""

    async def confirm(self, offset: int) -> None:
        """Confirm everything before this offset."""

    async def send(self, outgoing: Outgoing) -> None:
        """Deliver one message."""

    async def close(self) -> None:
        """Close the connections."""
