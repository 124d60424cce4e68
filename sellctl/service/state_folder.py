"""The state folder: who works which account, whether trading is halted, and what other commands ask of the holder."""

import json
import os
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sellctl.core.errors import BusyError, SellctlError
from sellctl.core.model.request import CommandRequest, Verb

if TYPE_CHECKING:
    from filelock import BaseFileLock

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
_HALT = "halted"
_REQUESTS = "requests"
_EXEMPT = "exempt.json"
_THAWED = "thawed.json"
_LIVE = "live-confirmed"


@dataclass(slots=True)
class StateFolder:
    """The folder with the journal, the locks and the halt flag. It is made, for its owner only, when first needed."""

    path: Path
    _locks: "dict[str, BaseFileLock]" = field(default_factory=dict)
    _files: dict[str, Path] = field(default_factory=dict, compare=False)

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

    # --- one writer an account ----------------------------------------------------------------------------------------

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
        except OSError as error:
            raise SellctlError(
                f"The lock of account {account_number} in {self.path} can't be taken: {error.strerror}.",
                hint="sellctl needs to write there; see --state-dir.",
            ) from None
        self._locks[account_number] = lock
        _write(self._signature(account_number), {"pid": os.getpid(), "what": what})

    def release(self) -> None:
        """Let go of every account."""
        for number, lock in self._locks.items():
            self._signature(number).unlink(missing_ok=True)
            lock.release()
        self._locks.clear()

    def worked_by(self, number: str) -> str:
        """Which living process works an account; "" when none says so. Takes no lock."""
        pid = _read(self._signature(number)).get("pid")
        try:
            os.kill(int(pid or 0) or -(2**30), 0)
        except (OSError, ValueError, TypeError, OverflowError):
            return ""
        return self._holder(number)

    def _holder(self, number: str) -> str:
        signed = _read(self._signature(number))
        return f"`sellctl {signed['what']}` (process {signed['pid']})" if signed else "another sellctl"

    def _signature(self, number: str) -> Path:
        return self.path / f"account-{number}.holder"

    # --- the halt -----------------------------------------------------------------------------------------------------

    def halt(self, reason: str, by: str) -> None:
        """Stop all new orders of every process on this folder (K1). It survives restarts and needs no database."""
        self.make()
        _write(self.path / _HALT, {"reason": reason, "by": by})

    def resume(self) -> bool:
        """Lift the halt; whether there was one."""
        try:
            (self.path / _HALT).unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise SellctlError(
                f"The halt flag {self.path / _HALT} can't be removed: {error.strerror}.", hint="Remove it by hand."
            ) from None
        return True

    def halted(self) -> str:
        """Why trading is halted; "" when it isn't. A flag that can't be read counts as a halt."""
        flag = self._file(_HALT)
        try:
            flag.lstat()
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"the halt flag can't be read ({error.strerror})"
        said = _read(flag)
        return str(said.get("reason", "")) or "the halt flag can't be read"

    # --- the first run with real money --------------------------------------------------------------------------------

    def confirmed_live(self) -> frozenset[str]:
        """Marks of the keys with real money that somebody has agreed to act on."""
        return frozenset(str(mark) for mark in _read(self.path / _LIVE).get("keys", ()))

    def confirm_live(self, marks: Iterable[str]) -> None:
        """Remember that somebody agreed."""
        self.make()
        _write(self.path / _LIVE, {"keys": sorted(self.confirmed_live() | set(marks))})

    # --- what is left alone at run time -------------------------------------------------------------------------------

    def exempt(self) -> frozenset[str]:
        """Symbols or underlyings that a person asked to leave alone. SellctlError when that can't be read."""
        return frozenset(self._symbols(_EXEMPT))

    def set_exempt(self, symbol: str, *, wanted: bool) -> bool:
        """Leave a symbol or underlying alone from the next look on, or manage it again; whether that is news."""
        self.make()
        known = set(self._symbols(_EXEMPT))
        changed = (symbol in known) is not wanted
        _write(self.path / _EXEMPT, {"symbols": sorted(known | {symbol} if wanted else known - {symbol})})
        return changed

    def thaw(self, symbol: str) -> None:
        """Let the frozen rules of a symbol or underlying go on; the next process that acts takes it up."""
        self.make()
        _write(self.path / _THAWED, {"symbols": sorted({*self._symbols(_THAWED), symbol})})

    def take_thawed(self) -> frozenset[str]:
        """Every symbol to thaw, told once."""
        found = frozenset(self._symbols(_THAWED))
        if found:
            (self.path / _THAWED).unlink(missing_ok=True)
        return found

    def _symbols(self, name: str) -> list[str]:
        path = self._file(name)
        try:
            path.lstat()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SellctlError(f"{path} can't be read: {error.strerror}.", hint="Look at the state folder.") from None
        said = _read(path).get("symbols")
        if not isinstance(said, list):
            raise SellctlError(
                f"{path} can't be read, so nobody knows what to leave alone.", hint="Repair or remove it."
            )
        return [str(symbol) for symbol in said]

    def _file(self, name: str) -> Path:
        """A file that each account's look asks for: its path is put together once."""
        if name not in self._files:
            self._files[name] = self.path / name
        return self._files[name]

    # --- requests to the holder ---------------------------------------------------------------------------------------

    def ask(self, verb: Verb, *, symbol: str = "", accounts: tuple[str, ...] = (), by: str = "") -> Path:
        """Leave a request; the holder removes the file when it has taken it up."""
        folder = self.path / _REQUESTS
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        request = folder / f"{uuid.uuid4().hex}.json"
        _write(request, {"verb": verb.value, "symbol": symbol, "accounts": list(accounts), "by": by})
        return request

    def take_requests(self, accounts: Collection[str]) -> Iterator[CommandRequest]:
        """Every request to a holder of these accounts, each once; what can't be read is thrown away."""
        for file in sorted((self.path / _REQUESTS).glob("*.json")):
            said = _read(file)
            names = said.get("accounts", [])
            if said and not set(names) & set(accounts):
                continue
            file.unlink(missing_ok=True)
            if said.get("verb") in set(Verb):
                symbol, by = str(said.get("symbol", "")), str(said.get("by", ""))
                yield CommandRequest(file.stem, Verb(said["verb"]), symbol, tuple(names), by)


def _write(path: Path, words: Mapping[str, object]) -> None:
    """A whole file or none: written beside and moved into place."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _PRIVATE_FILE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(words))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise SellctlError(f"{path} can't be written: {error.strerror}.", hint="Look at the state folder.") from None


def _read(path: Path) -> "dict[str, Any]":
    """What a file of ours says; empty when it can't be read."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
