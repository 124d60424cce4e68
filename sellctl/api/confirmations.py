"""One-time confirmation codes: what a caller was shown may be carried out once, by that caller, within a minute."""

import secrets
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sellctl.core.errors import SafetyRefusalError

VALID_SECONDS = 60.0
MAX_PER_SUBJECT = 20  # codes that one subject may hold; beyond it the oldest one is dropped
MAX_CODES = 500  # codes in all; beyond it the oldest one is dropped
_CODE_BYTES = 16

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class _Shown(Generic[T]):
    """What was shown to whom, and until when it may be confirmed."""

    subject: str
    request: T
    valid_until: float


@dataclass(slots=True)
class Confirmations(Generic[T]):
    """The codes that are waiting to be confirmed. Memory is bounded; time is monotonic."""

    monotonic: Callable[[], float]
    again: str = "Ask again with dry_run, and confirm what that shows."  # what to do when a code confirms nothing
    _shown: OrderedDict[str, _Shown[T]] = field(default_factory=OrderedDict)

    def offer(self, subject: str, request: T) -> str:
        """A new code with which this subject may confirm this request once."""
        self._make_room(subject)
        code = secrets.token_urlsafe(_CODE_BYTES)
        self._shown[code] = _Shown(subject, request, self.monotonic() + VALID_SECONDS)
        return code

    def take(self, code: str, subject: str) -> T:
        """The request that a code confirms; the code is used up. SafetyRefusalError when it confirms nothing.

        Another subject's attempt uses nothing up, and is told no more than that of somebody who guesses.
        """
        shown = self._shown.get(code)
        if shown is None or shown.subject != subject:
            raise self._refused("This confirmation code is not valid: it was used already, or it is not yours.")
        del self._shown[code]
        if shown.valid_until < self.monotonic():
            raise self._refused(f"This confirmation code is older than {VALID_SECONDS:.0f} seconds.")
        return shown.request

    def _make_room(self, subject: str) -> None:
        now = self.monotonic()
        for code in [code for code, each in self._shown.items() if each.valid_until < now]:
            del self._shown[code]
        mine = [code for code, each in self._shown.items() if each.subject == subject]
        for code in mine[: max(len(mine) + 1 - MAX_PER_SUBJECT, 0)]:
            del self._shown[code]
        while len(self._shown) >= MAX_CODES:
            self._shown.popitem(last=False)

    def _refused(self, sentence: str) -> SafetyRefusalError:
        return SafetyRefusalError(sentence, hint=self.again)
