"""What people ask of the running program on a day of the bench: it happens, and its checks see what they should."""

import datetime as dt
from collections import Counter
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path

import pytest
from builders import replace
from faults_scenes import a_day, a_structures_day, found, with_fault

from faults.day import ACCOUNT, Stage, a_stage
from faults.draws import with_draws
from faults.generate import MINUTE, SECOND, Day, Role, generate_day
from faults.mutants import MUTANTS, mutated
from faults.people import Asked
from faults.people_draws import ALICE, BOB, CLEARED, FAR, Effect, Errand, Part, Step, errands_of
from faults.structure_draws import CONDOR, with_structures
from faults.structures import Course
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import OverrideChange
from sellctl.sim.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
HOLD = OverrideChange(stop="60%")


def asked_on(day: Day, errand: Errand, folder: Path, mutant: str = "") -> Stage:
    """The day, run to its end, on which people ask for nothing else; with a mutant, if one is named."""
    stage = a_stage(day, folder / "state")
    stage.people.asked = {errand.name: Asked(errand)}
    with mutated(next(each for each in MUTANTS if each.name == mutant)) if mutant else nullcontext():
        stage.play()
    return stage


def on(symbol: str, effect: Effect, *steps: Step, **more: object) -> Errand:
    return replace(Errand(symbol, frozenset({symbol}), effect, steps), **more)


def a_quiet_day() -> tuple[Day, str, dt.datetime]:
    """Half an hour with one position of several contracts or shares, for which no rule is ever true, and its middle."""
    day = a_day(Role.UNTRIGGERED, hours=0.5)
    position = max(day.positions, key=lambda each: each.qty)
    assert position.qty > 1
    at = day.begins_at + 5 * MINUTE
    return replace(day, positions=(position,), recovers_at=at + 8 * MINUTE), position.symbol, at


def test_people_ask_for_something_on_each_day_and_all_kinds_are_drawn() -> None:
    drawn: Counter[Effect] = Counter()
    for seed in range(30):
        day = with_structures(generate_day(seed, ()))
        assert not errands_of(day)
        errands = errands_of(with_draws(day))
        assert errands
        assert errands == errands_of(with_draws(day, ("O21",)))
        drawn.update(errand.effect for errand in errands)
    assert drawn.keys() == set(Effect)


@pytest.mark.parametrize("mutant", ["", "override ignored"])
def test_a_stop_that_is_set_by_hand_and_passed_closes_what_no_rule_would(mutant: str, tmp_path: Path) -> None:
    day, symbol, at = a_quiet_day()
    near = OverrideChange(stop=f"price {day.positions[0].entry * 2}")
    stage = asked_on(day, on(symbol, Effect.FIRES, Step(at, changes=((BOB, FAR), (ALICE, near)))), tmp_path, mutant)
    assert bool(stage.exchange.accounts[ACCOUNT].qty_of(symbol)) is bool(mutant)
    assert any("a stop set by hand is passed" in text for text in found(stage)) is bool(mutant)


def test_a_stop_that_stands_alone_because_the_next_was_refused_may_close_its_position(tmp_path: Path) -> None:
    day, symbol, at = a_quiet_day()
    day = with_fault(day, "A08", at - MINUTE)  # a percentage of an entry price of 0 is refused
    near = OverrideChange(stop=f"price {day.positions[0].entry * 2}")
    stage = asked_on(day, on(symbol, Effect.HARMLESS, Step(at, changes=((BOB, near), (ALICE, FAR)))), tmp_path)
    assert (stage.exchange.accounts[ACCOUNT].qty_of(symbol), found(stage)) == (0, [])


@pytest.mark.parametrize("mutant", ["", "override forgotten"])
def test_what_is_set_is_there_after_a_restart_until_it_is_cleared(mutant: str, tmp_path: Path) -> None:
    day, symbol, at = a_quiet_day()
    day = with_fault(day, "P02", at + 2 * MINUTE)
    clear = Step(at + 15 * MINUTE, changes=((BOB, CLEARED),))
    stage = asked_on(day, on(symbol, Effect.HARMLESS, Step(at, changes=((ALICE, FAR),)), clear), tmp_path, mutant)
    assert stage.processes == 2
    assert any(text.startswith("D10") for text in found(stage)) is bool(mutant)
    assert mutant or stage.people.asked[symbol].override is None


