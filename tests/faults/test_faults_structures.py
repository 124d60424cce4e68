"""The structures of a day: they are drawn, leave as their rules say, and the checkers see what goes wrong with them."""

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from builders import replace
from faults_scenes import a_structures_day, found, played, with_fault

from faults.checkers import SETTLES_WITHIN, ExchangeChecker, is_ours, parts
from faults.day import ACCOUNT, Stage, exchange_of, play
from faults.draws import with_draws
from faults.findings import Findings
from faults.generate import Day, generate_day
from faults.structure_draws import BUTTERFLY, CALENDAR, CONDOR, Kind, with_structures
from faults.structures import LEAVES_BY_ITS_RULES, STAYS, Course, Entry
from sellctl.core.model.instrument import AssetClass
from sellctl.core.structures.names import kind_named, legs_of
from sellctl.sim.settings import Settings
from sellctl.sim.venue.orders import SimPosition

if TYPE_CHECKING:
    from sellctl.core.model.plan import SubmitOrder

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
EVERY_KIND = pytest.mark.parametrize("kind", [CONDOR, CALENDAR, BUTTERFLY], ids=lambda kind: str(kind.kind))
IN_PARTS = Settings(partial_fills=Decimal(1), position_lag=dt.timedelta(seconds=9))


def days(count: int = 200) -> list[Day]:
    return [with_structures(generate_day(seed)) for seed in range(1, count + 1)]


def held(stage: Stage) -> set[str]:
    return set(stage.exchange.accounts[ACCOUNT].positions)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_every_day_has_a_condor_and_a_calendar_and_one_in_three_a_butterfly() -> None:
    kinds = [Counter(structure.kind for structure in day.structures) for day in days()]
    assert all(each[CONDOR.kind] == each[CALENDAR.kind] == 1 for each in kinds)
    assert 45 <= sum(each[BUTTERFLY.kind] for each in kinds) <= 90


def test_structures_change_nothing_else_of_a_day() -> None:
    day = generate_day(3)
    assert replace(with_structures(day), structures=()) == day


def test_most_structures_leave_by_their_rules_and_each_course_and_entry_is_drawn() -> None:
    structures = [structure for day in days() for structure in day.structures]
    leaving = sum(structure.course in LEAVES_BY_ITS_RULES for structure in structures)
    assert 0.6 <= leaving / len(structures) <= 0.85
    assert {structure.course for structure in structures} == set(Course)
    assert {structure.entry for structure in structures} == set(Entry)
    assert {structure.units for structure in structures} == {1, 2, 3}


def test_the_names_that_the_bench_gives_are_those_of_the_program() -> None:
    for day in days():
        for structure in day.structures:
            assert frozenset(legs_of(structure.name)) == structure.symbols
            assert kind_named(structure.name) is structure.kind


@pytest.mark.parametrize("name", ["O18", "O19", "O20", "A13"])
def test_a_fault_on_structures_occurs_after_all_of_them_were_entered(name: str) -> None:
    drawn = [(day, planned) for day in days(60) if (planned := with_draws(day, (name,)).planned(name))]
    entries = [(structure.enters_at, planned.at) for day, planned in drawn for structure in day.structures]
    assert any(entered for entered, _ in entries)
    assert [(entered, at) for entered, at in entries if entered and entered >= at] == []


# --- how they leave ---------------------------------------------------------------------------------------------------


@EVERY_KIND
@pytest.mark.parametrize("course", sorted(LEAVES_BY_ITS_RULES))
def test_a_structure_whose_rule_becomes_true_leaves_whole(kind: Kind, course: Course, tmp_path: Path) -> None:
    stage = played(a_structures_day(kind, course, settings=IN_PARTS), tmp_path)
    assert not held(stage)
    assert not found(stage)
    assert stage.structures.exits == 1


@EVERY_KIND
@pytest.mark.parametrize("course", sorted(STAYS))
def test_a_structure_none_of_whose_rules_is_true_stays(kind: Kind, course: Course, tmp_path: Path) -> None:
    stage = played(a_structures_day(kind, course), tmp_path)
    assert held(stage) == stage.day.structures[0].symbols
    assert not any(map(is_ours, stage.exchange.accounts[ACCOUNT].orders.values()))
    assert not found(stage)


@pytest.mark.parametrize("entry", [Entry.LEGS, Entry.ORDER])
def test_a_structure_that_a_person_enters_during_the_day_leaves_by_its_rules(entry: Entry, tmp_path: Path) -> None:
    stage = played(a_structures_day(CONDOR, Course.STOP, entry, settings=IN_PARTS), tmp_path)
    opening = [o for o in stage.exchange.accounts[ACCOUNT].orders.values() if o.parent is None and not is_ours(o)]
    assert len(opening) == (1 if entry is Entry.ORDER else 4)
    assert not held(stage)
    assert not found(stage)


