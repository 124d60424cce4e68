"""What a broker may do to an order on its way, and what the program makes of it."""

from pathlib import Path
from typing import Any

import pytest
from stage import Play, Program
from stranger import Stranger, position

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
    """run-once follows its orders for 2 s instead of 45."""
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


def test_one_refused_account_keeps_no_other_from_selling(play: Play) -> None:
    stage = play(TWO)
    said = stage.run("run-once")
    assert said.status == 4
    assert stage.held(CALL, "good") == 0
    assert "bad: bad: " not in said.err
    assert "degraded: bad: " not in said.err
    assert "Check api_key" in said.err


def test_a_bug_in_one_accounts_look_is_named_and_stops_no_other(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = play(TWO.replace(", refused: 401", ""))
    decide = sell_watcher.decide

    def broken(snapshot: Snapshot, policy: Policy) -> Plan:
        if snapshot.account.name == "bad":
            raise RuntimeError("a bug")
        return decide(snapshot, policy)

    monkeypatch.setattr(sell_watcher, "decide", broken)
    said = stage.run("run-once")
    assert (said.status, stage.held(CALL, "good")) == (4, 0)
    assert "Internal error" in said.err
    assert "RuntimeError" in said.err
    assert "Traceback" not in said.err


# --- the way of an order


LOST_ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("H04", {}),
    ("H05", {"status": 504, "after": True}),
    ("H05", {"status": 502, "after": True, "html": True}),
    ("H11", {"body": "truncated"}),
    ("H11", {"body": "empty"}),
]


@pytest.mark.parametrize(("fault", "options"), LOST_ANSWERS, ids=str)
def test_an_order_whose_answer_is_lost_is_looked_up_and_never_sent_twice(
    play: Play, fault: str, options: dict[str, Any]
) -> None:
    stage = play(one())
    stage.misbehave(fault, method="POST", path="/orders", times=1, **options)
    said = stage.run("run-once")
    assert (said.status, stage.held(CALL)) == (0, 0), said.err
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
def test_a_refusal_with_a_next_step_takes_it(play: Play, fault: str, options: dict[str, Any]) -> None:
    stage = play(one())
    stage.misbehave(fault, method="POST", path="/orders", times=1, **options)
    said = stage.run("run-once")
    assert (said.status, stage.held(CALL)) == (0, 0), said.err
    assert "the broker refused" in said.err


def stranger_program(stranger: Stranger, folder: Path) -> Program:
    program = Program(folder)
    program.write(
        "accounts:\n  main:\n    api_key: stranger-key\n    secret_key: stranger-secret\n"
        f"    endpoints: {{trading: '{stranger.url}', data: '{stranger.url}'}}\n"
    )
    return program


@pytest.mark.usefixtures("short_run")
def test_a_leg_that_covers_a_short_in_the_brokers_eyes_is_not_sold_and_the_run_says_so(tmp_path: Path) -> None:
    no = {"code": 40310000, "message": "account not eligible to trade uncovered option contracts"}

    def before(method: str, _path: str) -> Any:
        return (403, no) if method == "POST" else None

    with Stranger(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, before=before) as stranger:
        said = stranger_program(stranger, tmp_path).run("run-once")
        assert len(stranger.sent) <= 20
    assert "covers a short" in said.err


def test_an_id_that_the_broker_knows_already_is_adopted_and_not_sent_anew(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 1.0), {CALL: (1.20, 1.22)}) as stranger:
        program = stranger_program(stranger, tmp_path)
        [plan] = program.run("run-once", "--dry-run", "--format", "json").document["plans"]
        order = plan["holdings"][0]["order"]
        sent = {key: order[key] for key in ("client_order_id", "side", "qty", "limit_price", "type")}
        stranger.take(sent | {"symbol": CALL, "_hidden": True})
        said = program.run("run-once")
    assert (said.status, stranger.positions, len(stranger.orders)) == (0, {}, 1), said.err
    assert len(stranger.sent) == 1


def test_what_fills_in_parts_is_sold_to_the_last_contract_and_never_more(play: Play) -> None:
    stage = play(one())
    stage.misbehave("O03", qty=1, times=1)
    said = stage.run("run-once")
    assert (said.status, stage.held(CALL)) == (0, 0), said.err
    assert sum(order.filled_qty for order in stage.orders()) == 3


def test_an_order_that_the_broker_rejects_after_all_is_followed_by_another(play: Play) -> None:
    stage = play(one())
    stage.misbehave("O02", times=1)
    said = stage.run("run-once")
    assert (said.status, stage.held(CALL)) == (0, 0), said.err
    assert [order.status for order in stage.orders()] == ["rejected", "filled"]


