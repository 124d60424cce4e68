"""A problem that the configuration check found: where it is, what is wrong, and how to fix it."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem at a dotted key. When it is only a warning, the configuration still loads."""

    key: str
    sentence: str
    hint: str
    warning: bool = False


Findings = Iterator[Finding]
