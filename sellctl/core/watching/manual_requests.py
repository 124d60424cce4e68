"""Manual requests: those that other commands pass to the process that holds an account, until they are done."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.manual.verb import Verb
from sellctl.core.model.gain import SHARES_PER_CONTRACT
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.order import ZERO
from sellctl.core.model.plan import Urgency
from sellctl.core.model.position import OverrideChange
from sellctl.core.model.snapshot import CloseTerms
from sellctl.core.structures.names import is_structure_name, legs_named, legs_of
from sellctl.core.text import as_limit

FillsOf = Callable[[str], Mapping[str, Decimal]]  # what each order of ours on a symbol has filled


class Patience(StrEnum):
    """The urgency class with whose prices an order of `close` walks, as the user writes it."""

    PROFIT = "profit"
    TIME = "time"
    PROTECTIVE = "protective"
    FORCED = "forced"

    @property
    def urgency(self) -> Urgency:
        """The class."""
        return Urgency[self.name]


class ExitTerms(Struct, frozen=True):
    """How much of a position or structure to close, at which price at the worst, and how patiently.

    `qty` is contracts, shares or units of a structure; None for all. `limit` is dollars per share, of a structure net
    per unit; None when any price will do.
    """

    qty: Decimal | None = None
    limit: Decimal | None = None
    patience: Patience = Patience.PROTECTIVE

    def of(self, name: str) -> CloseTerms:
        """The same for a decision on the symbol or structure with this name, before anything has filled."""
        parts = {} if self.qty is None else dict(_parts(name, self.qty))
        return CloseTerms(self.qty, self.limit, self.patience.urgency, parts)


ALL = ExitTerms()


def terms_text(terms: ExitTerms) -> str:
    """Terms as text: "2, limit $2.40, patience time"; "" for all at the usual pace."""
    parts = [] if terms.qty is None else [f"{terms.qty:f}"]
    parts += [] if terms.limit is None else [as_limit(terms.limit, is_net=False)]
    parts += [] if terms.patience is ALL.patience else [f"patience {terms.patience.value}"]
    return ", ".join(parts)


def terms_document(terms: ExitTerms) -> dict[str, str]:
    """Terms as they are stored: numbers as text, and nothing for what is usual."""
    found = {} if terms.qty is None else {"qty": f"{terms.qty:f}"}
    found |= {} if terms.limit is None else {"limit": f"{terms.limit:f}"}
    return found | ({} if terms.patience is ALL.patience else {"patience": terms.patience.value})


def terms_in(document: Mapping[str, object]) -> ExitTerms:
    """The terms in such a document. ValueError when one is none: nothing is closed on terms that can't be read."""
    return ExitTerms(_amount_in(document, "qty"), _amount_in(document, "limit"), _patience_in(document))


def _amount_in(document: Mapping[str, object], key: str) -> Decimal | None:
    text = document.get(key)
    if text is None:
        return None
    try:
        amount = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        amount = None
    if amount is None or not amount.is_finite() or amount <= 0:
        raise ValueError(f"its {key} is no number above zero")
    return amount


def _patience_in(document: Mapping[str, object]) -> Patience:
    return Patience(str(document.get("patience", ALL.patience.value)))


class CommandRequest(Struct, frozen=True):
    """One request. `accounts` are names of the configuration, empty for all.

    `symbol` is that of a position or the name of a structure, and "" when none is meant. `terms` say how it is closed.
    """

    id: str
    verb: Verb
    symbol: str = ""
    accounts: tuple[str, ...] = ()
    by: str = ""  # who requested it, for the journal
    terms: ExitTerms = ALL
    change: OverrideChange | None = None  # of the rules that are set for the position, with SET

    @property
    def row(self) -> dict[str, str]:
        """What the journal records of it, before anything is done."""
        return {"symbol": self.symbol, "verb": self.verb.value, "by": self.by, **terms_document(self.terms)}


