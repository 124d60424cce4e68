"""The state folder: account locks, the halt flag, exempt symbols, and requests between processes."""

import datetime as dt
import json
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from sellctl.core.errors import BusyError, ConfigError, SafetyRefusalError, SellctlError
from sellctl.core.manual.proposed_overrides import check_change
from sellctl.core.manual.verb import Verb
from sellctl.core.model.position import OverrideChange
from sellctl.core.watching.manual_requests import ALL, CommandRequest, ExitTerms, terms_document, terms_in
from sellctl.journal.location import JournalLocation, PostgresLocation
from sellctl.private_files import (
    PRIVATE_FILE,
    NotPrivateError,
    make_private_folder,
    open_private,
    read_private,
    replace_private,
)
from sellctl.service.halt_flag import Halt, HaltFlag, HaltOrigin

if TYPE_CHECKING:
    from filelock import BaseFileLock


class ConfigInUse(msgspec.Struct, frozen=True):
    """The file from which a process has read its configuration, when it did, and the configuration's fingerprints.

    `of_start` is that of the keys which a reload doesn't take up.
    """

    file: str
    read_at: dt.datetime
    fingerprint: str
    of_start: str


@dataclass(frozen=True, slots=True)
class RunningProcess:
    """A process that holds accounts. `command` is what was called, such as `watch`; "" while that is unknown."""

    pid: int
    command: str
    config: "ConfigInUse | None" = None

    @property
    def text(self) -> str:
        """How people are told of it."""
        return f"`sellctl {self.command}` (process {self.pid})" if self.command else _ANOTHER


_ANOTHER = "another sellctl process"
_REQUESTS = "requests"
_EXEMPT = "exempt.json"
_SYMBOLS, _UNTIL = "symbols", "until"  # its keys
_LIVE = "live-confirmed"


