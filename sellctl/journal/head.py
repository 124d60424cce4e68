"""The head: number and hash of the newest audit row, in a file of its own, so that rows missing at the end are noticed.

It is written in place after each commit: one write of one line of fixed length, which a killed process leaves old or
new, never mixed. It is not synced, so it may be behind the database, but never ahead of it: a head that is ahead means
that rows are missing.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sellctl.core.errors import JournalError
from sellctl.journal.chain import START, ChainLink
from sellctl.journal.schema import HEAD_SUFFIX
from sellctl.private_files import NotPrivateError, check_is_file, open_private, replace_private

_FROM_THE_START = f" {START.seq:020d} {START.hash}\n".encode()
_LONGEST = 1_000  # characters: more than the line, so that a longer file doesn't match
_LINE = re.compile(r"(\d{20}) ([0-9a-f]{64}) (\d{20}) ([0-9a-f]{64})\n")


@dataclass(frozen=True, slots=True)
class Head:
    """The newest row, and the row that the file's first one follows: START, except in an archive."""

    link: ChainLink
    after: ChainLink = START

    def line(self) -> bytes:
        """The only line of the file."""
        return f"{self.link.seq:020d} {self.link.hash} {self.after.seq:020d} {self.after.hash}\n".encode()


def head_path(database: Path) -> Path:
    """The path of this database's head."""
    return database.with_name(database.name + HEAD_SUFFIX)


def read_head(database: Path) -> Head | None:
    """The head, or None when there is none. JournalError when it can't be read."""
    path = head_path(database)
    try:
        with os.fdopen(open_private(path, os.O_RDONLY), encoding="ascii", errors="replace") as file:
            match = _LINE.fullmatch(file.read(_LONGEST))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise JournalError(f"The journal's head {path} can't be read: {error.strerror}.") from error
    if match is None:
        raise JournalError(f"The journal's head {path} is damaged.", hint="Its one line was changed or cut short.")
    seq, digest, after_seq, after_digest = match.groups()
    return Head(ChainLink(int(seq), digest), ChainLink(int(after_seq), after_digest))


def write_new_head(database: Path, head: Head) -> None:
    """Replace the head file, completely or not at all; it is on disk when this returns."""
    replace_private(head_path(database), head.line())


class HeadFile:
    """The head, held open for writing."""

    def __init__(self, database: Path) -> None:
        self.path = head_path(database)
        try:
            check_is_file(self.path)
        except (FileNotFoundError, NotPrivateError):  # a link is replaced; what it points at is left alone
            write_new_head(database, Head(START))
        self._file = open_private(self.path, os.O_RDWR)
        os.fchmod(self._file, 0o600)
        os.ftruncate(self._file, len(Head(START).line()))  # a damaged one may be longer

    def write(self, link: ChainLink) -> None:
        """Record the newest row."""
        os.pwrite(self._file, b"%020d %b%b" % (link.seq, link.hash.encode(), _FROM_THE_START), 0)

    def sync(self) -> None:
        """Flush the file to the disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Flush and close the file."""
        self.sync()
        os.close(self._file)
