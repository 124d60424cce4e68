"""The rate limit per address, and the lockout after forged tokens. Memory is bounded; time is monotonic."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

BURST_SECONDS = 2.0  # an address may use this much of its rate at once
BAD_TOKENS = 5  # forged tokens within BAD_TOKENS_WITHIN that lock an address out
BAD_TOKENS_WITHIN = 900.0  # seconds
LOCKED_OUT = 900.0  # seconds
MAX_ADDRESSES = 10_000  # beyond it the least recently seen address is dropped


@dataclass(slots=True)
class _Caller:
    """The state of one address."""

    budget: float
    at: float
    bad: list[float] = field(default_factory=list)
    locked_until: float = 0.0


@dataclass(slots=True)
class Throttle:
    """A budget of requests per address, refilled at `rate` requests per second."""

    rate: float
    monotonic: Callable[[], float]
    _callers: OrderedDict[str, _Caller] = field(default_factory=OrderedDict)

    def wait(self, address: str) -> float:
        """Take one request from the budget of an address. Returns 0, or the seconds it has to wait."""
        now, caller = self.monotonic(), self._caller(address)
        if caller.locked_until > now:
            return caller.locked_until - now
        caller.budget = min(self.rate * BURST_SECONDS, caller.budget + (now - caller.at) * self.rate)
        caller.at = now
        if caller.budget < 1:
            return (1 - caller.budget) / self.rate
        caller.budget -= 1
        return 0.0

    def bad_token(self, address: str) -> bool:
        """Count a forged token. Returns whether the address is locked out from now on."""
        now, caller = self.monotonic(), self._caller(address)
        caller.bad = [at for at in caller.bad if now - at < BAD_TOKENS_WITHIN] + [now]
        if len(caller.bad) < BAD_TOKENS:
            return False
        caller.bad.clear()
        caller.locked_until = now + LOCKED_OUT
        return True

    def _caller(self, address: str) -> _Caller:
        known = self._callers.pop(address, None) or _Caller(max(1.0, self.rate * BURST_SECONDS), self.monotonic())
        self._callers[address] = known
        if len(self._callers) > MAX_ADDRESSES:
            self._callers.popitem(last=False)
        return known
