"""What happens, told to every open stream: numbered messages, a short memory, and no patience with slow readers."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sellctl.ui.formatting import sanitize

if TYPE_CHECKING:
    from sellctl.core.model.event import Event
    from sellctl.ui.render import Document

REMEMBERED = 50  # messages a new stream begins with
MOST_STREAMS = 20
MOST_WAITING = 200  # messages a slow reader may be behind before it is let go
HEARTBEAT_SECONDS = 15.0


class TooManyStreamsError(Exception):
    """No further stream is opened."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the stream. `number` is 0 for what isn't worth remembering."""

    number: int
    kind: str
    body: "Document"

    @property
    def frame(self) -> bytes:
        """The message as server-sent events want it; JSON in ASCII can't break out of its line."""
        number = f"id: {self.number}\n" if self.number else ""
        return f"{number}event: {self.kind}\ndata: {json.dumps(self.body)}\n\n".encode("ascii")


_Inbox = asyncio.Queue[Message | None]


@dataclass(slots=True)
class Hub:
    """Hands messages to all open streams. Telling never waits and never fails."""

    _count: int = 0
    _closed: bool = False
    _recent: deque[Message] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _inboxes: list[_Inbox] = field(default_factory=list)

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._inboxes)

    def tell(self, event: "Event") -> None:
        """One thing that happened."""
        self._count += 1
        message = Message(self._count, "event", event_document(event))
        self._recent.append(message)
        self._send(message)

    def nudge(self, kind: str, body: "Document") -> None:
        """Something worth a look now and forgotten after."""
        self._send(Message(0, kind, body))

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for inbox in list(self._inboxes):
            self._let_go(inbox)

    def _send(self, message: Message) -> None:
        for inbox in list(self._inboxes):
            if inbox.qsize() >= MOST_WAITING:
                self._let_go(inbox)
            else:
                inbox.put_nowait(message)

    def _let_go(self, inbox: _Inbox) -> None:
        self._inboxes.remove(inbox)
        inbox.put_nowait(None)

    @contextmanager
    def listening(self, after: int = 0) -> Iterator[_Inbox]:
        """An inbox with what is remembered and newer than `after`, then everything new; None ends it."""
        if len(self._inboxes) >= MOST_STREAMS or self._closed:
            raise TooManyStreamsError
        inbox: _Inbox = asyncio.Queue()
        for message in self._recent:
            if message.number > after:
                inbox.put_nowait(message)
        self._inboxes.append(inbox)
        try:
            yield inbox
        finally:
            if inbox in self._inboxes:
                self._inboxes.remove(inbox)


async def frames(hub: Hub, after: int, seconds: float) -> AsyncIterator[bytes]:
    """The stream's bytes, for at most so many seconds (a token's life), with a sign of life in quiet times."""
    ends_at = asyncio.get_running_loop().time() + seconds
    with hub.listening(after) as inbox:
        yield b": sellctl\nretry: 3000\n\n"
        while (left := ends_at - asyncio.get_running_loop().time()) > 0:
            try:
                async with asyncio.timeout(min(left, HEARTBEAT_SECONDS)):
                    message = await inbox.get()
            except TimeoutError:
                yield b": still here\n\n"
                continue
            if message is None:
                return
            yield message.frame


def event_document(event: "Event") -> "Document":
    """An event as a document."""
    return {
        "at": event.at.isoformat(),
        "account": event.account,
        "symbol": event.symbol,
        "kind": event.kind.value,
        "weight": event.severity.value,
        "text": sanitize(event.text),
        "sentence": sanitize(event.sentence),
    }
