"""Days with streams run in virtual time, each stream fault occurs, and due positions are sold nevertheless."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import pytest
from builders import replace
from faults_scenes import a_day, found, played, with_fault

from faults.catalogue import CATALOGUE, STREAMS
from faults.day import Stage, play
from faults.generate import Day, Role, generate_day

pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")


def a_day_with_streams(*roles: Role) -> Day:
    day = a_day(*roles, hours=1.5)
    return replace(day, streams=True, settings=replace(day.settings, sip=True))


def sentences(stage: Stage) -> Sequence[str]:
    return [event.sentence for event in stage.liveness.events]


def test_the_program_receives_prices_and_orders_on_a_day_with_streams(tmp_path: Path) -> None:
    stage = played(a_day_with_streams(Role.TARGET, Role.CRASH), tmp_path)
    for name in ("orders of main", "stock quotes", "option quotes"):
        assert any(text.endswith(f"{name}: stream connected") for text in sentences(stage))
    assert not found(stage)


@pytest.mark.parametrize("name", [fault.name for fault in CATALOGUE if fault.family == STREAMS])
def test_each_stream_fault_occurs_and_due_positions_are_sold_nevertheless(name: str, tmp_path: Path) -> None:
    day = a_day_with_streams(Role.TARGET, Role.DECLINE, Role.CRASH)
    at = min(position.due_at for position in day.positions if position.due_at) - dt.timedelta(minutes=2)
    stage = played(with_fault(day, name, at, minutes=8, times=1 if name not in {"W02", "W07"} else None), tmp_path)
    assert stage.injector.all_fired[name]
    assert not stage.exchange.accounts["main"].positions
    assert not found(stage)


def test_about_one_day_in_eight_has_streams_and_only_those_have_stream_faults() -> None:
    days = [generate_day(seed) for seed in range(400)]
    assert 35 <= sum(day.streams for day in days) <= 65
    assert not any(p.fault.family == STREAMS for day in days if not day.streams for p in day.faults)


def test_a_kill_ends_the_streams_at_once_and_the_day_stays_deterministic() -> None:
    one = play(38)
    assert one.processes > 1
    assert not one.violations
    assert one.head == play(38).head
