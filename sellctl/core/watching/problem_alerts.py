"""Alerts about what fails for longer than one poll: the clock, the quotes, or an account that isn't being watched."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sellctl.core.errors import AuthError, SellctlError
from sellctl.core.events import EventPublisher
from sellctl.core.model.account_state import AccountState
from sellctl.core.model.event import EventKind

REMINDER_INTERVAL_SECONDS = 300.0  # between reminders that an account still fails


@dataclass(slots=True)
class ProblemAlerts:
    """Publishes problems of all accounts, each once until it is over, and reminds of accounts that still fail."""

    publish: EventPublisher
    _published: dict[str, str] = field(default_factory=dict)  # the last problem published, by subject
    # when an account last worked, or the last reminder about it
    _alert_interval_began_at: dict[str, float] = field(default_factory=dict)

    def publish_change(self, subject: str, problem: str, recovery_text: str) -> None:
        """Publish a problem that concerns all accounts once, and `recovery_text` once when `problem` becomes ""."""
        published = self._published.get(subject, "")
        if problem and problem != published:
            self.publish("", EventKind.DEGRADED, problem, failed=True)
        elif published and not problem:
            self.publish("", EventKind.RECOVERED, recovery_text)
        self._published[subject] = problem

    def take_due_reminders(
        self, states: Iterable[AccountState], now: float, *, is_open: bool, clock_problem: SellctlError | None = None
    ) -> dict[str, str]:
        """The accounts to send a reminder about at `now` (monotonic seconds), by name, with the text of each.

        An account that keeps failing is returned every REMINDER_INTERVAL_SECONDS while the market is open. No reminder
        for an account whose key never worked: the rejected key has been reported already. With `clock_problem` the
        clock was never read: nothing is decided, and whether the market is open is unknown, so that an account that
        can be read is returned too.
        """
        alerts = {}
        for state in states:
            since = self._alert_interval_began_at.setdefault(state.name, now)
            problem = _problem_to_remind_of(state, clock_problem, is_open=is_open)
            if not problem:
                self._alert_interval_began_at[state.name] = now
            elif now - since >= REMINDER_INTERVAL_SECONDS:
                self._alert_interval_began_at[state.name] = now
                alerts[state.name] = f"still not watched: {problem}"
        return alerts


def _problem_to_remind_of(state: AccountState, clock_problem: SellctlError | None, *, is_open: bool) -> str:
    if state.problem is None:
        return f"the broker's clock can't be read: {clock_problem}" if clock_problem else ""
    never_worked = state.plan is None and isinstance(state.problem, AuthError)
    return state.problem.sentence.removeprefix(f"{state.name}: ") if is_open and not never_worked else ""
