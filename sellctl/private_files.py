"""Files that only their owner may write: opened without following links or waiting, and replaced completely.

A link or a FIFO in the place of such a file, or another user's, is a NotPrivateError; its `strerror` says which.
"""

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600
_OTHERS_MAY_WRITE = 0o022
_LONGEST = 1_000_000  # bytes; the files of the state folder are far shorter
_ROOT = 0


class NotPrivateError(PermissionError):
    """Something else is in the place of a private file or folder, or another user can write to it."""


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a regular file, created with mode 0600 if `flags` say so."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, PRIVATE_FILE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refused("it is a symbolic link", path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refused("it is not a regular file", path)
    return descriptor


def check_is_file(path: Path) -> None:
    """NotPrivateError for a link or anything else but a regular file. Opens nothing."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _refused("it is a symbolic link", path)
    if not stat.S_ISREG(found.st_mode):
        raise _refused("it is not a regular file", path)


def read_private(path: Path) -> str:
    """The text of a file that only this user or root can have written. OSError or UnicodeDecodeError without one."""
    with os.fdopen(open_private(path, os.O_RDONLY), "rb") as file:
        _check_owner(os.fstat(file.fileno()), path)
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise _refused("it is too long", path)
    return content.decode("utf-8")


def replace_private(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file completely or not at all; unless `durable` is false, it is on disk when this returns."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600, never an existing file
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where its file system can do that."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_private_folder(folder: Path) -> None:
    """Create a folder for its owner only, or take the right to write to it from others. OSError when that fails."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_mode & _OTHERS_MAY_WRITE and found.st_uid == os.geteuid():
        folder.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS_MAY_WRITE)
        found = folder.stat()
    _check_owner(found, folder)


def _check_owner(found: os.stat_result, path: Path) -> None:
    """OSError unless only this user or root can write to it."""
    if found.st_uid not in {os.geteuid(), _ROOT}:
        raise _refused("it belongs to another user", path)
    if found.st_mode & _OTHERS_MAY_WRITE:
        raise _refused("others can write to it", path)


def _refused(why: str, path: Path) -> NotPrivateError:
    return NotPrivateError(errno.EPERM, why, str(path))
