"""Requests by hand: what other commands ask of the process that holds an account, and what stands of it."""

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


@dataclass(slots=True)
class ManualRequests:
    """What stands of the requests to one account; each stands until its position is gone.

    `closing` are symbols to close, `panic` those to close even under a halt.
    `panic_is_pending`: the next poll takes everything held into `panic`.
    """

    closing: frozenset[str] = frozenset()
    panic: frozenset[str] = frozenset()
    panic_is_pending: bool = False

    def take(self, request: CommandRequest) -> None:
        """Accept a request of another command."""
        if request.verb is Verb.CLOSE:
            self.closing |= {request.symbol}
        elif request.verb is Verb.PANIC:
            self.panic_is_pending = True

    def apply_to(self, held: frozenset[str], remembered: frozenset[str]) -> None:
        """Begin a pending panic with what is `held`; else drop requests for what is neither held nor remembered."""
        if self.panic_is_pending:
            self.panic, self.panic_is_pending = held, False
        else:
            self.closing &= held | remembered
            self.panic &= held | remembered
