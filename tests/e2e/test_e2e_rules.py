"""Each exit rule in the whole program: the position is closed, and `history` names the reason."""

import shutil
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from e2e_scenes import CALL, HIGHER, a_day, at, by_legs, reasons, ruled, then
from stage import Play

from sellctl.core.model.plan import Reason

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Scene:
    """One rule at its threshold: the rules, the prices, and how many of two contracts from 1.00 must be left."""

    rules: str
    bid: str = "1.00"
    ask: str = "1.02"
    start: str = "2026-11-24 12:00"
    left: int = 0
    underlying: tuple[str, str] = ("195.00", "195.02")


SCENES = {
    "take_profit": Scene("take_profit: 50%", "1.50", "1.52"),
    "take_profit in dollars a contract": Scene("take_profit: $50/contract", "1.50", "1.52"),
    "take_profit in dollars of the position": Scene("take_profit: $100/position", "1.50", "1.52"),
    "take_profit at a price": Scene("take_profit: price 1.50", "1.50", "1.52"),
    "stop_loss": Scene("stop_loss: 40%", "0.59", "0.61"),
    "stop_loss in dollars of the position": Scene("stop_loss: $80/position", "0.59", "0.61"),
    "stop_loss in dollars a contract": Scene("stop_loss: $40/contract", "0.59", "0.61"),
    "stop_loss at a price": Scene("stop_loss: price 0.60", "0.59", "0.61"),
    "max_hold": Scene("max_hold: 1m, take_profit: 90%", start="2026-11-24 12:00"),
    "before_close": Scene("before_close: 10m", start="2026-11-24 15:51"),
    "exit_at": Scene('exit_at: "15:30"', start="2026-11-24 15:31"),
    "days_to_expiry": Scene("days_to_expiry: 24"),
    "days_to_expiry with gain": Scene("days_to_expiry_with_gain: {days: 30, gain: 20%}", "1.20", "1.22"),
    "underlying": Scene("underlying: {above: 210, below: 195.5}"),
    "in_the_money": Scene("in_the_money: 1", underlying=("201.00", "201.02")),
    "roi_table": Scene("roi_table: {0: 20%, 60m: 5%}", "1.20", "1.22"),
    "scale_out": Scene("scale_out: [{at: 50%, sell: 50%}]", "1.50", "1.52", left=1),
}


@pytest.mark.parametrize("scene", SCENES)
def test_each_rule_closes_the_position_at_its_threshold_and_history_names_it(play: Play, scene: str) -> None:
    case = SCENES[scene]
    prices = {CALL: at(case.bid, case.ask), "AAPL": at(*case.underlying)}
    stage = play(a_day({CALL: (2, "1.00")}, prices, case.start), ruled(case.rules))
    assert stage.run("run-once").status == 0
    if scene == "max_hold":  # its opening is unknown, so time held counts from the first poll
        assert stage.held(CALL) == 2
        stage.server.advance(90)
        assert stage.run("run-once").status == 0
    assert stage.held(CALL) == case.left
    assert reasons(stage) == {scene.partition(" ")[0]}


FOLLOWING = {
    "trailing_stop": "trailing_stop: {activation: 40%, trail: 10pt}",
    "breakeven": "breakeven: {activation: 40%, keep: 30%}",
    "profit_lock": "profit_lock: [{at: 20%, keep: 5%}, {at: 50%, keep: 36%}]",
}


