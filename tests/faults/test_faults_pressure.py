"""Budget pressure: what a seed draws, and what its checks see."""

import datetime as dt

import pytest
from builders import replace
from faults_scenes import sent

from faults import pressure
from faults.findings import Findings
from faults.pressure import BEGINS, PlannedExit, plan_of

SECOND = dt.timedelta(seconds=1)
STOP = PlannedExit("main", "MSFT", BEGINS, is_stop=True)
TARGET = replace(STOP, is_stop=False)


def test_the_seeds_draw_one_account_with_many_exits_and_many_accounts_with_some() -> None:
    plans = [plan_of(seed) for seed in range(40)]
    assert {plan.accounts for plan in plans} == {1, 4, 10}
    assert {plan.interval for plan in plans} == {1, 5}
    assert max(plan.targets for plan in plans) == 16


@pytest.mark.parametrize(("seconds", "violations"), [(10, 0), (11, 1)])
def test_a_stop_that_leaves_later_than_ten_seconds_is_a_violation(seconds: int, violations: int) -> None:
    findings = Findings()
    slowest = pressure.check_exits([STOP], [sent(BEGINS + seconds * SECOND)], findings, walks=True)
    assert slowest == seconds
    assert [violation.invariant for violation in findings.found] == ["R8"] * violations


def test_a_stop_that_never_leaves_is_a_violation() -> None:
    findings = Findings()
    pressure.check_exits([STOP], [], findings, walks=True)
    assert len(findings.found) == 1


@pytest.mark.parametrize(("gap", "walks", "violations"), [(20, True, 0), (21, True, 1), (21, False, 0)])
def test_a_walk_that_pauses_is_a_violation_unless_too_many_walk(gap: int, violations: int, *, walks: bool) -> None:
    findings = Findings()
    log = [sent(BEGINS), sent(BEGINS + gap * SECOND)]
    pressure.check_exits([TARGET], log, findings, walks=walks)
    assert len(findings.found) == violations


@pytest.mark.parametrize(("until", "violations"), [(12, 0), (13, 1)])
def test_an_account_without_a_poll_for_long_is_a_violation(until: int, violations: int) -> None:
    findings = Findings()
    rest = [pressure.ENDS - n * SECOND for n in range(int((pressure.ENDS - BEGINS) / SECOND) - until, -1, -1)]
    pressure.check_polls("key", rest, findings)
    assert len(findings.found) == violations
