import csv
import gc
import hashlib
import io
from pathlib import Path

import pytest
from stage import Play, three_calls

TARGET = three_calls("1.10", "1.12")
ZERO_DAY = """
    start: "{start}"
    accounts:
      main:
        key: k
        secret: s
        number: PA1
        positions: [{{symbol: {symbol}, qty: 2, entry: 1.00}}]
    prices:
      {symbol}: [{{fixed: {{bid: 1.00, ask: 1.02}}}}]
"""


def everything_in(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_target_is_sold_and_a_second_run_right_after_sends_nothing(play: Play) -> None:
    stage = play(TARGET)
    assert stage.run("run-once").status == 0
    assert stage.held("AAPL261218C00200000") == 0
    sent = stage.sent()
    assert len(sent) == 1
    assert stage.run("run-once").status == 0
    assert stage.sent() == sent


def test_a_single_run_searches_for_no_garbage_in_what_it_has_imported(play: Play) -> None:
    gc.unfreeze()
    assert play(TARGET).run("run-once").status == 0
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


def test_the_table_after_a_run_shows_what_became_of_the_order(play: Play) -> None:
    stage = play(TARGET)
    (row,) = csv.DictReader(io.StringIO(stage.run("run-once", "--format", "csv").out))
    assert (row["state"], row["what_happened"]) == ("closed", "filled at $1.10")
    assert row["why"].startswith("target +10%")


def test_the_document_of_a_run_has_the_outcome_of_its_order(play: Play) -> None:
    ((holding,),) = (plan["holdings"] for plan in play(TARGET).run("run-once", "--format", "json").document["plans"])
    assert (holding["outcome"]["result"], holding["outcome"]["filled_price"]) == ("closed", "1.1")


def test_a_dry_run_names_the_orders_of_the_real_run_and_changes_nothing(play: Play) -> None:
    stage = play(TARGET)
    stage.state.mkdir()
    before = everything_in(stage.state)
    dry = stage.run("run-once", "--dry-run", "--format", "json").document
    assert everything_in(stage.state) == before
    assert stage.sent() == []
    real = stage.run("run-once", "--format", "json").document
    orders = [[holding["order"] for holding in plan["holdings"]] for plan in dry["plans"]]
    assert orders == [[holding["order"] for holding in plan["holdings"]] for plan in real["plans"]]
    assert orders[0][0]["client_order_id"] == stage.orders()[0].client_order_id


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "UTC", "America/New_York", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    ("start", "symbol", "leaves"),
    [
        ("2026-11-27 11:50", "AAPL261127C00200000", False),
        ("2026-11-27 12:10", "AAPL261127C00200000", True),
        ("2026-11-25 14:50", "AAPL261125C00200000", False),
        ("2026-11-25 14:57", "AAPL261125C00200000", True),
        ("2026-11-25 14:57", "SPY261125C00600000", False),
        ("2026-11-25 15:12", "SPY261125C00600000", True),
    ],
)
def test_a_zero_day_option_is_closed_by_the_brokers_clock(
    play: Play, monkeypatch: pytest.MonkeyPatch, zone: str, start: str, symbol: str, *, leaves: bool
) -> None:
    monkeypatch.setenv("TZ", zone)
    stage = play(ZERO_DAY.format(start=start, symbol=symbol))
    assert stage.run("run-once").status == 0
    assert (stage.held(symbol) == 0) is leaves


def test_a_configuration_with_the_basic_keys_works(play: Play) -> None:
    stage = play(
        TARGET,
        """
        sell_module:
          enabled: true                # false: read commands work; watch and run-once say so and exit 0
          check_interval: 5            # seconds between checks
          order_cancel_minutes: 3      # cancel sell orders older than this
          zero_day_handling: true      # force-close options that expire today
          strategy_one:
            enabled: true
            profit_rate: 1.1           # price / entry: +10% take profit
            stop_loss_rate: 0.8        # price / entry: -20% stop loss
        """,
    )
    assert stage.run("run-once").status == 0
    assert stage.held("AAPL261218C00200000") == 0


def test_detailed_exitcode_shows_that_exits_are_due(play: Play) -> None:
    assert play(TARGET).run("run-once", "--dry-run", "--detailed-exitcode").status == 10


def test_a_disabled_module_sells_nothing_and_reports_it(play: Play) -> None:
    stage = play(TARGET, "sell_module: {enabled: false}")
    result = stage.run("run-once")
    assert result.status == 0
    assert "enabled is false" in result.err
    assert stage.sent() == []


def test_while_the_market_is_closed_nothing_is_sold_and_the_run_reports_it(play: Play) -> None:
    stage = play(TARGET.replace("12:00", "17:00"))
    result = stage.run("run-once")
    assert result.status == 0
    assert "market is closed" in result.err
    assert stage.sent() == []
