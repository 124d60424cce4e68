"""close, exempt, manage and positions take the name of a structure, sellctl's or the user's own."""

import pytest
from e2e_scenes import CALL, HIGHER, a_day, all_reasons, at
from stage import Play, Stage
from test_e2e_structures import uncovered_at_any_fill

from sellctl.core.model.instrument import contract_text
from sellctl.service.state_folder import StateFolder

PUT, LOWER = "AAPL261218P00180000", "AAPL261218P00170000"
NAME = "AAPL-iron_condor-261218-170-180-200-210"
HELD = {CALL: (-2, "2.00"), HIGHER: (2, "1.00"), PUT: (-2, "2.00"), LOWER: (2, "1.00")}
QUOTES = {CALL: at("1.98", "2.02"), HIGHER: at("0.98", "1.02"), PUT: at("1.48", "1.52"), LOWER: at("0.68", "0.72")}
OWN = "sell_module: {structures: [{name: my-calls, legs: [" + f"{CALL}, {HIGHER}" + "]}]}\n"
ALONE = "sell_module: {strategy_one: {enabled: false}}\n"


def a_condor(play: Play, config: str = ALONE, **more: int) -> Stage:
    held = {symbol: (more.get(symbol, qty), entry) for symbol, (qty, entry) in HELD.items()}
    return play(a_day(held, QUOTES), config)


def left(stage: Stage) -> list[int]:
    return [stage.held(symbol) for symbol in HELD]


def test_a_dry_run_of_close_shows_every_leg_and_the_total_and_sends_nothing(play: Play) -> None:
    stage = a_condor(play)
    shown = stage.run("close", NAME, "--dry-run", "--format", "json")
    assert shown.status == 0
    assert [(each["symbol"], each["qty"]) for each in shown.document["exits"]] == [
        (LOWER, "2"),
        (PUT, "2"),
        (CALL, "2"),
        (HIGHER, "2"),
    ]
    assert stage.sent() == []
    asked = stage.run("close", NAME)
    assert (asked.status, stage.sent()) == (5, [])
    assert "total" in asked.err


@pytest.mark.parametrize("name", [NAME, NAME.lower(), NAME.upper()])
def test_close_closes_all_legs_and_uncovers_nothing(play: Play, name: str) -> None:
    stage = a_condor(play)
    result = stage.run("close", name, "--yes")
    for _ in range(3):
        stage.server.advance(15)
        stage.run("run-once")
    assert left(stage) == [0, 0, 0, 0], result.err
    assert "closed_by_hand" in all_reasons(stage)
    assert uncovered_at_any_fill(stage, {symbol: qty for symbol, (qty, _) in HELD.items()}) == 0


def test_what_exceeds_the_structure_stays(play: Play) -> None:
    stage = a_condor(play, **{HIGHER: 3})
    stage.run("close", NAME, "--yes")
    for _ in range(4):
        stage.server.advance(15)
        stage.run("run-once")
    assert left(stage) == [0, 1, 0, 0]


def test_a_structure_of_the_users_own_is_closed_by_its_own_name_and_the_rest_stays(play: Play) -> None:
    stage = a_condor(play, OWN.replace("{structures", "{strategy_one: {enabled: false}, structures"))
    shown = stage.run("positions", "--format", "json").document["accounts"][0]["structures"]
    assert [(each["own_name"], each["name"]) for each in shown] == [
        ("my-calls", "AAPL-vertical-261218-200-210C"),
        (None, "AAPL-vertical-261218-170-180P"),
    ]
    stage.run("close", "My-Calls", "--yes")
    for _ in range(3):
        stage.server.advance(15)
        stage.run("run-once")
    assert left(stage) == [0, 0, -2, 2]


@pytest.mark.parametrize(
    ("name", "meant"),
    [(NAME.replace("condor", "condr"), NAME), (NAME.replace("210", "211"), NAME), ("AAPL-iron_condor", NAME)],
)
@pytest.mark.parametrize("command", [("close",), ("exempt",), ("positions",), ("manage",)])
def test_a_typo_is_an_error_with_the_name_that_was_meant(
    play: Play, command: tuple[str, ...], name: str, meant: str
) -> None:
    stage = a_condor(play)
    result = stage.run(*command, name)
    assert result.status == 2
    assert "is not held in any account. Did you mean" in result.err
    assert f"Did you mean {meant}?" in result.err
    assert stage.sent() == []


