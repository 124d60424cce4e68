"""The state folder: account locks, health, the halt flag, exempt symbols, and requests between processes."""

import datetime as dt
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

from sellctl.core.errors import BusyError, SafetyRefusalError, SellctlError
from sellctl.core.manual.verb import Verb
from sellctl.core.watching.manual_requests import ALL, CommandRequest, ExitTerms
from sellctl.journal.location import JournalLocation, PostgresLocation, require_driver
from sellctl.private_files import (
    PRIVATE_FILE,
    NotPrivateError,
    make_private_folder,
    open_private,
    read_private,
)
from sellctl.service.exemptions import ExemptionFiles, Exemptions, SharedExemptions
from sellctl.service.halt_flag import Halt, HaltFlag, HaltOrigin
from sellctl.service.json_files import read, write
from sellctl.service.requests import document_of, request_in

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from sellctl.core.leases.model import LeaseView
    from sellctl.journal.leases.shared_state import SharedState


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


@dataclass(frozen=True, slots=True)
class SharedNews:
    """What a look at the shared state brings to one process: requests, and why others were discarded."""

    requests: tuple[CommandRequest, ...] = ()
    discarded: tuple[str, ...] = ()


_ANOTHER = "another sellctl process"
_REQUESTS = "requests"
_REQUEST_SECONDS = 30.0  # a request is withdrawn before that, unless the command that left it was killed
_LIVE = "live-confirmed"
_HEALTHY = "healthy"


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
    _shared: "SharedState | None" = None
    _exemptions: Exemptions | None = None
    hosts: "LeaseView | None" = None  # those that share the journal, as of the last look; None with a file
    _shows_health: bool = False

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
        write(self._holder_file(number), holder, durable=False)

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
            process = _process_in(read(file))
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

    def lock_holder(self, number: str) -> RunningProcess | None:
        """The running process that has locked an account; None without one. Takes no lock itself."""
        return _process_in(read(self._holder_file(number)))

    def _holder_file(self, number: str) -> Path:
        return self.path / f"account-{_as_name(number)}.holder"

    # --- health -------------------------------------------------------------------------------------------------------

    def renew_health(self) -> None:
        """Set the time of the file `healthy` to now: by its age, a health check sees whether this process still works.

        A file that can't be written is no reason to stop: the check then finds none, or an old one.
        """
        with suppress(OSError, SellctlError):
            self.make()
            descriptor = open_private(self.path / _HEALTHY, os.O_WRONLY | os.O_CREAT)
            try:
                os.utime(descriptor)
            finally:
                os.close(descriptor)
            self._shows_health = True

    def remove_health(self) -> None:
        """Remove the file `healthy` if this process has written it: another command leaves that of a watcher alone."""
        if self._shows_health:
            with suppress(OSError):
                (self.path / _HEALTHY).unlink(missing_ok=True)
            self._shows_health = False

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

    def told_halt(self) -> int | None:
        """The number under which these hosts know of this machine's halt; None when they don't, or there is none."""
        return self._halt_flag.told_number()

    def halt_was_told(self, flag: str, number: int) -> None:
        """Remember that these hosts know of a flag, as the halt of this number."""
        self._halt_flag.set_told(flag, number)

    def lift_told_halt(self, number: int) -> bool:
        """Lift the halt if it was told to them under this number or an earlier one. Returns whether it was."""
        return self._halt_flag.lift_told(number)

    # --- the first run with real money --------------------------------------------------------------------------------

    def confirmed_live(self) -> frozenset[str]:
        """Fingerprints of the real-money keys whose use has been confirmed."""
        keys = read(self.path / _LIVE).get("keys")
        return frozenset(str(fingerprint) for fingerprint in keys) if isinstance(keys, list) else frozenset()

    def confirm_live(self, fingerprints: Iterable[str]) -> None:
        """Record that the use of these keys has been confirmed."""
        self.make()
        write(self.path / _LIVE, {"keys": sorted(self.confirmed_live() | set(fingerprints))})

    # --- exempt and resumed symbols -----------------------------------------------------------------------------------

    def exempt(self) -> frozenset[str]:
        """The exempt symbols, underlyings and structures, also those whose exemption has ended by itself.

        SellctlError when they can't be read.
        """
        return frozenset(self.exemptions())

    def exemptions(self) -> Mapping[str, dt.datetime | None]:
        """The same, each with when it ends by itself; None when it doesn't. SellctlError as above."""
        return self._exempt.ends()

    def set_exempt(self, symbol: str, *, wanted: bool, until: dt.datetime | None = None) -> None:
        """Exempt a symbol, underlying or structure from the next check on, or end that.

        With `until`, that ends by itself. SellctlError when it can't be stored, or hosts that share the journal can't
        be told: then nothing has changed.
        """
        self.make()
        if wanted:
            self._exempt.exempt(symbol, until)
        else:
            self._exempt.manage(symbol)

    def resume_rules(self, symbol: str, accounts: Iterable[str]) -> None:
        """Record for each account that the next process that acts is to resume a symbol's or underlying's rules."""
        self.make()
        self._exempt.resume_rules(symbol, accounts)

    def take_rules_to_resume(self, account: str) -> frozenset[str]:
        """The symbols whose suspended rules are to be resumed in an account; each is returned once.

        SellctlError when they can't be read, or not be removed.
        """
        return self._exempt.take_rules_to_resume(account)

    @property
    def _exempt(self) -> Exemptions:
        if self._exemptions is None:
            files, shared = ExemptionFiles(self.path), self.shared
            self._exemptions = SharedExemptions(shared, files) if shared else files
        return self._exemptions

    # --- what hosts share ---------------------------------------------------------------------------------------------

    @property
    def shared(self) -> "SharedState | None":
        """What hosts share in the journal's database; None when the journal is a file of this folder.

        ConfigError when the secret that says where it is isn't there, JournalError without the database's driver.
        """
        if self._shared is None and isinstance(self.journal, PostgresLocation):
            require_driver()
            from sellctl.journal.leases.shared_state import SharedState  # noqa: PLC0415  loads the driver

            self._shared = SharedState(self.journal)
        return self._shared

    def look_at_shared(
        self, registration: int = 0, accounts: Collection[str] = (), *, acts: bool = True, keep: bool = False
    ) -> "SharedNews":
        """Take over what is shared now; return what was taken with it for this process. Does nothing with a file.

        As a host by its `registration`, otherwise for these `accounts` (SharedState.look). Unless it `acts`, nothing is
        written. JournalError when the database can't be reached; what is known stays as it was.
        """
        shared, exempt = self.shared, self._exempt
        if shared is None or not isinstance(exempt, SharedExemptions):
            return SharedNews()
        found = shared.look(registration, accounts if acts else (), keep=keep)
        self.hosts = found.hosts
        if not acts:
            exempt.see(found.exemptions)
            return SharedNews()
        self.make()
        requests, discarded = [], [f"a request waited too long and was discarded: {number}" for number in found.late]
        for number, text in found.requests:
            try:
                requests.append(request_in(text, number))
            except ValueError as error:
                discarded.append(f"what was asked as {number} is not a request and was discarded: {error}")
        try:
            exempt.take(found.exemptions, found.rules)
        except SellctlError:
            if not found.requests:  # those are deleted, and nobody would carry them out
                raise
        return SharedNews(tuple(requests), tuple(discarded))

    @property
    def all_halted(self) -> str:
        """Why all hosts that share the journal were halted at the last look; "" when they weren't."""
        return self.hosts.halted if self.hosts else ""

    def close_shared(self) -> None:
        """Close the connection to the shared database, if there is one."""
        if self._shared is not None:
            self._shared.close()

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
        write(file, document_of(request))
        return file

    def take_requests(self, accounts: Collection[str]) -> tuple[list[CommandRequest], list[str]]:
        """Take the requests for these accounts, each once; and say of each other file why it was discarded.

        So is a request that is old: nobody waits for it any more, and the account may have come to this host since.
        """
        requests, discarded = [], []
        for file in sorted((self.path / _REQUESTS).glob("*.json")):
            if file in self._ignored:
                continue
            try:
                age = abs(time.time() - file.stat().st_mtime)
                request = request_in(read_private(file), file.stem)
            except FileNotFoundError:
                continue  # withdrawn
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                discarded.append(f"{file} is not a request and was discarded: {why}")
                self._remove(file)
                continue
            if age > _REQUEST_SECONDS:
                discarded.append(f"{file} waited too long and was discarded")
                self._remove(file)
            elif set(request.accounts) & set(accounts):
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


def _as_name(text: str) -> str:
    """An account's number or name as a part of a file's name: it is the broker's or the user's text."""
    return quote(text, safe="")


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
