"""The halt flag: a file in the state folder that stops all new orders of all processes, with its reason and origin."""

import json
import os
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sellctl.core.errors import SafetyRefusalError, SellctlError
from sellctl.private_files import PRIVATE_FOLDER, open_private, read_private, replace_private, sync_folder

NAME = "halted"
HALTED = "Halted: no new orders are sent. Orders that are working at the broker stay there."  # what is said once it is
_DRAFT = f".{NAME}."  # what the name of a halt starts with that was being written when its process ended
_TOLD = f"{NAME}-told.json"  # which halt the hosts that share the accounts have been told of, and under which number
_LISTED_EVERY = 0.2  # seconds: not once per account and decision, and well within the second that a halt may take


class HaltOrigin(StrEnum):
    """Where a halt was made. One made at the machine or by the account guard is lifted at the machine only."""

    MACHINE = "machine"
    GUARD = "guard"
    API = "api"
    CHAT = "chat"

    @property
    def is_remote(self) -> bool:
        """Whether it may also be lifted over the API."""
        return self in {HaltOrigin.API, HaltOrigin.CHAT}


@dataclass(frozen=True, slots=True)
class Halt:
    """A halt: why, by whom, and where it was made."""

    reason: str
    by: str
    origin: HaltOrigin


@dataclass(slots=True)
class HaltFlag:
    """The flag in a folder. What can't be read halts, and counts as a halt made at the machine."""

    folder: Path
    monotonic: Callable[[], float] = time.monotonic
    _unwritten: Halt | None = None  # a halt that the disk refused; this process obeys it all the same
    _told: tuple[str, int] | None = None  # the flag of which the other hosts were told last, with the halt's number
    _listed_at: float = float("-inf")  # when the folder was last searched for drafts
    _has_draft: bool = False  # whether there was one

    @property
    def path(self) -> Path:
        """The path of the flag."""
        return self.folder / NAME

    def set(self, halt: Halt) -> str:
        """Stop all new orders of all processes on this folder (K1). A halt survives restarts and needs no database.

        The empty flag already halts, so that a full disk costs only the reason. Return why that can't be stored, or "".
        SellctlError when not even the flag can be written: then only this process is halted.

        A halt made over the API or by chat never replaces another one: it could then be lifted there.
        """
        if halt.origin.is_remote and self._unwritten:
            halt = self._unwritten
        self._unwritten = halt
        try:
            created = self._create()
            if created is not None and halt.origin.is_remote:
                _write_and_close(created, _content_of(halt))
            elif created is not None:
                os.close(created)
            if not halt.origin.is_remote:
                replace_private(self.path, _content_of(halt))
        except OSError as error:
            return f"{self.path} can't be written: {error.strerror}"
        return ""

    def _create(self) -> int | None:
        """Create the flag without a reason. Its descriptor; None when something is there, which halts as well."""
        descriptor = None
        try:
            self.folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                descriptor = open_private(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            sync_folder(self.folder)
        except OSError as error:
            raise SellctlError(
                f"The halt flag {self.path} can't be written: {error.strerror}.",
                hint="Trading goes on in other processes: stop them, or create the file by hand.",
            ) from None
        self._unwritten = None
        return descriptor

    def lift(self) -> bool:
        """Lift the halt, wherever it was made. Returns whether there was one."""
        found, self._listed_at = False, float("-inf")
        for path in (*self._drafts(), self.path):
            try:
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _not_removed(path, error) from None
            found = True
        return found

    def lift_remote(self) -> bool:
        """Lift a halt that was made over the API or by chat. Returns whether there was one.

        SafetyRefusalError when it was made elsewhere. The flag is moved away before its origin is read, so that a halt
        that is made meanwhile at the machine is never removed; a flag that is being moved halts too.
        """
        halt = self.read()
        if halt is None:
            return False
        _require_remote(halt)
        moved = self.folder / f"{_DRAFT}{uuid.uuid4().hex}"
        try:
            self.path.rename(moved)
            try:
                _require_remote(_halt_in(moved))
            except SafetyRefusalError:
                moved.replace(self.path)
                raise
            moved.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _not_removed(self.path, error) from None
        self._listed_at = float("-inf")
        return True

    # --- a halt that several hosts share ------------------------------------------------------------------------------

    def untold(self) -> "tuple[Halt, str] | None":
        """The halt that the other hosts haven't been told of yet, and which flag that is; None without one."""
        flag = self._identity()
        if not flag or self._told_number(flag) is not None:
            return None
        halt = self.read()
        return (halt, flag) if halt else None

    def told_number(self) -> int | None:
        """The number under which the other hosts know of this halt; None when they don't, or without one."""
        flag = self._identity()
        return self._told_number(flag) if flag else None

    def set_told(self, flag: str, number: int) -> None:
        """Remember, also from process to process, that the other hosts know of a flag, as the halt of this number."""
        self._told = (flag, number)
        with suppress(OSError):
            replace_private(self.folder / _TOLD, json.dumps({"flag": flag, "number": number}).encode())

    def lift_told(self, number: int) -> bool:
        """Lift the halt if the other hosts were told of it under this number or an earlier one. Returns whether it was.

        Where they were told under a later number, that halt was lost since, and they have to be told again. The flag is
        moved away before it is compared, so that a halt that is made meanwhile is never removed.
        """
        flag = self._identity()
        known = self._told_number(flag) if flag else None
        if known is not None and known > number:
            self._told = None
            with suppress(OSError):
                (self.folder / _TOLD).unlink(missing_ok=True)
        if known is None or known > number:
            return False
        if self._unwritten:
            self._unwritten = self._told = None
            return True
        moved = self.folder / f"{_DRAFT}{uuid.uuid4().hex}"
        try:
            self.path.rename(moved)
            if _identity_of(moved) != flag:
                moved.replace(self.path)
                return False
            moved.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _not_removed(self.path, error) from None
        self._listed_at = float("-inf")
        return True

    def _identity(self) -> str:
        """Which halt this is: another flag has another one. "" without a flag, and where only a draft halts."""
        if self._unwritten:
            return f"unwritten {self._unwritten}"
        return _identity_of(self.path)

    def _told_number(self, flag: str) -> int | None:
        """The number under which the other hosts were told of a flag; None when they weren't."""
        if self._told is None or self._told[0] != flag:
            try:
                content = json.loads(read_private(self.folder / _TOLD))
                self._told = (str(content["flag"]), int(content["number"]))
            except (OSError, ValueError, TypeError, KeyError, RecursionError):
                return None
        return self._told[1] if self._told[0] == flag else None

    # ------------------------------------------------------------------------------------------------------------------

    def read(self) -> Halt | None:
        """The halt; None without one. A flag that can't be read counts as a halt, and so does a draft."""
        if self._unwritten:
            return self._write_again(self._unwritten)
        try:
            self.path.lstat()
        except FileNotFoundError:
            return _at_the_machine("a halt was not completely written") if self._is_drafted() else None
        except OSError as error:
            return _at_the_machine(f"the halt flag can't be read ({error.strerror})")
        return _halt_in(self.path)

    def _write_again(self, halt: Halt) -> Halt:
        with suppress(SellctlError):
            self.set(halt)
        return halt

    def _is_drafted(self) -> bool:
        """Whether there is a draft of a halt, by a list of the folder that is at most _LISTED_EVERY old."""
        now = self.monotonic()
        if now - self._listed_at >= _LISTED_EVERY:
            self._listed_at, self._has_draft = now, bool(self._drafts())
        return self._has_draft

    def _drafts(self) -> list[Path]:
        try:
            return [self.folder / name for name in os.listdir(self.folder) if name.startswith(_DRAFT)]  # noqa: PTH208
        except FileNotFoundError:
            return []
        except OSError:
            return [self.folder / _DRAFT]


def _identity_of(path: Path) -> str:
    try:
        found = path.lstat()
    except OSError:
        return ""
    return f"{found.st_ino}-{found.st_mtime_ns}"


def _at_the_machine(reason: str) -> Halt:
    return Halt(reason, "", HaltOrigin.MACHINE)


def _halt_in(path: Path) -> Halt:
    """The halt that a flag describes. One without a known origin was made at the machine, as by earlier versions."""
    try:
        content = json.loads(read_private(path))
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not content.get("reason"):
        return _at_the_machine("the halt flag can't be read")
    origin = content.get("origin")
    known = HaltOrigin(origin) if isinstance(origin, str) and origin in set(HaltOrigin) else HaltOrigin.MACHINE
    return Halt(str(content["reason"]), str(content.get("by", "")), known)


def _require_remote(halt: Halt) -> None:
    if not halt.origin.is_remote:
        made = "by the account guard" if halt.origin is HaltOrigin.GUARD else "at the machine"
        raise SafetyRefusalError(
            f"This halt was made {made}, and only the machine lifts it: {halt.reason}.",
            hint="Run there: sellctl resume --reason ...",
        )


def _content_of(halt: Halt) -> bytes:
    return json.dumps({"reason": halt.reason, "by": halt.by, "origin": halt.origin.value}).encode()


def _write_and_close(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _not_removed(path: Path, error: OSError) -> SellctlError:
    return SellctlError(f"The halt flag {path} can't be removed: {error.strerror}.", hint="Remove the file.")
