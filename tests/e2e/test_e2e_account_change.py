"""Another account behind a key: what was remembered of the old one is never applied to the new one."""

import asyncio
import datetime as dt

import pytest
from inbox import an_inbox
from order_builders import a_request, a_signal
from stage import CALL, Play, Stage, three_calls

from sellctl.bootstrap import RunOptions, assemble, load
from sellctl.core.errors import SafetyRefusalError
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.intent import IntendedOrder
from sellctl.core.orders.client_order_ids import client_order_id
from sellctl.journal.store import SqliteJournal
from sellctl.service.options import Options

NOON = dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC)
AN_ID = client_order_id("PA1", CALL, NOON.date(), 1)


def another_account(stage: Stage, number: str = "PA2") -> None:
    """The key of `main` belongs to another account from now on, with the same position and no order."""
    with stage.server.hold() as exchange:
        account = exchange.accounts["main"]
        account.number = number
        account.orders.clear()
        account.open_orders.clear()
        account.by_client_id.clear()


def leave_an_intent(stage: Stage) -> None:
    """Record an order of the account as a process does that is killed before it is sent."""
    signal = a_signal(CALL, "3")
    order = a_request(signal, order_id=AN_ID)
    journal = SqliteJournal(stage.state / "journal.sqlite", lambda: NOON)
    asyncio.run(journal.intend("main", [IntendedOrder(order, {"client_order_id": AN_ID}, signal, 1)], ()))
    journal.close()


def look_ups(stage: Stage) -> list[str]:
    return [request.path for request in stage.server.requests if request.path == "/v2/orders:by_client_order_id"]


def test_an_open_intent_of_the_old_account_is_neither_looked_up_nor_repeated_at_the_new_one(play: Play) -> None:
    stage = play(three_calls())
    assert stage.run("run-once").status == 0
    leave_an_intent(stage)
    another_account(stage)
    result = stage.run("run-once")
    assert look_ups(stage) == []
    assert stage.sent() == []
    assert stage.held(CALL) == 3
    assert result.err.count("the key of this account belongs to PA2 now, and did to PA1 until now") == 1
    assert "belongs to" not in stage.run("run-once").err  # told once


def test_the_change_of_an_account_is_one_alert_and_the_same_change_of_a_simulated_one_is_none(play: Play) -> None:
    pytest.importorskip("apprise")
    with an_inbox() as (box, port):
        stage = play(three_calls(), f'notify: [{{url: "json://127.0.0.1:{port}/", kinds: [alert]}}]')
        for number in ("PA1", "PA2", "PA2"):
            another_account(stage, number)
            assert stage.run("run-once").status == 0
        stage.config.write_text(f"simulator: true\n{stage.config.read_text()}")
        for number in ("PA3", "PA4"):
            another_account(stage, number)
            assert stage.run("run-once").status == 0
    (alert,) = box.arrived
    assert alert.startswith("sellctl: alert | main: alert: the key of this account belongs to PA2 now, and did to PA1")


def test_an_open_intent_of_the_same_account_is_looked_up(play: Play) -> None:
    stage = play(three_calls())
    assert stage.run("run-once").status == 0
    leave_an_intent(stage)
    stage.run("run-once")
    assert look_ups(stage)


def test_a_dry_run_applies_nothing_of_the_old_account_either_and_changes_nothing(play: Play) -> None:
    stage = play(three_calls("1.50", "1.52"), "sell_module: {strategy_one: {profit_rate: 9}}")
    assert stage.run("run-once").status == 0
    before = stage.run("run-once", "--dry-run", "--format", "json").document["plans"][0]["holdings"]
    another_account(stage)
    after = stage.run("run-once", "--dry-run", "--format", "json").document["plans"][0]["holdings"]
    assert before[0].keys() == after[0].keys()
    assert "belongs to" not in stage.run("run-once", "--dry-run").err
    assert "belongs to PA2 now" in stage.run("run-once").err


def test_an_account_that_changes_while_a_process_runs_is_not_traded_by_it(play: Play) -> None:
    stage = play(
        three_calls("1.10", "1.12"), "sell_module: {account_guard: {loss: 50%}, strategy_one: {profit_rate: 9}}"
    )
    options = Options(stage.config, stage.state, live=False, debug=False, log_file=None)
    told: list[str] = []
    runtime = assemble(
        load(options), options, RunOptions("watch", RunMode.ACT), lambda event: told.append(event.sentence)
    )

    async def two_polls() -> None:
        await runtime.scheduler.poll()
        another_account(stage)
        runtime.scheduler.read_at_once(["main"])
        await runtime.scheduler.poll()

    asyncio.run(two_polls())
    (state,) = runtime.scheduler.states
    runtime.close()
    assert isinstance(state.problem, SafetyRefusalError)
    assert any("belongs to PA2 now, and did to PA1" in text and "Start sellctl again" in text for text in told)
