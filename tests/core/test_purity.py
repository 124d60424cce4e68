"""What decides is pure: no I/O, no clock and no waiting, besides the contracts on imports. One module sends orders."""

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "sellctl" / "core"
PURE = ("model", "orders", "rules", "sell_strategies", "structures", "decision")
IMPURE_CALLS = frozenset({"open", "print", "input", "now", "today", "utcnow", "fromtimestamp", "monotonic", "getenv"})
WAITING = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
FILES = sorted(path.relative_to(CORE) for package in PURE for path in (CORE / package).rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_pure_module_reads_no_clock_and_does_no_io(file: Path) -> None:
    tree = ast.parse((CORE / file).read_text(encoding="utf-8"))
    calls = [f"line {n.lineno}: {_name(n)}()" for n in ast.walk(tree) if isinstance(n, ast.Call)]
    assert [call for call in calls if call.split()[-1].removesuffix("()") in IMPURE_CALLS] == []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_pure_module_never_waits(file: Path) -> None:
    tree = ast.parse((CORE / file).read_text(encoding="utf-8"))
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, WAITING)] == []


def _name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def test_only_the_order_manager_submits_and_cancels_orders() -> None:
    package = CORE.parent
    senders = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if path.relative_to(package).parts[0] not in {"alpaca", "sim"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in {"submit", "cancel"}
        and ast.unparse(node.value).endswith("broker")
    }
    assert senders == {"core/order_manager.py"}
