"""Carries calls from the bot's thread to the watcher's loop, where they run one by one, and their results back.

The watcher's loop never waits for the bot: a call is a plain function that needs no network. At most CALLS wait, and
one that the loop did not begin in time is never carried out.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from sellctl.core.errors import BusyError, SellctlError

CALLS: Final = 20
SECONDS: Final = 10.0  # the longest that the watcher may take to begin a call

Result = TypeVar("Result")


@dataclass(slots=True)
class Handover:
    """Calls for the loop of a running watcher. The oldest waiting call is dropped when there are too many."""

    loop: asyncio.AbstractEventLoop
    seconds: float = SECONDS
    _waiting: "deque[tuple[Future[Any], Callable[[], Any]]]" = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def call(self, work: Callable[[], Result]) -> Result:
        """The result of a function that is called in the watcher's loop; its errors are raised here.

        BusyError when too many calls were made since, or the watcher did not begin it in time: it was not carried out.
        """
        future: Future[Result] = Future()
        with self._lock:
            dropped = self._waiting.popleft()[0] if len(self._waiting) >= CALLS else None
            self._waiting.append((future, work))
        if dropped is not None:
            dropped.cancel()
        try:
            self.loop.call_soon_threadsafe(self._carry_out)
        except RuntimeError:  # the loop is closed
            raise SellctlError("The watcher has ended.") from None
        answer = asyncio.wrap_future(future)
        try:
            await asyncio.wait({answer}, timeout=self.seconds)
        finally:
            is_late = future.cancel()  # only what has not begun can be: then it never begins
        if answer.cancelled():
            raise BusyError("There were too many requests at once: this one was dropped.")
        if is_late:
            raise BusyError("The watcher did not answer in time: nothing was done.", hint="Try again.")
        return await answer

    def tell(self, work: Callable[[], object]) -> None:
        """Call a function in the watcher's loop soon, without waiting for it; nothing when the loop is closed."""
        try:
            self.loop.call_soon_threadsafe(work)
        except RuntimeError:
            return

    def _carry_out(self) -> None:
        with self._lock:
            if not self._waiting:
                return
            future, work = self._waiting.popleft()
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except Exception as error:  # noqa: BLE001  whatever it is, the bot's thread gets it and the watcher goes on
            future.set_exception(error)
        else:
            future.set_result(result)
