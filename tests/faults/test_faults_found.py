"""Bugs that the bench has found in the program, each as the shortest day that shows it."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from builders import a_holding, a_snapshot, replace, the_decision
from faults_scenes import a_day, found, played, with_fault

from faults.day import ACCOUNT, a_stage, play
from faults.generate import Role
from faults.pairs import differing_seeds
from sellctl.core.model.event import EventKind, Severity
from sellctl.core.model.plan import DecisionState
from sellctl.core.model.position import PositionState


@pytest.mark.parametrize("seed", [9, 17])
def test_an_order_end_that_could_not_be_written_is_read_again_and_recorded(seed: int) -> None:
    assert not play(seed, ("D",)).violations


def test_an_order_that_the_broker_accepted_and_does_not_list_yet_is_not_sent_again() -> None:
    assert not play(18, ("O",)).violations


def test_price_increments_are_read_in_an_order_that_does_not_depend_on_the_hash_seed() -> None:
    assert differing_seeds(26, 1) == []


def test_an_account_that_was_blocked_at_the_start_sells_after_it_is_unblocked(tmp_path: Path) -> None:
    day = a_day(Role.UNCOVERED, hours=0.4)
    stage = played(with_fault(day, "A04", day.begins_at - dt.timedelta(seconds=1)), tmp_path)
    assert not stage.exchange.accounts[ACCOUNT].positions
    assert not found(stage)


@pytest.mark.parametrize("role", [Role.TARGET, Role.CRASH])
def test_an_account_that_may_not_trade_suspends_no_symbol_and_is_reported_once(role: Role, tmp_path: Path) -> None:
    day = a_day(role)
    due_at = day.positions[0].due_at
    assert due_at is not None
    day = replace(day, recovers_at=day.ends_at, ends_at=due_at + dt.timedelta(minutes=30), human_actions=())
    stage = a_stage(day, tmp_path / "state")
    account = stage.exchange.accounts[ACCOUNT]
    blocked = {"suspend_trade": True}, {"suspend_trade": False}  # the account's status does not show it
    for at, change in zip((day.begins_at, due_at + dt.timedelta(minutes=10)), blocked, strict=True):
        stage.exchange.at(at, lambda _exchange, change=change: account.configuration.update(change))
    stage.play()
    texts = [event.text for event in stage.liveness.events if "blocked trading on this account" in event.text]
    assert not account.positions
    assert not any("in a row" in event.text for event in stage.liveness.events)
    assert len([text for text in texts if "tried again" in text]) == 1
    assert sum(logged.answer == "refused" for logged in stage.network.log) <= 14
    assert not found(stage)


def test_an_account_that_keeps_failing_is_reported_repeatedly(tmp_path: Path) -> None:
    day = a_day(Role.UNTRIGGERED, hours=1)
    failing = with_fault(
        replace(day, recovers_at=day.ends_at), "H07", day.begins_at + dt.timedelta(minutes=5), 22, status=401
    )
    events = played(failing, tmp_path).liveness.events
    again = [event for event in events if "still not watched" in event.text]
    assert [event.severity for event in again] == [Severity.CRITICAL] * 4  # every five minutes of 22
    assert any("responds again" in event.text for event in events)


def test_a_key_that_never_worked_is_reported_once(tmp_path: Path) -> None:
    day = a_day(Role.UNTRIGGERED, hours=0.5)
    refused = with_fault(
        replace(day, recovers_at=day.ends_at), "H07", day.begins_at - dt.timedelta(minutes=1), 22, status=401
    )
    events = played(refused, tmp_path).liveness.events
    assert not [event for event in events if "still not watched" in event.text]
    assert [event for event in events if event.kind is EventKind.DEGRADED]


def test_a_denial_is_reported_again_when_the_exit_becomes_more_urgent(tmp_path: Path) -> None:
    day = a_day(Role.ZERO_DAY)
    stage = played(with_fault(replace(day, recovers_at=day.ends_at), "A04", day.begins_at, 600), tmp_path)
    assert not found(stage)


def test_a_poll_that_repeated_an_order_takes_that_order_into_account(tmp_path: Path) -> None:
    day = a_day(Role.CRASH, hours=2)
    day = replace(day, latency=0.02, settings=replace(day.settings, partial_fills=Decimal(1)))
    at = day.positions[0].due_at
    assert at is not None
    stage = played(with_fault(day, "H01", at - dt.timedelta(minutes=1), method="POST", times=1), tmp_path)
    assert not stage.exchange.accounts[ACCOUNT].positions
    assert not found(stage)


def test_the_cover_of_a_short_is_kept_while_the_position_lags_behind_our_own_fill() -> None:
    long = a_holding(
        "AAPL261218C00200000", qty="6", entry="1.00", bid="1.20", ask="1.22", state=PositionState(qty_left=Decimal(3))
    )
    short = a_holding("AAPL261218C00210000", qty="3", short=True)
    decision = the_decision(a_snapshot(long, short), symbol=long.symbol)
    assert decision.state is DecisionState.DENIED


@pytest.mark.parametrize("seed", [3393, 3424])
def test_a_journal_that_was_moved_between_two_processes_is_restored_before_the_next_one(seed: int) -> None:
    assert not play(seed).violations  # otherwise a new journal would begin while the old one's orders are open


def test_an_intent_counts_as_recorded_also_while_the_journals_files_are_moved_away() -> None:
    assert not play(3319).violations  # they are moved between the commit of an intent and its order's acceptance


def test_what_replaces_a_new_order_has_no_occasion_while_every_order_is_held() -> None:
    assert play(2992).unfired == ()


@pytest.mark.parametrize("seed", [158, 184, 251])
def test_seeds_that_once_failed_through_the_adapter_violate_nothing(seed: int) -> None:
    outcome = play(seed, adapter=True)  # lagging positions without a fill, a wrong calendar, a cover of another urgency
    assert not outcome.violations
