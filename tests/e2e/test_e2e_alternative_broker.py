"""The core scenarios against a second broker implementation that uses the freedoms of Alpaca's API differently."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alternative_broker import AlternativeBroker, position
from stage import Program

from sellctl.core.model.instrument import contract_text

CALL = "AAPL261218C00200000"
PUT = "AAPL261218P00200000"
TODAY = "AAPL261124C00200000"


def program_for(broker: AlternativeBroker, folder: Path, rules: str = "") -> Program:
    program = Program(folder)
    program.write(
        "accounts:\n  other:\n    api_key: alternative-key\n    secret_key: alternative-secret\n"
        f"    endpoints: {{trading: '{broker.url}', data: '{broker.url}'}}\n{rules}"
    )
    return program


def test_a_target_is_sold_at_the_alternative_broker(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.12, 1.14)}) as broker:
        result = program_for(broker, tmp_path).run("run-once", "--format", "json")
    assert (result.status, broker.positions) == (0, {}), result.err
    assert len(broker.orders) == 1
    assert broker.bodies[0]["position_intent"] == "sell_to_close"


@pytest.mark.parametrize("clock_stopped", [True, False])
def test_a_stop_is_sold_at_the_alternative_broker_whether_its_clock_runs_or_not(
    tmp_path: Path, *, clock_stopped: bool
) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, clock_stopped=clock_stopped) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions) == (0, {}), result.err
    assert len(broker.orders) == 1


def test_a_second_run_right_after_the_first_sends_nothing_to_the_alternative_broker(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.12, 1.14)}) as broker:
        program = program_for(broker, tmp_path)
        program.run("run-once")
        assert program.run("run-once").status == 0
    assert len(broker.sent) == 1


def test_a_zero_day_option_is_sold_at_the_alternative_broker(tmp_path: Path) -> None:
    with AlternativeBroker(position(TODAY, 2, 1.0), {TODAY: (1.0, 1.02)}, start="2026-11-24T14:57:00") as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions) == (0, {}), result.err


def test_without_a_calendar_a_zero_day_option_is_still_sold(tmp_path: Path) -> None:
    with AlternativeBroker(
        position(TODAY, 2, 1.0), {TODAY: (1.0, 1.02)}, start="2026-11-24T14:57:00", calendar=False
    ) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions) == (0, {}), result.err


def test_an_uncovered_short_is_bought_back_at_the_alternative_broker(tmp_path: Path) -> None:
    with AlternativeBroker(position(PUT, -2, 1.0), {PUT: (1.0, 1.02)}) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions) == (0, {}), result.err
    assert broker.bodies[0]["side"] == "buy"


def test_a_short_with_a_positive_quantity_is_recognised_by_its_side(tmp_path: Path) -> None:
    rows = position(PUT, -2, 1.0)
    rows[PUT]["qty"] = "2"
    with AlternativeBroker(rows, {PUT: (1.0, 1.02)}) as broker:
        result = program_for(broker, tmp_path).run("run-once", "--dry-run", "--format", "json")
    [holding] = result.document["plans"][0]["holdings"]
    assert (holding["side"], holding["order"]["side"], holding["order"]["qty"]) == ("short", "buy", "2")


def test_a_covered_call_is_kept_at_the_alternative_broker(tmp_path: Path) -> None:
    rows = position("AAPL", 200, 190.0) | position(CALL, -2, 1.0)
    with AlternativeBroker(rows, {CALL: (1.0, 1.02), "AAPL": (195, 195.1)}) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.sent) == (0, []), result.err


def test_malformed_rows_do_not_prevent_a_stop(tmp_path: Path) -> None:
    rows = {
        "X1": {"symbol": "ETHUSD", "asset_class": "crypto", "qty": 0.5, "side": "long", "avg_entry_price": 2000},
        "X2": {"symbol": "912797", "asset_class": "treasury", "qty": "3", "side": "long"},
        "X3": {"symbol": "BAD", "qty": None},
        **position(CALL, 3, 1.0, cost_basis=None, qty_available=None, current_price=None),
    }
    with AlternativeBroker(rows, {CALL: (0.70, 0.72)}) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert CALL not in broker.positions, result.err
    assert [body["symbol"] for body in broker.bodies] == [CALL]


def test_old_orders_in_a_list_that_ignores_filters_are_harmless(tmp_path: Path) -> None:
    old = {"id": "o1", "client_order_id": "x", "symbol": CALL, "side": "sell", "type": "limit", "qty": "3"}
    old |= {"filled_qty": "3", "status": "filled", "limit_price": "1", "submitted_at": "2026-11-20T15:00:00Z"}
    unreadable = {"id": "o2", "symbol": "MSFT", "status": "brand_new_status", "submitted_at": "2026-11-20T15:00:00Z"}
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, orders=[old, unreadable]) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions) == (0, {}), result.err


@pytest.mark.parametrize("count", [50, 500])
def test_a_page_of_old_orders_that_never_changes_does_not_prevent_exits(tmp_path: Path, count: int) -> None:
    old = [
        {"id": f"o{n}", "client_order_id": f"x{n}", "symbol": "MSFT", "side": "sell", "type": "market", "qty": 1}
        | {"filled_qty": 1, "status": "filled", "submitted_at": f"2026-11-20T15:{n // 60:02}:{n % 60:02}Z"}
        for n in range(count)
    ]
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, orders=old) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions) == (0, {}), result.err


def test_a_submit_response_with_the_minimum_of_fields_is_accepted(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}) as broker:
        shown = broker._as_sent  # noqa: SLF001  this test makes the broker tighter-lipped
        lean = {"id", "client_order_id", "symbol", "side", "status", "qty"}

        def least(order: dict[str, Any]) -> dict[str, Any]:
            whole = shown(order)
            return {k: v for k, v in whole.items() if k in lean or (k == "filled_qty" and v)}

        broker._as_sent = least  # type: ignore[method-assign]  # noqa: SLF001
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions) == (0, {}), result.err
    assert len(broker.bodies) == 1


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_response_to_a_submit_is_an_acceptance(tmp_path: Path, status: int) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, submitted_status=status) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions, len(broker.bodies)) == (0, {}, 1), result.err


def once(method: str, path: str, *answers: tuple[int, Any]) -> Callable[[str, str], tuple[int, Any] | None]:
    """The first requests of this kind receive these responses."""
    left = list(answers)

    def override(requested: str, where: str) -> tuple[int, Any] | None:
        return left.pop(0) if left and requested == method and where.startswith(path) else None

    return override


def test_a_lost_submit_is_repeated_with_its_id_after_two_404_responses(tmp_path: Path) -> None:
    before = once("POST", "/v2/orders", (503, "<html>busy</html>"))
    missing = {"error": "nothing here"}
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (0.70, 0.72)}, override=before, missing=missing) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions) == (0, {}), result.err
    assert [body["client_order_id"] for body in broker.bodies] == [broker.orders[0]["client_order_id"]]


def test_without_a_calendar_a_target_is_still_sold(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 2, 1.0), {CALL: (1.20, 1.22)}, calendar=False) as broker:
        assert program_for(broker, tmp_path).run("run-once").status == 0
        assert broker.positions == {}


def test_a_short_leg_is_left_alone_with_an_alert_while_its_cover_can_not_be_read(tmp_path: Path) -> None:
    higher, condors = (
        CALL.replace("200000", "210000"),
        "{name: spreads, match: {structure: vertical}, rules: {stop_loss: 50%}}",
    )
    held = position(CALL, 1, 2.0) | position(higher, -1, 1.0)
    held[CALL]["qty"] = "many"
    with AlternativeBroker(held, {CALL: (2.0, 2.02), higher: (1.5, 1.52)}) as broker:
        program = program_for(broker, tmp_path, f"sell_module: {{strategies: [{condors}]}}\n")
        result = program.run("run-once")
    assert broker.sent == []
    assert f"{contract_text(higher)} degraded: " in result.err
    assert "no other position covers it, but one that can't be read may" in result.err
