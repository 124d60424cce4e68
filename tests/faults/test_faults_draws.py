"""The separate draws: each changes nothing else of a day, occurs, and its checker sees what it is there for."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest
from builders import replace
from faults_scenes import a_day, found, played, sent, with_fault

from faults.catalogue import SEPARATE, Fault
from faults.day import config_of, play
from faults.draws import with_draws
from faults.evidence import EvidenceChecker
from faults.findings import Findings
from faults.generate import Role, generate_day
from faults.network import LoggedRequest
from faults.structure_draws import with_structures
from sellctl.sim.venue.exchange import Exchange

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
NOON = dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC)


@pytest.mark.parametrize("name", [fault.name for fault in SEPARATE])
def test_a_separate_draw_adds_its_fault_and_changes_nothing_else_of_the_day(name: str) -> None:
    day = with_structures(generate_day(3, adapter=True))
    drawn = with_draws(day, (name,), adapter=True)
    assert drawn.faults[: len(day.faults)] == day.faults
    assert {planned.fault.name for planned in drawn.faults[len(day.faults) :]} <= {name}
    assert replace(drawn, faults=day.faults) == day


@pytest.mark.parametrize("fault", SEPARATE, ids=lambda fault: fault.name)
def test_each_separate_draw_is_on_its_share_of_the_days(fault: Fault) -> None:
    days = [with_draws(with_structures(generate_day(seed, adapter=True)), adapter=True) for seed in range(400)]
    share = sum(any(planned.fault is fault for planned in day.faults) for day in days) / len(days)
    assert 0.4 * fault.share <= share <= 1.5 * fault.share


def test_a_day_without_faults_has_no_separate_draws() -> None:
    day = generate_day(3, ())
    assert with_draws(day, ()) is day


def test_only_a_day_with_a_transfer_has_an_account_guard() -> None:
    day = a_day(Role.UNTRIGGERED)
    assert config_of(day).sell_module.account_guard.loss is None
    transfer = with_fault(day, "A07", day.begins_at, amount="-40000", known=True)
    assert config_of(transfer).sell_module.account_guard.loss is not None


def test_a_person_adds_to_the_armed_position_after_its_peak(tmp_path: Path) -> None:
    day = a_day(Role.TRAILING)
    position = day.positions[0]
    assert position.due_at is not None
    day = with_fault(day, "O16", position.due_at - dt.timedelta(minutes=20), minutes=19, rule="percent", share="1")
    stage = played(day, tmp_path)
    bought = [order for order in stage.exchange.accounts["main"].orders.values() if order.is_buy]
    assert [order.filled_qty for order in bought] == [position.qty]


def test_a_symbol_with_foreign_characters_is_in_the_account_and_stays(tmp_path: Path) -> None:
    day = a_day(Role.TARGET, hours=1)
    stage = played(with_fault(day, "A11", day.begins_at, symbol="A|B"), tmp_path)
    assert stage.exchange.accounts["main"].qty_of("A|B") == Decimal(7)
    assert not found(stage)


def test_an_exchange_refuses_orders_as_drawn_and_the_exit_takes_place_afterwards(tmp_path: Path) -> None:
    day = a_day(Role.CRASH, hours=2)
    at = day.positions[0].due_at
    assert at is not None
    options = {"method": "POST", "path": "/v2/orders", "status": 400, "code": None, "message": "bad request"}
    stage = played(with_fault(day, "H21", at - dt.timedelta(seconds=20), minutes=2, **options), tmp_path)
    assert stage.injector.all_fired["H21"] >= 3
    assert not stage.exchange.accounts["main"].positions
    assert not found(stage)


@pytest.mark.parametrize("adapter", [False, True])
def test_another_account_behind_the_key_is_told_and_sells_what_is_due(*, adapter: bool) -> None:
    outcome = play(2, ("A12",), adapter=adapter)
    assert (outcome.faults["A12"], outcome.processes) == (1, 2)
    assert not outcome.violations


@pytest.mark.parametrize("adapter", [False, True])
def test_remembered_increments_that_are_wrong_send_no_order_off_the_grid(*, adapter: bool) -> None:
    outcome = play(3, ("O17",), adapter=adapter)
    assert outcome.faults["O17"] == 1
    assert not outcome.violations


@pytest.mark.parametrize("seed", [1, 3])
def test_feeds_that_were_revoked_or_granted_over_night_cost_no_exit(seed: int) -> None:
    outcome = play(seed, ("H22",), adapter=True)
    assert outcome.faults["H22"] == 1
    assert not outcome.violations


def after(seconds: float) -> dt.datetime:
    return NOON + dt.timedelta(seconds=seconds)


THREE_REFUSALS = [sent(after(second), what, "other") for second in (1, 2, 3) for what in ("sending", "submit")]


@pytest.mark.parametrize(
    ("then", "violations"),
    [
        ([sent(after(4), "sending")], 1),
        ([sent(after(62), "sending")], 1),
        ([sent(after(63), "sending")], 0),
        ([sent(after(4), "sending", process=2)], 0),
        ([sent(after(63), "sending"), sent(after(63), "submit"), sent(after(64), "sending")], 0),
    ],
    ids=["at once", "after 59 s", "after 60 s", "by the next process", "after an acceptance"],
)
def test_after_three_refusals_an_order_within_a_minute_is_a_violation(
    then: list[LoggedRequest], violations: int
) -> None:
    findings = Findings()
    EvidenceChecker(Exchange(NOON), findings, ())._retries([*THREE_REFUSALS, *then])  # noqa: SLF001  one of its checks
    assert len(findings.found) == violations


def test_the_same_seed_with_a_separate_draw_ends_with_the_same_journal_head() -> None:
    assert play(7, ("T11",)).head == play(7, ("T11",)).head
