"""What the user is told of a position for which nothing can be done: an overdue exit, or lost quotes."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from builders import a_holding, a_market, a_policy, a_snapshot, at, replace, the_decision

from sellctl.core.config.schema import RulesConfig, SellModuleConfig, StrategyConfig, UnderlyingConfig
from sellctl.core.model.plan import DecisionState
from sellctl.core.model.position import Holding, PositionState

SHAPES: dict[str, dict[str, Any]] = {
    "no ask": {"ask": None},
    "no bid": {"bid": None},
    "no quote": {"bid": None, "ask": None},
    "quote is crossed: bid 1.10 over ask 1.02": {"bid": "1.10"},
    "quote is 960 s old": {"quoted_at": at("11:44")},
}


def unquoted(minutes: float | None, **quote: Any) -> Holding:
    """A position whose quote has been unusable for so long."""
    lasts = None if minutes is None else dt.timedelta(minutes=minutes)
    return a_holding(state=PositionState(unquoted_for=lasts), **quote)


@pytest.mark.parametrize("problem", SHAPES)
def test_a_position_without_a_usable_quote_for_five_minutes_has_a_state_of_its_own_and_an_alert(problem: str) -> None:
    decision = the_decision(a_snapshot(unquoted(5, **SHAPES[problem])))
    assert (decision.state, decision.unquoted, decision.alert) == (DecisionState.NO_QUOTE, problem, True)
    assert decision.sentence == f"no usable quote for 5 min ({problem}): rules on its price can't fire until one comes"


@pytest.mark.parametrize("minutes", [None, 4.9])
@pytest.mark.parametrize("problem", SHAPES)
def test_until_then_it_is_watched_and_no_alert(problem: str, minutes: float | None) -> None:
    decision = the_decision(a_snapshot(unquoted(minutes, **SHAPES[problem])))
    assert (decision.state, decision.unquoted, decision.alert) == (DecisionState.WATCHING, problem, False)


def test_a_usable_quote_ends_it_at_once() -> None:
    decision = the_decision(a_snapshot(unquoted(9)))
    assert (decision.state, decision.unquoted) == (DecisionState.WATCHING, "")


def test_while_the_market_is_closed_no_quote_is_missed() -> None:
    decision = the_decision(a_snapshot(unquoted(9, bid=None, ask=None), market=a_market("16:30")))
    assert (decision.state, decision.unquoted) == (DecisionState.WATCHING, "")


def test_a_position_without_rules_on_a_price_needs_no_quote() -> None:
    not_managed = replace(a_snapshot(unquoted(9, bid=None, ask=None)), exempt=frozenset({"AAPL"}))
    assert the_decision(not_managed).state is DecisionState.EXEMPT


def test_an_exit_that_is_due_without_a_quote_keeps_its_state() -> None:
    closing = replace(a_snapshot(unquoted(9, bid=None, ask=None)), manual_closes=frozenset({unquoted(9).symbol}))
    decision = the_decision(closing)
    assert (decision.state, decision.unquoted) == (DecisionState.DENIED, "no quote")


def test_a_rule_on_the_underlying_misses_the_underlyings_quote() -> None:
    touch = StrategyConfig("touch", rules=RulesConfig(underlying=UnderlyingConfig(above=Decimal(210))))
    policy = a_policy(SellModuleConfig(strategies=(touch,)))
    decision = the_decision(a_snapshot(unquoted(5)), policy)
    assert (decision.state, decision.unquoted) == (DecisionState.NO_QUOTE, "AAPL: no quote")