@dataclass(slots=True)
class StateFolder:
    """The folder with the journal, the locks and the halt flag. Created on first use, readable by its owner only."""

    path: Path
    monotonic: Callable[[], float] = time.monotonic
    journal_url: Callable[[], str] = str  # that of the journal's database; "" when it is a file in this folder
    simulated: bool = False
    _locks: "dict[str, BaseFileLock]" = field(default_factory=dict)
    _held_for: dict[str, str] = field(default_factory=dict)  # the command, by account number
    _config_in_use: ConfigInUse | None = None
    _halt_flag: HaltFlag = field(init=False)
    _ignored: set[Path] = field(default_factory=set)  # in the inbox, reported and impossible to remove

    def __post_init__(self) -> None:
        self._halt_flag = HaltFlag(self.path, self.monotonic)

    def make(self) -> None:
        """Create the folder for its owner only, or take the right to write to it from others.

        SafetyRefusalError when others can write to it all the same, SellctlError when it can't be created.
        """
        _make(self.path)

    @property
    def journal(self) -> JournalLocation:
        """Where the journal is. ConfigError when the secret that says so isn't there."""
        url = self.journal_url()
        return PostgresLocation(url, self.path, self.simulated) if url else self.journal_file

    @property
    def journal_file(self) -> Path:
        """The path of the journal in this folder, which a database may stand in for."""
        return self.path / "journal.sqlite"

    @property
    def facts(self) -> Path:
        """The path of the file with what rarely changes."""
        return self.path / "remembered.json"

    @property
    def notifications(self) -> Path:
        """The path of the file with what was last notified."""
        return self.path / "notified.json"

    # --- one writer per account ---------------------------------------------------------------------------------------

    def lock(self, account_number: str, what: str) -> None:
        """Lock an account for this process. BusyError, which names the holder, when another process has locked it.

        SellctlError when the lock can't be created. `what` is the command; other processes show it as the holder.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415  read commands take no lock

        if account_number in self._locks:
            return
        if not self._locks:
            self.make()
        path = self.path / f"account-{_as_name(account_number)}.lock"
        lock = FileLock(path, mode=PRIVATE_FILE)
        try:
            os.close(open_private(path, os.O_RDWR | os.O_CREAT))
            lock.acquire(timeout=0)
        except Timeout:
            holder = self.lock_holder(account_number)
            raise BusyError(
                f"Account {account_number} is in use by {holder.text if holder else _ANOTHER}.",
                hint="Stop that process, or wait until it has ended.",
            ) from None
        except OSError as error:
            raise SellctlError(
                f"Account {account_number} can't be locked in {self.path}: {error.strerror}.",
                hint="sellctl needs write access there; see --state-dir.",
            ) from None
        self._locks[account_number] = lock
        # Not forced to disk, which took 0.5 s for 50 accounts: it says nothing once the process and its lock are gone.
        self._held_for[account_number] = what
        self._write_holder(account_number)

    def _write_holder(self, number: str) -> None:
        config = msgspec.to_builtins(self._config_in_use)
        holder = {"pid": os.getpid(), "what": self._held_for[number], "config": config}
        _write(self._holder_file(number), holder, durable=False)

    def uses_config(self, config: ConfigInUse) -> None:
        """Let other processes see which configuration this one uses for the accounts that it holds or will hold.

        A later one was reloaded: of its keys, those of the start stay as they were.
        """
        before = self._config_in_use
        self._config_in_use = msgspec.structs.replace(config, of_start=before.of_start) if before else config
        for number in self._locks:
            with suppress(SellctlError):
                self._write_holder(number)

    def running(self) -> tuple[RunningProcess, ...]:
        """The other processes that hold accounts of this folder, by their number. Takes no lock itself."""
        found = {}
        for file in self.path.glob("account-*.holder"):
            process = _process_in(_read(file))
            if process is not None and process.pid != os.getpid():
                found[process.pid] = process
        return tuple(found[pid] for pid in sorted(found))

    def release(self) -> None:
        """Release the locks of all accounts."""
        for number, lock in self._locks.items():
            self._holder_file(number).unlink(missing_ok=True)
            lock.release()
        self._locks.clear()

    def unlock(self, account_number: str) -> None:
        """Release the lock of one account, which another host watches from now on; does nothing without a lock."""
        lock = self._locks.pop(account_number, None)
        if lock is not None:
            self._holder_file(account_number).unlink(missing_ok=True)
            lock.release()

    def renew_holders(self) -> None:
        """Set the time of this process's holder files to now: a health check sees that it still checks its accounts."""
        for number in self._locks:
            with suppress(OSError):
                os.utime(self._holder_file(number))

    def lock_holder(self, number: str) -> RunningProcess | None:
        """The running process that has locked an account; None without one. Takes no lock itself."""
        return _process_in(_read(self._holder_file(number)))

    def _holder_file(self, number: str) -> Path:
        return self.path / f"account-{_as_name(number)}.holder"

    # --- the halt -----------------------------------------------------------------------------------------------------

    def halt(self, reason: str, by: str, origin: HaltOrigin = HaltOrigin.MACHINE) -> str:
        """Stop all new orders of all processes on this folder (K1). Return why the reason can't be stored, or "".

        SellctlError when not even the flag can be written: then only this process is halted. A halt made over the API
        or by chat never replaces another one.
        """
        return self._halt_flag.set(Halt(reason or "no reason was given", by, origin))

    def resume(self) -> bool:
        """Lift the halt, wherever it was made. Returns whether there was one."""
        return self._halt_flag.lift()

    def resume_remote(self) -> bool:
        """Lift a halt that was made over the API or by chat. Returns whether there was one.

        SafetyRefusalError when it was made at the machine or by the account guard.
        """
        return self._halt_flag.lift_remote()

    def halted(self) -> str:
        """Why trading is halted; "" when it isn't. A flag that can't be read counts as a halt, and so does a draft."""
        halt = self._halt_flag.read()
        return halt.reason if halt else ""

    def current_halt(self) -> Halt | None:
        """The halt with its origin; None without one."""
        return self._halt_flag.read()

    def untold_halt(self) -> "tuple[Halt, str] | None":
        """The halt that the hosts that share the accounts haven't been told of, and which flag; None without one."""
        return self._halt_flag.untold()

    def halt_was_told(self, flag: str, number: int) -> None:
        """Remember that these hosts know of a flag, as the halt of this number."""
        self._halt_flag.set_told(flag, number)

    def lift_told_halt(self, number: int) -> bool:
        """Lift the halt if it was told to them under this number or an earlier one. Returns whether it was."""
        return self._halt_flag.lift_told(number)

    # --- the first run with real money --------------------------------------------------------------------------------

    def confirmed_live(self) -> frozenset[str]:
        """Fingerprints of the real-money keys whose use has been confirmed."""
        keys = _read(self.path / _LIVE).get("keys")
        return frozenset(str(fingerprint) for fingerprint in keys) if isinstance(keys, list) else frozenset()

    def confirm_live(self, fingerprints: Iterable[str]) -> None:
        """Record that the use of these keys has been confirmed."""
        self.make()
        _write(self.path / _LIVE, {"keys": sorted(self.confirmed_live() | set(fingerprints))})

    # --- exempt and resumed symbols -----------------------------------------------------------------------------------

    def exempt(self) -> frozenset[str]:
        """The exempt symbols, underlyings and structures, also those whose exemption has ended by itself.

        SellctlError when they can't be read.
        """
        return frozenset(self.exemptions())

    def exemptions(self) -> dict[str, dt.datetime | None]:
        """The same, each with when it ends by itself; None when it doesn't. SellctlError as above."""
        path = self.path / _EXEMPT
        content = self._content(_EXEMPT)
        ends = content.get(_UNTIL, {})
        try:
            known = {str(name): _instant(end) for name, end in ends.items()} if isinstance(ends, dict) else None
        except ValueError:
            known = None
        if known is None:
            raise SellctlError(f"{path} is damaged: the end of an exemption isn't a time.", hint="Repair or remove it.")
        return {symbol: known.get(symbol) for symbol in _symbols_in(content, path)}

    def set_exempt(self, symbol: str, *, wanted: bool, until: dt.datetime | None = None) -> bool:
        """Exempt a symbol, underlying or structure from the next check on, or end that.

        With `until`, that ends by itself. Returns whether this changed anything.
        """
        self.make()
        before = self.exemptions()
        after = {name: end for name, end in before.items() if name != symbol}
        if wanted:
            after[symbol] = until
        ends = {name: end.isoformat() for name, end in sorted(after.items()) if end is not None}
        # The symbols are apart from the ends, so that an earlier version reads them, too.
        _write(self.path / _EXEMPT, {"symbols": sorted(after), **({_UNTIL: ends} if ends else {})})
        return before != after

    def resume_rules(self, symbol: str, accounts: Iterable[str]) -> None:
        """Record for each account that the next process that acts is to resume a symbol's or underlying's rules."""
        self.make()
        for account in accounts:
            name = _rules_to_resume(account)
            _write(self.path / name, {_SYMBOLS: sorted({*self._symbols(name), symbol})})

    def take_rules_to_resume(self, account: str) -> frozenset[str]:
        """The symbols whose suspended rules are to be resumed in an account; each is returned once.

        SellctlError when they can't be read, or not be removed.
        """
        name = _rules_to_resume(account)
        found = frozenset(self._symbols(name))
        if found:
            try:
                (self.path / name).unlink(missing_ok=True)
            except OSError as error:
                raise SellctlError(f"{self.path / name} can't be removed: {error.strerror}.") from None
        return found

    def _symbols(self, name: str) -> list[str]:
        return _symbols_in(self._content(name), self.path / name)

    def _content(self, name: str) -> "dict[str, Any]":
        """What is in a file with a list of symbols: an empty one without the file. SellctlError when it can't be read.

        Without content where it is damaged.
        """
        path = self.path / name
        try:
            return _object_in(read_private(path))
        except FileNotFoundError:
            return {_SYMBOLS: []}
        except OSError as error:
            raise SellctlError(f"{path} can't be read: {error.strerror}.", hint="Check the state folder.") from None
        except ValueError:
            return {}

    # --- requests to the holder ---------------------------------------------------------------------------------------

    def ask(
        self, verb: Verb, *, symbol: str = "", accounts: tuple[str, ...] = (), by: str = "", terms: ExitTerms = ALL
    ) -> Path:
        """Write a request for the process that holds the accounts. That process removes the file when it accepts."""
        return self.pass_on(CommandRequest(uuid.uuid4().hex, verb, symbol, accounts, by, terms))

    def pass_on(self, request: CommandRequest) -> Path:
        """Write a request, as `ask` does."""
        self.make()
        _make(self.path / _REQUESTS)
        file = self.path / _REQUESTS / f"{request.id}.json"
        content: dict[str, object] = {
            "verb": request.verb.value,
            "symbol": request.symbol,
            "accounts": list(request.accounts),
            "by": request.by,
            **terms_document(request.terms),
        }
        if request.change is not None:
            content["change"] = msgspec.to_builtins(request.change)
        _write(file, content)
        return file

    def take_requests(self, accounts: Collection[str]) -> tuple[list[CommandRequest], list[str]]:
        """Take the requests for these accounts, each once; and say of each other file why it was discarded."""
        requests, discarded = [], []
        for file in sorted((self.path / _REQUESTS).glob("*.json")):
            if file in self._ignored:
                continue
            try:
                request = _request_of(file)
            except FileNotFoundError:
                continue  # withdrawn
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                discarded.append(f"{file} is not a request and was discarded: {why}")
                self._remove(file)
                continue
            if set(request.accounts) & set(accounts):
                self._remove(file)
                requests.append(request)
        return requests, discarded

    def _remove(self, file: Path) -> None:
        """Remove a file of the inbox; one that can't be removed, like a folder, is ignored from now on."""
        try:
            file.unlink(missing_ok=True)
        except OSError:
            self._ignored.add(file)


