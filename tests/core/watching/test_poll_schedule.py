"""When to poll next, and which accounts, as tables."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import CALL, HALF_DAY, a_market, at

from sellctl.core.errors import (
    AuthError,
    BrokerAnswer,
    BrokerError,
    RateLimitedError,
    SellctlError,
    UnknownOutcomeError,
)
from sellctl.core.model.account_state import AccountState, RunMode
from sellctl.core.model.instrument import an_option
from sellctl.core.model.market import Market
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision
from sellctl.core.model.position import Direction, Holding, Position
from sellctl.core.watching.poll_schedule import (
    AT_ONCE_SECONDS,
    BUDGET_SECONDS,
    CLOSED_SECONDS,
    EXPEDITED_SECONDS,
    PollConditions,
    accounts_to_poll,
    back_off,
    may_recover,
    next_poll,
    rest_while_closed,
)

INTERVAL, SECOND_QUOTE = 5.0, 1.6


def a_plan(*, unconfirmed: bool = False) -> Plan:
    instrument = an_option(CALL)
    assert instrument is not None
    holding = Holding(Position(instrument, Direction.LONG, Decimal(1), Decimal(1), Decimal(1)))
    return Plan("main", at("12:00"), (PositionDecision(holding, DecisionState.WATCHING, "", unconfirmed=unconfirmed),))


QUIET = AccountState("quiet", plan=a_plan())
ACTED = AccountState("acted", plan=a_plan(), acted=True)
WORKING = AccountState("working", plan=a_plan(), working=(CALL,))
UNCONFIRMED = AccountState("unconfirmed", plan=a_plan(unconfirmed=True))
NEVER = AccountState("never")
DRY = AccountState("dry", RunMode.DRY_RUN, plan=a_plan(), working=(CALL,))
STALE = AccountState("stale", RunMode.STALE_ONLY, plan=a_plan(), working=(CALL,))
OTHERS = AccountState("others", only=frozenset({"MSFT"}), plan=a_plan(), working=(CALL,))


@pytest.mark.parametrize(
    ("states", "conditions", "seconds"),
    [
        ([QUIET], {}, INTERVAL),
        ([], {}, INTERVAL),
        ([NEVER], {}, INTERVAL),
        ([QUIET, ACTED, UNCONFIRMED], {}, AT_ONCE_SECONDS),
        ([ACTED], {"rests_for": 60.0}, AT_ONCE_SECONDS),
        ([WORKING, UNCONFIRMED], {"rests_for": 60.0}, 60.0),
        ([WORKING, UNCONFIRMED], {}, SECOND_QUOTE),
        ([QUIET], {"has_jump": True}, SECOND_QUOTE),
        ([QUIET, WORKING], {}, EXPEDITED_SECONDS),
        ([DRY, STALE, OTHERS], {}, INTERVAL),
    ],
)
def test_the_next_poll_comes_after(states: list[AccountState], conditions: dict[str, float], seconds: float) -> None:
    given = PollConditions(INTERVAL, SECOND_QUOTE, **conditions)  # type: ignore[arg-type]
    assert next_poll(states, given) == seconds


@pytest.mark.parametrize(
    ("expedited_only", "names"),
    [
        (None, ["quiet", "working", "unconfirmed"]),
        ((), ["working", "unconfirmed"]),
        (("quiet",), ["quiet", "working", "unconfirmed"]),
        (("acted",), ["working", "unconfirmed"]),  # it backs off
    ],
)
def test_the_accounts_to_poll_are_those_that_do_not_back_off(
    expedited_only: tuple[str, ...] | None, names: list[str]
) -> None:
    states = [QUIET, ACTED, WORKING, UNCONFIRMED]
    assert accounts_to_poll(states, 100.0, {"acted": 100.1, "working": 100.0}, expedited_only) == names


@pytest.mark.parametrize(
    ("problem", "failures", "seconds"),
    [
        (None, 0, 0.0),
        (BrokerError("down"), 1, 1.0),
        (BrokerError("down"), 2, 5.0),
        (AuthError("401"), 3, 15.0),
        (AuthError("401"), 4, 60.0),
        (AuthError("401"), 400, 60.0),
        (RateLimitedError("429", answer=BrokerAnswer(429, None, "slow")), 4, BUDGET_SECONDS),
        (None, 1, 1.0),  # a failed read ahead of need
    ],
)
def test_an_account_that_fails_is_polled_ever_more_rarely(
    problem: SellctlError | None, failures: int, seconds: float
) -> None:
    assert back_off(AccountState("main", problem=problem, failures=failures)) == seconds


@pytest.mark.parametrize(
    ("market", "opens", "seconds"),
    [
        (None, None, None),
        (a_market("12:00"), at("09:30", HALF_DAY), None),
        (a_market("08:00"), None, CLOSED_SECONDS),
        (a_market("08:00"), at("09:30"), CLOSED_SECONDS),
        (a_market("09:29:50"), at("09:30"), 10.0),
        (a_market("09:29:59.900"), at("09:30"), 1.0),
        (a_market("09:29:59"), at("09:00"), 1.0),
    ],
)
def test_while_the_market_is_closed_it_rests_until_the_open_at_most(
    market: Market | None, opens: dt.datetime | None, seconds: float | None
) -> None:
    assert rest_while_closed(market, opens) == seconds


@pytest.mark.parametrize(
    ("problem", "failures", "again"),
    [
        (None, 0, False),
        (UnknownOutcomeError("a time-out"), 1, True),
        (UnknownOutcomeError("a time-out"), 2, False),
        (AuthError("401"), 1, False),
    ],
)
def test_a_single_run_tries_again_what_may_be_over_in_a_moment(
    problem: SellctlError | None, failures: int, *, again: bool
) -> None:
    assert may_recover([(None, 0), (problem, failures)]) is again
