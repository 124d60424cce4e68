"""Signals: SIGINT and SIGTERM shut down cleanly, however many of them arrive; SIGHUP starts a task in the event loop.

`loop.add_signal_handler` is not used: when a loop closes, it closes its wake-up socket before it removes the handlers,
and a signal in between makes Python print a traceback.
"""

import asyncio
import atexit
import signal
import sys
from collections.abc import Callable, Coroutine

SHUTDOWN_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def on_first_signal(end: Callable[[], object]) -> None:
    """Call `end` on the running event loop at the first SIGINT or SIGTERM; this thread then blocks both signals.

    Event-loop handlers are removed when the loop closes and Python handlers at interpreter exit, but other threads can
    still receive a signal, which would kill the process during cleanup.
    """
    loop = asyncio.get_running_loop()

    def request_end(*_: object) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, SHUTDOWN_SIGNALS)
        if not loop.is_closed():
            loop.call_soon_threadsafe(end)

    for number in SHUTDOWN_SIGNALS:
        signal.signal(number, request_end)
    atexit.register(_ignore)


def _ignore() -> None:
    """Ignore the signals at interpreter exit, and suppress Python's report of one that arrives at that moment."""
    sys.unraisablehook = lambda _report: None
    for number in SHUTDOWN_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def on_hangup(work: Callable[[], Coroutine[object, object, None]]) -> None:
    """Start `work` on the running event loop at each SIGHUP, one after the other; does nothing without SIGHUP."""
    if not hasattr(signal, "SIGHUP"):
        return
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    lock = asyncio.Lock()

    async def in_turn() -> None:
        async with lock:
            await work()

    def start() -> None:
        task = loop.create_task(in_turn())
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def on_signal(*_: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(start)

    signal.signal(signal.SIGHUP, on_signal)
