"""Unusual answers of a broker to orders and cancels, and how the program handles them."""

from pathlib import Path
from typing import Any

import pytest
from alternative_broker import AlternativeBroker, position
from stage import Play, Program

from sellctl.core import scheduler, sell_watcher
from sellctl.core.decision.policy import Policy
from sellctl.core.model.plan import Plan
from sellctl.core.model.snapshot import Snapshot

CALL = "AAPL261218C00200000"
PUT = "AAPL261218P00200000"
TODAY = "AAPL261124C00200000"
ONE = """
    start: "{start}"
    accounts:
      main:
        key: k
        secret: s
        number: PA1
        positions: [{{symbol: {symbol}, qty: {qty}, entry: 1.00}}]
        orders: [{orders}]
    prices:
      {symbol}: [{{fixed: {{bid: {bid}, ask: {ask}}}}}]
"""


def one(
    symbol: str = CALL,
    *,
    qty: int = 3,
    bid: str = "0.70",
    ask: str = "0.72",
    start: str = "2026-11-24 12:00",
    orders: str = "",
) -> str:
    return ONE.format(symbol=symbol, qty=qty, bid=bid, ask=ask, start=start, orders=orders)


@pytest.fixture
def short_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make run-once follow its orders for 2 s instead of 45 s."""
    monkeypatch.setattr(scheduler, "RUN_ONCE_SECONDS", 2.0)


TWO = """
    start: "2026-11-24 12:00"
    accounts:
      bad: {key: k1, secret: s1, refused: 401}
      good:
        key: k2
        secret: s2
        positions: [{symbol: AAPL261218C00200000, qty: 3, entry: 1.00}]
    prices:
      AAPL261218C00200000: [{fixed: {bid: 0.70, ask: 0.72}}]
