"""When an account is read next and when it decides on newer quotes, as tables."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import CALL, HALF_DAY, a_market, at, replace

from sellctl.core.errors import (
    AuthError,
    BrokerAnswer,
    BrokerError,
    RateLimitedError,
    SellctlError,
    UnknownOutcomeError,
)
from sellctl.core.model.account_state import AccountState, RunMode
from sellctl.core.model.instrument import a_stock, an_option
from sellctl.core.model.market import Market
from sellctl.core.model.plan import (
    SHORT_UNCONFIRMED,
    DecisionState,
    ExitSignal,
    Plan,
    PositionDecision,
    Reason,
    Urgency,
)
from sellctl.core.model.position import Direction, Holding, Position
from sellctl.core.watching.poll_schedule import (
    BUDGET_SECONDS,
    CLOSED_SECONDS,
    EXPEDITED_SECONDS,
    FOLLOW_UP_SECONDS,
    REEVALUATION_SECONDS,
    RUN_ONCE_SECONDS_PER_STEP,
    SLOWEST_SECONDS,
    SLOWEST_URGENT_SECONDS,
    STREAMED_SECONDS,
    PollConditions,
    back_off,
    may_recover,
    quote_requests,
    read_gap,
    reevaluation_gap,
    rest_while_closed,
)

INTERVAL, SECOND_QUOTE = 5.0, 1.6


def a_plan(*, unconfirmed: bool = False, urgency: Urgency | None = None, violations: tuple[str, ...] = ()) -> Plan:
    instrument = an_option(CALL)
    assert instrument is not None
    holding = Holding(Position(instrument, Direction.LONG, Decimal(1), Decimal(1), Decimal(1)))
    signal = urgency and ExitSignal(holding, Decimal(1), Reason.STOP_LOSS, "a stop", urgency)
    decision = PositionDecision(holding, DecisionState.WATCHING, "", unconfirmed=unconfirmed, signal=signal or None)
    return Plan("main", at("12:00"), (replace(decision, violations=violations),))


STOP = a_plan(urgency=Urgency.PROTECTIVE)
QUIET = AccountState("quiet", plan=a_plan())
ACTED = AccountState("acted", plan=a_plan(), acted=True, pending_symbols=(CALL,))
CANCELLED = AccountState("cancelled", plan=a_plan(), acted=True, awaits_read=True)
WORKING = AccountState("working", plan=a_plan(), pending_symbols=(CALL,))
UNCONFIRMED = AccountState("unconfirmed", plan=a_plan(unconfirmed=True))
CONFIRMING = AccountState("confirming", plan=a_plan(unconfirmed=True, violations=(SHORT_UNCONFIRMED,)))
STOPPED = AccountState("stopped", plan=STOP, acted=True, pending_symbols=(CALL,))
STOPPING = AccountState("stopping", plan=STOP, pending_symbols=(CALL,))
NEVER = AccountState("never")
DRY = AccountState("dry", RunMode.DRY_RUN, plan=a_plan(), pending_symbols=(CALL,))
STALE = AccountState("stale", RunMode.STALE_ONLY, plan=a_plan(), pending_symbols=(CALL,))
OTHERS = AccountState("others", only=frozenset({"MSFT"}), plan=a_plan(), pending_symbols=(CALL,))


ONCE, NEVER_READ = {"single_run": True}, float("inf")


def conditions(**given: object) -> PollConditions:
    return PollConditions(INTERVAL, SECOND_QUOTE, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "given", "seconds"),
    [
        (QUIET, {}, INTERVAL),
        (NEVER, {}, INTERVAL),
        (DRY, {}, INTERVAL),
        (STALE, {}, INTERVAL),
        (OTHERS, {}, INTERVAL),
        (CANCELLED, {}, FOLLOW_UP_SECONDS),
        (CANCELLED, {"load": 1.0}, SLOWEST_URGENT_SECONDS),  # the next order waits for it
        (replace(STOPPED, awaits_read=True), {"load": 1.0}, FOLLOW_UP_SECONDS),
        (replace(CANCELLED, reads_in_vain=1), {}, 0.25),  # it was still pending a moment ago
        (replace(CANCELLED, reads_in_vain=2), {}, FOLLOW_UP_SECONDS),
        (STOPPED, {}, EXPEDITED_SECONDS),
        (STOPPED, {"load": 1.0}, SLOWEST_URGENT_SECONDS),
        (STOPPING, {"load": 1.0}, SLOWEST_URGENT_SECONDS),
        (WORKING, {}, EXPEDITED_SECONDS),
        (ACTED, {}, EXPEDITED_SECONDS),
        (WORKING, {"load": 0.5}, EXPEDITED_SECONDS),
        (WORKING, {"load": 0.625}, (EXPEDITED_SECONDS + SLOWEST_SECONDS) / 2),
        (WORKING, {"load": 0.75}, SLOWEST_SECONDS),
        (WORKING, {"load": 1.0}, SLOWEST_SECONDS),
        (WORKING, {"orders_streamed": True}, STREAMED_SECONDS),
        (WORKING, {"orders_streamed": True, "is_requested": True}, FOLLOW_UP_SECONDS),
        (QUIET, {"is_requested": True}, FOLLOW_UP_SECONDS),
        (QUIET, {"is_requested": True, "load": 0.75}, SLOWEST_SECONDS),
        (UNCONFIRMED, {}, INTERVAL),  # re-evaluations confirm it
        (CONFIRMING, {}, STREAMED_SECONDS),  # only reads confirm it
        (CONFIRMING, {"load": 1.0}, INTERVAL),
        (replace(CONFIRMING, pending_symbols=(CALL,)), ONCE, STREAMED_SECONDS),
        (UNCONFIRMED, {"may_reevaluate": False}, SECOND_QUOTE),
        (QUIET, {"has_jump": True, "may_reevaluate": False}, SECOND_QUOTE),
        (WORKING, ONCE, NEVER_READ),
        (ACTED, ONCE, NEVER_READ),
        (CANCELLED, ONCE, FOLLOW_UP_SECONDS),
        (UNCONFIRMED, ONCE, STREAMED_SECONDS),
        (replace(WORKING, unknown_orders=("sellctl-1",)), ONCE, EXPEDITED_SECONDS),  # a read looks it up
        (WORKING, {"single_run": True, "may_reevaluate": False}, EXPEDITED_SECONDS),
    ],
)
def test_an_account_is_read_again_after(state: AccountState, given: dict[str, object], seconds: float) -> None:
    assert read_gap(state, conditions(**given)) == seconds


@pytest.mark.parametrize(
    ("state", "given", "seconds"),
    [
        (QUIET, {}, None),
        (QUIET, {"has_jump": True}, SECOND_QUOTE),
        (UNCONFIRMED, {}, SECOND_QUOTE),
        (WORKING, {}, 3 * REEVALUATION_SECONDS),
        (AccountState("stop", plan=a_plan(unconfirmed=True, urgency=Urgency.PROTECTIVE)), {}, 3 * REEVALUATION_SECONDS),
        (WORKING, {"may_reevaluate": False}, None),
        (WORKING, ONCE, RUN_ONCE_SECONDS_PER_STEP),
        (UNCONFIRMED, ONCE, SECOND_QUOTE),
        (QUIET, ONCE, None),
    ],
)
def test_an_account_decides_on_newer_quotes_after(
    state: AccountState, given: dict[str, object], seconds: float | None
) -> None:
    assert reevaluation_gap(state, conditions(**given), requests=3) == seconds


def test_a_short_interval_slows_down_before_the_budget_is_used_up() -> None:
    given = replace(conditions(load=0.6), interval=1.0)
    assert 1.0 < read_gap(QUIET, given) < SLOWEST_SECONDS


def test_quotes_take_a_request_per_hundred_symbols_of_each_asset_class() -> None:
    options = [an_option(f"AAPL261218C{strike:08d}") for strike in range(1000, 152_000, 1000)]
    assert quote_requests([]) == 1
    assert quote_requests([*filter(None, options), a_stock("AAPL"), a_stock("AAPL")]) == 3


@pytest.mark.parametrize(
    ("problem", "failures", "seconds"),
    [
        (None, 0, 0.0),
        (BrokerError("down"), 1, 1.0),
        (BrokerError("down"), 2, 2.0),
        (UnknownOutcomeError("503"), 3, 5.0),
        (UnknownOutcomeError("503"), 400, 5.0),
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
