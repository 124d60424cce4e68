"""The state folder: account locks, the halt flag, exempt symbols, and requests between processes."""

import json
import os
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sellctl.core.errors import BusyError, SellctlError
from sellctl.core.watching.manual_requests import CommandRequest, Verb

if TYPE_CHECKING:
    from filelock import BaseFileLock

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
_HALT = "halted"
_REQUESTS = "requests"
_EXEMPT = "exempt.json"
_RULES_TO_RESUME = "thawed.json"
_LIVE = "live-confirmed"


@dataclass(slots=True)
class StateFolder:
    """The folder with the journal, the locks and the halt flag. Created on first use, readable by its owner only."""

    path: Path
    _locks: "dict[str, BaseFileLock]" = field(default_factory=dict)

    def make(self) -> None:
        """Create the folder, readable by its owner only. SellctlError when that fails."""
        try:
            self.path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            raise SellctlError(
                f"The state folder {self.path} can't be created: {error.strerror}.",
                hint="Choose another one with --state-dir or SELLCTL_STATE_DIR.",
            ) from None

    @property
    def journal(self) -> Path:
        """The path of the journal."""
        return self.path / "journal.sqlite"

    # --- one writer per account ---------------------------------------------------------------------------------------

    def lock(self, account_number: str, what: str) -> None:
        """Lock an account for this process. BusyError, which names the holder, when another process has locked it.

        SellctlError when the lock can't be created. `what` is the command; other processes show it as the holder.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415  read commands take no lock

        if account_number in self._locks:
            return
        self.make()
        lock = FileLock(self.path / f"account-{account_number}.lock", mode=_PRIVATE_FILE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise BusyError(
                f"Account {account_number} is in use by {self._holder(account_number)}.",
                hint="Stop that process, or wait until it has ended.",
            ) from None
        except OSError as error:
            raise SellctlError(
                f"Account {account_number} can't be locked in {self.path}: {error.strerror}.",
                hint="sellctl needs write access there; see --state-dir.",
            ) from None
        self._locks[account_number] = lock
        _write(self._holder_file(account_number), {"pid": os.getpid(), "what": what})

    def release(self) -> None:
        """Release the locks of all accounts."""
        for number, lock in self._locks.items():
            self._holder_file(number).unlink(missing_ok=True)
            lock.release()
        self._locks.clear()

    def lock_holder(self, number: str) -> str:
        """The running process that has locked an account; "" without one. Takes no lock itself."""
        pid = _read(self._holder_file(number)).get("pid")
        try:
            os.kill(int(pid or 0) or -(2**30), 0)
        except (OSError, ValueError, TypeError, OverflowError):
            return ""
        return self._holder(number)

    def _holder(self, number: str) -> str:
        holder = _read(self._holder_file(number))
        return f"`sellctl {holder['what']}` (process {holder['pid']})" if holder else "another sellctl process"

    def _holder_file(self, number: str) -> Path:
        return self.path / f"account-{number}.holder"

    # --- the halt -----------------------------------------------------------------------------------------------------

    def halt(self, reason: str, by: str) -> None:
        """Stop all new orders of all processes on this folder (K1). A halt survives restarts and needs no database."""
        self.make()
        _write(self.path / _HALT, {"reason": reason, "by": by})

    def resume(self) -> bool:
        """Lift the halt. Returns whether there was one."""
        try:
            (self.path / _HALT).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise SellctlError(
                f"The halt flag {self.path / _HALT} can't be removed: {error.strerror}.",
                hint="Remove the file.",
            ) from None
        return True

    def halted(self) -> str:
        """Why trading is halted; "" when it isn't. A flag that can't be read counts as a halt."""
        flag = self.path / _HALT
        try:
            flag.lstat()
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"the halt flag can't be read ({error.strerror})"
        return str(_read(flag).get("reason", "")) or "the halt flag can't be read"

    # --- the first run with real money --------------------------------------------------------------------------------

    def confirmed_live(self) -> frozenset[str]:
        """Fingerprints of the real-money keys whose use has been confirmed."""
        return frozenset(str(mark) for mark in _read(self.path / _LIVE).get("keys", ()))

    def confirm_live(self, marks: Iterable[str]) -> None:
        """Record that the use of these keys has been confirmed."""
        self.make()
        _write(self.path / _LIVE, {"keys": sorted(self.confirmed_live() | set(marks))})

    # --- exempt and resumed symbols -----------------------------------------------------------------------------------

    def exempt(self) -> frozenset[str]:
        """The exempt symbols and underlyings. SellctlError when they can't be read."""
        return frozenset(self._symbols(_EXEMPT))

    def set_exempt(self, symbol: str, *, wanted: bool) -> bool:
        """Exempt a symbol or underlying from the next check on, or end that. Returns whether this changed anything."""
        self.make()
        known = set(self._symbols(_EXEMPT))
        changed = (symbol in known) is not wanted
        _write(self.path / _EXEMPT, {"symbols": sorted(known | {symbol} if wanted else known - {symbol})})
        return changed

    def resume_rules(self, symbol: str) -> None:
        """Record that the next process that acts is to resume the suspended rules of a symbol or underlying."""
        self.make()
        _write(self.path / _RULES_TO_RESUME, {"symbols": sorted({*self._symbols(_RULES_TO_RESUME), symbol})})

    def take_rules_to_resume(self) -> frozenset[str]:
        """The symbols whose suspended rules are to be resumed; each is returned once."""
        found = frozenset(self._symbols(_RULES_TO_RESUME))
        if found:
            (self.path / _RULES_TO_RESUME).unlink(missing_ok=True)
        return found

    def _symbols(self, name: str) -> list[str]:
        path = self.path / name
        try:
            path.lstat()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SellctlError(f"{path} can't be read: {error.strerror}.", hint="Check the state folder.") from None
        symbols = _read(path).get("symbols")
        if not isinstance(symbols, list):
            raise SellctlError(f"{path} is damaged: it has no list of symbols.", hint="Repair or remove it.")
        return [str(symbol) for symbol in symbols]

    # --- requests to the holder ---------------------------------------------------------------------------------------

    def ask(self, verb: Verb, *, symbol: str = "", accounts: tuple[str, ...] = (), by: str = "") -> Path:
        """Write a request for the process that holds the accounts. That process removes the file when it accepts."""
        folder = self.path / _REQUESTS
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        request = folder / f"{uuid.uuid4().hex}.json"
        _write(request, {"verb": verb.value, "symbol": symbol, "accounts": list(accounts), "by": by})
        return request

    def take_requests(self, accounts: Collection[str]) -> Iterator[CommandRequest]:
        """Take the requests for these accounts, each once. Unreadable requests are discarded."""
        for file in sorted((self.path / _REQUESTS).glob("*.json")):
            request = _read(file)
            names = request.get("accounts", [])
            if request and not set(names) & set(accounts):
                continue
            file.unlink(missing_ok=True)
            if request.get("verb") in set(Verb):
                symbol, by = str(request.get("symbol", "")), str(request.get("by", ""))
                yield CommandRequest(file.stem, Verb(request["verb"]), symbol, tuple(names), by)


def _write(path: Path, content: Mapping[str, object]) -> None:
    """Write a file atomically: a temporary file in the same folder is written and then renamed."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(content))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise SellctlError(f"{path} can't be written: {error.strerror}.", hint="Check the state folder.") from None


def _read(path: Path) -> "dict[str, Any]":
    """The JSON object in a file; empty when it can't be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