# After a peak at +51% (the mid) each falls to a bid: its rules, that bid, and the exit's reason ("": none).
FOLLOWED = {
    "AAPL": ("trailing_stop: {activation: 40%, trail: 10pt}", 1.39, "trailing_stop"),
    "MSFT": ("trailing_stop: {activation: 40%, trail: 10pt}", 1.42, ""),
    "NVDA": ("trailing_stop: {activation: 40%, trail: 10%}", 1.34, "trailing_stop"),
    "AMZN": ("trailing_stop: {activation: 40%, trail: 10%}", 1.37, ""),
    "META": ("trailing_stop: {activation: 60%, trail: 10pt}", 1.30, ""),
    "TSLA": ("trailing_stop: {activation: 40%, trail: 40pt, floor: 30%}", 1.28, "trailing_stop"),
    "NFLX": ("trailing_stop: {activation: 40%, trail: 40pt, floor: 30%}", 1.31, ""),
    "AMD": ("trailing_stop: {activation: 40%, trail: 40pt, max_pullback: 10%}", 1.34, "trailing_stop"),
    "BAC": ("breakeven: {activation: 40%}", 0.98, "breakeven"),
    "JPM": ("breakeven: {activation: 40%}", 1.02, ""),
    "ORCL": ("profit_lock: [{at: 20%, keep: 5%}, {at: 50%, keep: 36%}]", 1.33, "profit_lock"),
    "INTC": ("profit_lock: [{at: 20%, keep: 5%}, {at: 60%, keep: 36%}]", 1.33, ""),
}


@pytest.mark.parametrize("reason", FOLLOWING)
def test_a_stop_that_follows_the_peak_survives_the_end_of_the_process(play: Play, reason: str) -> None:
    day = a_day({CALL: (2, "1.00")}, {CALL: then(("1.50", "1.52"), "12:05", ("1.25", "1.27"))})
    stage = play(day, ruled(FOLLOWING[reason]))
    stage.run("run-once")
    assert stage.held(CALL) == 2
    stage.server.advance(300)
    stage.run("run-once")
    assert stage.held(CALL) == 0
    assert reasons(stage) == {reason}


@pytest.mark.parametrize(
    "rules",
    [
        "trailing_stop: {activation: 40%, trail: 10%}",
        "trailing_stop: {activation: 40%, trail: 10pt}",
        "breakeven: {activation: 40%, keep: 10%}",
        "profit_lock: [{at: 40%, keep: 10%}]",
    ],
)
def test_adding_to_a_position_near_its_peak_leaves_its_stop_armed(play: Play, rules: str) -> None:
    day = a_day({CALL: (2, "1.00")}, {CALL: then(("1.50", "1.52"), "12:05", ("1.05", "1.07"))})
    day += f'    events: [{{at: "12:03", order: {{account: main, symbol: {CALL}, side: buy, qty: 2, type: market}}}}]\n'
    stage = play(day, ruled(rules))
    stage.run("run-once")
    stage.server.advance(200)
    stage.run("run-once")
    assert stage.held(CALL) == 4
    stage.server.advance(120)
    stage.run("run-once")
    assert stage.held(CALL) == 0


def test_in_an_account_with_every_rule_each_position_is_closed_by_its_own(play: Play) -> None:
    """Rules that follow the peak, rules that remember what was sold, and rules of the last day."""
    symbols = {name: f"{name}261218C00200000" for name in FOLLOWED}
    prices = {
        symbols[name]: then(("1.50", "1.52"), "12:05", (f"{bid:.2f}", f"{bid + 0.02:.2f}"))
        for name, (_, bid, _) in FOLLOWED.items()
    }
    entries = ", ".join(
        f"{{name: of-{name}, match: {{underlying: {name}}}, rules: {{{rules}}}}}"
        for name, (rules, _, _) in FOLLOWED.items()
    )
    day = a_day(dict.fromkeys(symbols.values(), (2, "1.00")), prices)
    stage = play(day, f"sell_module: {{strategies: [{entries}]}}\n")
    stage.run("run-once")
    assert [stage.held(symbol) for symbol in symbols.values()] == [2] * len(symbols)
    stage.server.advance(300)
    stage.run("run-once")
    for name, (_, _, reason) in FOLLOWED.items():
        assert (name, reasons(stage, symbols[name])) == (name, {reason} if reason else set())
        assert stage.held(symbols[name]) == (0 if reason else 2)


