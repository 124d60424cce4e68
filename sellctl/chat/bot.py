"""The bot's thread: it polls the chat service, sends what waits, and answers, in an event loop of its own.

Whatever the service does, the watcher's loop doesn't wait for it: it only queues alerts, and carries out calls.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from sellctl.chat.messages import ChatError, ChatService, FailureKind, Incoming, Message, Outgoing
from sellctl.chat.outbox import Outbox

RETRY_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 30.0)  # after failures in a row; the last one repeats
LOCKED_OUT_SECONDS: Final = 60.0  # between attempts while the token is refused or used by another process
REQUESTS: Final = 20  # of people that may wait for their answer; the oldest is dropped
CLOSE_SECONDS: Final = 3.0  # the longest that the end may take
_FLUSH_SECONDS: Final = 1.5  # of it, to deliver what waits
_CONFIRM_SECONDS: Final = 1.0


class Answerer(Protocol):
    """What answers people."""

    async def answer(self, incoming: Incoming) -> None:
        """Answer a message or a tap, by putting messages into the outbox."""

    def refuse(self, incoming: Incoming) -> None:
        """Say that there were too many requests."""


@dataclass(slots=True)
class BotThread:
    """Runs the service in a thread. `connect` makes it there, and `report` publishes a line about it."""

    connect: Callable[[], ChatService]
    outbox: Outbox
    answerer: Answerer
    report: Callable[[str], None]
    retry_seconds: tuple[float, ...] = RETRY_SECONDS
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _requests: deque[Incoming] = field(default_factory=deque)
    _has_outgoing: asyncio.Event = field(default_factory=asyncio.Event)
    _is_idle: asyncio.Event = field(default_factory=asyncio.Event)  # nothing waits to be sent
    _has_requests: asyncio.Event = field(default_factory=asyncio.Event)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _offset: int | None = None
    _sending: "_Attempts" = field(init=False)

    def __post_init__(self) -> None:
        self._sending = _Attempts("sent", self.report, self.retry_seconds)

    def start(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self.outbox.arrived = self._outgoing_arrived
        self._thread = threading.Thread(target=self._run, args=(self._loop,), name="sellctl-chat", daemon=True)
        self._thread.start()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Deliver what waits and end, within as many seconds; a thread that takes longer is left behind."""
        if self._thread is None:
            return
        self._in_loop(self._stop.set)
        self._thread.join(seconds)

    # --- in the thread ------------------------------------------------------------------------------------------------

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._main())
        except Exception as error:  # noqa: BLE001  the end of the bot is not the end of the watcher
            self.report(f"Telegram: the bot has ended with an internal error, {type(error).__name__}")

    async def _main(self) -> None:
        service, self._offset = self.connect(), None
        tasks = [asyncio.create_task(each) for each in (self._poll(service), self._answer_all())]
        sending = asyncio.create_task(self._send_all(service))
        ended = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait([ended, sending, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await self._flush(sending)
        finally:
            sending.cancel()
            results = await asyncio.gather(*tasks, sending, return_exceptions=True)
            await self._confirm_and_close(service)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _confirm_and_close(self, service: ChatService) -> None:
        """Confirm what has arrived, so that the next process doesn't get it again, and close the connections."""
        with suppress(Exception):
            if self._offset is not None:
                await asyncio.wait_for(service.confirm(self._offset), _CONFIRM_SECONDS)
        with suppress(Exception):
            await service.close()

    async def _flush(self, sending: asyncio.Task[None]) -> None:
        """Let the sender deliver what waits, for a short time, unless the service fails."""
        if not self._sending.failures and len(self.outbox):
            self._is_idle.clear()
            idle = asyncio.create_task(self._is_idle.wait())
            await asyncio.wait({idle, sending}, timeout=_FLUSH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()

    async def _poll(self, service: ChatService) -> None:
        reading = _Attempts("read", self.report, self.retry_seconds)
        is_known = False  # whether the service knows the bot
        while True:
            try:
                if not is_known:
                    await service.name()
                    is_known = True
                self._offset, arrived = await service.updates(self._offset)
            except Exception as raised:  # noqa: BLE001  whatever the service raises, the bot tries again
                await asyncio.sleep(reading.failed(raised))
                continue
            reading.succeeded()
            for incoming in arrived:
                self._take(incoming)

    def _take(self, incoming: Incoming) -> None:
        if len(self._requests) >= REQUESTS:
            self.answerer.refuse(self._requests.popleft())
        self._requests.append(incoming)
        self._has_requests.set()

    async def _answer_all(self) -> None:
        while True:
            await self._has_requests.wait()
            self._has_requests.clear()
            while self._requests:
                await self.answerer.answer(self._requests.popleft())

    async def _send_all(self, service: ChatService) -> None:
        sending = self._sending
        while True:
            self._has_outgoing.clear()
            if (first := self.outbox.first()) is None:
                self._is_idle.set()
                await self._has_outgoing.wait()
                continue
            number, outgoing = first
            try:
                await service.send(outgoing)
            except Exception as raised:  # noqa: BLE001  whatever the service raises, the bot tries again
                if not self._is_hopeless(outgoing, raised):
                    await asyncio.sleep(sending.failed(raised))
                    continue
            else:
                sending.succeeded()
            self.outbox.sent(number)

    def _is_hopeless(self, outgoing: Outgoing, raised: Exception) -> bool:
        """Whether a message is not worth another attempt: it is refused, or would end a waiting sign too late."""
        if isinstance(raised, ChatError) and raised.kind is FailureKind.REFUSED:
            if isinstance(outgoing, Message) and not outgoing.replaces:
                self.report(f"Telegram: a message to chat {outgoing.chat} was not delivered: {raised}")
            return True
        return not isinstance(outgoing, Message)

    # --- from other threads -------------------------------------------------------------------------------------------

    def _outgoing_arrived(self) -> None:
        self._in_loop(self._has_outgoing.set)

    def _in_loop(self, call: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(call)


@dataclass(slots=True)
class _Attempts:
    """Attempts at one kind of request. A problem is reported when it lasts or changes, and its end."""

    what: str  # read or sent
    report: Callable[[str], None]
    retry_seconds: tuple[float, ...]
    failures: int = 0
    problem: str = ""

    def failed(self, raised: Exception) -> float:
        """The seconds until the next attempt."""
        known = raised if isinstance(raised, ChatError) else None
        is_locked_out = known is not None and known.kind is FailureKind.LOCKED_OUT
        if self.failures or is_locked_out:  # a single lost request is nothing to report
            self._report(str(raised) if known else f"an internal error, {type(raised).__name__}")
        seconds = self.retry_seconds[min(self.failures, len(self.retry_seconds) - 1)]
        self.failures += 1
        return max(seconds, LOCKED_OUT_SECONDS if is_locked_out else 0.0, known.retry_after if known else 0.0)

    def succeeded(self) -> None:
        """The request was answered."""
        self.failures = 0
        if self.problem:
            self.problem = ""
            self.report(f"Telegram: messages are {self.what} again")

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self.report(f"Telegram: messages can't be {self.what}: {problem}; trying again")
