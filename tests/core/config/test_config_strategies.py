"""Strategies in the file: read in their units; a contradiction is an error, a doubtful rule a warning."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest

from sellctl.core.config.schema import AssetKind, IntRange, Pullback, RoiStep, SideKind
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.errors import ConfigError
from sellctl.core.model.gain import Amount, AmountUnit

D = Decimal
Rules = Callable[[str], str]
Load = Callable[[str], LoadedConfig]
Refuse = Callable[[str], ConfigError]


def one(rules: str, match: str = "{}") -> str:
    return f"strategies: [{{name: mine, match: {match}, rules: {{{rules}}}}}]"


def test_every_kind_of_rule_is_read_in_its_unit(load: Load, rules: Rules) -> None:
    text = (
        "stop_loss: 40%, trailing_stop: {activation: 30%, trail: 15pt}, roi_table: {0: 100%, 60m: 50%}, max_hold: 2d, "
        "days_to_expiry: 1, before_close: 10m, scale_out: [{at: 50%, sell: 50%}], breakeven: {activation: 25%}"
    )
    match = '{underlying: [SPY, QQQ], asset: option, side: long, dte: "<=7", account: main}'
    (strategy,) = load(rules(one(text, match))).config.sell_module.strategies
    assert strategy.match.underlying == ("SPY", "QQQ")
    assert (strategy.match.asset, strategy.match.side) == ((AssetKind.OPTION,), SideKind.LONG)
    assert strategy.match.dte == IntRange(None, 7)
    found = strategy.rules
    assert found.stop_loss == Amount(D("0.4"))
    assert found.trailing_stop is not None
    assert found.trailing_stop.trail == Pullback(D("0.15"))
    assert found.roi_table == (RoiStep(dt.timedelta(0), D(1)), RoiStep(dt.timedelta(hours=1), D("0.5")))
    assert (found.max_hold, found.before_close) == (dt.timedelta(days=2), dt.timedelta(minutes=10))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("40%", Amount(D("0.4"))),
        ("$120/contract", Amount(D(120), AmountUnit.CONTRACT)),
        ("$500/position", Amount(D(500), AmountUnit.POSITION)),
        ("price 1.50", Amount(D("1.50"), AmountUnit.PRICE)),
    ],
)
def test_an_amount_says_what_it_counts_in(load: Load, rules: Rules, text: str, amount: Amount) -> None:
    (strategy,) = load(rules(one(f"stop_loss: {text}"))).config.sell_module.strategies
    assert strategy.rules.stop_loss == amount


REFUSED = {
    "activation above the target": "take_profit: 30%, trailing_stop: {activation: 40%, trail: 10pt}",
    "a target before breakeven is set": "take_profit: 20%, breakeven: {activation: 25%}",
    "a stop that no price reaches": "stop_loss: 100%",
    "a stop of -20": "stop_loss: -20%",
    "a stop of 20": "stop_loss: 20",
    "a stop of 0.2": "stop_loss: 0.2",
    "dollars without per what": "stop_loss: $20",
    "a breakeven that fires at once": "breakeven: {activation: 10%, keep: 10%}",
    "a profit lock that fires at once": "profit_lock: [{at: 20%, keep: 30%}]",
    "a floor above the activation": "trailing_stop: {activation: 10%, trail: 5pt, floor: 20%}",
    "partial exits of more than everything": "scale_out: [{at: 50%, sell: 60%}, {at: 90%, sell: 60%}]",
    "two partial exits at one gain": "scale_out: [{at: 50%, sell: 20%}, {at: 50%, sell: 20%}]",
    "a trail without a unit": "trailing_stop: {trail: 15}",
    "a time outside the session": 'exit_at: "16:30"',
    "an underlying without a price": "underlying: {}",
    "an underlying that is always touched": "underlying: {above: 10, below: 20}",
    "a table that says one time twice": "roi_table: {60m: 10%, 1h: 20%}",
    "no rule at all": "",
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_contradiction_is_refused_with_its_line(refuse: Refuse, rules: Rules, mistake: str) -> None:
    error = refuse(rules(one(REFUSED[mistake])))
    assert "config.yml:6" in error.sentence
    assert error.hint


@pytest.mark.parametrize("match", ["{side: short}", "{structure: vertical}", "{structure: [short_put, covered_call]}"])
def test_what_was_sold_may_lose_more_than_it_brought(load: Load, rules: Rules, match: str) -> None:
    (strategy,) = load(rules(one("stop_loss: 200%", match))).config.sell_module.strategies
    assert strategy.rules.stop_loss == Amount(D(2))


@pytest.mark.parametrize("match", ["{side: long}", "{structure: single}", "{side: long, structure: vertical}"])
def test_what_was_paid_for_may_not(refuse: Refuse, rules: Rules, match: str) -> None:
    assert "a long position can never lose that" in refuse(rules(one("stop_loss: 200%", match))).sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("trailing_stop: {activation: 10%, trail: 15pt}", "wider than its activation"),
        ("trailing_stop: {activation: 30%, trail: 15pt}", "uses only the prices at sellctl's own checks"),
        ("roi_table: {0: 10%, 60m: 50%}", "rises with time held"),
    ],
)
def test_a_doubtful_rule_is_warned_of(load: Load, rules: Rules, text: str, sentence: str) -> None:
    assert any(sentence in warning for warning in load(rules(one(text))).warnings)


def test_a_name_is_given_once_and_an_unknown_rule_is_named(refuse: Refuse, rules: Rules) -> None:
    entry = "{name: a, match: {symbol: SPY}, rules: {stop_loss: 40%}}"
    assert "taken" in refuse(rules(f"strategies: [{entry}, {entry}]")).sentence
    assert "Did you mean stop_loss?" in refuse(rules(one("stop_los: 40%"))).hint


def test_the_account_guard_counts_in_shares_or_dollars_of_the_account(refuse: Refuse, load: Load, rules: Rules) -> None:
    guard = load(rules("account_guard: {loss: 5%, action: halt}")).config.sell_module.account_guard
    assert guard.loss == Amount(D("0.05"))
    assert "whole account" in refuse(rules("account_guard: {loss: price 5}")).sentence


@pytest.mark.parametrize(
    ("backstop", "says"),
    [
        ("stop: 20%", "stop: 20% isn't wider than strategy_one's stop_loss_rate at 20%"),
        ("trail: 15%", "trail: 15% isn't wider than strategy_one's stop_loss_rate at 20%"),
        ("stop: 35%", "isn't wider than sell_module.strategies[0].rules.stop_loss at 40%"),
        ("stop: 100%", "isn't between 0% and 100%"),
        ("trail: 60%, assets: [option]", "is for stocks, and assets has none"),
    ],
)
def test_a_backstop_that_is_not_wider_than_every_stop_is_refused(
    refuse: Refuse, rules: Rules, backstop: str, says: str
) -> None:
    text = rules(one("stop_loss: 40%"))
    assert says in str(refuse(f"{text}\nexecution: {{backstop: {{{backstop}}}}}\n"))


def test_a_backstop_wider_than_every_stop_loads_and_one_that_cannot_be_compared_has_a_warning(
    load: Load, rules: Rules
) -> None:
    loaded = load(rules(one("stop_loss: $30/contract")) + "\nexecution: {backstop: {stop: 50%, trail: 30%}}\n")
    assert (loaded.config.execution.backstop.stop, loaded.config.execution.backstop.trail) == (D("0.5"), D("0.3"))
    assert any("can't be checked" in str(warning) for warning in loaded.warnings)
