"""The state folder: who works which account. One writer an account, by a lock that dies with its process."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sellctl.core.errors import BusyError, SellctlError

if TYPE_CHECKING:
    from filelock import BaseFileLock

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600


@dataclass(slots=True)
class StateFolder:
    """The folder with the journal, the locks and the logs. It is made, for its owner only, when first needed."""

    path: Path
    _locks: "dict[str, BaseFileLock]" = field(default_factory=dict)

    def make(self) -> None:
        """Create the folder, readable by its owner only. SellctlError when that can't be done."""
        try:
            self.path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            raise SellctlError(
                f"The state folder {self.path} can't be made: {error.strerror}.",
                hint="Name another with --state-dir or SELLCTL_STATE_DIR.",
            ) from None

    @property
    def journal(self) -> Path:
        """Where the journal lives."""
        return self.path / "journal.sqlite"

    def lock(self, account_number: str, what: str) -> None:
        """Become the only writer of an account, until this process ends. BusyError says who is it already."""
        from filelock import FileLock, Timeout  # noqa: PLC0415  read commands take no lock

        if account_number in self._locks:
            return
        self.make()
        lock = FileLock(self.path / f"account-{account_number}.lock", mode=_PRIVATE_FILE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(
                f"Account {account_number} is already worked by {self._holder(account_number)}.",
                hint="Stop that one, or use --if-busy skip.",
            ) from None
        self._locks[account_number] = lock
        self._sign(account_number, what)

    def release(self) -> None:
        """Let go of every account."""
        for number, lock in self._locks.items():
            self._signature(number).unlink(missing_ok=True)
            lock.release()
        self._locks.clear()

    def _sign(self, number: str, what: str) -> None:
        text = json.dumps({"pid": os.getpid(), "what": what})
        descriptor = os.open(self._signature(number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)

    def _holder(self, number: str) -> str:
        try:
            signed = json.loads(self._signature(number).read_text(encoding="utf-8"))
            return f"`sellctl {signed['what']}` (process {signed['pid']})"
        except (OSError, ValueError, KeyError, TypeError):
            return "another sellctl"

    def _signature(self, number: str) -> Path:
        return self.path / f"account-{number}.holder"
