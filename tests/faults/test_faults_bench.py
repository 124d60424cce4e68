"""The bench itself: same seed, same day; what it draws occurs; mutants are found."""

import datetime as dt
from pathlib import Path

import pytest
from builders import replace
from faults_scenes import a_day, found, played, with_fault

from faults.catalogue import CATALOGUE, WAITING
from faults.checkers import is_ours, parts
from faults.crash import Case, crash
from faults.day import play
from faults.generate import DUE, Role, generate_day
from faults.mutants import MUTANTS, hunt
from faults.two import play_pair

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")


def test_the_same_seed_ends_with_the_same_journal_head() -> None:
    assert play(7).head == play(7).head


def test_two_seeds_are_two_days() -> None:
    assert play(7).head != play(8).head


@pytest.mark.parametrize("seed", range(1, 40))
def test_a_day_holds_enough_to_be_one(seed: int) -> None:
    day = generate_day(seed)
    assert len(day.lots) >= 5
    assert sum(lot.role in DUE for lot in day.lots) >= 3
    assert {Role.SHORT_LEG, Role.COVERING_LEG} <= {lot.role for lot in day.lots}


def test_a_vertical_under_attack_leaves_with_its_short_leg_first_or_with_one_order(tmp_path: Path) -> None:
    stage = played(a_day(Role.SHORT_LEG, Role.COVERING_LEG), tmp_path)
    orders = [o for o in stage.exchange.accounts["main"].orders.values() if is_ours(o) and o.filled_qty]
    assert [part.side for order in orders for part in parts(order)] == ["buy", "sell"]
    assert not found(stage)


def test_a_trailing_stop_fires_after_its_peak_and_one_that_rides_on_stays(tmp_path: Path) -> None:
    stage = played(a_day(Role.TRAILING, Role.AT_PEAK), tmp_path)
    assert [lot.role for lot in stage.day.lots if stage.exchange.accounts["main"].qty_of(lot.symbol)] == [Role.AT_PEAK]
    assert not found(stage)


def test_a_journal_that_is_moved_away_stops_orders_until_it_is_back(tmp_path: Path) -> None:
    day = a_day(Role.CRASH)
    due_at = day.lots[0].due_at
    assert due_at is not None
    away = due_at - dt.timedelta(minutes=1)
    stage = played(with_fault(replace(day, recovers_at=day.ends_at), "D06", away, minutes=10), tmp_path)
    orders = [o for o in stage.exchange.accounts["main"].orders.values() if is_ours(o)]
    assert min(order.created_at for order in orders) > away + dt.timedelta(minutes=10)
    assert not found(stage)


@pytest.mark.parametrize("seed", [1, 3, 6])
def test_a_day_with_faults_violates_nothing_and_all_its_faults_occur(seed: int) -> None:
    outcome = play(seed)
    assert not outcome.violations
    assert not outcome.unfired
    assert outcome.polls >= 150


def test_a_day_through_the_sdk_violates_nothing() -> None:
    outcome = play(2, sdk=True)
    assert not outcome.violations
    assert outcome.exits >= 3


def test_a_day_without_faults_sells_all_that_is_due_and_nothing_else() -> None:
    outcome = play(2, ())
    assert not outcome.violations
    assert outcome.exits == sum(lot.role in DUE for lot in generate_day(2, ()).lots)


@pytest.mark.parametrize("step", ["journal.intend.after", "broker.submit.arrived", "broker.cancel.arrived"])
@pytest.mark.parametrize("once", [False, True])
def test_a_kill_at_a_named_step_sells_everything_once(step: str, *, once: bool) -> None:
    done = crash(Case(step, 1, once, 1))
    assert done.happened
    assert not done.violations


@pytest.mark.parametrize("shared", [False, True])
def test_two_watchers_cause_one_order_a_decision(*, shared: bool) -> None:
    assert not play_pair(2, shared=shared).violations


@pytest.mark.parametrize("name", ["random ids", "intent after", "zero day forgotten"])
def test_a_mutant_is_found(name: str) -> None:
    bug = next(bug for bug in MUTANTS if bug.name == name)
    assert hunt(bug, 5).seed


def test_there_are_at_least_thirty_mutants_with_unique_names() -> None:
    assert len({bug.name for bug in MUTANTS}) == len(MUTANTS) >= 30


def test_what_is_not_drawn_says_what_it_waits_for() -> None:
    assert not WAITING.keys() & {fault.name for fault in CATALOGUE}
    assert all(WAITING.values())


def test_faults_of_orders_need_an_order_before_everything_heals() -> None:
    slept = play(2958)  # its lid closes at the open and stays closed until the disk fails
    assert not slept.faults["O08"]
    assert not slept.unfired
