"""Backstops under the bench's checkers: a kill around their cancel, and a fill while an exit replaces them."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from builders import replace
from faults_scenes import a_day, found

from faults.crash import exactly_once, matrix_day
from faults.day import ACCOUNT, a_stage
from faults.generate import Role
from sellctl.core.config.schema import BackstopConfig

pytestmark = pytest.mark.filterwarnings(
    "ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("step", ["broker.cancel.before", "broker.cancel.arrived", "broker.cancel.after",
                                  "journal.intend.after", "broker.submit.arrived"])  # fmt: skip
def test_a_kill_around_the_cancel_ends_with_each_position_sold_once(tmp_path: Path, step: str, *, once: bool) -> None:
    day = replace(matrix_day(3), backstop=BackstopConfig(Decimal("0.45")), human_actions=())
    stage = a_stage(day, tmp_path / "state", once=once)
    stage.steps.kill_at, stage.steps.nth = step, 2
    stage.play()
    exactly_once(stage)
    assert stage.steps.kills == 1
    assert not found(stage)


@pytest.mark.parametrize("partial", ["0", "1"])
def test_a_backstop_and_an_exit_in_the_same_second_never_sell_twice(tmp_path: Path, partial: str) -> None:
    day = a_day(Role.CRASH, hours=2)
    day = replace(
        day,
        backstop=BackstopConfig(Decimal("0.21")),
        settings=replace(
            day.settings,
            partial_fills=Decimal(partial),
            cancel_delay=dt.timedelta(seconds=3),
            position_lag=dt.timedelta(seconds=9),
        ),
        latency=0.3,
    )
    stage = a_stage(day, tmp_path / "state")
    stage.play()
    assert not found(stage)
    assert stage.exchange.accounts[ACCOUNT].qty_of(day.positions[0].symbol) == 0
