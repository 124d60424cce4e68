"""Splits, renamed symbols and assignments suspend the rules of their underlying and raise an alert, until `manage`."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from builders import replace
from e2e_scenes import CALL, HIGHER, a_day, at, reasons, ruled
from stage import Play, Stage

from sellctl.sim.scenario.events import Split

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
        Split(SHARES, Decimal(2))(exchange)


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
    assert stage.line("manage", suspended) in result.err + result.out
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


def test_rules_are_resumed_in_every_account_that_holds_the_symbol(play: Play) -> None:
    day = a_day({SHARES: (100, "200.00")}, {SHARES: at("199.00", "199.02")})
    account = day[day.index("      main:") : day.index("    prices:")]
    other = account.replace("main:", "other:").replace("key: k", "key: k2").replace("PA1", "PA2")
    stage = play(day.replace(account, account + other), ruled("take_profit: 50%", "{asset: [option, stock]}"))
    stage.run("run-once")
    two_for_one(stage)
    stage.run("run-once")
    assert stage.run("manage", SHARES).status == 0
    stage.server.advance(30)
    stage.run("run-once")
    rise(stage, SHARES)
    for _ in range(2):
        stage.server.advance(30)
        stage.run("run-once")
    assert [stage.held(SHARES, name) for name in ("main", "other")] == [0, 0]


# --- a split that the broker has not booked yet -----------------------------------------------------------------------

STOP = ruled("stop_loss: 20%, take_profit: 50%", "{asset: [option, stock]}")


def halve(stage: Stage, symbol: str, ratio: str, *, announced: bool) -> None:
    """The price moves by a split, and quantity and entry price stay; `announced` as a corporate action of the day."""
    unbooked = Split(symbol, Decimal(ratio), booked=False)
    with stage.server.hold() as exchange:
        unbooked(exchange)
        if announced:
            Split(SHARES, Decimal(ratio)).announce(exchange, exchange.now)


@pytest.mark.parametrize("ratio", ["2", "3", "4", "1.5", "10", "0.1", "0.5"])
@pytest.mark.parametrize("symbol", [SHARES, HIGHER])
def test_a_split_that_is_not_booked_yet_is_neither_a_stop_nor_a_target(play: Play, symbol: str, ratio: str) -> None:
    stage = play(a_day({symbol: (10, "200.00")}, {symbol: at("200.00", "200.02")}), STOP)
    stage.run("run-once")
    halve(stage, symbol, ratio, announced=True)
    stage.server.advance(60)
    for _ in range(2):
        result = stage.run("run-once")
        stage.server.advance(30)
    assert stage.orders() == []
    assert "split of AAPL may not be reflected in the position yet" in result.err + result.out
    assert stage.line("manage", symbol) in result.err + result.out


@pytest.mark.parametrize("symbol", [SHARES, HIGHER])
def test_a_crash_by_a_splits_ratio_without_a_corporate_action_is_a_stop(play: Play, symbol: str) -> None:
    stage = play(a_day({symbol: (10, "200.00")}, {symbol: at("200.00", "200.02")}), STOP)
    stage.run("run-once")
    halve(stage, symbol, "2", announced=False)
    stage.server.advance(60)
    stage.run("run-once")
    assert stage.held(symbol) == 0


def test_rules_that_were_resumed_on_the_day_of_a_split_stay_so_in_later_runs(play: Play) -> None:
    stage = play(a_day({SHARES: (10, "200.00")}, {SHARES: at("200.00", "200.02")}), ruled("stop_loss: 60%"))
    stage.run("run-once")
    halve(stage, SHARES, "2", announced=True)
    stage.server.advance(60)
    stage.run("run-once")
    assert stage.run("manage", SHARES).status == 0
    for _ in range(2):
        result = stage.run("run-once")
        stage.server.advance(30)
        assert "may not be reflected" not in result.err


def test_an_unknown_answer_is_told_and_a_stock_that_moved_by_exactly_a_split_rests(play: Play) -> None:
    held = {SHARES: (10, "200.00"), OTHER: (10, "1.00")}
    stage = play(a_day(held, {SHARES: at("200.00", "200.02"), OTHER: at("1.00", "1.02")}), STOP)
    stage.run("run-once")
    stage.inject_fault("H05", path="/v1/corporate-actions", times=None)
    halve(stage, SHARES, "2", announced=False)
    halve(stage, OTHER, "2", announced=False)
    stage.server.advance(60)
    result = stage.run("run-once")
    assert (stage.held(SHARES), stage.held(OTHER)) == (10, 0)  # an option halves often enough without a split
    assert "today's splits are unknown" in result.err
    assert "exactly a 2:1 split, and whether there was one is unknown" in result.err


def test_the_account_guard_does_not_take_an_unbooked_split_for_a_loss(play: Play) -> None:
    guard = "sell_module: {account_guard: {loss: 5%}, strategy_one: {applies_to: [stock]}}\n"
    stage = play(a_day({SHARES: (100, "200.00")}, {SHARES: at("200.00", "200.02")}), guard)
    with stage.server.hold() as exchange:
        account = exchange.accounts["main"]
        account.last_equity = account.cash + 20_000
    halve(stage, SHARES, "2", announced=True)
    stage.server.advance(60)
    for _ in range(2):
        result = stage.run("run-once")
        stage.server.advance(30)
    assert stage.held(SHARES) == 100
    assert (
        "the account guard can't be evaluated: a split of AAPL may not be reflected in the position yet" in result.err
    )
