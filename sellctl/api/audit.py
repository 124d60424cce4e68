"""The audit of the control API: who called which route from where.

A call that may change something is recorded in the journal before it is carried out. All other calls are counted and
recorded together once per minute, so that frequent reads and floods neither fill the journal nor slow the watcher.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loguru import logger

from sellctl.core.errors import JournalError
from sellctl.ui.formatting import counted

if TYPE_CHECKING:
    from sellctl.core.ports import Journal

KIND = "api"
EVERY_SECONDS = 60.0
MAX_KINDS_OF_CALL = 500  # counted separately within a minute; further ones are counted together


@dataclass(frozen=True, slots=True)
class ApiCall:
    """Who called which route from where. `route` is the name of the route, never text from the caller."""

    who: str
    role: str
    address: str
    route: str

    @property
    def sentence(self) -> str:
        """The call as a line of the log and the journal."""
        return f"{self.who or 'nobody'} ({self.role or 'no token'}) from {self.address}: {self.route}"


OTHERS = ApiCall("others", "", "several", "several")


@dataclass(slots=True)
class Audit:
    """Records calls in the journal."""

    journal: "Journal"
    _counts: Counter[tuple[ApiCall, int]] = field(default_factory=Counter)

    def record_before(self, call: ApiCall) -> None:
        """Record a call that is about to be carried out. JournalError when that fails."""
        logger.info("{}", f"api: {call.sentence}")
        self.journal.note("", KIND, {"sentence": call.sentence, **_facts(call)})

    def count(self, call: ApiCall, status: int) -> None:
        """Count a call that was answered."""
        key = (call, status)
        if key not in self._counts and len(self._counts) >= MAX_KINDS_OF_CALL:
            key = (OTHERS, status)
        if key not in self._counts and status in _REFUSED:
            logger.warning("{}", f"api: refused with {status}: {call.sentence}")
        self._counts[key] += 1

    def flush(self) -> None:
        """Record the counts in the journal. When that fails, they are kept until the next flush."""
        if not self._counts:
            return
        calls = [{**_facts(call), "status": status, "count": n} for (call, status), n in self._counts.items()]
        try:
            self.journal.note("", KIND, {"sentence": counted(self._counts.total(), "call"), "calls": calls})
        except JournalError as error:
            logger.error("{}", f"api: the calls of the last minute could not be recorded and are kept: {error}")
        else:
            self._counts.clear()


_REFUSED = frozenset({400, 401, 403, 408, 413, 421, 429})


def _facts(call: ApiCall) -> dict[str, str]:
    return {"who": call.who, "role": call.role, "from": call.address, "route": call.route}