def _process_in(holder: Mapping[str, Any]) -> RunningProcess | None:
    """The process of a holder's file; None when it has ended, or when the file doesn't say which it is."""
    try:
        pid = int(holder.get("pid") or 0) or -(2**30)
        os.kill(pid, 0)
    except (OSError, ValueError, TypeError, OverflowError):
        return None
    return RunningProcess(pid, str(holder.get("what") or ""), _config_in(holder))


def _config_in(holder: Mapping[str, Any]) -> ConfigInUse | None:
    """The configuration of a holder; None where it doesn't say."""
    try:
        return msgspec.convert(holder.get("config"), ConfigInUse)
    except msgspec.ValidationError:
        return None


def _symbols_in(content: Mapping[str, Any], path: Path) -> list[str]:
    """The list of symbols in a file's content. SellctlError when there is none."""
    symbols = content.get(_SYMBOLS)
    if not isinstance(symbols, list):
        raise SellctlError(f"{path} is damaged: it has no list of symbols.", hint="Repair or remove it.")
    return [str(symbol) for symbol in symbols]


def _instant(text: object) -> dt.datetime:
    """The instant in ISO 8601, with its offset from UTC. ValueError when it is none."""
    instant = dt.datetime.fromisoformat(str(text))
    if instant.tzinfo is None:
        raise ValueError("it has no offset")
    return instant