@pytest.mark.usefixtures("short_run")
def test_a_target_that_is_not_filled_when_the_run_ends_is_cancelled(play: Play) -> None:
    stage = play(one(bid="1.10", ask="1.12"))
    stage.misbehave("O05", times=1)
    said = stage.run("run-once")
    assert said.status == 0, said.err
    assert [order.status for order in stage.orders()] == ["canceled"]
    assert "the run is over" in said.err


@pytest.mark.usefixtures("short_run")
def test_a_stop_stays_working_when_the_run_ends_and_the_next_run_adopts_and_re_prices_it(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = play(one())
    stage.misbehave("O05", times=None)
    assert stage.run("run-once").status == 0
    assert stage.orders()[-1].status == "pending_new"
    with stage.server.hold() as exchange:
        exchange.faults.clear()
    stage.server.advance(60)
    monkeypatch.setattr(scheduler, "RUN_ONCE_SECONDS", 20.0)
    said = stage.run("run-once")
    assert "adopted" in said.err
    assert (said.status, stage.held(CALL)) == (0, 0), said.err
    assert [order.status for order in stage.orders()][-2:] == ["canceled", "filled"]


# --- other orders in the way

MINE = "{{symbol: {symbol}, side: sell, qty: {qty}, limit_price: {limit}, client_order_id: {id}, age: {age}}}"


def an_order(limit: str = "2.00", qty: int = 3, symbol: str = CALL, order_id: str = "mine", age: str = "1m") -> str:
    return MINE.format(symbol=symbol, qty=qty, limit=limit, id=order_id, age=age).replace("{{", "{").replace("}}", "}")


def test_the_users_own_order_blocks_a_stop_and_a_person_hears_of_it(play: Play) -> None:
    stage = play(one(orders=an_order()))
    said = stage.run("run-once", "--format", "json")
    [holding] = said.document["plans"][0]["holdings"]
    assert (said.status, holding["state"], holding["alert"]) == (0, "blocked", True)
    assert "blocked" in said.err
    assert stage.sent() == []


def test_at_the_last_deadline_the_users_own_order_gives_way(play: Play) -> None:
    stage = play(one(TODAY, start="2026-11-24 15:11", orders=an_order(symbol=TODAY)))
    said = stage.run("run-once")
    assert (said.status, stage.held(TODAY)) == (0, 0), said.err
    assert [order.status for order in stage.orders()] == ["canceled", "filled"]


def test_a_resting_sell_of_ours_is_cancelled_before_a_short_is_bought_back(play: Play) -> None:
    stage = play(one(PUT, qty=-2, bid="1.00", ask="1.02", orders=an_order(symbol=PUT, qty=1, order_id="sellctl-old")))
    said = stage.run("run-once")
    assert (said.status, stage.held(PUT)) == (0, 0), said.err
    assert [order.status for order in stage.orders()] == ["canceled", "filled"]


@pytest.mark.usefixtures("short_run")
def test_a_cancel_that_never_ends_sends_nothing_in_its_place(play: Play) -> None:
    stage = play(one(TODAY, start="2026-11-24 15:11", orders=an_order(symbol=TODAY)))
    stage.misbehave("H19")
    stage.run("run-once")
    assert len([word for word in stage.sent() if word.startswith("POST")]) == 0
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
def test_cancel_stale_ends_what_its_scope_says_and_nothing_else(play: Play, scope: str, gone: set[str]) -> None:
    stage = play(
        one(qty=5, bid="1.00", ask="1.02", orders=", ".join(STALE)) + "      MSFT: [{fixed: {bid: 400, ask: 400.1}}]\n",
        f"sell_module: {{order_cancel_scope: {scope}}}",
    )
    shown = stage.run("cancel-stale", "--dry-run", "--format", "json").document
    assert stage.sent() == []
    assert (shown["version"], shown["mode"]) == (2, "dry run")
    assert {order["client_order_id"] for order in shown["orders"]} == gone
    assert {order["account"] for order in shown["orders"]} == {"main"}
    said = stage.run("cancel-stale")
    assert said.status == 0, said.err
    assert {order.client_order_id for order in stage.orders() if order.status == "canceled"} == gone


@pytest.mark.usefixtures("short_run")
def test_cancel_stale_does_not_call_cancelled_what_is_still_open(play: Play) -> None:
    stage = play(one(bid="1.00", ask="1.02", orders=an_order(qty=1, age="10m")))
    stage.misbehave("H19")
    said = stage.run("cancel-stale")
    assert said.status == 1
    assert "still open" in said.err
