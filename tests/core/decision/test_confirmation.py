from decimal import Decimal

import pytest
from builders import a_holding, a_policy, a_quote, a_snapshot, an_exit, replace, the_decision

from sellctl.core.config.schema import (
    AccountConfig,
    AssetKind,
    Config,
    ExecutionConfig,
    SellModuleConfig,
    StrategyOneConfig,
    Style,
)
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import compile_policy
from sellctl.core.model.market import Window
from sellctl.core.model.plan import DecisionState
from sellctl.core.model.position import Holding, PositionState

STOCKS = a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(applies_to=(AssetKind.STOCK,))))


def with_best_quote(holding: Holding, bid: str, ask: str) -> Holding:
    """The holding with a window whose best quote was at these prices."""
    assert holding.quote is not None
    best = a_quote(holding.symbol, bid, ask)
    return replace(holding, state=replace(holding.state, window=Window(best, holding.quote)))


def test_a_stop_waits_for_a_second_quote_and_no_person_is_alarmed() -> None:
    decision = the_decision(a_snapshot(a_holding(bid="0.70", ask="0.72"), confirmed=False))
    assert (decision.state, decision.submit, decision.alert) == (DecisionState.DENIED, None, False)
    assert "waiting for a second quote" in decision.sentence
    assert decision.unconfirmed


def test_a_stop_fires_once_two_quotes_agree() -> None:
    decision = the_decision(a_snapshot(a_holding(bid="0.70", ask="0.72"), confirmed=True))
    assert decision.submit is not None
    assert not decision.unconfirmed


def test_a_stop_does_not_fire_while_a_quote_in_between_disagreed() -> None:
    holding = with_best_quote(a_holding(bid="0.70", ask="0.72"), "0.95", "0.97")
    assert the_decision(a_snapshot(holding)).unconfirmed


def test_a_target_needs_no_second_quote() -> None:
    decision = the_decision(a_snapshot(a_holding(bid="1.20", ask="1.22"), confirmed=False))
    assert decision.submit is not None


AT_MARKET = compile_policy(
    Config(accounts={"main": AccountConfig("k", "s")}, execution=ExecutionConfig(style=Style.MARKET)), "main"
)


def test_a_target_that_leaves_at_market_waits_for_a_second_quote_for_no_limit_protects_it() -> None:
    holding = a_holding(bid="1.20", ask="1.22")
    waiting = decide(a_snapshot(holding, confirmed=False), AT_MARKET).decisions[0]
    assert (waiting.submit, waiting.unconfirmed) == (None, True)
    assert decide(a_snapshot(holding, confirmed=True), AT_MARKET).decisions[0].submit is not None


def test_a_target_that_leaves_at_market_must_be_met_at_the_worst_of_the_quotes() -> None:
    holding = a_holding(bid="1.20", ask="1.22")
    spiked = replace(
        holding, state=PositionState(window=Window(high=holding.quote, low=a_quote(holding.symbol, "1.00", "1.02")))
    )  # type: ignore[arg-type]
    assert decide(a_snapshot(spiked), AT_MARKET).decisions[0].submit is None


def test_a_manual_exit_does_not_wait_with_the_stop() -> None:
    snapshot = a_snapshot(a_holding(bid="0.70", ask="0.72"), confirmed=False)
    decision = the_decision(replace(snapshot, manual_closes=frozenset({snapshot.holdings[0].symbol})))
    assert decision.submit is not None
    assert decision.unconfirmed


def test_a_stop_that_is_under_way_goes_on_without_agreeing_anew() -> None:
    state = an_exit(1, seconds=20)
    holding = a_holding(bid="0.70", ask="0.72", state=state)
    assert the_decision(a_snapshot(holding, confirmed=False)).submit is not None


@pytest.mark.parametrize(
    ("position_price", "last_trade", "fires"),
    [("70", None, True), ("99", None, False), ("99", "70", True), (None, None, False), (None, "79", True)],
)
def test_a_stock_stop_on_iex_needs_a_trade_or_the_positions_price(
    position_price: str | None, last_trade: str | None, *, fires: bool
) -> None:
    holding = a_holding("AAPL", entry="100", bid="70.00", ask="70.10")
    assert holding.quote is not None
    position = replace(holding.position, current_price=Decimal(position_price) if position_price else None)
    state = PositionState(last_trade=Decimal(last_trade) if last_trade else None)
    holding = replace(holding, position=position, quote=replace(holding.quote, feed="iex"), state=state)
    decision = the_decision(a_snapshot(holding), STOCKS)
    assert (decision.submit is not None) is fires
    if not fires:
        assert "to confirm the IEX quote" in decision.sentence
        assert decision.alert


def test_a_plan_takes_what_waited_from_the_plan_of_the_second_quote() -> None:
    waiting, held = a_holding(bid="0.70", ask="0.72"), a_holding("SPY261218C00600000")
    first = decide(a_snapshot(waiting, held, confirmed=False), a_policy())
    second = decide(a_snapshot(waiting, held), a_policy())
    whole = first.confirmed_by(second)
    assert first.is_unconfirmed
    assert not whole.is_unconfirmed
    assert [decision.holding.symbol for decision in whole.submits] == [waiting.symbol]
