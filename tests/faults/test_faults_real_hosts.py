"""The bench with real hosts: what each check finds in made-up evidence, what is drawn, and where evidence is from."""

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from builders import replace
from postgres_fixtures import a_server_if_there_is_one

from benchmarks.postgres_server import Server
from faults.checkers import PREFIX
from faults.hosts.real.checks import KEPT_QTY, QTY, Asked, Evidence, Struck, errors_of
from faults.hosts.real.draws import ACCOUNTS, BOUNDS, HOSTS, Moment, Trouble, draw_plan
from faults.hosts.real.processes import FALLING, KEPT, SCENARIO, RealHost, Simulator
from faults.hosts.real.table import table_of
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

NOTHING = Decimal(0)
SOUND = Evidence(
    struck=(Struck(Trouble.KILL, ("a", "b"), 9.8),),
    sold=dict.fromkeys(ACCOUNTS, QTY),
    left=dict.fromkeys(ACCOUNTS, NOTHING),
    kept=dict.fromkeys(ACCOUNTS, KEPT_QTY),
    sold_after=3.0,
    sell_within=15.0,
    asked=(Asked(0, NOTHING),),
)


def errors(**changes: Any) -> tuple[str, ...]:
    """What is wrong with evidence that is sound but for these fields."""
    return errors_of(replace(SOUND, **changes))


# --- checks -----------------------------------------------------------------------------------------------------------


def test_nothing_is_wrong_with_a_sound_run() -> None:
    assert errors_of(SOUND) == ()


@pytest.mark.parametrize("trouble", list(Trouble))
def test_a_take_over_may_take_as_long_as_the_bound_of_its_trouble_and_no_longer(trouble: Trouble) -> None:
    bound = BOUNDS[trouble]
    assert errors(struck=(Struck(trouble, ("a",), bound),)) == ()
    assert errors(struck=(Struck(trouble, ("a", "b"), bound + 0.1),)) == (
        f"E5: after {trouble}, a, b were watched again after {bound + 0.1:.1f} s, not within {bound:.0f} s",
    )


def test_a_take_over_that_never_came_is_an_error_also_when_it_is_the_second() -> None:
    struck = (*SOUND.struck, Struck(Trouble.TERM, ("c",), None))
    assert errors(struck=struck) == ("E5: after term, c were watched again not at all, not within 3 s",)


def test_what_is_sold_twice_or_in_part_is_an_error() -> None:
    sold = SOUND.sold | {"a": 2 * QTY, "b": Decimal(1)}
    assert errors(sold=sold) == ("R1: account a: 6 of 3 sold", "R1: account b: 1 of 3 sold")


def test_what_is_left_unsold_is_an_error() -> None:
    found = errors(sold=SOUND.sold | {"c": NOTHING}, left=SOUND.left | {"c": QTY}, sold_after=None)
    assert found == ("R1: account c: 0 of 3 sold", "R1: account c: 3 left unsold")


def test_what_had_to_stay_and_did_not_is_an_error() -> None:
    assert errors(kept=SOUND.kept | {"b": NOTHING}) == ("R1: account b: 0 of 7 kept",)


def test_a_late_sale_is_an_error() -> None:
    assert errors(sold_after=15.1) == ("R6: all was sold after 15.1 s, not within 15 s",)
    assert errors(sold_after=None) == ("R6: all was sold never seen, not within 15 s",)


def test_orders_during_a_stop_of_the_database_or_a_halt_are_errors() -> None:
    assert errors(sent_while_stopped=1) == ("A3: 1 orders were sent while the database was stopped",)
    assert errors(sent_while_halted=2) == ("K1: 2 orders were sent while all hosts were halted",)


def test_an_order_that_the_journal_does_not_know_is_an_error() -> None:
    assert errors(unrecorded=("sellctl-1",)) == ("A1: the journal has no intent of order sellctl-1",)


def test_an_order_that_the_broker_refuses_is_an_error() -> None:
    assert errors(refused=("403 a {}",)) == ("S1: the broker refused an order: 403 a {}",)


def test_a_close_that_says_more_than_is_so_or_fails_otherwise_is_an_error() -> None:
    assert errors(asked=(Asked(4, QTY), Asked(6, QTY), Asked(0, NOTHING))) == ()
    assert errors(asked=(Asked(0, Decimal(1)),)) == ("close ended with status 0 and left 1",)
    assert errors(asked=(Asked(2, NOTHING),)) == ("close ended with status 2",)


def test_a_host_that_ends_wrongly_is_an_error() -> None:
    assert errors(wrong_ends={"two": "ended by itself with status 1"}) == (
        "R7: host two ended by itself with status 1",
    )


def test_a_broken_chain_is_an_error() -> None:
    assert errors(chain="row 7 does not follow row 6") == ("A2: row 7 does not follow row 6",)


def test_a_run_that_could_not_be_played_is_never_sound() -> None:
    assert errors(trouble_of_bench="no simulator") == ("the run couldn't be played: no simulator",)