def test_session_minutes_leave_out_thanksgiving_and_the_closed_hours(play: Play) -> None:
    day = a_day({CALL: (2, "1.00")}, {CALL: at("1.20", "1.22")}, "2026-11-25 15:30")
    stage = play(day, ruled("roi_table: {0: 90%, 60m: 20%}, roi_hours: session"))
    stage.run("run-once")
    stage.server.advance(42 * 3600 + 15 * 60)  # Friday, 09:45: 45 minutes of sessions
    stage.run("run-once")
    assert stage.held(CALL) == 2
    stage.server.advance(20 * 60)
    stage.run("run-once")
    assert stage.held(CALL) == 0
    assert reasons(stage) == {"roi_table"}


TODAY = "AAPL261124C00200000"


@pytest.mark.parametrize(
    ("symbol", "held", "start", "reason"),
    [(TODAY, 2, "2026-11-24 14:56", "zero_day"), (CALL, -2, "2026-11-24 12:00", "uncovered_short")],
)
def test_expiring_options_and_uncovered_shorts_are_closed_without_any_rule(
    play: Play, symbol: str, held: int, start: str, reason: str
) -> None:
    stage = play(a_day({symbol: (held, "1.00")}, {symbol: at("1.00", "1.02"), "AAPL": at("195.00", "195.02")}, start))
    stage.run("run-once")
    assert stage.held(symbol) == 0
    assert reasons(stage, symbol) == {reason}


def test_without_an_earlier_peak_the_same_price_triggers_nothing(play: Play) -> None:
    stage = play(a_day({CALL: (2, "1.00")}, {CALL: at("1.25", "1.27")}), ruled(FOLLOWING["trailing_stop"]))
    stage.run("run-once")
    assert stage.held(CALL) == 2


def test_a_slice_that_was_sold_is_not_sold_again(play: Play) -> None:
    stage = play(a_day({CALL: (4, "1.00")}, {CALL: at("1.50", "1.52")}), ruled(SCENES["scale_out"].rules))
    for _ in range(3):
        stage.run("run-once")
        stage.server.advance(60)
    assert stage.held(CALL) == 2
    assert len(stage.orders()) == 1


def test_a_dry_run_reads_the_stored_state_and_writes_nothing(play: Play) -> None:
    day = a_day({CALL: (2, "1.00")}, {CALL: then(("1.50", "1.52"), "12:05", ("1.25", "1.27"))})
    stage = play(day, ruled(FOLLOWING["trailing_stop"]))
    stage.run("run-once")
    stage.server.advance(300)
    result = stage.run("positions", CALL, "--format", "plain")
    assert "trailing stop 10pt below the peak of +51% at $1.41 (met)" in result.out
    assert "mine (everything)" in result.out
    assert stage.held(CALL) == 2


def test_an_exempt_position_is_not_closed_until_it_is_managed_again(play: Play) -> None:
    stage = play(a_day({CALL: (2, "1.00")}, {CALL: at("1.50", "1.52")}), ruled("take_profit: 50%"))
    assert stage.run("exempt", "aapl").status == 0
    stage.run("run-once")
    assert stage.held(CALL) == 2
    assert "exempt (by you)" in stage.run("positions", CALL, "--format", "plain").out
    assert stage.run("manage", "AAPL").status == 0
    stage.run("run-once")
    assert stage.held(CALL) == 0
    kinds = {row["kind"] for row in stage.run("history", "--format", "json").document}
    assert {"exempt", "manage"} <= kinds