@pytest.mark.parametrize("kind", [CONDOR, CALENDAR], ids=lambda kind: str(kind.kind))
def test_on_its_last_day_the_legs_that_expire_leave_before_the_deadline(kind: Kind, tmp_path: Path) -> None:
    stage = played(a_structures_day(kind, Course.LAST_DAY), tmp_path)
    left = [leg for leg in stage.day.structures[0].legs if leg.symbol in held(stage)]
    assert not any(leg.expires_today for leg in left)
    assert len(left) == (1 if kind is CALENDAR else 0)
    assert not found(stage)


@pytest.mark.parametrize("leg", range(4))
@pytest.mark.parametrize("share", ["0.5", "1"])
def test_when_a_person_closes_a_leg_in_the_middle_of_the_exit_the_rest_leaves_all_the_same(
    leg: int, share: str, tmp_path: Path
) -> None:
    day = a_structures_day(CONDOR, Course.STOP)
    day = replace(day, recovers_at=day.closes, structures=(replace(day.structures[0], units=3),))
    options = {"structure": 0, "leg": leg, "share": share, "during": True, "delay": 1}
    stage = played(with_fault(day, "O19", day.begins_at, **options), tmp_path)
    assert stage.injector.trades.interrupted
    assert not held(stage)
    assert not found(stage)


def test_after_a_person_closed_a_leg_before_the_exit_the_rest_may_stay_and_no_short_is_left_naked(
    tmp_path: Path,
) -> None:
    day = a_structures_day(CONDOR, Course.QUIET)
    options = {"structure": 0, "leg": 1, "share": "1", "during": False, "delay": 0}
    stage = played(with_fault(day, "O19", day.begins_at + dt.timedelta(minutes=5), **options), tmp_path)
    assert stage.day.structures[0].legs[1].symbol not in held(stage)
    assert stage.injector.all_fired["O19"] == 1
    assert not found(stage)


def test_the_first_orders_that_close_a_structure_meet_faults(tmp_path: Path) -> None:
    day = a_structures_day(CALENDAR, Course.STOP)
    stage = played(with_fault(day, "O20", day.begins_at, structure=0, orders=2), tmp_path)
    assert stage.injector.all_fired["O20"] == 2
    assert not held(stage)
    assert not found(stage)


def test_with_too_low_an_options_level_a_structure_leaves_all_the_same(tmp_path: Path) -> None:
    day = a_structures_day(CONDOR, Course.TARGET)
    stage = played(with_fault(day, "A13", day.begins_at - dt.timedelta(seconds=1)), tmp_path)
    assert stage.exchange.accounts[ACCOUNT].options_trading_level == 2
    assert not held(stage)
    assert not found(stage)


def test_the_same_seed_with_faults_on_structures_ends_with_the_same_journal_head() -> None:
    codes = ("O19", "O20")
    assert play(5, codes).head == play(5, codes).head


# --- what the checkers see --------------------------------------------------------------------------------------------


def test_a_structure_that_is_due_and_never_leaves_is_found(tmp_path: Path) -> None:
    day = a_structures_day(CONDOR, Course.STOP)
    stage = played(day, tmp_path)  # to know that it would leave
    forgotten = replace(day.structures[0], rules=replace(day.structures[0].rules, stop_loss=None))
    idle = played(replace(day, structures=(replace(forgotten, course=Course.TIME),)), tmp_path / "idle")
    assert not found(stage)
    assert {violation.invariant for violation in idle.findings.found} == {"R6", "must-fire"}


SIDES = ("sell", "buy", "sell")


@dataclass(frozen=True)
class ALeg:
    """A leg of a request as the checkers read it."""

    symbol: str
    side: str
    ratio: Decimal


@dataclass(frozen=True)
class ARequest:
    """A request for a multi-leg order."""

    client_order_id: str
    qty: Decimal
    legs: tuple[ALeg, ...]
    asset_class: AssetClass = AssetClass.OPTION
    symbol: str = "a structure"
    side: str = "sell"

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(leg.symbol for leg in self.legs)


