"""The file of remembered facts in the state folder: JSON that only its owner can read, replaced completely."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from sellctl.core.tracking.remembered_facts import FORMAT, Facts
from sellctl.private_files import read_private, replace_private

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class FactsFile:
    """Loads and saves the facts. Trouble with the file is logged once per process, and costs some requests."""

    path: Path
    _problem: str = ""

    def load(self) -> Facts:
        """The facts in the file; none when there is no such file, or when it can't be read or isn't sellctl's."""
        try:
            facts = msgspec.json.decode(read_private(self.path), type=Facts)
        except FileNotFoundError:
            return Facts()
        except OSError as error:
            return self._nothing(str(error.strerror or error))
        except (ValueError, RecursionError, OverflowError) as error:  # msgspec's errors are ValueErrors
            return self._nothing(f"its content is not what sellctl writes ({error})")
        if facts.format != FORMAT or any(at.tzinfo is None for at in _instants(facts)):
            return self._nothing("it is of another version of sellctl")
        return facts

    def save(self, facts: Facts) -> bool:
        """Replace the file. Return whether that succeeded."""
        try:
            replace_private(self.path, msgspec.json.format(msgspec.json.encode(facts, order="sorted")))
        except OSError as error:
            self._log(f"can't be written ({error.strerror}): what it would remember is asked for again")
            return False
        return True

    def _nothing(self, why: str) -> Facts:
        self._log(f"is not used, so that nothing is remembered: {why}")
        return Facts()

    def _log(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            _LOG.debug("%s %s.", self.path, problem)


def _instants(facts: Facts) -> Iterator[datetime]:
    for feed in facts.feeds.values():
        yield feed.at
    for session in facts.calendar.calendar.odd if facts.calendar else ():
        yield session.opens_at
        yield session.closes_at