@pytest.mark.parametrize("mutant", ["", "override for ever", "override beside"])
def test_a_rule_that_is_replaced_sends_nothing_until_that_has_ended(mutant: str, tmp_path: Path) -> None:
    day = a_day(Role.CRASH)
    (position,) = day.positions
    assert position.due_at is not None
    until = position.due_at + 5 * MINUTE
    day = replace(day, begins_at=position.due_at - 10 * MINUTE, recovers_at=until, ends_at=until + 20 * MINUTE)
    change = replace(HOLD, until=until)
    step = Step(position.due_at - 5 * MINUTE, changes=((ALICE, change),))
    errand = on(position.symbol, Effect.REPLACED, step, reason=Reason.STOP_LOSS, ends_at=until)
    stage = asked_on(day, errand, tmp_path, mutant)
    assert any(text.startswith("D10") for text in found(stage)) is bool(mutant)
    if not mutant:
        (order,) = stage.exchange.accounts[ACCOUNT].orders.values()
        assert order.created_at >= until
        assert not stage.exchange.accounts[ACCOUNT].positions


@pytest.mark.parametrize("mutant", ["", "part is all"])
def test_of_two_requests_for_a_part_the_last_counts_and_no_more_is_closed(mutant: str, tmp_path: Path) -> None:
    day, symbol, at = a_quiet_day()
    parts = ((BOB, Part(Decimal("0.5"))), (ALICE, Part()))
    stage = asked_on(day, on(symbol, Effect.PART, Step(at, parts=parts)), tmp_path, mutant)
    left = stage.exchange.accounts[ACCOUNT].qty_of(symbol)
    assert left == (0 if mutant else day.positions[0].qty - 1)
    assert any(text.startswith("S9") for text in found(stage)) is bool(mutant)


def test_a_part_that_is_asked_for_in_the_middle_of_an_exit_leaves_the_rest_to_the_rule(tmp_path: Path) -> None:
    day = a_day(Role.CRASH)
    (position,) = day.positions
    assert position.due_at is not None
    day = replace(day, begins_at=position.due_at - 5 * MINUTE, ends_at=position.due_at + 15 * MINUTE)
    part = Step(during_exit=True, parts=((ALICE, Part(Decimal("0.5"), Decimal(2))),))
    stage = asked_on(day, on(position.symbol, Effect.PART_OF_EXIT, part), tmp_path)
    assert not stage.exchange.accounts[ACCOUNT].positions
    assert not found(stage)


def test_a_unit_of_a_structure_by_legs_is_all_that_is_closed_while_positions_lag_behind_fills(tmp_path: Path) -> None:
    """A leg that follows was sent again while the position did not show its fill yet, until all of it was closed."""
    lagging = Settings(position_lag=dt.timedelta(seconds=9))
    days = (a_structures_day(CONDOR, Course.QUIET, seed=seed, settings=lagging) for seed in range(2, 40))
    day = next(day for day in days if day.structures[0].units > 1)
    (structure,) = day.structures
    day = with_fault(day, "A13", day.begins_at - dt.timedelta(seconds=1))
    at = day.begins_at + 5 * MINUTE
    day = replace(day, recovers_at=at + 15 * MINUTE, ends_at=at + 30 * MINUTE)
    errand = Errand(structure.name, structure.symbols, Effect.PART, (Step(at, parts=((ALICE, Part()),)),))
    stage = asked_on(day, errand, tmp_path)
    left = {abs(stage.exchange.accounts[ACCOUNT].qty_of(symbol)) for symbol in structure.symbols}
    assert (left, found(stage)) == ({structure.units - 1}, [])


@pytest.mark.parametrize("pause", [0, 5])
def test_an_exit_in_whose_middle_somebody_asks_lasts_until_after_that(pause: int, tmp_path: Path) -> None:
    day = a_day(Role.TARGET)
    (position,) = day.positions
    assert position.due_at is not None
    day = replace(day, begins_at=position.due_at - 5 * MINUTE, ends_at=position.due_at + 15 * MINUTE)
    part = Step(pause=pause * SECOND, during_exit=True, parts=((ALICE, Part()),))
    stage = asked_on(day, on(position.symbol, Effect.PART_OF_EXIT, part), tmp_path)
    ((asked_at, _),) = stage.people.done
    orders = stage.exchange.accounts[ACCOUNT].orders.values()
    assert min(order.created_at for order in orders) <= asked_at - pause * SECOND
    assert asked_at < min(event.at for event in stage.exchange.events if event.kind in {"fill", "partial_fill"})
    assert not stage.exchange.accounts[ACCOUNT].positions
    assert not found(stage)
