"""What a check of the configuration has to say: a rule that doesn't hold, where, and what to do."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that doesn't hold, at a dotted key. A warning lets the configuration load."""

    key: str
    sentence: str
    hint: str
    warning: bool = False


Findings = Iterator[Finding]
