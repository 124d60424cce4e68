"""The result of a check of the configuration: a rule that doesn't hold, where, and a remedy."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that doesn't hold, at a dotted key. With a warning the configuration still loads."""

    key: str
    sentence: str
    hint: str
    warning: bool = False


Findings = Iterator[Finding]
