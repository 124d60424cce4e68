"""The rate limit of one kind of caller, and how forged tokens slow down. Memory is bounded; time is monotonic."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

BURST_SECONDS = 2.0  # a caller may use this much of its rate at once
BAD_TOKENS = 5  # forged tokens within BAD_TOKENS_WITHIN after which further ones have to wait
BAD_TOKENS_WITHIN = 900.0  # seconds
LOCKED_OUT = 900.0  # seconds
MAX_CALLERS = 10_000  # beyond it the least recently seen caller is dropped


@dataclass(slots=True)
class _Caller:
    """The state of one caller."""

    budget: float
    at: float
    bad: list[float] = field(default_factory=list)
    locked_until: float = 0.0


@dataclass(slots=True)
class Throttle:
    """A budget of requests per caller, refilled at `rate` requests per second. A caller is an address, or a subject."""

    rate: float
    monotonic: Callable[[], float]
    _callers: OrderedDict[str, _Caller] = field(default_factory=OrderedDict)

    def wait(self, name: str) -> float:
        """Take one request from the budget of a caller. Returns 0, or the seconds it has to wait."""
        now, caller = self.monotonic(), self._caller(name)
        caller.budget = min(self.rate * BURST_SECONDS, caller.budget + (now - caller.at) * self.rate)
        caller.at = now
        if caller.budget < 1:
            return (1 - caller.budget) / self.rate
        caller.budget -= 1
        return 0.0

    def wait_after_forgery(self, name: str) -> float:
        """Count a forged token. Returns 0, or the seconds for which further ones of this caller are refused."""
        now, caller = self.monotonic(), self._caller(name)
        if caller.locked_until > now:
            return caller.locked_until - now
        caller.bad = [at for at in caller.bad if now - at < BAD_TOKENS_WITHIN] + [now]
        if len(caller.bad) > BAD_TOKENS:
            caller.bad.clear()
            caller.locked_until = now + LOCKED_OUT
            return LOCKED_OUT
        return 0.0

    def _caller(self, name: str) -> _Caller:
        known = self._callers.pop(name, None) or _Caller(max(1.0, self.rate * BURST_SECONDS), self.monotonic())
        self._callers[name] = known
        if len(self._callers) > MAX_CALLERS:
            self._callers.popitem(last=False)
        return known