class Venue:
    """An exchange with one structure and a checker that listens to it."""

    def __init__(self, kind: Kind) -> None:
        day = a_structures_day(kind, Course.QUIET)
        self.structure = replace(day.structures[0], units=2)
        day = replace(day, structures=(self.structure,))
        self.exchange = exchange_of(day)
        self.exchange.advance_to(day.opens + dt.timedelta(minutes=20))
        self.account = self.exchange.accounts[ACCOUNT]
        self.findings = Findings()
        self.checker = ExchangeChecker(
            self.exchange, self.findings, (), names={self.structure.symbols: self.structure.name}
        )
        self.checker.listen()

    def send(self, qty: int, *legs: tuple[int, int]) -> None:
        """One order of ours at market, for these legs by their place, each with its ratio."""
        body = {"qty": str(qty), "type": "market", "time_in_force": "day", "client_order_id": "sellctl-1"}
        parts_of = []
        for index, ratio in legs:
            leg = self.structure.legs[index]
            side = "sell" if leg.is_long else "buy"
            each = {"symbol": leg.symbol, "side": side, "position_intent": f"{side}_to_close"}
            parts_of.append({**each, "ratio_qty": str(ratio)})
        if len(legs) > 1:
            self.exchange.submit(self.account, {**body, "order_class": "mleg", "legs": parts_of})
        else:
            del parts_of[0]["ratio_qty"]
            self.exchange.submit(self.account, {**body, **parts_of[0]})
        self.exchange.advance_to(self.exchange.now + dt.timedelta(seconds=3))

    @property
    def broken(self) -> set[str]:
        return {violation.invariant for violation in self.findings.found} - {"I1", "I2"}  # nobody has recorded it


def test_a_fill_of_a_multi_leg_order_counts_as_often_for_a_leg_as_its_ratio_says() -> None:
    venue = Venue(BUTTERFLY)
    venue.send(1, (0, 1), (1, 2), (2, 1))
    assert [venue.account.qty_of(leg.symbol) for leg in venue.structure.legs] == [1, -2, 1]
    assert not venue.broken
    assert venue.checker.held[ACCOUNT, venue.structure.legs[1].symbol] == -2


def test_a_multi_leg_order_of_other_ratios_than_those_of_the_structure_is_found() -> None:
    venue, findings = Venue(BUTTERFLY), set[str]()
    symbols = [leg.symbol for leg in venue.structure.legs]
    for ratios in ((1, 1, 1), (1, 2, 3), (1, 5, 1)):
        legs = tuple(
            ALeg(symbol, side, Decimal(ratio)) for symbol, side, ratio in zip(symbols, SIDES, ratios, strict=True)
        )
        venue.checker.arrives(ACCOUNT, cast("SubmitOrder", ARequest("sellctl-2", Decimal(1), legs)))
        findings |= {f"{ratios[1]}: {invariant}" for invariant in venue.broken}
        venue.findings.found.clear()
    assert findings == {"1: S7", "2: S7", "2: S8", "5: S8"}


def test_a_long_leg_that_is_sold_first_is_found() -> None:
    venue = Venue(CONDOR)
    venue.send(1, (0, 1))  # the simulator accepts it: cash secures the put
    assert venue.broken == {"S7"}


def test_a_second_long_leg_beside_a_sale_that_works_is_found() -> None:
    venue = Venue(CONDOR)
    short, long = venue.structure.legs[1], venue.structure.legs[0]
    other = long.symbol.replace(f"P{long.symbol[-8:]}", "P00050000")
    venue.account.positions[other] = SimPosition(other, Decimal(2), Decimal(1))
    sale = {"type": "limit", "time_in_force": "day", "limit_price": "90.00", "side": "sell", "qty": "2"}
    sale |= {"position_intent": "sell_to_close"}
    venue.exchange.submit(venue.account, {**sale, "symbol": other, "client_order_id": "sellctl-1"})
    assert not venue.broken
    venue.exchange.submit(venue.account, {**sale, "symbol": long.symbol, "client_order_id": "sellctl-2"})
    assert venue.broken == {"S7"}, short


@pytest.mark.parametrize("qty", [1, 2])
def test_the_id_of_a_multi_leg_order_follows_from_the_structures_name(qty: int) -> None:
    venue = Venue(CONDOR)
    venue.send(qty, (0, 1), (1, 1), (2, 1), (3, 1))
    assert any(venue.structure.name in v.text for v in venue.findings.found if v.invariant == "I1")
    assert all(len(parts(order)) == 4 for order in venue.account.orders.values() if is_ours(order))


def test_the_sale_of_a_cover_is_no_finding_before_the_program_can_know_of_the_short() -> None:
    venue = Venue(CONDOR)
    long, short = venue.structure.legs[0], venue.structure.legs[1]
    sale = ARequest("sellctl-3", Decimal(1), (ALeg(long.symbol, "sell", Decimal(1)),))
    venue.checker.changed[short.symbol] = venue.exchange.now
    venue.checker.arrives(ACCOUNT, cast("SubmitOrder", sale))
    assert not venue.broken
    venue.exchange.advance_to(venue.exchange.now + SETTLES_WITHIN + venue.exchange.settings.position_lag)
    venue.checker.arrives(ACCOUNT, cast("SubmitOrder", sale))
    assert venue.broken == {"S7"}