"""


def test_a_refused_account_does_not_keep_others_from_selling(play: Play) -> None:
    stage = play(TWO)
    result = stage.run("run-once")
    assert result.status == 4
    assert stage.held(CALL, "good") == 0
    assert "bad: bad: " not in result.err
    assert "degraded: bad: " not in result.err
    assert "Check api_key" in result.err


def test_an_exception_in_one_accounts_poll_is_reported_and_stops_no_other(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = play(TWO.replace(", refused: 401", ""))
    decide = sell_watcher.decide

    def broken(snapshot: Snapshot, policy: Policy) -> Plan:
        if snapshot.account.name == "bad":
            raise RuntimeError("a bug")
        return decide(snapshot, policy)

    monkeypatch.setattr(sell_watcher, "decide", broken)
    result = stage.run("run-once")
    assert (result.status, stage.held(CALL, "good")) == (4, 0)
    assert "Internal error" in result.err
    assert "RuntimeError" in result.err
    assert "Traceback" not in result.err


# --- orders


LOST_ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("H04", {}),
    ("H05", {"status": 504, "after": True}),
    ("H05", {"status": 502, "after": True, "html": True}),
    ("H11", {"body": "truncated"}),
    ("H11", {"body": "empty"}),
]


@pytest.mark.parametrize(("fault", "options"), LOST_ANSWERS, ids=str)
def test_an_order_whose_response_is_lost_is_looked_up_and_never_sent_twice(
    play: Play, fault: str, options: dict[str, Any]
) -> None:
    stage = play(one())
    stage.inject_fault(fault, method="POST", path="/orders", times=1, **options)
    result = stage.run("run-once")
    assert (result.status, stage.held(CALL)) == (0, 0), result.err
    assert [order.client_order_id for order in stage.orders()] == [stage.orders()[0].client_order_id]
    assert len(stage.sent()) == 1


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("H08", {}),
        ("H10", {"message": "position intent mismatch, inferred: sell_to_open, specified: sell_to_close"}),
    ],
    ids=str,
)
def test_a_rejection_with_an_automatic_recovery_is_recovered(play: Play, fault: str, options: dict[str, Any]) -> None:
    stage = play(one())
    stage.inject_fault(fault, method="POST", path="/orders", times=1, **options)
    result = stage.run("run-once")
    assert (result.status, stage.held(CALL)) == (0, 0), result.err
    assert "the broker refused" in result.err


def broker_program(broker: AlternativeBroker, folder: Path) -> Program:
    program = Program(folder)
    program.write(
        "accounts:\n  main:\n    api_key: alternative-key\n    secret_key: alternative-secret\n"
        f"    endpoints: {{trading: '{broker.url}', data: '{broker.url}'}}\n"
    )
    return program


@pytest.mark.usefixtures("short_run")
def test_a_leg_that_covers_a_short_for_the_broker_is_not_sold_and_the_run_reports_it(tmp_path: Path) -> None:
    no = {"code": 40310000, "message": "account not eligible to trade uncovered option contracts"}

    def override(method: str, _path: str) -> Any:
        return (403, no) if method == "POST" else None

    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, override=override) as broker:
        result = broker_program(broker, tmp_path).run("run-once")
        assert len(broker.sent) <= 20
    assert "covers a short" in result.err


def test_an_order_id_that_the_broker_already_has_is_adopted_and_not_sent_again(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.20, 1.22)}) as broker:
        program = broker_program(broker, tmp_path)
        [plan] = program.run("run-once", "--dry-run", "--format", "json").document["plans"]
        order = plan["holdings"][0]["order"]
        sent = {key: order[key] for key in ("client_order_id", "side", "qty", "limit_price", "type")}
        broker.accept(sent | {"symbol": CALL, "_hidden": True})
        result = program.run("run-once")
    assert (result.status, broker.positions, len(broker.orders)) == (0, {}, 1), result.err
    assert len(broker.sent) == 1


def test_with_partial_fills_every_contract_is_sold_and_never_more(play: Play) -> None:
    stage = play(one())
    stage.inject_fault("O03", qty=1, times=1)
    result = stage.run("run-once")
    assert (result.status, stage.held(CALL)) == (0, 0), result.err
    assert sum(order.filled_qty for order in stage.orders()) == 3


def test_an_order_that_is_rejected_after_its_acceptance_is_followed_by_another(play: Play) -> None:
    stage = play(one())
    stage.inject_fault("O02", times=1)
    result = stage.run("run-once")
    assert (result.status, stage.held(CALL)) == (0, 0), result.err
    assert [order.status for order in stage.orders()] == ["rejected", "filled"]


@pytest.mark.usefixtures("short_run")
def test_a_target_that_is_not_filled_when_the_run_ends_is_cancelled(play: Play) -> None:
    stage = play(one(bid="1.10", ask="1.12"))
    stage.inject_fault("O05", times=1)
    result = stage.run("run-once")
    assert result.status == 0, result.err
    assert [order.status for order in stage.orders()] == ["canceled"]
    assert "the run is over" in result.err


@pytest.mark.usefixtures("short_run")
def test_a_stop_order_survives_the_end_of_the_run_and_the_next_run_reprices_it(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = play(one())
    stage.inject_fault("O05", times=None)
    assert stage.run("run-once").status == 0
    assert stage.orders()[-1].status == "pending_new"
    with stage.server.hold() as exchange:
        exchange.faults.clear()
    stage.server.advance(60)
    monkeypatch.setattr(scheduler, "RUN_ONCE_SECONDS", 20.0)
    result = stage.run("run-once")
    assert "adopted" in result.err
    assert (result.status, stage.held(CALL)) == (0, 0), result.err
    assert [order.status for order in stage.orders()][-2:] == ["canceled", "filled"]


# --- blocking orders

MINE = "{{symbol: {symbol}, side: sell, qty: {qty}, limit_price: {limit}, client_order_id: {id}, age: {age}}}"


def an_order(limit: str = "2.00", qty: int = 3, symbol: str = CALL, order_id: str = "mine", age: str = "1m") -> str:
    return MINE.format(symbol=symbol, qty=qty, limit=limit, id=order_id, age=age).replace("{{", "{").replace("}}", "}")


def test_the_users_own_order_blocks_a_stop_and_raises_an_alert(play: Play) -> None:
    stage = play(one(orders=an_order()))
    result = stage.run("run-once", "--format", "json")
    [holding] = result.document["plans"][0]["holdings"]
    assert (result.status, holding["state"], holding["alert"]) == (5, "blocked", True)
    assert "blocked" in result.err
    assert stage.sent() == []


def test_at_the_last_deadline_the_users_own_order_is_cancelled(play: Play) -> None:
    stage = play(one(TODAY, start="2026-11-24 15:11", orders=an_order(symbol=TODAY)))
    result = stage.run("run-once")
    assert (result.status, stage.held(TODAY)) == (0, 0), result.err
    assert [order.status for order in stage.orders()] == ["canceled", "filled"]


def test_a_resting_sell_of_ours_is_cancelled_before_a_short_is_bought_back(play: Play) -> None:
    stage = play(one(PUT, qty=-2, bid="1.00", ask="1.02", orders=an_order(symbol=PUT, qty=1, order_id="sellctl-old")))
    result = stage.run("run-once")
    assert (result.status, stage.held(PUT)) == (0, 0), result.err
    assert [order.status for order in stage.orders()] == ["canceled", "filled"]


@pytest.mark.usefixtures("short_run")
def test_while_a_cancel_never_completes_no_replacement_is_sent(play: Play) -> None:
    stage = play(one(TODAY, start="2026-11-24 15:11", orders=an_order(symbol=TODAY)))
    stage.inject_fault("H19")
    stage.run("run-once")
    assert not [request for request in stage.sent() if request.startswith("POST")]
    assert stage.held(TODAY) == 3


# --- stale orders

STALE = (
    an_order(order_id="theirs", qty=1, age="10m"),
    an_order(order_id="sellctl-ours", qty=1, age="10m"),
    "{symbol: MSFT, side: buy, qty: 1, limit_price: 10, client_order_id: buy, age: 10m}",
    an_order(order_id="young", qty=1, age="1m"),
)


@pytest.mark.parametrize(
    ("scope", "gone"),
    [("sells", {"theirs", "sellctl-ours"}), ("own", {"sellctl-ours"}), ("all", {"theirs", "sellctl-ours", "buy"})],
)
def test_cancel_stale_cancels_the_orders_in_its_scope_and_no_others(play: Play, scope: str, gone: set[str]) -> None:
    stage = play(
        one(qty=5, bid="1.00", ask="1.02", orders=", ".join(STALE)) + "      MSFT: [{fixed: {bid: 400, ask: 400.1}}]\n",
        f"sell_module: {{order_cancel_scope: {scope}}}",
    )
    shown = stage.run("cancel-stale", "--dry-run", "--format", "json").document
    assert stage.sent() == []
    assert (shown["version"], shown["mode"]) == (2, "dry run")
    assert {order["client_order_id"] for order in shown["orders"]} == gone
    assert {order["account"] for order in shown["orders"]} == {"main"}
    result = stage.run("cancel-stale")
    assert result.status == 0, result.err
    assert {order.client_order_id for order in stage.orders() if order.status == "canceled"} == gone


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_cancel_stale_says_that_nothing_is_stale(play: Play, arguments: tuple[str, ...]) -> None:
    stage = play(one(bid="1.00", ask="1.02"))
    result = stage.run("cancel-stale", *arguments)
    assert (result.status, result.out) == (0, "")
    assert "No exit order is older than order_cancel_minutes: there is nothing to cancel." in result.err
    assert stage.run("cancel-stale", *arguments, "--format", "json").document["orders"] == []


@pytest.mark.usefixtures("short_run")
def test_cancel_stale_does_not_report_open_orders_as_cancelled(play: Play) -> None:
    stage = play(one(bid="1.00", ask="1.02", orders=an_order(qty=1, age="10m")))
    stage.inject_fault("H19")
    result = stage.run("cancel-stale")
    assert result.status == 1
    assert "still open" in result.err