def _request_of(file: Path) -> CommandRequest:
    """The request in a file. OSError or ValueError when it holds none, or others can have written it."""
    content = _object_in(read_private(file))
    names, symbol, by = content.get("accounts"), content.get("symbol", ""), content.get("by", "")
    if not isinstance(names, list) or not all(isinstance(text, str) for text in (*names, symbol, by)):
        raise ValueError("its fields have the wrong types")
    verb, change = Verb(str(content.get("verb"))), content.get("change")
    if (verb is Verb.SET) is (change is None):
        raise ValueError("it has no change, or one that does not belong to it")
    wanted = None if change is None else _change_of(change)
    return CommandRequest(file.stem, verb, symbol, tuple(names), by, terms_in(content), wanted)


def _change_of(content: object) -> OverrideChange:
    try:
        change = msgspec.convert(content, OverrideChange)
        check_change(change)
    except (msgspec.ValidationError, ConfigError) as error:
        raise ValueError(str(error)) from None
    return change


def _as_name(text: str) -> str:
    """An account's number or name as a part of a file's name: it is the broker's or the user's text."""
    return quote(text, safe="")


def _rules_to_resume(account: str) -> str:
    return f"thawed-{_as_name(account)}.json"


def _make(folder: Path) -> None:
    try:
        make_private_folder(folder)
    except NotPrivateError as error:
        raise SafetyRefusalError(
            f"The state folder {folder} is not safe: {error.strerror}.",
            hint="Choose a folder of your own with --state-dir or SELLCTL_STATE_DIR, for example one inside it.",
        ) from None
    except OSError as error:
        raise SellctlError(
            f"The state folder {folder} can't be created: {error.strerror}.",
            hint="Choose another one with --state-dir or SELLCTL_STATE_DIR.",
        ) from None


def _write(path: Path, content: Mapping[str, object], *, durable: bool = True) -> None:
    """Write a file completely or not at all. SellctlError when that fails."""
    try:
        replace_private(path, json.dumps(content).encode(), durable=durable)
    except OSError as error:
        raise SellctlError(f"{path} can't be written: {error.strerror}.", hint="Check the state folder.") from None


def _read(path: Path) -> "dict[str, Any]":
    """The JSON object in a file; empty when it can't be read, or when others can have written it."""
    try:
        return _object_in(read_private(path))
    except (OSError, ValueError):
        return {}


def _object_in(text: str) -> "dict[str, Any]":
    """The JSON object in a text. ValueError when there is none."""
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004  it is about the file's content
    return content
