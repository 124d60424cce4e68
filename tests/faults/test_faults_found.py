"""What the bench has found in the program, each as the shortest day that shows it."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest
from faults_scenes import a_day, found, played, with_fault

from faults.day import ACCOUNT, play
from faults.draw import Role


@pytest.mark.parametrize("seed", [9, 17])
def test_an_end_that_the_disk_refused_is_learnt_again_and_written_down(seed: int) -> None:
    assert not play(seed, ("D",)).violations


def test_an_order_that_the_broker_took_and_does_not_show_yet_is_not_sent_again() -> None:
    assert not play(18, ("O",)).violations


def test_an_account_that_was_blocked_at_the_start_sells_when_it_no_longer_is(tmp_path: Path) -> None:
    day = a_day(Role.UNCOVERED, hours=0.4)
    stage = played(with_fault(day, "A04", day.begins - dt.timedelta(seconds=1)), tmp_path)
    assert not stage.exchange.accounts[ACCOUNT].positions
    assert not found(stage)


def test_a_denial_is_told_again_when_the_exit_becomes_more_urgent(tmp_path: Path) -> None:
    day = a_day(Role.ZERO_DAY)
    stage = played(with_fault(replace(day, heals=day.ends), "A04", day.begins, 600), tmp_path)
    assert not found(stage)
