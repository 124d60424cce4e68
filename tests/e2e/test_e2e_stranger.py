"""The core scenarios against a stand-in by another hand, with every freedom of the API taken otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stage import Program
from stranger import Stranger, position

CALL = "AAPL261218C00200000"
PUT = "AAPL261218P00200000"
TODAY = "AAPL261124C00200000"


def program_for(stranger: Stranger, folder: Path, rules: str = "") -> Program:
    program = Program(folder)
    program.write(
        "accounts:\n  other:\n    api_key: stranger-key\n    secret_key: stranger-secret\n"
        f"    endpoints: {{trading: '{stranger.url}', data: '{stranger.url}'}}\n{rules}"
    )
    return program


def test_a_target_is_sold_at_the_strangers_broker(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 1.0), {CALL: (1.12, 1.14)}) as stranger:
        said = program_for(stranger, tmp_path).run("run-once", "--format", "json")
    assert (said.status, stranger.positions) == (0, {}), said.err
    assert len(stranger.orders) == 1
    assert stranger.bodies[0]["position_intent"] == "sell_to_close"


@pytest.mark.parametrize("stands_still", [True, False])
def test_a_stop_is_sold_at_the_strangers_broker_whether_its_clock_runs_or_not(
    tmp_path: Path, *, stands_still: bool
) -> None:
    with Stranger(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, stands_still=stands_still) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions) == (0, {}), said.err
    assert len(stranger.orders) == 1


def test_a_second_run_right_after_the_first_sends_nothing_to_the_stranger(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 1.0), {CALL: (1.12, 1.14)}) as stranger:
        program = program_for(stranger, tmp_path)
        program.run("run-once")
        assert program.run("run-once").status == 0
    assert len(stranger.sent) == 1


def test_a_zero_day_option_is_sold_at_the_strangers_broker(tmp_path: Path) -> None:
    with Stranger(position(TODAY, 2, 1.0), {TODAY: (1.0, 1.02)}, start="2026-11-24T14:57:00") as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions) == (0, {}), said.err


def test_without_a_calendar_a_zero_day_option_is_sold_all_the_same(tmp_path: Path) -> None:
    with Stranger(
        position(TODAY, 2, 1.0), {TODAY: (1.0, 1.02)}, start="2026-11-24T14:57:00", calendar=False
    ) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions) == (0, {}), said.err


def test_an_uncovered_short_is_bought_back_at_the_strangers_broker(tmp_path: Path) -> None:
    with Stranger(position(PUT, -2, 1.0), {PUT: (1.0, 1.02)}) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions) == (0, {}), said.err
    assert stranger.bodies[0]["side"] == "buy"


def test_a_short_told_by_its_side_only_is_a_short(tmp_path: Path) -> None:
    rows = position(PUT, -2, 1.0)
    rows[PUT]["qty"] = "2"
    with Stranger(rows, {PUT: (1.0, 1.02)}) as stranger:
        said = program_for(stranger, tmp_path).run("run-once", "--dry-run", "--format", "json")
    [holding] = said.document["plans"][0]["holdings"]
    assert (holding["side"], holding["order"]["side"], holding["order"]["qty"]) == ("short", "buy", "2")


def test_a_covered_call_is_left_alone_at_the_strangers_broker(tmp_path: Path) -> None:
    rows = position("AAPL", 200, 190.0) | position(CALL, -2, 1.0)
    with Stranger(rows, {CALL: (1.0, 1.02), "AAPL": (195, 195.1)}) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.sent) == (0, []), said.err


def test_odd_rows_do_not_keep_a_stop_from_the_stranger(tmp_path: Path) -> None:
    rows = {
        "X1": {"symbol": "ETHUSD", "asset_class": "crypto", "qty": 0.5, "side": "long", "avg_entry_price": 2000},
        "X2": {"symbol": "912797", "asset_class": "treasury", "qty": "3", "side": "long"},
        "X3": {"symbol": "BAD", "qty": None},
        **position(CALL, 3, 1.0, cost_basis=None, qty_available=None, current_price=None),
    }
    with Stranger(rows, {CALL: (0.70, 0.72)}) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert CALL not in stranger.positions, said.err
    assert [body["symbol"] for body in stranger.bodies] == [CALL]


def test_old_orders_in_a_list_that_ignores_the_filters_do_no_harm(tmp_path: Path) -> None:
    old = {"id": "o1", "client_order_id": "x", "symbol": CALL, "side": "sell", "type": "limit", "qty": "3"}
    old |= {"filled_qty": "3", "status": "filled", "limit_price": "1", "submitted_at": "2026-11-20T15:00:00Z"}
    unreadable = {"id": "o2", "symbol": "MSFT", "status": "brand_new_status", "submitted_at": "2026-11-20T15:00:00Z"}
    with Stranger(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, orders=[old, unreadable]) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions) == (0, {}), said.err


@pytest.mark.parametrize("count", [50, 500])
def test_a_page_of_old_orders_that_never_changes_does_not_stop_the_exits(tmp_path: Path, count: int) -> None:
    old = [
        {"id": f"o{n}", "client_order_id": f"x{n}", "symbol": "MSFT", "side": "sell", "type": "market", "qty": 1}
        | {"filled_qty": 1, "status": "filled", "submitted_at": f"2026-11-20T15:{n // 60:02}:{n % 60:02}Z"}
        for n in range(count)
    ]
    with Stranger(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, orders=old) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions) == (0, {}), said.err


def test_an_answer_with_the_least_fields_to_a_submit_is_understood(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}) as stranger:
        shown = stranger._shown  # noqa: SLF001  this test makes the stranger tighter-lipped
        lean = {"id", "client_order_id", "symbol", "side", "status", "qty"}

        def least(order: dict[str, Any]) -> dict[str, Any]:
            whole = shown(order)
            return {k: v for k, v in whole.items() if k in lean or (k == "filled_qty" and v)}

        stranger._shown = least  # type: ignore[method-assign]  # noqa: SLF001
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions) == (0, {}), said.err
    assert len(stranger.bodies) == 1


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_to_a_submit_is_an_acceptance(tmp_path: Path, status: int) -> None:
    with Stranger(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, submitted_status=status) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions, len(stranger.bodies)) == (0, {}, 1), said.err


def once(method: str, path: str, *answers: tuple[int, Any]) -> Callable[[str, str], tuple[int, Any] | None]:
    """The first requests of this kind get these answers."""
    left = list(answers)

    def before(asked: str, where: str) -> tuple[int, Any] | None:
        return left.pop(0) if left and asked == method and where.startswith(path) else None

    return before


def test_a_submit_that_died_on_the_way_is_repeated_under_its_id_after_two_404s(tmp_path: Path) -> None:
    before = once("POST", "/v2/orders", (503, "<html>busy</html>"))
    missing = {"error": "nothing here"}
    with Stranger(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, before=before, missing=missing) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions) == (0, {}), said.err
    assert [body["client_order_id"] for body in stranger.bodies] == [stranger.orders[0]["client_order_id"]]


def test_without_a_calendar_a_target_is_sold_all_the_same(tmp_path: Path) -> None:
    with Stranger(position(CALL, 2, 1.0), {CALL: (1.20, 1.22)}, calendar=False) as stranger:
        assert program_for(stranger, tmp_path).run("run-once").status == 0
        assert stranger.positions == {}
