"""Scenarios: what the file can say, and every mistake named with its line and what was probably meant."""

import dataclasses
import datetime as dt
import json
import re
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from sim_builders import at

from sellctl.core.errors import ConfigError
from sellctl.sim.faults.catalogue import CATALOGUE
from sellctl.sim.scenario.expectations import is_met, outcome_of
from sellctl.sim.scenario.reader import Expectation, load_scenario, packaged, parse_scenario, summary
from sellctl.sim.scenario.schema import scenario_schema
from sellctl.sim.serializers import account_json
from sellctl.sim.settings import Settings
from sellctl.sim.venue.orders import SimPosition

START = 'start: "2026-11-25 11:00"\n'
ACCOUNT = START + "accounts: {main: {}}\n"


@pytest.mark.parametrize("name", packaged())
def test_every_scenario_that_comes_with_sellctl_plays_to_its_end(name: str) -> None:
    scenario = load_scenario(name)
    exchange = scenario.exchange()
    exchange.advance_to(scenario.until or scenario.start + dt.timedelta(hours=7))
    assert exchange.notes == []
    assert summary(scenario).startswith(scenario.name)


def test_the_demo_expects_an_outcome_of_every_kind() -> None:
    expectations = load_scenario("demo").expectations
    assert {expected.ends for expected in expectations} >= {"flat", "held", "untouched", "canceled", "open", "refused"}
    assert {expected.reason for expected in expectations} >= {"take_profit", "stop_loss", "zero_day", "uncovered_short"}


def test_the_demo_expects_a_condor_to_leave_as_a_whole_at_its_target() -> None:
    condors = [expected for expected in load_scenario("demo").expectations if "iron_condor" in expected.symbol]
    assert [(condor.ends, condor.reason) for condor in condors] == [("flat", "take_profit")]


def test_a_structure_is_flat_once_none_of_its_legs_is_held() -> None:
    text = """
accounts:
  main:
    positions:
      - {symbol: F261218C00012000, qty: -1, entry: 1.00}
      - {symbol: F261218C00013000, qty: 1, entry: 0.50}
prices: {F261218C00012000: 1.00, F261218C00013000: 0.50}
events:
  - {at: "11:01", order: {account: main, symbol: F261218C00012000, side: buy, qty: 1}}
  - {at: "11:02", order: {account: main, symbol: F261218C00013000, side: sell, qty: 1}}
promises: [{account: main, symbol: F-vertical-261218-12-13C, ends: flat}]
"""
    scenario = parse_scenario(START + text)
    exchange, [promise] = scenario.exchange(), scenario.expectations
    outcomes = [outcome_of(promise, scenario, exchange)]
    for time in ("11:01:30", "11:02:30"):
        exchange.advance_to(at(time))
        outcomes.append(outcome_of(promise, scenario, exchange))
    assert outcomes == ["untouched", "held", "flat"]


def test_a_whole_scenario() -> None:
    scenario = parse_scenario(
        START
        + """
name: whole
speed: 60
until: "16:10"
settings: {inside_fill: 0.05, partial_fills: 10%, position_lag: 3s, liquidate: no}
accounts:
  main:
    key: k
    secret: s
    number: PA9
    cash: 5_000
    positions:
      - {symbol: F, qty: 100, entry: 12.10, lastday: 12.00}
    orders:
      - {symbol: F, side: sell, qty: 10, limit_price: 13, age: 10m, client_order_id: old}
prices:
  F:
    - fixed: {bid: 12.00, ask: 12.02, bid_size: 7}
    - {at: "11:10", linear: {mid: 13, spread: 0.04, until: "11:20"}}
    - {at: +30m, jump: 0.5}
    - {at: "11:40", walk: {seed: 1, sigma: 1%, step: 10s, drift: 0.1%}}
  NVDA: 195
events:
  - {at: "11:05", order: {account: main, symbol: F, side: sell, qty: 5}}
  - {at: "11:06", cancel: {account: main, client_order_id: old}}
  - {at: "11:07", quote: {symbol: NVDA, bid: 190, ask: 191}}
  - {at: "11:08", misbehave: {name: H05, status: 502, times: 3, rate: 50%}}
  - {at: "11:09", behave: all}
  - {at: "11:09", halt: NVDA}
  - {at: "11:09:30", resume: NVDA}
  - {at: "11:30", split: {symbol: F, ratio: 2}}
  - {at: "11:31", set: {account: main, refused: 401}}
misbehaviours:
  - H18
promises:
  - {account: main, symbol: F, ends: held, reason: take_profit, text: words}
"""
    )
    assert (scenario.speed, scenario.until) == (60, at("16:10"))
    assert (scenario.settings.partial_fills, scenario.settings.position_lag) == (
        Decimal("0.1"),
        dt.timedelta(seconds=3),
    )
    assert scenario.expectations == (Expectation("main", "held", "F", "", "take_profit", "words"),)
    exchange = scenario.exchange()
    account = exchange.accounts["main"]
    old = account.by_client_id["old"]
    assert (old.status, old.created_at, account.cash) == ("new", at("10:50"), 5000)
    assert [one.name for one in exchange.faults.active] == ["H18"]
    exchange.advance_to(at("11:08:30"))
    assert (account.qty_of("F"), old.status) == (95, "canceled")
    assert [one.name for one in exchange.faults.active] == ["H18", "H05"]
    exchange.advance_to(at("11:15"))
    assert exchange.quote("F") is not None
    assert exchange.faults.active == ()
    exchange.advance_to(at("11:32"))
    assert (account.qty_of("F"), account.refused) == (190, 401)


