"""Signals: SIGINT and SIGTERM end the process in order, however many of them arrive; SIGHUP starts work in the loop.

None is handled by `add_signal_handler`: an event loop that is closed closes the socket of these handlers before it
takes them back, and a signal between the two makes Python print a traceback.
"""

import asyncio
import atexit
import signal
import sys
from collections.abc import Callable, Coroutine

ENDING = (signal.SIGINT, signal.SIGTERM)


def on_first_signal(end: Callable[[], object]) -> None:
    """Call `end` on the running event loop at the first SIGINT or SIGTERM; from then on this thread gets no more.

    The handlers of an event loop end with it, and all others when the interpreter ends, while other threads may still
    receive signals: one during the last clean-up would kill the process.
    """
    loop = asyncio.get_running_loop()

    def request_end(*_: object) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        if not loop.is_closed():
            loop.call_soon_threadsafe(end)

    for number in ENDING:
        signal.signal(number, request_end)
    atexit.register(_ignore)


def _ignore() -> None:
    """Ignore the signals while the interpreter ends, and Python's report of one that arrives at this very instant."""
    sys.unraisablehook = lambda _report: None
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def on_hangup(work: Callable[[], Coroutine[object, object, None]]) -> None:
    """Start `work` on the running event loop at each SIGHUP, where the system has it; one runs after the other."""
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
