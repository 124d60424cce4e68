"""One commit for what several tasks write in the same moment.

A commit is forced to disk, which takes far longer than the writes in it. Without this, 50 accounts that decide in the
same moment would wait for 50 of them, one after the other.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, TypeVar

from sellctl.journal.error_types import JournalConnectionError, JournalHeadError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Write(Generic[T]):
    """What one task writes, and whether that is on disk."""

    work: Callable[[T], None]
    ended: "asyncio.Future[None]"


class GroupCommit(Generic[T]):
    """Runs the writes of all tasks that are about to run in one transaction of the given kind."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[T]]) -> None:
        self._transaction = transaction
        self._waiting: list[_Write[T]] = []

    async def write(self, work: Callable[[T], None]) -> None:
        """Return once the work's writes are on disk. JournalError when they can't be written; then none of them is.

        Any other error of the work is raised too. A write that fails spoils no other task's. Work may run twice, in a
        second transaction after the first failed.
        """
        loop = asyncio.get_running_loop()
        write = _Write(work, loop.create_future())
        self._waiting.append(write)
        loop.call_soon(self._write_all)  # after the tasks that are ready now; the first such call writes for all
        await write.ended

    def _write_all(self) -> None:
        writes = [write for write in self._waiting if not write.ended.done()]  # those that are still waited for
        self._waiting.clear()
        if not writes or self._has_run(writes):
            return
        for write in writes:
            self._has_run([write])

    def _has_run(self, writes: Sequence[_Write[T]]) -> bool:
        """Run these in one transaction. Return False, with nothing written, when one of several may have spoilt it."""
        has_begun = False
        try:
            with self._transaction() as transaction:
                has_begun = True
                for write in writes:
                    write.work(transaction)
        except Exception as error:  # noqa: BLE001  the task that waits for it gets it
            is_of_all = not has_begun or isinstance(error, (JournalHeadError, JournalConnectionError))
            if len(writes) > 1 and not is_of_all:
                return False
            for write in writes:
                write.ended.set_exception(error)
        else:
            for write in writes:
                write.ended.set_result(None)
        return True
