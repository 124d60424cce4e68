"""Records which polls led to a decision, and checks that those did that could (T6)."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from faults.findings import Findings
from faults.loop import seconds
from faults.network import Network
from sellctl.bootstrap import Runtime
from sellctl.sim.venue.exchange import Exchange

FEW = 3  # observations of an account; single ones may wait for a slow answer
SETTLED = dt.timedelta(seconds=3)  # an answer as old as this is no longer under way


@dataclass(slots=True)
class PollChecker:
    """Checks the polls during `outages` of the broker's clock, each from an instant until another one.

    `decided_at` are the instants of the polls that led to a decision on the account.
    """

    exchange: Exchange
    findings: Findings
    network: Network
    outages: Sequence[tuple[dt.datetime, dt.datetime]]
    decided_at: list[dt.datetime] = field(default_factory=list)
    _polled_at: float = 0.0

    def after_poll(self, runtime: Runtime) -> None:
        """Check one poll, when it has ended."""
        now = self.exchange.now
        for state in runtime.scheduler.states:
            if state.problem is None and state.polled_at is not None and state.polled_at != self._polled_at:
                self._polled_at = state.polled_at
                self.decided_at.append(now)
        for at, until in self.outages:
            if at < now <= until and self._answers(at, now) >= FEW:
                self._decided_since(at, runtime)

    def _answers(self, at: dt.datetime, now: dt.datetime) -> int:
        """How often positions and open orders were read in the outage."""
        both = (self.network.positions_read, self.network.orders_read)
        return min(sum(at < read < now - SETTLED for read in each) for each in both)

    def _decided_since(self, at: dt.datetime, runtime: Runtime) -> None:
        for state in runtime.scheduler.states:
            if state.problem is None and state.polled_at is not None and state.polled_at < seconds(at):
                text = f"positions were read {FEW} times while the clock couldn't be read, and nothing was decided"
                self.findings.add("T6", self.exchange.now, text)