def test_exempt_leaves_every_leg_alone_until_manage(play: Play) -> None:
    stage = a_condor(play, "")
    assert stage.run("exempt", NAME.lower()).status == 0
    assert StateFolder(stage.state).exempt() == {NAME}
    assert stage.run("run-once").status == 0
    assert stage.sent() == []
    assert "exempt (by you)" in stage.run("positions", NAME, "--format", "plain").out
    refused = stage.run("close", NAME, "--yes")
    assert refused.status == 5
    assert stage.line("manage", NAME) in refused.err
    leg = stage.run("manage", CALL)
    assert leg.status == 2
    assert f"{CALL} is exempt as a leg of {NAME}. Run: {stage.line('manage', NAME)}" in leg.err
    assert stage.run("manage", NAME).status == 0
    assert StateFolder(stage.state).exempt() == frozenset()


def test_exempting_a_covered_call_leaves_other_options_on_the_underlying_managed(play: Play) -> None:
    other = "AAPL261218P00150000"
    day = a_day(
        {"AAPL": (100, "190.00"), HIGHER: (-1, "3.00"), other: (1, "1.00")},
        {"AAPL": at("195.00", "195.02"), HIGHER: at("2.98", "3.02"), other: at("1.50", "1.52")},
    )
    stage = play(day)
    stage.run("exempt", "AAPL-covered_call-261218-210C")
    stage.run("run-once")
    assert stage.held(other) == 0
    assert (stage.held("AAPL"), stage.held(HIGHER)) == (100, -1)


def test_a_structure_of_the_users_own_is_exempted_by_its_own_name_also_before_it_is_held(play: Play) -> None:
    stage = a_condor(play, OWN)
    assert stage.run("exempt", "my-calls").status == 0
    assert StateFolder(stage.state).exempt() == {"AAPL-vertical-261218-200-210C"}
    assert "exempt already" in stage.run("exempt", "my-calls").err
    assert stage.run("manage", "my-calls").status == 0
    assert stage.run("exempt", "my-calls", "--not-held").status == 0
    assert StateFolder(stage.state).exempt() == {"AAPL-custom-261218-200C-210C"}
    stage.run("run-once")
    assert [stage.held(CALL), stage.held(HIGHER)] == [-2, 2]
    assert stage.run("manage", "my-calls").status == 0
    assert StateFolder(stage.state).exempt() == frozenset()


def test_the_page_of_a_structure_has_its_strategy_and_rules_where_one_judges_it(play: Play) -> None:
    rules = "{match: {structure: iron_condor}, name: condors, rules: {take_profit: 50%, stop_loss: 200%}}"
    stage = a_condor(play, f"sell_module: {{strategies: [{rules}]}}\n")
    page = stage.run("positions", NAME, "--format", "plain").out
    for text in ("condors (structure iron_condor)", "stop -200% at $6.00", "credit $2.00", "breakeven at $178.00"):
        assert text in page
    (document,) = stage.run("positions", NAME, "--format", "json").document["positions"]
    assert document["judged_as_one"]
    assert any("stop -200%" in rule for rule in document["rules"])
    assert "evaluated as" in stage.run("positions", CALL, "--format", "plain").out


def test_a_structure_is_named_by_the_order_that_opened_it(play: Play) -> None:
    config = "sell_module: {strategy_one: {enabled: false}, structures: [{name: my-strangle, order: opened-it}]}\n"
    stage = play(a_day({HIGHER: (1, "1.00"), LOWER: (1, "1.00")}, QUOTES), config)
    legs = [{"symbol": symbol, "ratio_qty": "1", "position_intent": "buy_to_open"} for symbol in (HIGHER, LOWER)]
    terms = {"order_class": "mleg", "qty": "1", "type": "limit", "time_in_force": "day", "limit_price": "1.80"}
    with stage.server.hold() as exchange:
        exchange.submit(exchange.accounts["main"], {**terms, "legs": legs, "client_order_id": "opened-it"})
    stage.server.advance(15)
    assert (stage.held(HIGHER), stage.held(LOWER)) == (2, 2)
    (shown,) = stage.run("positions", "my-strangle", "--format", "json").document["positions"]
    assert (shown["own_name"], shown["name"], shown["units"]) == ("my-strangle", "AAPL-strangle-261218-170P-210C", 2)