def test_by_legs_a_vertical_at_its_stop_closes_the_short_leg_before_the_long_one(play: Play) -> None:
    positions = {CALL: (-2, "3.00"), HIGHER: (2, "1.00")}
    prices = {CALL: at("5.98", "6.02"), HIGHER: at("1.98", "2.02")}
    rules = ruled("stop_loss: 90%", "{structure: vertical}")
    stage = play(by_legs(a_day(positions, prices)), rules)
    for _ in range(3):
        stage.run("run-once")
        stage.server.advance(15)
    assert (stage.held(CALL), stage.held(HIGHER)) == (0, 0)
    assert [order.symbol for order in stage.orders()] == [CALL, HIGHER]
    assert reasons(stage) == {"stop_loss"}
    assert "structure" in reasons(stage, HIGHER)


def test_a_vertical_is_evaluated_as_one_position_and_not_per_leg(play: Play) -> None:
    positions = {CALL: (2, "5.00"), HIGHER: (-2, "3.00")}
    prices = {CALL: at("2.98", "3.02"), HIGHER: at("1.08", "1.12")}
    stage = play(a_day(positions, prices), ruled("stop_loss: 30%", "{structure: [vertical]}"))
    stage.run("run-once")
    assert (stage.held(CALL), stage.held(HIGHER)) == (2, -2)


GUARD = "sell_module: {{account_guard: {{loss: $500/position, action: {action}}}, strategy_one: {{enabled: false}}}}\n"


@pytest.mark.parametrize(("action", "left"), [("flatten", 0), ("halt", 10)])
def test_the_account_guard_closes_everything_or_halts(play: Play, action: str, left: int) -> None:
    day = a_day({CALL: (10, "2.00")}, {CALL: then(("2.00", "2.02"), "12:05", ("1.00", "1.02"))})
    stage = play(day, GUARD.format(action=action))
    with stage.server.hold() as exchange:
        exchange.accounts["main"].last_equity = exchange.accounts["main"].cash + 2000
    stage.run("run-once")
    assert stage.held(CALL) == 10
    stage.server.advance(300)
    stage.run("run-once")
    assert stage.held(CALL) == left
    assert (stage.state / "halted").exists() is (action == "halt")


@pytest.mark.parametrize("transfers", ["-40000", None])
def test_a_withdrawal_does_not_make_the_account_guard_fire(play: Play, transfers: str | None) -> None:
    stage = play(a_day({CALL: (10, "2.00")}, {CALL: at("2.00", "2.02")}), GUARD.format(action="flatten"))
    with stage.server.hold() as exchange:
        account = exchange.accounts["main"]
        account.last_equity = account.cash + 2010
        account.cash -= 40_000
        account.transfers = None if transfers is None else Decimal(transfers)
    result = stage.run("run-once")
    assert stage.held(CALL) == 10
    assert ("alert: the account guard can't be evaluated" in result.err) is (transfers is None)


# --- custom strategies ------------------------------------------------------------------------------------------

OWN = {
    "friday_flush.py:FridayFlush": ("after: '14:00'", "1.00", "2026-11-20 14:01", 0),
    "half_then_trail.py:HalfThenTrail": ("target: 40%, trail: 5pt", "1.40", "2026-11-24 12:00", 2),
    "lotto_guard.py:LottoGuard": ("times: 2", "2.50", "2026-11-24 12:00", 2),
    "time_stop.py:TimeStop": ("after: 1s, needs: 20%", "1.05", "2026-11-24 12:00", 0),
}


@pytest.mark.parametrize("use", OWN)
def test_each_example_runs_as_a_strategy(play: Play, use: str) -> None:
    options, bid, start, left = OWN[use]
    day = a_day({CALL: (4, "1.00")}, {CALL: at(bid, f"{float(bid) + 0.02:.2f}")}, start)
    stage = play(day, f"sell_module: {{strategies: [{{use: './{use}', {options}}}]}}\n")
    shutil.copy(EXAMPLES / use.partition(":")[0], stage.folder)
    for _ in range(2):
        assert stage.run("run-once").status == 0
        stage.server.advance(60)
    assert stage.held(CALL) == left


