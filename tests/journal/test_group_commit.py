"""What several tasks write in one moment is one commit, and a failure of one spoils no other."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from sellctl.core.errors import JournalError
from sellctl.journal.error_types import JournalHeadError
from sellctl.journal.group_commit import GroupCommit

BAD = "bad"


@dataclass
class Disk:
    """Transactions of words. One with a bad word in it fails, and every one while the disk is full."""

    commits: list[list[str]] = field(default_factory=list)
    is_full: bool = False
    is_locked: bool = False
    has_no_head: bool = False
    begun: int = 0

    @contextmanager
    def transaction(self) -> Iterator[list[str]]:
        words: list[str] = []
        self.begun += 1
        if self.is_locked:
            raise JournalError("It is locked.")
        yield words
        if self.is_full or BAD in words:
            raise JournalError("It can't be written.")
        self.commits.append(words)
        if self.has_no_head:
            raise JournalHeadError("The head can't be written.")


def _appending(word: str) -> Callable[[list[str]], None]:
    return lambda words: words.append(word)


async def written(disk: Disk, *words: str) -> list[bool]:
    """Whether each of these words was written, by as many tasks at once."""
    group = GroupCommit(disk.transaction)
    tasks = [asyncio.create_task(group.write(_appending(word))) for word in words]
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    return [not isinstance(end, JournalError) for end in ends]


def test_what_many_tasks_write_at_once_is_one_commit() -> None:
    disk = Disk()
    assert asyncio.run(written(disk, "a", "b", "c")) == [True, True, True]
    assert disk.commits == [["a", "b", "c"]]


def test_a_write_that_fails_spoils_no_other() -> None:
    disk = Disk()
    assert asyncio.run(written(disk, "a", BAD, "c")) == [True, False, True]
    assert disk.commits == [["a"], ["c"]]


def test_an_internal_error_in_one_write_is_raised_where_it_belongs_and_spoils_no_other() -> None:
    disk = Disk()

    async def both() -> None:
        group = GroupCommit(disk.transaction)
        faulty = asyncio.create_task(group.write(lambda words: words.append(str(1 / len(words[:0])))))
        await group.write(_appending("b"))
        with pytest.raises(ZeroDivisionError):
            await faulty

    asyncio.run(both())
    assert disk.commits == [["b"]]


def test_on_a_full_disk_every_write_fails() -> None:
    disk = Disk(is_full=True)
    assert asyncio.run(written(disk, "a", "b")) == [False, False]
    assert disk.commits == []


def test_a_locked_journal_is_waited_for_once_and_not_once_per_task() -> None:
    disk = Disk(is_locked=True)
    assert asyncio.run(written(disk, "a", "b", "c")) == [False, False, False]
    assert disk.begun == 1


def test_what_is_committed_is_not_written_again_when_only_the_head_fails() -> None:
    disk = Disk(has_no_head=True)
    assert asyncio.run(written(disk, "a", "b")) == [False, False]
    assert disk.commits == [["a", "b"]]


def test_what_is_written_later_is_a_commit_of_its_own() -> None:
    disk = Disk()

    async def both() -> None:
        group = GroupCommit(disk.transaction)
        await group.write(lambda words: words.append("a"))
        await group.write(lambda words: words.append("b"))

    asyncio.run(both())
    assert disk.commits == [["a"], ["b"]]


def test_what_a_cancelled_task_wanted_to_write_is_not_written() -> None:
    disk = Disk()

    async def both() -> None:
        group = GroupCommit(disk.transaction)
        cancelled = asyncio.create_task(group.write(lambda words: words.append("a")))
        await asyncio.sleep(0)
        other = asyncio.create_task(group.write(lambda words: words.append("b")))
        cancelled.cancel()
        await other
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    asyncio.run(both())
    assert disk.commits == [["b"]]