def test_a_split_that_is_not_booked_changes_only_the_price() -> None:
    text = "accounts: {main: {positions: [{symbol: F, qty: 10, entry: 12}]}}\nprices: {F: 12}\n"
    exchange = parse_scenario(
        START + text + "events: [{at: +1m, split: {symbol: F, ratio: 2, booked: false}}]\n"
    ).exchange()
    assert [(split.symbol, split.ratio) for split in exchange.splits] == [("F", 2)]
    exchange.advance_to(at("11:02"))
    position, quote = exchange.accounts["main"].positions["F"], exchange.quote("F")
    assert quote is not None
    assert (position.qty, position.avg_entry_price, quote.bid) == (10, 12, 6)


def test_a_transfer_moves_cash_and_is_shown_as_the_adjustment_of_the_day() -> None:
    exchange = parse_scenario(ACCOUNT + "events: [{at: start, transfer: {account: main, amount: -400}}]\n").exchange()
    account = exchange.accounts["main"]
    shown = account_json(account, exchange.quote, exchange.now)
    assert (shown["cash"], shown["intraday_adjustments"]) == ("99600", "-400")
    assert Decimal(shown["last_equity"]) - Decimal(shown["equity"]) == 400


def test_after_a_close_the_previous_equity_is_the_one_of_that_close_and_transfers_begin_anew() -> None:
    exchange = parse_scenario(
        ACCOUNT + "prices: {F: 15}\nevents: [{at: +1m, transfer: {account: main, amount: -400}}]\n"
    ).exchange()
    account = exchange.accounts["main"]
    account.positions["F"] = SimPosition("F", Decimal(10), Decimal(12))
    exchange.advance_to(at("16:30"))
    shown = account_json(account, exchange.quote, exchange.now)
    assert (shown["last_equity"], shown["intraday_adjustments"]) == ("99750.05", "0")


def test_a_jump_by_a_ratio_keeps_the_spread() -> None:
    text = "prices: {F: [{fixed: {bid: 10, ask: 10.10}}, {at: +1m, jump: 60%}]}\n"
    exchange = parse_scenario(START + text).exchange()
    exchange.advance_to(at("11:01"))
    quote = exchange.quote("F")
    assert quote is not None
    assert (quote.bid, quote.ask) == (Decimal("5.98"), Decimal("6.08"))


