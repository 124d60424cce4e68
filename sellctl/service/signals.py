"""SIGINT and SIGTERM end the process in order, however many of them arrive."""

import asyncio
import signal
from collections.abc import Callable

ENDING = (signal.SIGINT, signal.SIGTERM)


def on_first_signal(end: Callable[[], object]) -> None:
    """Call `end` on the running event loop at the first SIGINT or SIGTERM; from then on this thread gets no more.

    The handlers of an event loop end with it: a signal during the last clean-up would kill the process.
    """
    loop = asyncio.get_running_loop()

    def request_end(*_: object) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        if not loop.is_closed():
            loop.call_soon_threadsafe(end)

    for number in ENDING:
        signal.signal(number, request_end)
