"""Every call to the control API, written down with who and from where.

A call that may change something gets a row of its own before it is carried out. Everything else is counted and written
once a minute as one row, so that reading often, or hammering, neither fills the journal nor slows the watcher.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loguru import logger

from sellctl.core.errors import JournalError

if TYPE_CHECKING:
    from sellctl.core.ports import Journal

KIND = "api"
EVERY_SECONDS = 60.0
MOST_KINDS_OF_CALL = 500  # told apart within a minute; further ones are counted together


@dataclass(frozen=True, slots=True)
class Call:
    """Who called what from where. `route` is our own name of it, never the caller's text."""

    who: str
    role: str
    address: str
    route: str

    @property
    def sentence(self) -> str:
        """As a person reads it."""
        return f"{self.who or 'nobody'} ({self.role or 'no token'}) from {self.address}: {self.route}"


OTHERS = Call("others", "", "several", "several")


@dataclass(slots=True)
class Audit:
    """Writes calls down in the journal."""

    journal: "Journal"
    _counts: Counter[tuple[Call, int]] = field(default_factory=Counter)

    def before(self, call: Call) -> None:
        """A call that is about to be carried out. JournalError when it can't be written down."""
        logger.info("{}", f"api: {call.sentence}")
        self.journal.note("", KIND, {"sentence": call.sentence, **_facts(call)})

    def count(self, call: Call, status: int) -> None:
        """A call that was answered."""
        key = (call, status)
        if key not in self._counts and len(self._counts) >= MOST_KINDS_OF_CALL:
            key = (OTHERS, status)
        if key not in self._counts and status in _REFUSED:
            logger.warning("{}", f"api: refused with {status}: {call.sentence}")
        self._counts[key] += 1

    def flush(self) -> None:
        """Write down what was counted; what can't be written now is kept for the next time."""
        if not self._counts:
            return
        calls = [{**_facts(call), "status": status, "count": n} for (call, status), n in self._counts.items()]
        try:
            self.journal.note("", KIND, {"sentence": f"{self._counts.total()} calls", "calls": calls})
        except JournalError as error:
            logger.error("{}", f"api: the calls of the last minute aren't written down yet: {error}")
        else:
            self._counts.clear()


_REFUSED = frozenset({400, 401, 403, 408, 413, 421, 429})


def _facts(call: Call) -> dict[str, str]:
    return {"who": call.who, "role": call.role, "from": call.address, "route": call.route}
