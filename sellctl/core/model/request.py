"""What a command asks of the process that holds an account: a small value left in the state folder."""

from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """What can be asked for beside a running watcher. Halting needs no request: its flag is read before every order."""

    CLOSE = "close"
    PANIC = "panic"


@dataclass(frozen=True, slots=True)
class CommandRequest:
    """One request. `accounts` are names of the configuration, empty for all; `symbol` is "" when none is meant."""

    id: str
    verb: Verb
    symbol: str = ""
    accounts: tuple[str, ...] = ()
    by: str = ""  # who asked, for the journal
