"""Splits, renamed symbols, assignments: the rules of that underlying rest and a person hears of it, until `manage`."""

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
    """As the broker does after a special dividend or a spin-off: another root, the same money."""
    with stage.server.hold() as exchange:
        account = exchange.accounts["main"]
        position = account.positions.pop(HIGHER)
        account.positions[ADJUSTED] = replace(position, symbol=ADJUSTED)


def assign(stage: Stage) -> None:
    with stage.server.hold() as exchange:
        exchange.inject("O15", symbol=CALL)


def rise(stage: Stage, *symbols: str) -> None:
    """All of these are worth 60 % more from now on."""
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
def test_the_rules_of_its_underlying_rest_until_a_person_looked_and_those_of_others_do_not(
    play: Play, action: str
) -> None:
    happens, held, frozen, why = ACTIONS[action]
    stage = play(a_day(held, PRICES), ruled("take_profit: 50%"))
    stage.run("run-once")
    assert stage.orders() == []
    before = stage.held(frozen)
    happens(stage)
    after = stage.held(frozen)
    stage.server.advance(60)
    rise(stage, frozen, OTHER)
    told = stage.run("run-once")
    assert why in told.err + told.out
    assert f"sellctl manage {frozen}" in told.err + told.out
    assert (stage.held(frozen), stage.held(OTHER)) == (after, 0)
    assert why in stage.run("positions", frozen, "--format", "plain").out
    assert "frozen" in {row["kind"] for row in stage.run("history", "--format", "json").document}
    assert before
    assert stage.held(ADJUSTED) == (2 if happens is rename else 0)
    assert stage.run("manage", frozen).status == 0
    for _ in range(3):
        stage.server.advance(30)
        stage.run("run-once")
    assert stage.held(frozen) == 0
    assert reasons(stage, frozen) == {"take_profit"}
