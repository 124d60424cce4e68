"""The bench itself: it is deterministic, the drawn faults occur, and mutants are found."""

import datetime as dt
from pathlib import Path

import pytest
from builders import replace
from faults_scenes import a_day, found, played, with_fault

from faults.catalogue import CATALOGUE, DRAWN_OTHERWISE, NOT_DRAWN, SEPARATE
from faults.checkers import is_ours, parts
from faults.crash import Case, crash
from faults.day import play
from faults.generate import DUE, Role, generate_day
from faults.mutants import MUTANTS, Mutant, mutated, search_for
from faults.structure_draws import with_structures
from faults.structures import LEAVES_BY_ITS_RULES
from faults.two import play_pair
from sellctl.sim.faults.catalogue import CATALOGUE as SIMULATED

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")


def test_the_same_seed_ends_with_the_same_journal_head() -> None:
    assert play(7).head == play(7).head


def test_two_seeds_give_different_days() -> None:
    assert play(7).head != play(8).head


@pytest.mark.parametrize("seed", range(1, 40))
def test_a_day_has_enough_due_positions(seed: int) -> None:
    day = generate_day(seed)
    assert len(day.positions) >= 5
    assert sum(position.role in DUE for position in day.positions) >= 3
    assert {Role.SHORT_LEG, Role.COVERING_LEG} <= {position.role for position in day.positions}


def test_a_vertical_at_its_stop_is_closed_with_its_short_leg_first(tmp_path: Path) -> None:
    stage = played(a_day(Role.SHORT_LEG, Role.COVERING_LEG), tmp_path)
    orders = [o for o in stage.exchange.accounts["main"].orders.values() if is_ours(o) and o.filled_qty]
    assert [part.side for order in orders for part in parts(order)] == ["buy", "sell"]
    assert not found(stage)


def test_on_a_day_without_faults_the_program_reports_no_internal_error(tmp_path: Path) -> None:
    stage = played(a_day(Role.SHORT_LEG, Role.COVERING_LEG), tmp_path)
    assert not [event.text for event in stage.liveness.events if "internal error" in event.text.lower()]


def test_a_trailing_stop_fires_after_its_peak_and_a_position_at_its_peak_stays(tmp_path: Path) -> None:
    stage = played(a_day(Role.TRAILING, Role.AT_PEAK), tmp_path)
    assert [
        position.role for position in stage.day.positions if stage.exchange.accounts["main"].qty_of(position.symbol)
    ] == [Role.AT_PEAK]
    assert not found(stage)


def test_no_order_is_sent_while_the_journal_is_moved_away(tmp_path: Path) -> None:
    day = a_day(Role.CRASH)
    due_at = day.positions[0].due_at
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


def test_a_day_through_the_adapter_violates_nothing() -> None:
    outcome = play(2, adapter=True)
    assert not outcome.violations
    assert outcome.exits >= 3


def test_a_day_without_faults_sells_all_that_is_due_and_nothing_else() -> None:
    outcome, day = play(2, ()), with_structures(generate_day(2, ()))
    due = [each for each in day.structures if each.course in LEAVES_BY_ITS_RULES]
    assert not outcome.violations
    assert outcome.exits == sum(position.role in DUE for position in day.positions) + len(due)
    assert due


@pytest.mark.parametrize("step", ["journal.intend.after", "broker.submit.arrived", "broker.cancel.arrived"])
@pytest.mark.parametrize("once", [False, True])
def test_a_kill_at_a_named_step_sells_everything_once(step: str, *, once: bool) -> None:
    done = crash(Case(step, 1, once, 1))
    assert done.happened
    assert not done.violations


@pytest.mark.parametrize("shared", [False, True])
def test_two_watchers_cause_one_order_per_decision(*, shared: bool) -> None:
    assert not play_pair(2, shared=shared).violations


@pytest.mark.parametrize(
    "name",
    ["random ids", "intent after", "zero day forgotten", "addition disarms", "long leg first", "legs judged alone"],
)
def test_a_mutant_is_found(name: str) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    assert search_for(mutant, 5).seed


def test_there_are_at_least_thirty_mutants_with_unique_names() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30


def test_each_fault_that_is_not_drawn_has_a_reason() -> None:
    assert not NOT_DRAWN.keys() & {fault.name for fault in (*CATALOGUE, *SEPARATE)}
    assert all(NOT_DRAWN.values())


def test_each_fault_of_the_simulator_is_drawn_or_has_a_reason_why_not() -> None:
    drawn = {fault.name for fault in (*CATALOGUE, *SEPARATE)} | DRAWN_OTHERWISE
    assert SIMULATED.keys() <= drawn | NOT_DRAWN.keys()


def test_each_drawn_fault_says_in_one_sentence_what_happens() -> None:
    texts = {fault.name: fault.text for fault in (*CATALOGUE, *SEPARATE)}
    assert all(texts.values())
    assert not {name for name, text in texts.items() if text.endswith(".")}


@pytest.mark.parametrize(("suspended", "unfired"), [(True, ()), (False, ("O08",))])
def test_order_faults_count_as_unfired_only_if_there_could_be_an_order(
    tmp_path: Path, *, suspended: bool, unfired: tuple[str, ...]
) -> None:
    day = a_day(Role.UNTRIGGERED, hours=2)
    day = with_fault(replace(day, recovers_at=day.begins_at + dt.timedelta(hours=1)), "O08", day.begins_at)
    if suspended:  # for longer than the faults last
        day = with_fault(day, "T07", day.begins_at + dt.timedelta(minutes=1))
    assert played(day, tmp_path).injector.unfired == unfired


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_changes_something_that_the_product_has(mutant: Mutant) -> None:
    with mutated(mutant):
        assert all(vars(owner)[name] is value for owner, name, value in mutant.patches)