def test_off_shows_single_legs_and_knows_no_name(play: Play) -> None:
    stage = a_condor(play, "sell_module: {structures: off, strategy_one: {enabled: false}}\n")
    assert stage.run("positions", "--format", "json").document["accounts"][0]["structures"] == []
    assert stage.run("positions", NAME).status == 2


def test_a_leg_that_is_not_held_is_one_notice_and_the_rest_is_recognised(play: Play) -> None:
    missing = "AAPL261218C00220000"
    stage = a_condor(play, OWN.replace(CALL, missing))
    result = stage.run("positions", "--format", "json")
    assert result.status == 0
    notice = f"structure my-calls: {missing} is not held"
    assert result.err.count(notice) == 1
    assert [each["name"] for each in result.document["accounts"][0]["structures"]] == [NAME]


HISTORY_OF_OWN = OWN.replace("{structures", "{strategy_one: {enabled: false}, structures")
VERTICAL = "AAPL-vertical-261218-200-210C"


def rows_of(stage: Stage, command: str, name: str) -> list[tuple[str, ...]]:
    """What `history` or `report` shows under a name, without the figures."""
    result = stage.run(command, name, "--format", "json")
    assert result.status == 0, result.err
    found = result.document["exits"] if command == "report" else result.document
    return [(each["symbol"], each["reason"], str(each.get("seq"))) for each in found]


@pytest.mark.parametrize("options_level", [3, 2])
@pytest.mark.parametrize("command", ["history", "report"])
def test_history_and_report_take_the_users_own_name_also_after_it_has_left(
    play: Play, command: str, options_level: int
) -> None:
    held = {symbol: HELD[symbol] for symbol in HELD}
    scenario = a_day(held, QUOTES).replace("number: PA1", f"number: PA1\n        options_level: {options_level}")
    stage = play(scenario, HISTORY_OF_OWN)
    stage.run("close", "my-calls", "--yes")
    stage.run("close", "AAPL-vertical-261218-170-180P", "--yes")
    for _ in range(3):
        stage.server.advance(15)
        stage.run("run-once")
    assert left(stage) == [0, 0, 0, 0]
    shown = rows_of(stage, command, VERTICAL)
    assert shown
    assert rows_of(stage, command, "my-calls") == shown
    assert rows_of(stage, command, "My-CALLS") == shown
    assert len(rows_of(stage, command, "AAPL-vertical-261218-170-180P")) == len(shown)


def test_they_say_so_when_only_the_broker_knows_the_legs(play: Play) -> None:
    stage = a_condor(play, "sell_module: {structures: [{name: my-strangle, order: opened-it}]}\n")
    for command in ("history", "report"):
        result = stage.run(command, "My-Strangle")
        assert result.status == 2
        assert "my-strangle is named by its order" in result.err


def test_what_leaves_in_one_order_is_told_so_and_with_its_net_price(play: Play) -> None:
    rules = "{match: {structure: iron_condor}, name: condors, rules: {take_profit: 99%}}"
    stage = a_condor(play, f"sell_module: {{strategies: [{rules}]}}\n")
    shown = stage.run("close", NAME, "--dry-run", "--format", "plain").out
    assert shown.count(f"in the order of {contract_text(CALL)}") == 3
    assert "wait" not in shown
    done = stage.run("close", NAME, "--yes", "--format", "json").document["exits"]
    assert [each["result"] for each in done] == ["filled"] * 4
    assert [each["filled_price"] for each in done] == [None] * 4
    assert len({each["net_price"] for each in done}) == 1
    assert float(done[0]["net_price"]) > 0


def test_a_due_exit_of_a_structure_is_one_line_on_its_page(play: Play) -> None:
    rules = "{match: {structure: iron_condor}, name: condors, rules: {take_profit: 2%}}"
    stage = a_condor(play, f"sell_module: {{strategies: [{rules}]}}\n")
    page = stage.run("positions", NAME, "--format", "plain").out
    assert page.count("what happens") == 1
    assert "debit, all legs in one order" in page
    assert "(all legs of" not in page
    table = stage.run("run-once", "--dry-run", "--format", "plain").out
    assert table.count(f"in the order of {contract_text(CALL)}") == 3
