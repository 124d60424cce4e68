"""Manual requests: those that other commands pass to the process that holds an account, until they are done."""

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct


class Verb(StrEnum):
    """What a command can request of a running watcher. A halt needs no request: its flag is read before every order."""

    CLOSE = "close"
    PANIC = "panic"


class CommandRequest(Struct, frozen=True):
    """One request. `accounts` are names of the configuration, empty for all; `symbol` is "" when none is meant."""

    id: str
    verb: Verb
    symbol: str = ""
    accounts: tuple[str, ...] = ()
    by: str = ""  # who requested it, for the journal


@dataclass(slots=True)
class ManualRequests:
    """The pending requests for one account; each stays until its position is gone.

    `closing` are symbols to close, `panic` those to close even under a halt.
    `panic_is_pending`: the next poll puts every held symbol into `panic`.
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
        """Start a pending panic for all `held` symbols; else drop requests for symbols neither held nor remembered."""
        if self.panic_is_pending:
            self.panic, self.panic_is_pending = held, False
        else:
            self.closing &= held | remembered
            self.panic &= held | remembered
