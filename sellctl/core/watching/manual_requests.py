"""Manual requests: those that other commands pass to the process that holds an account, until they are done."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from sellctl.core.model.position import OverrideChange
from sellctl.core.structures.names import is_structure_name, legs_of


class Verb(StrEnum):
    """What a command can request of a running watcher. A halt needs no request: its flag is read before every order."""

    CLOSE = "close"
    SET = "set"
    PANIC = "panic"


class CommandRequest(Struct, frozen=True):
    """One request. `accounts` are names of the configuration, empty for all.

    `symbol` is that of a position or the name of a structure, and "" when none is meant.
    """

    id: str
    verb: Verb
    symbol: str = ""
    accounts: tuple[str, ...] = ()
    by: str = ""  # who requested it, for the journal
    change: OverrideChange | None = None  # of the rules that are set for the position, with SET


@dataclass(slots=True)
class ManualRequests:
    """The pending requests for one account; each stays until its position is gone.

    `closing` are symbols, and names of structures, to close; `panic` symbols to close even under a halt.
    `panic_is_pending`: the next poll puts every held symbol into `panic`. `changes` are requests to change the rules
    that are set for a position, oldest first; the next decision takes them.
    """

    closing: frozenset[str] = frozenset()
    panic: frozenset[str] = frozenset()
    panic_is_pending: bool = False
    changes: tuple[CommandRequest, ...] = ()

    def take(self, request: CommandRequest) -> None:
        """Accept a request of another command."""
        if request.verb is Verb.CLOSE:
            self.closing |= {request.symbol}
        elif request.verb is Verb.PANIC:
            self.panic_is_pending = True
        elif request.verb is Verb.SET:
            self.changes += (request,)

    def take_changes(self) -> tuple[CommandRequest, ...]:
        """The requests to change what is set for a position, each once."""
        taken, self.changes = self.changes, ()
        return taken

    @property
    def structures(self) -> tuple[str, ...]:
        """The names of the structures to close."""
        return tuple(sorted(filter(is_structure_name, self.closing)))

    def apply_to(self, held: frozenset[str], remembered: frozenset[str]) -> None:
        """Start a pending panic for all `held` symbols; else drop requests for symbols neither held nor remembered.

        One for a structure is dropped with the first of its legs: what is left of it is marked to follow.
        """
        if self.panic_is_pending:
            self.panic, self.panic_is_pending = held, False
        else:
            there = held | remembered
            self.closing = frozenset(each for each in self.closing if there.issuperset(legs_of(each) or {each}))
            self.panic &= there

    def call(self, names: Mapping[str, str]) -> None:
        """Replace the user's own names of structures by those in `names`, which has them by the latter."""
        own = {label.lower(): name for name, label in names.items() if label}
        self.closing = frozenset(own.get(each.lower(), each) for each in self.closing)

    def drop(self, structures: Iterable[str]) -> None:
        """Drop the requests to close these structures: no unit of them is held any more."""
        self.closing -= frozenset(structures)