def test_a_rejected_manual_order_is_recorded_in_the_notes() -> None:
    text = ACCOUNT + "events: [{at: start, order: {account: main, symbol: F261218C00010000, side: sell, qty: 1}}]\n"
    exchange = parse_scenario(text).exchange()
    assert len(exchange.notes) == 1
    assert "rejected" in exchange.notes[0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "file: the file is empty."),
        ("start: [", "file:1: not YAML"),
        ("\tstart: x", "file:1: not YAML"),
        ("name: x\n", "file:1: start is missing."),
        ('start: "soon"\n', "file:1: start: 'soon' is not a time."),
        (START + "acounts: {}\n", "file:2: unknown key 'acounts'. Did you mean accounts?"),
        (START + START, "file:2: start is given twice."),
        (START + "speed: fast\n", "file:2: speed: 'fast' is not a number."),
        (START + "speed: -1\n", "file:2: speed can't be below 0."),
        (START + "settings: {inside_fil: 1}\n", "file:2: unknown key 'inside_fil'. Did you mean inside_fill?"),
        (START + "settings: {liquidate: maybe}\n", "file:2: liquidate: 'maybe' is neither true nor false."),
        (START + "settings: {rate_limit: 1.5}\n", "file:2: rate_limit: 1.5 is not a whole number."),
        (START + "settings: {position_lag: soon}\n", "file:2: position_lag: 'soon' is not a time span."),
        (START + "accounts: [main]\n", "file:2: accounts takes keys and values."),
        (START + "accounts: {main: {positions: {}}}\n", "file:2: positions takes a list."),
        (START + "accounts: {main: {positions: [{symbol: F, qty: 1}]}}\n", "file:2: entry is missing."),
        (START + "accounts: {main: {positions: [{symbol: F, qty: 0, entry: 1}]}}\n", "file:2: qty can't be 0"),
        (START + "accounts: {main: {cash: [1]}}\n", "file:2: cash takes one value"),
        (START + "prices: {F: {bod: 1}}\n", "file:2: unknown key 'bod'. Did you mean bid?"),
        (START + "prices: {F: {bid_size: 1}}\n", "file:2: a quote needs bid and ask, or mid."),
        (START + "prices: {F: [{fixed: 1, jump: 2}]}\n", "file:2: a segment of a path is one of"),
        (START + "prices: {F: [{linear: {mid: 2, until: start}}]}\n", "file:2: until must come after at."),
        (START + "prices: {F: [{walk: {seed: 1, sigma: 1%, step: 0}}]}\n", "file:2: step must be above 0."),
        (START + "events: [{at: start}]\n", "file:2: an event has at and exactly one of"),
        (START + "events: [{at: later, halt: F}]\n", "file:2: at: 'later' is not a time."),
        (ACCOUNT + "events: [{at: start, cancel: {account: mian}}]\n", "file:3: account: 'mian' is not one of main."),
        (START + "misbehaviours: [H99]\n", "file:2: misbehaviours: 'H99' is not one of"),
        (START + "misbehaviours: [{name: H05, stats: 1}]\n", "file:2: unknown key 'stats'. Did you mean status?"),
        (ACCOUNT + "promises: [{account: main, ends: flatt}]\n", "file:3: ends: 'flatt' is not one of"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        parse_scenario(text, "file")
    assert str(wrong.value).startswith(sentence)


def test_a_file_that_is_not_there_names_what_comes_with_sellctl() -> None:
    with pytest.raises(ConfigError, match="Did you mean demo"):
        load_scenario("demoo")


# --- the schema, and the scenarios of the documentation


def as_written(text: str) -> Any:
    """YAML as an editor's schema check sees it: numbers as numbers, everything else as text."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def documented() -> list[tuple[str, str]]:
    """Every scenario in the documentation, by the heading above it."""
    page = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")
    sections = re.split(r"^##+ ", page, flags=re.MULTILINE)[1:]
    return [
        (section.splitlines()[0], text)
        for section in sections
        for text in re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    ]


@pytest.mark.parametrize("name", packaged())
def test_the_schema_takes_every_scenario_that_comes_with_sellctl(name: str) -> None:
    text = (resources.files("sellctl.sim.scenario") / "scenarios" / f"{name}.yml").read_text(encoding="utf-8")
    assert jsonschema_rs.validator_for(scenario_schema()).is_valid(as_written(text))


@pytest.mark.parametrize(
    "text",
    [
        "speed: 1\n",
        START + "acounts: {}\n",
        START + "prices: {F: [{fixt: 1}]}\n",
        START + "misbehaviours: [H99]\n",
        START + "misbehaviours: [{name: H05, stats: 1}]\n",
        START + "events: [{at: start}]\n",
        START + "promises: [{account: a, ends: flatt}]\n",
    ],
)
def test_the_schema_finds_what_the_reader_finds(text: str) -> None:
    assert not jsonschema_rs.validator_for(scenario_schema()).is_valid(as_written(text))


def test_the_documentation_shows_at_least_five_scenarios() -> None:
    assert len(documented()) > 5


@pytest.mark.parametrize(("title", "text"), documented())
def test_every_scenario_of_the_documentation_is_read_plays_and_fits_the_schema(title: str, text: str) -> None:
    scenario = parse_scenario(text, title)
    exchange = scenario.exchange()
    exchange.advance_to(scenario.start + dt.timedelta(hours=8))
    assert jsonschema_rs.validator_for(scenario_schema()).is_valid(as_written(text))


def test_the_condor_of_the_documentation_leaves_as_one_order() -> None:
    scenario = parse_scenario(next(text for title, text in documented() if title == "Multi-leg orders"))
    exchange = scenario.exchange()
    exchange.advance_to(scenario.start + dt.timedelta(minutes=9))
    assert exchange.accounts["main"].by_client_id["target"].status == "new"
    exchange.advance_to(scenario.start + dt.timedelta(minutes=11))
    assert all(is_met(promise, outcome_of(promise, scenario, exchange)) for promise in scenario.expectations)
    assert exchange.accounts["main"].positions == {}


def test_the_documentation_names_every_setting_and_every_fault() -> None:
    page = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")
    model = (Path(__file__).parents[3] / "docs" / "market-model.md").read_text(encoding="utf-8")
    names = [field.name for field in dataclasses.fields(Settings)] + list(CATALOGUE)
    assert [name for name in names if f"`{name}`" not in page + model] == []
    assert [kind.name for kind in CATALOGUE.values() if f"| `{kind.name}` | {kind.text} |" not in page] == []
