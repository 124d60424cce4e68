"""How often an address may call, and when one that shows bad tokens is locked out. Bounded memory, monotonic time."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

BURST_SECONDS = 2.0  # of its rate, an address may use at once
BAD_TOKENS = 5  # within
BAD_TOKENS_WITHIN = 900.0  # seconds, and then
LOCKED_OUT = 900.0  # seconds
MOST_ADDRESSES = 10_000  # remembered; the one unseen for longest is forgotten


@dataclass(slots=True)
class _Caller:
    """What is remembered of one address."""

    budget: float
    at: float
    bad: list[float] = field(default_factory=list)
    locked_until: float = 0.0


@dataclass(slots=True)
class Throttle:
    """A budget of requests an address, refilled at `rate` a second."""

    rate: float
    monotonic: Callable[[], float]
    _callers: OrderedDict[str, _Caller] = field(default_factory=OrderedDict)

    def wait(self, address: str) -> float:
        """Take one request from an address's budget; 0, or the seconds it has to wait before it may call."""
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
        """Note a forged token; whether the address is locked out from now on."""
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
        if len(self._callers) > MOST_ADDRESSES:
            self._callers.popitem(last=False)
        return known