@dataclass(slots=True)
class ManualRequests:
    """The pending requests for one account; each stays until its position is gone, or as much of it as was asked.

    `closing` are symbols, and names of structures, to close, and `terms` how, where that isn't all at the usual pace;
    `panic` symbols to close even under a halt. `panic_is_pending`: the next poll puts every held symbol into `panic`.
    `changes` are requests to change the rules that are set for a position, oldest first; the next decision takes them.
    """

    closing: frozenset[str] = frozenset()
    panic: frozenset[str] = frozenset()
    panic_is_pending: bool = False
    changes: tuple[CommandRequest, ...] = ()
    terms: dict[str, CloseTerms] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        closing: Iterable[str],
        terms: ExitTerms = ALL,
        *,
        panic: bool = False,
        changes: tuple[CommandRequest, ...] = (),
    ) -> "ManualRequests":
        """The requests that a run begins with."""
        requests = cls(panic_is_pending=panic, changes=changes)
        for name in closing:
            requests.ask(name, terms)
        return requests

    def take(self, request: CommandRequest) -> None:
        """Accept a request of another command. Of two for the same position the last one counts."""
        if request.verb is Verb.CLOSE:
            self.ask(request.symbol, request.terms)
        elif request.verb is Verb.PANIC:
            self.panic_is_pending = True
        elif request.verb is Verb.SET:
            self.changes += (request,)

    def take_changes(self) -> tuple[CommandRequest, ...]:
        """The requests to change what is set for a position, each once."""
        taken, self.changes = self.changes, ()
        return taken

    def ask(self, name: str, terms: ExitTerms) -> None:
        """Close what has this name on these terms."""
        self._drop(name)
        self.closing |= {name}
        if terms != ALL:
            self.terms[name] = terms.of(name)

    @property
    def are_pending(self) -> bool:
        """Whether something that was asked is still to be done."""
        return bool(self.closing or self.panic or self.panic_is_pending or self.changes)

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
            self._drop(*(each for each in self.closing if not there.issuperset(legs_of(each) or {each})))
            self.panic &= there

    def call(self, names: Mapping[str, str]) -> None:
        """Replace the user's own names of structures by those in `names`, which has them by the latter."""
        own = {label.lower(): name for name, label in names.items() if label}
        for each in [each for each in self.closing if each.lower() in own]:
            name, terms = own[each.lower()], self.terms.get(each)
            self._drop(each, name)
            self.closing |= {name}
            if terms:
                self.terms[name] = replace(terms, parts=dict(_parts(name, terms.qty)) if terms.qty else {}, since=None)

    def drop(self, structures: Iterable[str]) -> None:
        """Drop the requests to close these structures: no unit of them is held any more."""
        self._drop(*structures)

    def begin(self, fills_of: FillsOf, now: dt.datetime) -> None:
        """What our orders have filled until now doesn't count for the requests that have not begun yet."""
        for name, terms in self.terms.items():
            if terms.since is None:
                before = {symbol: fills_of(symbol) for symbol in terms.parts}
                self.terms[name] = replace(terms, since=now, before=before, filled=before)

    def count(self, fills_of: FillsOf) -> None:
        """Count what our orders have filled, and drop the requests for quantities of which all has filled."""
        for name, terms in [*self.terms.items()]:
            if terms.parts:
                now = replace(terms, filled={symbol: fills_of(symbol) for symbol in terms.parts})
                self.terms[name] = now
                if all(_filled(now, symbol) >= qty for symbol, qty in terms.parts.items()):
                    self._drop(name)

    def expire(self, today: dt.date) -> tuple[str, ...]:
        """Drop the requests for a quantity or with a limit that began before this day of the exchange; their names."""
        old = tuple(
            name
            for name, terms in self.terms.items()
            if (terms.qty is not None or terms.limit is not None)
            and terms.since is not None
            and terms.since.astimezone(NEW_YORK).date() < today
        )
        self._drop(*old)
        return old

    def _drop(self, *names: str) -> None:
        self.closing -= frozenset(names)
        for name in names:
            self.terms.pop(name, None)


def _filled(terms: CloseTerms, symbol: str) -> Decimal:
    """What our orders have filled of a symbol since the request began."""
    before = terms.before.get(symbol, {})
    fills = terms.filled.get(symbol, {})
    return sum((qty - before.get(order, ZERO) for order, qty in fills.items()), ZERO)


def _parts(name: str, qty: Decimal) -> Iterable[tuple[str, Decimal]]:
    """How much of each symbol so many contracts, shares or units have."""
    legs = legs_named(name)
    if not legs:
        yield name, qty
    for leg in legs:
        yield leg.symbol, qty * abs(leg.ratio) * (1 if leg.instrument.is_option else SHARES_PER_CONTRACT)
