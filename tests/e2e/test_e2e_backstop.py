"""Backstops in the whole program: they sell while no process runs, and never together with an exit."""

import datetime as dt
import signal
import time
from decimal import Decimal

from stage import Play, Stage

from sellctl.core.model.instrument import contract_text

CALL, SHARES = "AAPL261218C00200000", "MSFT"
SCENARIO = """
    start: "2026-11-24 12:00"
    accounts:
      main:
        key: k
        secret: s
        number: PA1
        positions:
          - {{symbol: AAPL261218C00200000, qty: 3, entry: 1.00}}
          - {{symbol: MSFT, qty: 7, entry: 100}}
    prices:
      AAPL261218C00200000:
        - {{fixed: {{bid: 1.00, ask: 1.02}}}}
        - {{at: "12:05", fixed: {{bid: {option}, ask: {option}}}}}
      MSFT:
        - {{fixed: {{bid: 99.99, ask: 100.01}}}}
        - {{at: "12:05", fixed: {{bid: {stock}, ask: {stock}}}}}
    settings: {{strict_options: {strict}}}
"""
CRASHES = SCENARIO.format(option="0.30", stock="40", strict="false")
RISES = SCENARIO.format(option="1.20", stock="120", strict="false")
STRICT = SCENARIO.format(option="0.70", stock="120", strict="true")
RULES = """
    sell_module: {strategy_one: {applies_to: [option, stock]}}
    execution: {backstop: {stop: 50%}}
"""


def run_twice(stage: Stage) -> None:
    """Two cron runs: the first detects whether options accept a backstop, and both place some."""
    assert [stage.run("run-once").status, stage.run("run-once").status] == [0, 0]


def advance(stage: Stage, minutes: int) -> None:
    with stage.server.hold() as exchange:
        exchange.advance_to(exchange.now + dt.timedelta(minutes=minutes))


def resting(stage: Stage) -> dict[str, tuple[str, Decimal, Decimal | None, str]]:
    return {o.symbol: (o.type, o.qty, o.stop_price, o.time_in_force) for o in stage.orders() if o.is_open}


def exits(stage: Stage) -> list[str]:
    return [order.symbol for order in stage.orders() if not order.client_order_id.startswith("sellctl-backstop-")]


def test_a_backstop_rests_under_each_position_and_later_runs_keep_it(play: Play) -> None:
    stage = play(CRASHES, RULES)
    run_twice(stage)
    assert resting(stage) == {
        CALL: ("stop", Decimal(3), Decimal("0.50"), "day"),
        SHARES: ("stop", Decimal(7), Decimal(50), "gtc"),
    }
    sent = stage.sent()
    run_twice(stage)
    assert stage.sent() == sent


def test_a_backstop_sells_between_runs_and_the_next_run_records_it_and_sends_nothing(play: Play) -> None:
    stage = play(CRASHES, RULES)
    run_twice(stage)
    sent = stage.sent()
    advance(stage, 6)
    assert (stage.held(CALL), stage.held(SHARES)) == (0, 0)
    run_twice(stage)
    assert stage.sent() == sent
    rows = stage.run("report", "--each", "--format", "json").document
    assert {(one["symbol"], one["reason"], one["filled"], one["pnl"], one["seconds"]) for one in rows} == {
        (CALL, "backstop", "3", "-210.0", None),
        (SHARES, "backstop", "7", "-420", None),
    }
    assert "-$210.00" in stage.run("history", CALL, "--reason", "backstop").out
    assert stage.run("history", "--verify").status == 0


def test_a_backstop_sells_after_the_watcher_was_killed(play: Play) -> None:
    stage = play(CRASHES, RULES)
    watching = stage.spawn("watch", "--format", "json")
    deadline = time.monotonic() + 30
    while len(resting(stage)) < 2 and time.monotonic() < deadline:
        advance_a_little(stage)
    watching.send_signal(signal.SIGKILL)
    watching.communicate()
    assert len(resting(stage)) == 2
    advance(stage, 8)
    assert (stage.held(CALL), stage.held(SHARES)) == (0, 0)
    assert stage.run("run-once").status == 0
    assert exits(stage) == []


def advance_a_little(stage: Stage) -> None:
    """Let the other process run for a moment, and advance the exchange by a second."""
    with stage.server.hold() as exchange:
        exchange.advance_to(exchange.now + dt.timedelta(seconds=0.2))
    time.sleep(0.05)


def test_a_target_replaces_a_resting_backstop_and_sells_once(play: Play) -> None:
    stage = play(RISES, RULES)
    run_twice(stage)
    advance(stage, 6)
    run_twice(stage)
    assert (stage.held(CALL), stage.held(SHARES)) == (0, 0)
    assert sorted(exits(stage)) == sorted([CALL, SHARES])
    assert resting(stage) == {}


def test_a_broker_that_rejects_option_backstops_is_tried_once_and_exits_continue(play: Play) -> None:
    stage = play(STRICT, RULES)
    first = stage.run("run-once")
    assert f"{contract_text(CALL)} rejected: the broker refused the backstop" in first.err
    posts = len([one for one in stage.sent() if one.startswith("POST")])
    again = stage.run("run-once")
    assert "backstop" not in again.err
    assert len([one for one in stage.sent() if one.startswith("POST")]) == posts
    assert list(resting(stage)) == [SHARES]
    advance(stage, 6)
    run_twice(stage)
    assert stage.held(CALL) == 0


def test_a_cancelled_backstop_is_placed_again_and_turning_it_off_removes_it(play: Play) -> None:
    stage = play(CRASHES, RULES)
    run_twice(stage)
    with stage.server.hold() as exchange:
        books = exchange.accounts["main"]
        for order in list(books.open_orders.values()):
            exchange.cancel(books, order.id)
    stage.run("run-once")
    assert resting(stage) == {}
    advance(stage, 1)
    run_twice(stage)
    assert set(resting(stage)) == {CALL, SHARES}
    stage.run("exempt", "MSFT")
    stage.run("run-once")
    assert set(resting(stage)) == {CALL}
    stage.configure("sell_module: {strategy_one: {applies_to: [option, stock]}}\n")
    stage.run("run-once")
    assert resting(stage) == {}


def test_a_day_backstop_expires_and_is_placed_again_the_next_morning(play: Play) -> None:
    stage = play(SCENARIO.format(option="1.00", stock="100", strict="false"), RULES)
    run_twice(stage)
    advance(stage, 22 * 60)
    assert set(resting(stage)) == {SHARES}
    run_twice(stage)
    assert set(resting(stage)) == {CALL, SHARES}
