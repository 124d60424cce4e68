"""A structure that the user names and that was never held as a whole is a mistake in the file; one that was is not."""

import pytest
from e2e_scenes import CALL, HIGHER, a_day, at
from stage import Play, Stage

OTHER = "AAPL261218C00220000"
QUOTES = {CALL: at("2.50", "2.54"), HIGHER: at("0.98", "1.02"), OTHER: at("0.40", "0.44")}
SPREAD = {CALL: (1, "2.00"), HIGHER: (-1, "1.00")}
ONE_LEG = {CALL: (1, "2.00")}
ALONE = "  strategy_one: {enabled: false}\n"
COMMANDS = [("run-once",), ("run-once", "--dry-run"), ("watch", "--format", "log"), ("watch", "--format", "json")]


def named(*legs: str) -> str:
    entry = f"    - name: my-calls\n      legs: [{', '.join(legs)}]\n"
    return f"sell_module:\n  structures:\n{entry}"


def line_of_entry(stage: Stage) -> int:
    return stage.config.read_text().splitlines().index("    - name: my-calls") + 1


def is_refused(stage: Stage, *command: str, saying: str) -> None:
    result = stage.run(*command)
    assert result.status == 2, result
    assert f"config.yml:{line_of_entry(stage)}:7: structure my-calls: {saying}" in result.err
    assert result.err.count("my-calls") == 1
    assert stage.sent() == []


def is_a_notice(stage: Stage, *command: str, saying: str = "is not held") -> None:
    result = stage.run(*command)
    assert result.status == 0, result
    assert f"structure my-calls: {HIGHER} {saying}" in result.err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_leg_that_is_not_held_ends_the_command_before_anything_is_sent(play: Play, command: tuple[str, ...]) -> None:
    stage = play(a_day(ONE_LEG, QUOTES), named(CALL, HIGHER))
    is_refused(stage, *command, saying=f"{HIGHER} is not held. Correct its legs")


@pytest.mark.parametrize("command", COMMANDS[:3:2])
def test_so_does_a_quantity_that_does_not_make_one_unit(play: Play, command: tuple[str, ...]) -> None:
    stage = play(a_day(SPREAD, QUOTES), named(CALL, f"{HIGHER} x2"))
    is_refused(stage, *command, saying=f"one unit has 2 {HIGHER}, and 1 is held. Correct its legs")


def test_doctor_tells_it_and_checks_the_rest(play: Play) -> None:
    stage = play(a_day(ONE_LEG, QUOTES), "simulator: true\n" + named(CALL, HIGHER))
    result = stage.run("doctor", "--format", "json")
    assert result.status == 2
    checks = {each["what"]: each for each in result.document["checks"]}
    assert checks["structures"]["state"] == "bad"
    assert f"config.yml:{line_of_entry(stage)}:7: structure my-calls: {HIGHER}" in checks["structures"]["found"]
    assert checks["account main"]["found"].endswith("1 position")


def test_positions_shows_a_notice_and_everything_that_is_held(play: Play) -> None:
    is_a_notice(play(a_day(ONE_LEG, QUOTES), named(CALL, HIGHER)), "positions")


def test_close_still_closes(play: Play) -> None:
    stage = play(a_day(ONE_LEG, QUOTES), named(CALL, HIGHER))
    stage.run("close", CALL, "--yes")
    assert stage.held(CALL) == 0


def test_one_that_is_not_open_yet_is_no_mistake(play: Play) -> None:
    stage = play(a_day({OTHER: (1, "0.40")}, QUOTES), named(CALL, HIGHER))
    assert stage.run("run-once").status == 0
    assert "my-calls" not in stage.run("run-once", "--dry-run").err


def test_nor_is_one_whose_missing_leg_is_being_opened(play: Play) -> None:
    stage = play(a_day(ONE_LEG, QUOTES), named(CALL, HIGHER) + ALONE)
    terms = {"symbol": HIGHER, "side": "sell", "qty": "1", "type": "limit", "time_in_force": "day"}
    with stage.server.hold() as exchange:
        exchange.submit(exchange.accounts["main"], {**terms, "limit_price": "1.50", "client_order_id": "opening"})
    is_a_notice(stage, "run-once")


def test_one_that_was_held_as_a_whole_stays_a_notice_while_a_leg_of_it_is_held(play: Play) -> None:
    stage = play(a_day({CALL: (1, "2.00"), HIGHER: (1, "1.00")}, QUOTES), named(CALL, HIGHER) + ALONE)
    assert stage.run("run-once").status == 0
    terms = {"symbol": HIGHER, "side": "sell", "qty": "1", "type": "market", "time_in_force": "day"}
    with stage.server.hold() as exchange:
        exchange.submit(exchange.accounts["main"], {**terms, "client_order_id": "by-hand"})
    stage.server.advance(15)
    assert (stage.held(CALL), stage.held(HIGHER)) == (1, 0)
    for _ in range(3):
        is_a_notice(stage, "run-once", "--dry-run")
        is_a_notice(stage, "run-once")
        stage.server.advance(90)


TWO_ACCOUNTS = """
    start: "2026-11-24 12:00"
    accounts:
      main:
        key: k
        secret: s
        number: PA1
        positions: [{{symbol: {call}, qty: 1, entry: 2.00}}]
      other:
        key: k2
        secret: s2
        number: PA2
        positions: [{others}]
    prices:
{prices}
"""


def two_accounts(**others: int) -> str:
    held = ", ".join(f"{{symbol: {symbol}, qty: {qty}, entry: 1.00}}" for symbol, qty in others.items())
    prices = "\n".join(f"      {symbol}: {path}" for symbol, path in QUOTES.items())
    return TWO_ACCOUNTS.format(call=CALL, others=held, prices=prices)


def test_of_two_accounts_one_has_to_hold_all_of_it(play: Play) -> None:
    stage = play(two_accounts(**{OTHER: 1}), named(CALL, HIGHER) + ALONE)
    is_refused(stage, "run-once", saying=f"{HIGHER} is not held in account main. Correct its legs")
    is_refused(stage, "watch", "--format", "log", saying=f"{HIGHER} is not held in account main")


def test_an_account_that_holds_only_a_part_is_no_mistake_when_another_holds_all(play: Play) -> None:
    stage = play(two_accounts(**{CALL: 1, HIGHER: -1}), named(CALL, HIGHER) + ALONE)
    is_a_notice(stage, "run-once")


def test_nothing_is_concluded_while_an_account_is_not_read(play: Play) -> None:
    stage = play(two_accounts(**{OTHER: 1}), named(CALL, HIGHER) + ALONE)
    is_a_notice(stage, "run-once", "--account", "main")
    stage.inject_fault("H05", account="other", path="/v2/positions", times=100)
    result = stage.run("run-once")
    assert result.status == 4
    assert f"structure my-calls: {HIGHER} is not held" in result.err
