"""When to poll next, and which accounts. Pure. All durations and instants are in seconds."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sellctl.core.errors import RateLimitedError, SellctlError, UnknownOutcomeError
from sellctl.core.model.account_state import AccountState
from sellctl.core.model.market import Market

EXPEDITED_SECONDS = 1.5  # between polls of an account with an order working
AT_ONCE_SECONDS = 0.25  # before the poll that follows an order or a cancel
CLOSED_SECONDS = 60.0  # between reads of the clock while the market is closed
BUDGET_SECONDS = 3.0  # before an account whose request budget is used up is polled again
BACK_OFF_SECONDS = (1.0, 5.0, 15.0, 60.0)  # between polls of an account that fails, by failures in a row
TRIES = 2  # attempts of run-once after failures that may be temporary


@dataclass(frozen=True, slots=True)
class PollConditions:
    """What the time of the next poll depends on, besides the accounts."""

    interval: float  # between ordinary polls
    second_quote_in: float  # after which a second quote can confirm a stop or a jump
    has_jump: bool = False  # whether any price has jumped without a second quote yet
    rests_for: float | None = None  # before the clock is read again while the market is closed; None: don't rest


def next_poll(states: Sequence[AccountState], conditions: PollConditions) -> float:
    """Seconds to wait before the next poll."""
    if any(state.acted for state in states):
        return AT_ONCE_SECONDS
    if conditions.rests_for is not None:
        return conditions.rests_for
    if conditions.has_jump or any(state.is_unconfirmed for state in states):
        return conditions.second_quote_in
    if any(state.is_expedited for state in states):
        return EXPEDITED_SECONDS
    return conditions.interval


def accounts_to_poll(
    states: Sequence[AccountState],
    now: float,
    not_before: Mapping[str, float],
    expedited_only: Collection[str] | None = None,
) -> list[str]:
    """The names of the accounts to poll now: those that don't back off.

    With `expedited_only`, just those of them that have something under way or are named there.
    """
    due = [state for state in states if now >= not_before.get(state.name, 0.0)]
    if expedited_only is not None:
        due = [state for state in due if state.is_expedited or state.name in expedited_only]
    return [state.name for state in due]


def back_off(state: AccountState) -> float:
    """Seconds after a poll before the account is polled again: the more failures in a row, the longer."""
    if isinstance(state.problem, RateLimitedError):
        return BUDGET_SECONDS
    if not state.failures:
        return 0.0
    return BACK_OFF_SECONDS[min(state.failures, len(BACK_OFF_SECONDS)) - 1]


def rest_while_closed(market: Market | None, next_open: dt.datetime | None) -> float | None:
    """Seconds to rest while the market is closed, at most until it opens; None while it is open or unknown."""
    if market is None or market.is_open:
        return None
    if next_open is None:
        return CLOSED_SECONDS
    return min(CLOSED_SECONDS, max((next_open - market.now).total_seconds(), 1.0))


def may_recover(problems: Sequence[tuple[SellctlError | None, int]]) -> bool:
    """Whether run-once should try again. Each pair is a problem and how often it occurred in a row."""
    return any(isinstance(problem, UnknownOutcomeError) and failures < TRIES for problem, failures in problems)
