"""What is exempt from management, and the rules that are to be resumed: in files of the state folder, or shared.

Where hosts share the journal, its database has them, and each process knows them as of its last look. The file of the
state folder is a copy then, from which another journal can begin.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from sellctl.core.errors import SellctlError
from sellctl.service.json_files import content_of, write

if TYPE_CHECKING:
    from sellctl.journal.leases.shared_state import Exemptions as Shared
    from sellctl.journal.leases.shared_state import SharedState

Ends = Mapping[str, dt.datetime | None]  # by symbol, underlying or structure; None: until `manage`

_EXEMPT = "exempt.json"
_SYMBOLS, _UNTIL, _SHARED = "symbols", "until", "shared"  # its keys


class Exemptions(Protocol):
    """What is exempt. Every method raises a SellctlError when that can't be read or written."""

    def ends(self) -> Ends:
        """The exempt symbols, underlyings and structures, each with when that ends by itself; None when it doesn't."""

    def exempt(self, name: str, end: dt.datetime | None) -> None:
        """Exempt one from the next check on."""

    def manage(self, name: str) -> None:
        """End an exemption."""

    def resume_rules(self, symbol: str, accounts: Iterable[str]) -> None:
        """Record for each account that whoever acts on it next is to resume a symbol's or underlying's rules."""

    def take_rules_to_resume(self, account: str) -> frozenset[str]:
        """The symbols whose suspended rules are to be resumed in an account; each is returned once."""


@dataclass(frozen=True, slots=True)
class ExemptionFiles:
    """In a folder, for all processes on it."""

    folder: Path

    def ends(self) -> Ends:
        """Those of the file."""
        path = self.folder / _EXEMPT
        content = content_of(path, {_SYMBOLS: []})
        ends = content.get(_UNTIL, {})
        try:
            known = {str(name): _instant(end) for name, end in ends.items()} if isinstance(ends, dict) else None
        except ValueError:
            known = None
        if known is None:
            raise SellctlError(f"{path} is damaged: the end of an exemption isn't a time.", hint="Repair or remove it.")
        return {symbol: known.get(symbol) for symbol in _symbols_in(content, path)}

    def exempt(self, name: str, end: dt.datetime | None) -> None:
        """Write it into the file."""
        self.replace({**self.ends(), name: end})

    def manage(self, name: str) -> None:
        """Remove it from the file."""
        self.replace({each: end for each, end in self.ends().items() if each != name})

    def replace(self, ends: Ends, shared: "Shared | None" = None) -> None:
        """Write all of them, and of which change of a shared journal they are a copy."""
        known = {name: end.isoformat() for name, end in sorted(ends.items()) if end is not None}
        copy = {_SHARED: {"journal": shared.journal, "number": shared.number}} if shared else {}
        # The symbols are apart from the ends, so that an earlier version reads them, too.
        write(self.folder / _EXEMPT, {_SYMBOLS: sorted(ends), **({_UNTIL: known} if known else {}), **copy})

    def number_in(self, journal: str) -> int | None:
        """Of which change of this journal the file is a copy; None when it isn't one."""
        copy = content_of(self.folder / _EXEMPT, {}).get(_SHARED)
        number = copy.get("number") if isinstance(copy, dict) and copy.get("journal") == journal else None
        return number if isinstance(number, int) else None

    def resume_rules(self, symbol: str, accounts: Iterable[str]) -> None:
        """Add it to a file of each account."""
        for account in accounts:
            path = self._rules_to_resume(account)
            write(path, {_SYMBOLS: sorted({*self._symbols(path), symbol})})

    def take_rules_to_resume(self, account: str) -> frozenset[str]:
        """Those of the account's file, which is removed."""
        path = self._rules_to_resume(account)
        found = frozenset(self._symbols(path))
        if found:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise SellctlError(f"{path} can't be removed: {error.strerror}.") from None
        return found

    def _symbols(self, path: Path) -> list[str]:
        return _symbols_in(content_of(path, {_SYMBOLS: []}), path)

    def _rules_to_resume(self, account: str) -> Path:
        return self.folder / f"thawed-{quote(account, safe='')}.json"


@dataclass(slots=True)
class SharedExemptions:
    """In the database of the journal that hosts share. What is read is as of the last look."""

    shared: "SharedState"
    files: ExemptionFiles
    _known: "Shared | None" = None
    _added: Ends = field(default_factory=dict)  # what was added to the database, while the file doesn't say so
    _rules: dict[str, set[str]] = field(default_factory=dict)  # by account

    def ends(self) -> Ends:
        """Those of the last look; before the first one, they are read from the database."""
        if self._known is None:
            self._known = self.shared.exemptions()
        return {**self._own(self._known.journal), **self._known.ends}

    def exempt(self, name: str, end: dt.datetime | None) -> None:
        """Write it into the database."""
        self.take(self.shared.exemptions())
        self._keep(self.shared.exempt({name: end}))

    def manage(self, name: str) -> None:
        """Remove it from the database."""
        self.take(self.shared.exemptions())
        self._keep(self.shared.manage(name))

    def resume_rules(self, symbol: str, accounts: Iterable[str]) -> None:
        """Leave it in the database for whoever watches these accounts."""
        self.shared.resume_rules(symbol, accounts)

    def take_rules_to_resume(self, account: str) -> frozenset[str]:
        """Those that were taken for the account by the last looks."""
        return frozenset(self._rules.pop(account, ()))

    def see(self, found: "Shared") -> None:
        """Take over what a look has found, and write nothing, as in a dry run."""
        self._known = found

    def take(self, found: "Shared", rules: Iterable[tuple[str, str]] = ()) -> None:
        """Take over what a look has found.

        What the file has and the database never had is added to it: it was exempt before the journal was shared, or the
        database has lost it, as after a failover to a standby that had missed it.
        """
        for account, symbol in rules:
            self._rules.setdefault(account, set()).add(symbol)
        number = self.files.number_in(found.journal)
        if found.number < max(number or 0, self._known.number if self._known else 0):
            found = self.shared.exemptions()  # it was changed here since the look, or the database has lost changes
        if own := self._own(found.journal):
            found = self.shared.exempt(own, is_news=False)
            self._added = own
        elif number is not None and self._is_lost_there(number, found):
            found = self.shared.exempt(self.files.ends(), is_news=False, least=number)
        self._keep(found)

    def _is_lost_there(self, number: int, found: "Shared") -> bool:
        """Whether the database has lost the change of which the file is a copy, or given its number to another one."""
        return number > found.number or (number == found.number and self.files.ends() != found.ends)

    def _own(self, journal: str) -> Ends:
        """What only the file has: all of it, unless it is a copy of what this journal has, or was added to that."""
        if self.files.number_in(journal) is not None:
            return {}
        ends = self.files.ends()
        return {} if ends == self._added else ends

    def _keep(self, found: "Shared") -> None:
        """Know this from now on, also in the file, unless the disk refuses that: the database has it."""
        self._known = found
        if self.files.number_in(found.journal) != found.number:
            with suppress(SellctlError):
                self.files.replace(found.ends, found)
                self._added = {}


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