def test_a_strategy_of_an_installed_package_runs_by_the_name_of_its_entry_point(
    play: Play, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    record = site / "patience-1.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: patience\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text("[sellctl.strategies]\npatience = patience_exits:TimeStop\n")
    shutil.copy(EXAMPLES / "time_stop.py", site / "patience_exits.py")
    monkeypatch.syspath_prepend(site)
    day = a_day({CALL: (4, "1.00")}, {CALL: at("1.05", "1.07")})
    stage = play(day, "sell_module: {strategies: [{use: patience, after: 1s, needs: 20%}]}\n")
    assert "patience" in stage.run("strategies").out
    for _ in range(2):
        assert stage.run("run-once").status == 0
        stage.server.advance(60)
    assert stage.held(CALL) == 0
    assert "patience" in stage.run("history", CALL, "--format", "json").out


def test_config_check_warns_that_a_trailing_stop_only_receives_the_quotes_of_cron_runs(play: Play) -> None:
    stage = play(a_day({CALL: (4, "1.00")}, {CALL: at("1.00", "1.02")}), ruled(FOLLOWING["trailing_stop"]))
    result = stage.run("config", "check")
    assert result.status == 0
    assert "with run-once, one price per run" in result.out + result.err


@pytest.mark.parametrize(
    ("entry", "texts"),
    [
        ("use: './time_stop.py:TimeStop', aftr: 2h", ["config.yml:", "'aftr'", "Did you mean after?"]),
        ("use: './time_stop.py:TimeStop', needs: soon", ["'soon' isn't a percentage"]),
        ("use: './nowhere.py:TimeStop'", ["There is no file"]),
        ("use: './time_stop.py:Timestop'", ["has no class"]),
        ("use: 'flush'", ["There is no strategy 'flush'", "./file.py:Class"]),
    ],
)
def test_a_mistake_in_a_custom_strategy_is_reported_with_its_line(play: Play, entry: str, texts: list[str]) -> None:
    day = a_day({CALL: (4, "1.00")}, {CALL: at("1.00", "1.02")})
    stage = play(day, f"sell_module: {{strategies: [{{{entry}}}]}}\n")
    shutil.copy(EXAMPLES / "time_stop.py", stage.folder)
    assert stage.run("config", "check").status == 2
    result = stage.run("run-once")
    assert result.status == 2
    assert [text for text in texts if text not in result.err] == []
    assert stage.sent() == []


def test_strategies_prints_the_strategies_in_force_and_with_precedence_the_table_of_reasons(play: Play) -> None:
    stage = play(a_day({CALL: (4, "1.00")}, {CALL: at("1.00", "1.02")}), ruled("stop_loss: 40%", "{underlying: AAPL}"))
    result = stage.run("strategies")
    assert result.status == 0
    assert "mine" in result.out
    assert "underlying AAPL" in result.out
    assert result.out.index("stop_loss") < result.out.index("take_profit")
    rows = stage.run("strategies", "--precedence", "--format", "json").document
    assert len(rows) == len(Reason)


ATTACKS = ["H01", "H02", "H03", "H05", "H18", "O03"]


@pytest.mark.parametrize("fault", ATTACKS)
def test_under_faults_a_vertical_at_its_stop_is_closed_and_its_short_leg_never_uncovered(
    play: Play, fault: str
) -> None:
    positions = {CALL: (-2, "3.00"), HIGHER: (2, "1.00")}
    prices = {CALL: at("5.98", "6.02"), HIGHER: at("1.98", "2.02")}
    stage = play(a_day(positions, prices), ruled("stop_loss: 90%", "{structure: vertical}"))
    stage.inject_fault(fault, times=2)
    for _ in range(8):
        stage.run("run-once")
        assert stage.held(HIGHER) >= -stage.held(CALL)
        if not (stage.held(CALL) or stage.held(HIGHER)):
            break
        stage.server.advance(20)
    assert (stage.held(CALL), stage.held(HIGHER)) == (0, 0)