# --- draws and the table ----------------------------------------------------------------------------------------------


def test_fifty_seeds_strike_with_each_trouble_at_each_moment_and_some_strike_twice() -> None:
    plans = [draw_plan(seed) for seed in range(1, 51)]
    assert {(plan.first, plan.moment) for plan in plans} == {(each, moment) for each in Trouble for moment in Moment}
    assert {len(plan.hosts) for plan in plans} == {2, len(HOSTS)}
    assert {plan.second for plan in plans} == {None, *Trouble} - {Trouble.STOP}
    assert all(len(plan.hosts) == len(HOSTS) for plan in plans if plan.second)
    assert any(plan.returns_after for plan in plans)


def test_a_seed_always_draws_the_same_plan() -> None:
    assert draw_plan(7) == draw_plan(7)


def test_the_table_has_the_slowest_take_over_of_each_trouble_that_struck() -> None:
    runs = [
        SOUND,
        replace(SOUND, struck=(Struck(Trouble.KILL, ("a",), 12.04), Struck(Trouble.CUT, ("a",), None))),
    ]
    assert list(table_of(runs)) == [
        "| trouble | times | half within, s | slowest, s | bound, s |",
        "|---|---:|---:|---:|---:|",
        "| kill | 2 | 12.0 | 12.0 | 15 |",
        "| cut | 1 | never | never | 30 |",
    ]


# --- what the evidence is read from -----------------------------------------------------------------------------------


@pytest.fixture
def broker() -> Iterator[tuple[Simulator, SimServer]]:
    with SimServer(parse_scenario(SCENARIO), speed=0) as server:
        yield Simulator(server.url, {}), server


def test_only_what_our_orders_have_filled_counts_as_sold(broker: tuple[Simulator, SimServer]) -> None:
    simulator, server = broker
    with server.hold() as exchange:
        for account, name, qty in (("a", f"{PREFIX}1", 2), ("a", "by hand", 1), ("b", f"{PREFIX}2", 3)):
            exchange.submit(
                exchange.accounts[account],
                {
                    "symbol": FALLING[account],
                    "side": "sell",
                    "qty": str(qty),
                    "type": "market",
                    "time_in_force": "day",
                    "client_order_id": name,
                },
            )
    assert simulator.sold() == {"a": 2, "b": 3, "c": 0}
    assert simulator.ours() == {f"{PREFIX}1", f"{PREFIX}2"}
    assert simulator.left() == {"a": 0, "b": 0, "c": 3}
    assert simulator.held(dict.fromkeys(ACCOUNTS, KEPT)) == dict.fromkeys(ACCOUNTS, KEPT_QTY)


def test_the_prices_of_some_accounts_fall_and_of_the_others_stay(broker: tuple[Simulator, SimServer]) -> None:
    simulator, server = broker
    simulator.fall(["a"])
    with server.hold() as exchange:
        levels = [exchange.market.level(FALLING[account], exchange.now) for account in ("a", "b")]
    assert [level and level.bid for level in levels] == [Decimal("2.58"), Decimal("3.98")]


def test_an_order_that_was_refused_is_seen_with_its_status(broker: tuple[Simulator, SimServer]) -> None:
    simulator, server = broker
    account = server.exchange.accounts["a"]
    headers = {"APCA-API-KEY-ID": account.key, "APCA-API-SECRET-KEY": account.secret}
    order = {"symbol": FALLING["a"], "side": "sell", "qty": "9", "type": "market", "time_in_force": "day"}
    assert simulator.refused() == ()
    with pytest.raises(HTTPError):
        urlopen(Request(f"{server.url}/v2/orders", json.dumps(order).encode(), headers))  # noqa: S310  loopback
    assert len(simulator.sent()) == 1
    assert simulator.refused()[0].startswith("4")


# --- processes and the database ---------------------------------------------------------------------------------------


def a_process(code: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", code])  # noqa: S603  our own interpreter


def test_a_process_that_ends_by_itself_or_otherwise_than_asked_has_ended_wrongly(tmp_path: Path) -> None:
    process = a_process("raise SystemExit(3)")
    process.wait()
    host = RealHost("one", tmp_path, [process])
    assert host.wrong_end() == "ended by itself with status 3"
    host.to_end[process.pid] = 0
    assert host.wrong_end() == "ended with status 3, not 0"
    host.to_end[process.pid] = 3
    assert host.wrong_end() == ""


@pytest.fixture
def own_server() -> Iterator[Server]:
    with a_server_if_there_is_one() as running:
        yield running


def test_a_database_that_was_stopped_at_once_has_what_was_committed_when_it_is_started_again(
    own_server: Server,
) -> None:
    import psycopg  # noqa: PLC0415  an extra

    own_server.sql("CREATE TABLE kept AS SELECT 1 AS n")
    own_server.stop()
    with pytest.raises(psycopg.OperationalError):
        own_server.sql("SELECT 1")
    own_server.start()
    assert own_server.sql("SELECT n FROM kept") == [(1,)]
