"""What nothing protects, its dollars, and contracts as people write them, in what the commands show and take."""

import csv
import io
import json

from stage import Play

from sellctl.core.model.instrument import contract_text

CALL = "AAPL261218C00200000"
CONTRACT = contract_text(CALL)
HELD = f"""
start: "2026-11-24 12:00"
accounts:
  main:
    key: k
    secret: s
    positions:
      - {{symbol: {CALL}, qty: 3, entry: 1.00}}
      - {{symbol: MSFT, qty: 10, entry: 400.00}}
      - {{symbol: TSLA, qty: 1, entry: 300.00}}
prices:
  {CALL}: [{{fixed: {{bid: 1.04, ask: 1.06}}}}]
  MSFT: [{{fixed: {{bid: 410.00, ask: 410.02}}}}]
"""
SUMMARY = "PAPER: 3 positions, 2 NOT MANAGED, open P&L +$112.00 (2 of 3 known), value $4,412.00 (2 of 3 known)"
LINE = "`applies_to: [option, stock]` under sell_module.strategy_one adds stocks"


def test_positions_counts_what_nothing_protects_and_says_which_line_would_change_it(play: Play) -> None:
    stage = play(HELD)
    table = stage.run("positions", "--format", "table").out
    assert table.splitlines()[1] in SUMMARY
    assert CONTRACT in table
    (account,) = json.loads(stage.run("positions", "--format", "json").out)["accounts"]
    assert account["totals"] == {
        "positions": 3,
        "not_managed": 2,
        "exempt": 0,
        "market_value": {"dollars": "4412", "known": 2, "of": 3},
        "open_pnl": {"dollars": "112", "known": 2, "of": 3},
    }
    msft = next(each for each in account["holdings"] if each["symbol"] == "MSFT")
    assert (msft["state"], msft["market_value"], msft["open_pnl"]) == ("not managed", "4100", "100")
    assert msft["sentence"] == f"NOT MANAGED: rules cover options only; {LINE}"


def test_the_line_that_is_named_makes_it_managed(play: Play) -> None:
    stage = play(HELD, "sell_module: {strategy_one: {applies_to: [option, stock]}}\n")
    (account,) = json.loads(stage.run("positions", "--format", "json").out)["accounts"]
    assert account["totals"]["not_managed"] == 0


def test_for_programs_the_symbol_stays_and_the_contract_stands_beside_it(play: Play) -> None:
    result = play(HELD).run("positions", "--format", "csv")
    rows = {row["symbol"]: row for row in csv.DictReader(io.StringIO(result.out))}
    assert (rows[CALL]["contract"], rows[CALL]["state"], rows[CALL]["P&L"]) == (CONTRACT, "watching", "12")
    assert (rows["MSFT"]["contract"], rows["MSFT"]["state"]) == ("", "not managed")
    assert (rows["TSLA"]["value"], rows["TSLA"]["P&L"]) == ("", "")
    assert SUMMARY in result.err


def test_a_contract_is_taken_as_tables_write_it(play: Play) -> None:
    stage = play(HELD)
    assert f"symbol        {CALL}" in stage.run("positions", CONTRACT.lower(), "--format", "plain").out
    assert stage.run("exempt", CONTRACT).status == 0
    (account,) = json.loads(stage.run("positions", "--format", "json").out)["accounts"]
    assert {each["symbol"]: each["state"] for each in account["holdings"]}[CALL] == "exempt"
    assert stage.run("manage", CONTRACT).status == 0
    assert stage.run("close", CONTRACT, "--yes").status == 0
    assert stage.held(CALL) == 0
