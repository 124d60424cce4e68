"""When the account guard fires: on the day's result without transfers, and never on an unknown one."""

from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_policy, a_snapshot, replace

from sellctl.core.config.schema import AccountGuardConfig, SellModuleConfig
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.model.gain import Amount, AmountUnit
from sellctl.core.model.plan import Plan, Reason
from sellctl.core.model.snapshot import AccountFacts

FIVE_PERCENT = Amount(Decimal("0.05"), AmountUnit.GAIN)
GUARDED = AccountGuardConfig(loss=FIVE_PERCENT, profit=FIVE_PERCENT)


def an_account(equity: str | None, before: str | None, transfers: str | None = "0") -> AccountFacts:
    now, earlier, paid_in = (None if text is None else Decimal(text) for text in (equity, before, transfers))
    return AccountFacts("main", "PA1", equity=now, last_equity=earlier, transfers=paid_in)


def the_plan(account: AccountFacts, policy: Policy | None = None) -> Plan:
    policy = policy or a_policy(SellModuleConfig(account_guard=GUARDED))
    return decide(a_snapshot(a_holding(CALL), account=account), policy)


def closes_for_the_guard(plan: Plan) -> bool:
    return any(d.submit and d.signal and d.signal.reason is Reason.ACCOUNT_GUARD for d in plan.decisions)


@pytest.mark.parametrize(
    ("account", "fires"),
    [
        (an_account("95000", "100000"), True),
        (an_account("105000", "100000"), True),
        (an_account("95001", "100000"), False),
        (an_account("60205", "100200", "-40000"), False),  # paid out
        (an_account("140000", "100200", "40000"), False),  # paid in
        (an_account("55000", "100200", "-40000"), True),  # paid out, and lost besides
        (an_account("135000", "100200", "40000"), True),  # paid in, and lost: the equity has grown
        (an_account("100200", "100200", "-6000"), True),  # paid out, and gained: the equity is as before
    ],
)
def test_transfers_are_neither_a_loss_nor_a_profit(account: AccountFacts, *, fires: bool) -> None:
    plan = the_plan(account)
    assert (closes_for_the_guard(plan), bool(plan.tripped_limit)) == (fires, fires)
    assert plan.guard_problem == ""


def test_the_sentence_tells_the_transfers_that_are_not_counted() -> None:
    tripped_limit = the_plan(an_account("55000", "100200", "-40000")).tripped_limit
    assert tripped_limit == "the account lost $5,200.00 today (-5.2%), not counting transfers of -$40,000.00"


@pytest.mark.parametrize(
    ("account", "unknown"),
    [
        (an_account("60205", "100200", None), "what was paid in or out today"),
        (an_account(None, "100200"), "the account's equity"),
        (an_account("60205", None), "its equity at the previous close"),
        (an_account("60205", "0"), "its equity at the previous close"),
    ],
)
def test_on_an_unknown_result_of_the_day_no_guard_fires_and_the_plan_says_so(
    account: AccountFacts, unknown: str
) -> None:
    plan = the_plan(account)
    assert not closes_for_the_guard(plan)
    assert plan.guard_problem == f"the account guard can't be evaluated: the broker did not report {unknown}"
    assert plan.guard_problem in plan.faults


def test_without_a_guard_an_unknown_result_is_no_problem() -> None:
    assert the_plan(an_account(None, None, None), a_policy()).faults == ()


def test_a_limit_that_was_reached_earlier_today_stays_reached_when_the_result_becomes_unknown() -> None:
    snapshot = replace(a_snapshot(a_holding(CALL), account=an_account(None, None)), tripped_limit="the account lost $1")
    plan = decide(snapshot, a_policy(SellModuleConfig(account_guard=GUARDED)))
    assert closes_for_the_guard(plan)
    assert plan.guard_problem == ""


def test_while_a_split_may_not_be_booked_no_guard_fires_because_the_equity_may_be_wrong() -> None:
    snapshot = a_snapshot(a_holding(CALL), account=an_account("50000", "100000"))
    plan = decide(replace(snapshot, unbooked_splits=("AAPL",)), a_policy(SellModuleConfig(account_guard=GUARDED)))
    assert not closes_for_the_guard(plan)
    assert (plan.tripped_limit, plan.guard_problem) == (
        "",
        "the account guard can't be evaluated: a split of AAPL may not be reflected in the position yet",
    )
