"""What a judge by another hand found: failures that must be told, counted and waited out."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stage import Program
from stranger import Stranger, position

CALL = "AAPL261218C00200000"
PUT = "MSFT261218P00400000"
STOPPED = {CALL: (0.70, 0.72)}


def program_for(stranger: Stranger, folder: Path) -> Program:
    program = Program(folder)
    program.write(
        "accounts:\n  other:\n    api_key: stranger-key\n    secret_key: stranger-secret\n"
        f"    endpoints: {{trading: '{stranger.url}', data: '{stranger.url}'}}\n"
    )
    return program


def to_quotes(times: int, answer: tuple[int, Any]) -> Callable[[str, str], tuple[int, Any] | None]:
    """The first requests for quotes get this answer."""
    left = [answer] * times

    def before(_method: str, path: str) -> tuple[int, Any] | None:
        return left.pop() if left and "/quotes/latest" in path else None

    return before


def an_order(symbol: str, qty: int, limit: float) -> dict[str, Any]:
    """A sale of the user's own that rests till cancelled."""
    rest: dict[str, Any] = {"type": "limit", "time_in_force": "gtc", "limit_price": limit, "filled_qty": 0}
    born = {"id": "u1", "client_order_id": "by-hand", "status": "new", "submitted_at": "2026-11-20T15:00:00Z"}
    return {"symbol": symbol, "side": "sell", "qty": qty, **rest, **born}


def test_three_orders_rejected_after_they_were_accepted_halt_the_symbol_and_the_run_says_4(tmp_path: Path) -> None:
    class Rejecting(Stranger):
        def _fill(self, order: dict[str, Any]) -> None:
            order["status"] = "rejected"

    with Rejecting(position(CALL, 3, 1.0), {CALL: (1.2, 1.21)}) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, len(stranger.bodies)) == (4, 3), said.err


def test_a_run_whose_every_order_is_refused_does_not_end_well(tmp_path: Path) -> None:
    def refuse(method: str, _path: str) -> tuple[int, Any] | None:
        return (422, {"code": 42210000, "message": "contract is not active"}) if method == "POST" else None

    with Stranger(position(CALL, 3, 1.0), {CALL: (1.2, 1.21)}, before=refuse) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert said.status == 4, said.err


def test_a_quote_that_is_not_a_number_spoils_only_its_own_symbol(tmp_path: Path) -> None:
    held = position(CALL, 3, 1.0) | position(PUT, 1, 1.0)
    with Stranger(held, {CALL: (float("nan"), 0.72), PUT: (0.7, 0.72)}) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert list(stranger.positions) == [CALL], said.err


def test_quotes_that_fail_once_are_asked_for_again_in_the_same_run(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 1.0), STOPPED, before=to_quotes(1, (500, "<html>no</html>"))) as stranger:
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions) == (0, {}), said.err


def test_quotes_that_never_come_are_told_and_the_run_says_4(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 1.0), STOPPED, before=to_quotes(99, (500, "<html>no</html>"))) as stranger:
        said = program_for(stranger, tmp_path).shell("run-once")
    assert (said.status, stranger.sent) == (4, []), said.err
    assert "degraded: " in said.err
    assert "answered with status 500" in said.err


def test_a_closed_market_is_asked_for_no_quotes_but_who_only_looks_sees_prices(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 1.0), STOPPED, start="2026-11-24T17:00:00") as stranger:
        program = program_for(stranger, tmp_path)
        assert program.run("run-once").status == 0
        assert not [path for path in stranger.asked if "quotes" in path]
        program.run("positions")
    assert [path for path in stranger.asked if "quotes" in path]


def test_a_stop_that_the_users_own_order_blocks_is_a_critical_alert(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 1.0), STOPPED, orders=[an_order(CALL, 3, 4.0)]) as stranger:
        said = program_for(stranger, tmp_path).shell("run-once")
    assert f"| CRITICAL | other {CALL} blocked: stop -20%" in said.err
    assert stranger.sent == []


def test_a_position_without_an_entry_price_is_an_alert(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 0.0), STOPPED) as stranger:
        said = program_for(stranger, tmp_path).shell("run-once")
    assert f"| ERROR | other {CALL} alert: entry price unknown" in said.err


def test_a_stop_right_after_another_processs_fill_is_sold_in_the_same_run(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 1.0), STOPPED) as stranger:
        sold = an_order(CALL, 1, 0.9) | {"status": "filled", "filled_qty": 1, "client_order_id": "sellctl-elsewhere"}
        now = stranger.now().isoformat()
        stranger.orders.append(sold | {"submitted_at": now, "filled_at": now})
        said = program_for(stranger, tmp_path).run("run-once")
    assert (said.status, stranger.positions) == (0, {}), said.err


def test_a_second_watch_of_the_same_account_exits_6(tmp_path: Path) -> None:
    with Stranger(position(CALL, 3, 1.0), {CALL: (1.0, 1.02)}) as stranger:
        program = program_for(stranger, tmp_path)
        first = program.spawn("watch", "--format", "json")
        assert first.stdout is not None
        first.stdout.readline()
        said = program.shell("watch")
        first.kill()
        first.communicate()
    assert (said.status, "`sellctl watch` (process " in said.err) == (6, True), said.err


def test_the_module_runs_as_the_command_does() -> None:
    said = subprocess.run([sys.executable, "-m", "sellctl", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("sellctl ")
