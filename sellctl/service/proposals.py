"""Proposals that a person confirms: each has a code that works once, for five minutes.

They are private files in the state folder. A file's name is a hash of its code, so that whoever reads the folder can't
confirm anything with what is in it. Taking a proposal renames its file, which only one process can do.
"""

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from sellctl.core.errors import SafetyRefusalError, SellctlError
from sellctl.core.manual.proposed_overrides import ShownOverride
from sellctl.private_files import NotPrivateError, make_private_folder, read_private, replace_private

VALID_SECONDS = 300.0
MOST_PENDING = 20  # proposals that wait for a person at once
MOST_WRONG_CODES = 10  # within VALID_SECONDS; further codes are refused, also right ones
KEPT_SECONDS = 86_400.0  # how long a used or expired proposal is known as such

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O or U
_LENGTH = 12  # characters of 5 bits each
_MISREAD = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})
_FOLDER = "proposals"
_WRONG = "wrong-codes"  # what the files with the times of wrong codes begin with
_PENDING, _USED = ".json", ".used"
_AGAIN = "Ask for a new proposal."


class Surface(StrEnum):
    """Where a person confirms. Wrong codes are counted for each, so that a flood of them at one locks no other out."""

    TERMINAL = "terminal"
    API = "API"
    TELEGRAM = "Telegram"


class Action(StrEnum):
    """What can be proposed."""

    CLOSE = "close"
    SET = "set"
    EXEMPT = "exempt"
    HALT = "halt"


class Proposal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody asks a person to do. `summary` says it in lines for people, `by` who asked.

    `options` are further options of the command, by name. `shown` is what the confirmation of SET is bound to, and
    `made_at` is in seconds of the host's clock since 1970.
    """

    action: Action
    by: str
    summary: tuple[str, ...]
    name: str = ""
    accounts: tuple[str, ...] = ()
    reason: str = ""
    options: Mapping[str, str] = msgspec.field(default_factory=dict)
    shown: tuple[ShownOverride, ...] = ()
    made_at: float = 0.0


@dataclass(slots=True)
class Proposals:
    """The proposals in a state folder, as they are confirmed on one surface."""

    state: Path
    now: Callable[[], float] = field(default=time.time)
    surface: Surface = Surface.TERMINAL

    def add(self, proposal: Proposal) -> str:
        """Store a proposal. Returns its code. SafetyRefusalError when too many wait already."""
        folder = self._folder()
        pending = self._remove_old()
        if pending >= MOST_PENDING:
            raise SafetyRefusalError(
                f"{pending} proposals wait for a person already.",
                hint="Confirm one with sellctl confirm, or wait five minutes until they have expired.",
            )
        code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        stamped = msgspec.structs.replace(proposal, made_at=self.now())
        _write(folder / f"{_key(code)}{_PENDING}", msgspec.json.encode(stamped))
        return "-".join(code[start : start + 4] for start in range(0, _LENGTH, 4))

    def find(self, text: str) -> Proposal:
        """The proposal of a code, which stays valid. SafetyRefusalError when it is unknown, used or expired."""
        self._refuse_guessing()
        folder, key = self._folder(), _key(text)
        pending = folder / f"{key}{_PENDING}"
        if not pending.exists():
            self._refuse(folder, key)
        return self._valid(pending)

    def take(self, text: str) -> Proposal:
        """The proposal of a code, which is used up by this: of several processes, one gets it. Errors as in `find`."""
        self._refuse_guessing()
        folder, key = self._folder(), _key(text)
        try:
            (folder / f"{key}{_PENDING}").rename(folder / f"{key}{_USED}")
        except FileNotFoundError:
            self._refuse(folder, key)
        except OSError as error:
            raise SellctlError(f"{folder} can't be written: {error.strerror}.") from None
        return self._valid(folder / f"{key}{_USED}")

    def _valid(self, file: Path) -> Proposal:
        proposal = _read(file)
        if not 0 <= self.now() - proposal.made_at <= VALID_SECONDS:
            raise SafetyRefusalError("This code has expired: it was valid for five minutes.", hint=_AGAIN)
        return proposal

    def _refuse(self, folder: Path, key: str) -> NoReturn:
        """Raise what is wrong with a code that no pending proposal has."""
        if (folder / f"{key}{_USED}").exists():
            raise SafetyRefusalError("This code has been used already: each works once.", hint=_AGAIN)
        self._count_wrong_code()
        raise SafetyRefusalError("No proposal has this code.", hint=f"Check what you typed. {_AGAIN}")

    def _refuse_guessing(self) -> None:
        if len(self._wrong_codes()) >= MOST_WRONG_CODES:
            sentence = f"{MOST_WRONG_CODES} wrong codes were tried within five minutes."
            raise SafetyRefusalError(sentence, hint="Wait five minutes, then ask for a new proposal.")

    def _count_wrong_code(self) -> None:
        _write(self._folder() / self._wrong_file, json.dumps([*self._wrong_codes(), self.now()]).encode())

    @property
    def _wrong_file(self) -> str:
        return f"{_WRONG}-{self.surface.lower()}.json"

    def _wrong_codes(self) -> list[float]:
        """When wrong codes were tried within VALID_SECONDS."""
        try:
            times = msgspec.json.decode(read_private(self.state / _FOLDER / self._wrong_file), type=list[float])
        except (OSError, ValueError):
            return []
        return [at for at in times if abs(self.now() - at) < VALID_SECONDS]

    def _remove_old(self) -> int:
        """Remove what is older than KEPT_SECONDS. Returns how many proposals still wait for a person."""
        waiting = 0
        for file in self._files():
            try:
                age = self.now() - _read(file).made_at
            except SellctlError:
                file.unlink(missing_ok=True)
                continue
            if abs(age) > KEPT_SECONDS:
                file.unlink(missing_ok=True)
            elif file.suffix == _PENDING and abs(age) <= VALID_SECONDS:
                waiting += 1
        return waiting

    def _files(self) -> Iterable[Path]:
        folder = self.state / _FOLDER
        found = (file for file in folder.iterdir() if file.suffix in {_PENDING, _USED})
        return [file for file in found if not file.name.startswith(_WRONG)]

    def _folder(self) -> Path:
        folder = self.state / _FOLDER
        try:
            make_private_folder(self.state)
            make_private_folder(folder)
        except NotPrivateError as error:
            raise SafetyRefusalError(f"The folder {folder} is not safe: {error.strerror}.") from None
        except OSError as error:
            raise SellctlError(f"The folder {folder} can't be created: {error.strerror}.") from None
        return folder


def _key(text: str) -> str:
    """The name of the file of a code, as a person may type it."""
    code = text.strip().upper().translate(_MISREAD)
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()


def _write(path: Path, content: bytes) -> None:
    try:
        replace_private(path, content)
    except OSError as error:
        raise SellctlError(f"{path} can't be written: {error.strerror}.", hint="Check the state folder.") from None


def _read(path: Path) -> Proposal:
    """The proposal in a file. SellctlError when it holds none, or when others can have written it."""
    try:
        content: Any = read_private(path)
        return msgspec.json.decode(content, type=Proposal)
    except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
        why = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise SellctlError(f"The proposal {path} can't be read: {why}.", hint=_AGAIN) from None
