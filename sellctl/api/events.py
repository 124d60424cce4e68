"""Server-sent events: every event goes to all open streams; new streams start with the most recent ones."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sellctl.ui.formatting import sanitize

if TYPE_CHECKING:
    from sellctl.core.model.event import Event
    from sellctl.ui.documents import Document

RECENT_EVENTS = 50  # events that a new stream starts with
MAX_STREAMS = 20
MAX_STREAMS_PER_SUBJECT = 4
MAX_WAITING = 200  # messages queued for one stream; beyond it the stream is ended
HEARTBEAT_SECONDS = 15.0


class TooManyStreamsError(Exception):
    """A limit of open streams is reached, or the server is shutting down.

    `by_subject`: it is the limit of one subject, which leaves others their streams.
    """

    def __init__(self, sentence: str, *, by_subject: bool = False) -> None:
        super().__init__(sentence)
        self.by_subject = by_subject


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream. `number` is 0 for a message that is not repeated to later streams."""

    number: int
    kind: str
    body: "Document"

    @property
    def frame(self) -> bytes:
        """The message in the format of server-sent events. ASCII JSON has no line breaks, which would end it."""
        number = f"id: {self.number}\n" if self.number else ""
        return f"{number}event: {self.kind}\ndata: {json.dumps(self.body)}\n\n".encode("ascii")


Inbox = asyncio.Queue[Message | None]


@dataclass(slots=True)
class EventHub:
    """Passes messages to all open streams. Publishing never waits and never fails."""

    _count: int = 0
    _closed: bool = False
    _recent: deque[Message] = field(default_factory=lambda: deque(maxlen=RECENT_EVENTS))
    _inboxes: dict[Inbox, str] = field(default_factory=dict)  # each with the subject that reads it

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._inboxes)

    def publish(self, event: "Event") -> None:
        """Send an event to all streams, and to later ones as long as it is among the most recent."""
        self._count += 1
        message = Message(self._count, "event", event_document(event))
        self._recent.append(message)
        self._send(message)

    def announce(self, kind: str, body: "Document") -> None:
        """Send a message to the streams that are open now, and don't keep it."""
        self._send(Message(0, kind, body))

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        for inbox in list(self._inboxes):
            self._end(inbox)

    def _send(self, message: Message) -> None:
        for inbox in list(self._inboxes):
            if inbox.qsize() >= MAX_WAITING:
                self._end(inbox)
            else:
                inbox.put_nowait(message)

    def _end(self, inbox: Inbox) -> None:
        del self._inboxes[inbox]
        inbox.put_nowait(None)

    def join(self, subject: str, after: int = 0) -> Inbox:
        """A queue of the kept events with numbers above `after`, then of all new messages; None ends it.

        It counts as an open stream until `leave`. TooManyStreamsError when this subject can't open one now.
        """
        if list(self._inboxes.values()).count(subject) >= MAX_STREAMS_PER_SUBJECT:
            sentence = f"The limit of {MAX_STREAMS_PER_SUBJECT} open streams per subject is reached."
            raise TooManyStreamsError(sentence, by_subject=True)
        if len(self._inboxes) >= MAX_STREAMS:
            raise TooManyStreamsError(f"The limit of {MAX_STREAMS} open streams is reached.")
        if self._closed:
            raise TooManyStreamsError("The server is shutting down.")
        inbox: Inbox = asyncio.Queue()
        for message in self._recent:
            if message.number > after:
                inbox.put_nowait(message)
        self._inboxes[inbox] = subject
        return inbox

    def leave(self, inbox: Inbox) -> None:
        """The stream of this queue has ended."""
        self._inboxes.pop(inbox, None)


async def frames(inbox: Inbox, seconds: float) -> AsyncIterator[bytes]:
    """The bytes of a stream for at most `seconds`, with a comment after each HEARTBEAT_SECONDS without a message."""
    ends_at = asyncio.get_running_loop().time() + seconds
    yield b": sellctl\nretry: 3000\n\n"
    while (left := ends_at - asyncio.get_running_loop().time()) > 0:
        try:
            async with asyncio.timeout(min(left, HEARTBEAT_SECONDS)):
                message = await inbox.get()
        except TimeoutError:
            yield b": keep-alive\n\n"
            continue
        if message is None:
            return
        yield message.frame


def event_document(event: "Event") -> "Document":
    """An event as a JSON document."""
    return {
        "at": event.at.isoformat(),
        "account": event.account,
        "symbol": event.symbol,
        "kind": event.kind.value,
        "weight": event.severity.value,
        "text": sanitize(event.text),
        "sentence": sanitize(event.sentence),
    }
