"""Alerts about what fails for longer than one poll: the clock, the quotes, or an account that nobody protects."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sellctl.core.errors import AuthError
from sellctl.core.events import EventPublisher
from sellctl.core.model.account_state import AccountState
from sellctl.core.model.event import EventKind

UNWATCHED_SECONDS = 300.0  # between alerts that an account still fails


@dataclass(slots=True)
class ProblemAlerts:
    """Publishes problems of all accounts, each once until it is over, and reminds of accounts that still fail."""

    publish: EventPublisher
    _published: dict[str, str] = field(default_factory=dict)  # the last problem published, by subject
    _well_at: dict[str, float] = field(default_factory=dict)  # when an account last worked, or the last alert about it

    def publish_change(self, about: str, problem: str, well: str) -> None:
        """Publish a problem that concerns all accounts once, and `well` once when it is over ("")."""
        published = self._published.get(about, "")
        if problem and problem != published:
            self.publish("", EventKind.DEGRADED, problem, failed=True)
        elif published and not problem:
            self.publish("", EventKind.RECOVERED, well)
        self._published[about] = problem

    def unwatched(self, states: Iterable[AccountState], now: float, *, is_open: bool) -> dict[str, str]:
        """The accounts about which to alert at `now` (monotonic seconds), by name, with the text of each.

        Repeatedly while an account fails and the market is open: nothing protects its positions. Not for a key that has
        never worked: its refusal was published, and it has protected nothing so far.
        """
        alerts = {}
        for state in states:
            since = self._well_at.setdefault(state.name, now)
            never_worked = state.plan is None and isinstance(state.problem, AuthError)
            if state.problem is None or never_worked or not is_open:
                self._well_at[state.name] = now
            elif now - since >= UNWATCHED_SECONDS:
                self._well_at[state.name] = now
                problem = state.problem.sentence.removeprefix(f"{state.name}: ")
                alerts[state.name] = f"still not watched: {problem}"
        return alerts
