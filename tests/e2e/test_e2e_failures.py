"""Failures of the broker are reported, counted in the exit status, and retried."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alternative_broker import AlternativeBroker, position
from stage import Program

from sellctl.core.model.instrument import contract_text

CALL = "AAPL261218C00200000"
PUT = "MSFT261218P00400000"
STOPPED = {CALL: (0.70, 0.72)}


def program_for(broker: AlternativeBroker, folder: Path) -> Program:
    program = Program(folder)
    program.write(
        "accounts:\n  other:\n    api_key: alternative-key\n    secret_key: alternative-secret\n"
        f"    endpoints: {{trading: '{broker.url}', data: '{broker.url}'}}\n"
    )
    return program


def to_quotes(times: int, answer: tuple[int, Any]) -> Callable[[str, str], tuple[int, Any] | None]:
    """The first requests for quotes receive this response."""
    left = [answer] * times

    def override(_method: str, path: str) -> tuple[int, Any] | None:
        return left.pop() if left and "/quotes/latest" in path else None

    return override


def an_order(symbol: str, qty: int, limit: float) -> dict[str, Any]:
    """A manual sale that rests until cancelled."""
    rest: dict[str, Any] = {"type": "limit", "time_in_force": "gtc", "limit_price": limit, "filled_qty": 0}
    born = {"id": "u1", "client_order_id": "by-hand", "status": "new", "submitted_at": "2026-11-20T15:00:00Z"}
    return {"symbol": symbol, "side": "sell", "qty": qty, **rest, **born}


def test_three_orders_rejected_after_acceptance_suspend_the_symbol_and_the_run_exits_4(tmp_path: Path) -> None:
    class Rejecting(AlternativeBroker):
        def _fill(self, order: dict[str, Any]) -> None:
            order["status"] = "rejected"

    with Rejecting(position(CALL, 3, 1.0), {CALL: (1.2, 1.21)}) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, len(broker.bodies)) == (4, 3), result.err


def test_a_run_whose_orders_are_all_rejected_reports_a_failure(tmp_path: Path) -> None:
    def refuse(method: str, _path: str) -> tuple[int, Any] | None:
        return (422, {"code": 42210000, "message": "contract is not active"}) if method == "POST" else None

    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.2, 1.21)}, override=refuse) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert result.status == 4, result.err


def test_a_quote_that_is_not_a_number_affects_only_its_own_symbol(tmp_path: Path) -> None:
    held = position(CALL, 3, 1.0) | position(PUT, 1, 1.0)
    with AlternativeBroker(held, {CALL: (float("nan"), 0.72), PUT: (0.7, 0.72)}) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert list(broker.positions) == [CALL], result.err


def test_quotes_that_fail_once_are_requested_again_in_the_same_run(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), STOPPED, override=to_quotes(1, (500, "<html>no</html>"))) as broker:
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions) == (0, {}), result.err


def test_quotes_that_keep_failing_are_reported_and_the_run_exits_4(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), STOPPED, override=to_quotes(99, (500, "<html>no</html>"))) as broker:
        result = program_for(broker, tmp_path).shell("run-once")
    assert (result.status, broker.sent) == (4, []), result.err
    assert "degraded: " in result.err
    assert "answered with status 500" in result.err


def test_while_the_market_is_closed_only_read_commands_request_quotes(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), STOPPED, start="2026-11-24T17:00:00") as broker:
        program = program_for(broker, tmp_path)
        assert program.run("run-once").status == 0
        assert not [path for path in broker.requests if "quotes" in path]
        program.run("positions")
    assert [path for path in broker.requests if "quotes" in path]


def test_a_stop_that_the_users_own_order_blocks_raises_a_critical_alert(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), STOPPED, orders=[an_order(CALL, 3, 4.0)]) as broker:
        result = program_for(broker, tmp_path).shell("run-once")
    assert f"| CRITICAL | other {contract_text(CALL)} blocked: stop -20%" in result.err
    assert broker.sent == []


def test_a_position_without_an_entry_price_raises_an_alert(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 0.0), STOPPED) as broker:
        result = program_for(broker, tmp_path).shell("run-once")
    assert f"| ERROR | other {contract_text(CALL)} alert: entry price unknown" in result.err


def test_a_stop_right_after_another_processs_fill_is_sold_in_the_same_run(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), STOPPED) as broker:
        sold = an_order(CALL, 1, 0.9) | {"status": "filled", "filled_qty": 1, "client_order_id": "sellctl-elsewhere"}
        now = broker.now().isoformat()
        broker.orders.append(sold | {"submitted_at": now, "filled_at": now})
        result = program_for(broker, tmp_path).run("run-once")
    assert (result.status, broker.positions) == (0, {}), result.err


def test_a_second_watch_of_the_same_account_exits_6(tmp_path: Path) -> None:
    with AlternativeBroker(position(CALL, 3, 1.0), {CALL: (1.0, 1.02)}) as broker:
        program = program_for(broker, tmp_path)
        first = program.spawn("watch", "--format", "json")
        assert first.stdout is not None
        first.stdout.readline()
        result = program.shell("watch")
        first.kill()
        first.communicate()
    assert (result.status, "`sellctl watch` (process " in result.err) == (6, True), result.err


def test_python_m_sellctl_behaves_like_the_command() -> None:
    result = subprocess.run([sys.executable, "-m", "sellctl", "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("sellctl ")
