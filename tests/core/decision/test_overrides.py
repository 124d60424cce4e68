"""Rules that a person has set for one position, in place of those of its strategy."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_market, a_policy, a_snapshot, at, replace, the_decision
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.config.schema import AssetKind, PriceBasisConfig, SellModuleConfig, StrategyOneConfig
from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explain, strategy_of
from sellctl.core.model.market import Market
from sellctl.core.model.plan import ExitSignal, PositionDecision, Reason
from sellctl.core.model.position import AT_ENTRY, Holding, Override
from sellctl.core.sell_strategies.base_strategy import BaseStrategy
from sellctl.core.sell_strategies.overridden import overridden

NOBODY = a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(enabled=False)))


def an_override(stop: str = "", target: str = "", trail: str = "", until: dt.datetime | None = None) -> Override:
    return Override("alice", at("11:00"), stop, target, trail, until)


def held(override: Override | None, bid: str = "1.00", ask: str = "1.02", peak: str | None = None) -> Holding:
    holding = a_holding(bid=bid, ask=ask)
    best = None if peak is None else Decimal(peak)
    return replace(holding, state=replace(holding.state, override=override, peak=best))


def decided(holding: Holding, **more: object) -> PositionDecision:
    return the_decision(a_snapshot(holding, **more))  # type: ignore[arg-type]


def reason_of(decision: PositionDecision) -> Reason | None:
    return decision.signal.reason if decision.signal else None


def test_a_stop_that_is_set_takes_the_place_of_the_strategys() -> None:
    assert reason_of(decided(held(None, "0.85", "0.87"))) is None
    assert reason_of(decided(held(an_override(stop="10%"), "0.85", "0.87"))) is Reason.STOP_LOSS
    assert reason_of(decided(held(an_override(stop="50%"), "0.60", "0.62"))) is None


def test_the_strategys_other_rules_go_on() -> None:
    decision = decided(held(an_override(stop="50%"), "1.20", "1.22"))
    assert reason_of(decision) is Reason.TAKE_PROFIT
    assert decision.signal
    assert decision.signal.strategy == "strategy_one"


def test_a_target_that_is_set_takes_the_place_of_the_strategys() -> None:
    assert reason_of(decided(held(an_override(target="80%"), "1.20", "1.22"))) is None
    assert reason_of(decided(held(an_override(target="price 1.80"), "1.80", "1.82"))) is Reason.TAKE_PROFIT


def test_a_trailing_stop_that_is_set_follows_from_the_best_price_although_that_is_a_loss() -> None:
    assert reason_of(decided(held(an_override(trail="5pt"), "0.87", "0.89", peak="0.95"))) is Reason.TRAILING_STOP
    assert reason_of(decided(held(an_override(trail="15pt"), "0.87", "0.89", peak="0.95"))) is None


def test_breakeven_is_a_stop_at_the_entry_price() -> None:
    decision = decided(held(an_override(stop=AT_ENTRY), "0.98", "1.00"))
    assert reason_of(decision) is Reason.STOP_LOSS
    assert "stop at the entry price: mid $0.99 is at or below the stop $1.00" in decision.sentence
    assert reason_of(decided(held(an_override(stop=AT_ENTRY), "1.02", "1.04"))) is None


def test_after_its_end_the_strategys_own_rules_apply_again() -> None:
    tight = an_override(stop="10%", until=at("12:30"))
    assert reason_of(decided(held(tight, "0.85", "0.87"), market=a_market("12:29"))) is Reason.STOP_LOSS
    assert reason_of(decided(held(tight, "0.85", "0.87"), market=a_market("12:30"))) is None


def test_it_protects_a_position_that_no_strategy_matches() -> None:
    loose, set_by_hand = held(None, "0.60", "0.62"), held(an_override(stop="10%"), "0.60", "0.62")
    assert reason_of(the_decision(a_snapshot(loose), NOBODY)) is None
    assert reason_of(the_decision(a_snapshot(set_by_hand), NOBODY)) is Reason.STOP_LOSS


def test_it_is_shown_with_its_end_and_its_author() -> None:
    override = an_override(stop="25%", until=at("16:00"))
    explanation = explain(a_snapshot(held(override)), a_policy(), CALL)
    assert explanation
    assert "stop 25% until" in explanation.sentence
    assert "set by alice" in explanation.sentence
    assert explanation.strategy
    assert [rule.label for rule in explanation.strategy.rules] == ["stop -25%", "target +10%"]


@dataclass(frozen=True)
class Broken(BaseStrategy):
    """A strategy of the user's own that fails."""

    def signals(self, _holding: Holding, _market: Market) -> tuple[ExitSignal, ...]:
        raise ZeroDivisionError


def test_a_stop_that_is_set_fires_although_the_strategy_fails() -> None:
    strategy = overridden(Broken(), an_override(stop="10%"), PriceBasisConfig())
    fallen, stays = held(None, "0.60", "0.62"), held(None)
    prices = [
        replace(each, prices=replace(each.prices, bid=each.quote.bid, ask=each.quote.ask, problem=""))
        for each in (fallen, stays)
        if each.quote
    ]
    assert [signal.reason for signal in strategy.signals(prices[0], a_market())] == [Reason.STOP_LOSS]
    with pytest.raises(ZeroDivisionError):
        strategy.signals(prices[1], a_market())


@given(stop=st.integers(1, 95), target=st.integers(1, 300), cents=st.integers(1, 400), qty=st.integers(1, 9))
def test_what_is_set_decides_as_the_same_numbers_in_the_configuration(
    stop: int, target: int, cents: int, qty: int
) -> None:
    bid, ask = Decimal(cents) / 100, Decimal(cents + 2) / 100
    holding = a_holding(qty=str(qty), bid=str(bid), ask=str(ask))
    one = StrategyOneConfig(
        profit_rate=1 + Decimal(target) / 100, stop_loss_rate=1 - Decimal(stop) / 100, applies_to=(AssetKind.OPTION,)
    )
    override = an_override(stop=f"{stop}%", target=f"{target}%")
    by_hand = replace(holding, state=replace(holding.state, override=override))
    configured = decide(a_snapshot(holding), a_policy(SellModuleConfig(strategy_one=one))).decisions[0]
    set_by_hand = decide(a_snapshot(by_hand), a_policy()).decisions[0]
    assert (set_by_hand.state, set_by_hand.sentence) == (configured.state, configured.sentence)
    assert set_by_hand.triggers == configured.triggers
    assert bool(set_by_hand.submit) == bool(configured.submit)
    if set_by_hand.submit and configured.submit:
        assert set_by_hand.submit.limit_price == configured.submit.limit_price


def test_each_rule_says_whether_it_is_set_by_hand() -> None:
    snapshot = a_snapshot(held(an_override(stop="10%")))
    decision = decide(snapshot, a_policy()).decisions[0]
    state = strategy_of(decision, snapshot, a_policy())
    assert state is not None
    assert [rule.sentence for rule in state.rules] == ["stop -10% at $0.90, set by hand", "target +10% at $1.10"]
