"""Splits, renamed symbols and assignments suspend the rules of their underlying and raise an alert, until `manage`."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from builders import replace
from e2e_scenes import CALL, HIGHER, a_day, at, reasons, ruled
from stage import Play, Stage

from sellctl.sim.scenario.events import split

SHARES = "AAPL"
ADJUSTED = "AAPL1261218C00200000"
OTHER = "MSFT261218C00200000"
HELD = {SHARES: (100, "200.00"), CALL: (-1, "3.00"), HIGHER: (2, "1.00"), OTHER: (2, "1.00")}
PRICES = {
    SHARES: at("199.00", "199.02"),
    CALL: at("3.00", "3.02"),
    HIGHER: at("1.00", "1.02"),
    ADJUSTED: at("1.60", "1.62"),
    OTHER: at("1.00", "1.02"),
}


def two_for_one(stage: Stage) -> None:
    with stage.server.hold() as exchange:
        split(SHARES, Decimal(2))(exchange)


def rename(stage: Stage) -> None:
    """Rename the root, as the broker does after a special dividend or a spin-off; the value stays the same."""
    with stage.server.hold() as exchange:
        account = exchange.accounts["main"]
        position = account.positions.pop(HIGHER)
        account.positions[ADJUSTED] = replace(position, symbol=ADJUSTED)


def assign(stage: Stage) -> None:
    with stage.server.hold() as exchange:
        exchange.inject("O15", symbol=CALL)


def rise(stage: Stage, *symbols: str) -> None:
    """Raise the prices of these symbols by 60%."""
    with stage.server.hold() as exchange:
        for symbol in symbols:
            level = exchange.quote(symbol)
            assert level is not None
            exchange.market.put(symbol, level.moved_to(level.mid * Decimal("1.6")), exchange.now)


ACTIONS: dict[str, tuple[Callable[[Stage], None], dict[str, tuple[int, str]], str, str]] = {
    "a split": (two_for_one, {SHARES: (100, "200.00"), OTHER: (2, "1.00")}, SHARES, "looks like a split"),
    "a renamed option": (
        rename,
        {HIGHER: (2, "1.00"), CALL: (2, "3.00"), OTHER: (2, "1.00")},
        CALL,
        "was renamed or adjusted",
    ),
    "an assignment": (assign, HELD, HIGHER, "was assigned or exercised"),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_the_rules_of_the_affected_underlying_are_suspended_until_manage_and_others_are_not(
    play: Play, action: str
) -> None:
    happens, held, suspended, why = ACTIONS[action]
    stage = play(a_day(held, PRICES), ruled("take_profit: 50%"))
    stage.run("run-once")
    assert stage.orders() == []
    before = stage.held(suspended)
    happens(stage)
    after = stage.held(suspended)
    stage.server.advance(60)
    rise(stage, suspended, OTHER)
    result = stage.run("run-once")
    assert why in result.err + result.out
    assert f"sellctl manage {suspended}" in result.err + result.out
    assert (stage.held(suspended), stage.held(OTHER)) == (after, 0)
    assert why in stage.run("positions", suspended, "--format", "plain").out
    assert "frozen" in {row["kind"] for row in stage.run("history", "--format", "json").document}
    assert before
    assert stage.held(ADJUSTED) == (2 if happens is rename else 0)
    assert stage.run("manage", suspended).status == 0
    for _ in range(3):
        stage.server.advance(30)
        stage.run("run-once")
    assert stage.held(suspended) == 0
    assert reasons(stage, suspended) == {"take_profit"}
