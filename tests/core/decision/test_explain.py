"""Why a position stays or closes, as the user reads it."""

import datetime as dt

import pytest
from builders import (
    CALL,
    PUT,
    a_config,
    a_holding,
    a_market,
    a_policy,
    a_snapshot,
    an_order,
    at,
    replace,
    the_decision,
)

from sellctl.core.config.schema import (
    AssetKind,
    BackstopConfig,
    ExecutionConfig,
    MatchConfig,
    SellModuleConfig,
    StrategyConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explain, explain_all, explained
from sellctl.core.decision.policy import compile_policy
from sellctl.core.model.market import Market
from sellctl.core.model.plan import DecisionState, ExitSignal, Reason
from sellctl.core.model.position import Holding, PositionState, Prices
from sellctl.core.sell_strategies.base_strategy import BaseStrategy


def test_what_is_not_held_has_no_explanation() -> None:
    assert explain(a_snapshot(a_holding()), a_policy(), "MSFT") is None


def test_an_explanation_has_the_sentence_the_triggers_the_gain_and_the_rules() -> None:
    explanation = explain(a_snapshot(a_holding(bid="1.04", ask="1.06")), a_policy(), CALL)
    assert explanation is not None
    assert explanation.sentence == "+4% at the bid of $1.04 and +5% at the mid of $1.05: no rule is met"
    assert [(each.reason, str(each.price)) for each in explanation.triggers] == [
        (Reason.STOP_LOSS, "0.800"),
        (Reason.TAKE_PROFIT, "1.100"),
    ]
    assert f"{explanation.gain:.2f}" == "0.04"
    assert explanation.strategy is not None
    assert [rule.sentence for rule in explanation.strategy.rules] == ["stop -20% at $0.80", "target +10% at $1.10"]


def test_a_position_that_closes_is_explained_by_the_decision() -> None:
    snapshot = a_snapshot(a_holding(bid="1.20", ask="1.22"))
    explanation = explain(snapshot, a_policy(), CALL)
    assert explanation is not None
    assert explanation.sentence == decide(snapshot, a_policy()).decisions[0].sentence
    assert explanation.strategy is not None
    assert explanation.strategy.rules[1].sentence == "target +10% at $1.10 (met)"


def test_decide_builds_no_sentence_for_a_position_that_stays_and_explained_adds_it() -> None:
    snapshot = a_snapshot(a_holding(bid="1.04", ask="1.06"))
    plan = decide(snapshot, a_policy())
    assert (plan.decisions[0].state, plan.decisions[0].sentence) == (DecisionState.WATCHING, "")
    shown = explained(plan, snapshot, a_policy())
    assert shown.decisions[0].sentence.endswith("no rule is met")
    assert replace(shown, decisions=plan.decisions) == plan


def test_a_target_touched_on_a_wide_spread_says_why_it_does_not_fire() -> None:
    sentence = the_decision(a_snapshot(a_holding(bid="1.20", ask="2.40"))).sentence
    assert sentence.endswith("target touched, but the spread is too wide to act on")


def test_a_stop_touched_on_a_wide_spread_says_why_it_does_not_fire() -> None:
    sentence = the_decision(a_snapshot(a_holding(bid="0.40", ask="0.90"))).sentence
    rule = "a stop fires on the ask now, and on the mid after 1 min of width (0 s so far)"
    assert sentence.endswith(f"stop touched, but the spread is too wide to act on; {rule}")


@pytest.mark.parametrize(
    ("seconds", "rule"),
    [
        (20, "a stop fires on the ask now, and on the mid after 1 min of width (20 s so far)"),
        (60, "a stop fires on the mid, because the spread has been wide for 1 min"),
    ],
)
def test_a_wide_spread_between_the_triggers_says_when_a_stop_may_fire(seconds: int, rule: str) -> None:
    state = PositionState(wide_for=dt.timedelta(seconds=seconds))
    sentence = the_decision(a_snapshot(a_holding(bid="0.85", ask="1.30", state=state))).sentence
    assert f"the spread is wide: no target fires, and {rule}" in sentence


def test_what_strategy_one_does_not_cover_says_so() -> None:
    stock = a_snapshot(a_holding("AAPL", "1", "100", bid="100", ask="100.02"))
    both = StrategyOneConfig(applies_to=(AssetKind.OPTION, AssetKind.STOCK))
    assert the_decision(stock).sentence == "NOT MANAGED: rules cover options only (applies_to)"
    assert "NOT MANAGED" not in the_decision(stock, a_policy(SellModuleConfig(strategy_one=both))).sentence
    other = SellModuleConfig(strategies=(StrategyConfig(name="spy", match=MatchConfig(symbol=("SPY",))),))
    sentence = the_decision(stock, a_policy(other)).sentence
    assert sentence == (
        "NOT MANAGED: no other strategy matches it, and strategy one's rules cover options only (applies_to)"
    )


def test_an_option_without_any_strategy_has_no_target_and_no_stop() -> None:
    off = a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(enabled=False)))
    assert the_decision(a_snapshot(a_holding()), off).sentence == "without a target or stop: no strategy matches it"


def test_what_a_person_exempted_says_so_and_nothing_more() -> None:
    snapshot = replace(a_snapshot(a_holding(bid="1.20", ask="1.22")), exempt=frozenset({"AAPL"}))
    decision = the_decision(snapshot)
    assert (decision.state, decision.sentence, decision.triggers) == (DecisionState.WATCHING, "exempt (by you)", ())


def test_suspended_rules_are_an_alert_that_names_the_command_which_resumes_them() -> None:
    snapshot = a_snapshot(a_holding(state=PositionState(suspended="looks like a split")))
    (decided,) = decide(snapshot, a_policy()).decisions
    assert decided.alert
    assert decided.sentence == (
        f"its strategy's rules are suspended: looks like a split; `sellctl manage {CALL}` resumes them"
    )
    assert the_decision(snapshot).sentence == decided.sentence
    explanation = explain(snapshot, a_policy(), CALL)
    assert explanation is not None
    assert explanation.triggers == ()


def test_a_halt_is_named_where_an_order_is_not_sent() -> None:
    snapshot = replace(a_snapshot(a_holding(bid="1.20", ask="1.22")), halted="earnings tonight")
    decision = the_decision(snapshot)
    assert decision.is_halted
    assert decision.sentence.endswith("; not sent: halted (earnings tonight)")


def test_a_position_at_fault_is_explained_by_the_fault() -> None:
    snapshot = a_snapshot(a_holding(qty="0"))
    explanation = explain(snapshot, a_policy(), CALL)
    assert explanation is not None
    assert (explanation.sentence, explanation.gain, explanation.strategy) == (
        "it could not be evaluated: its quantity is 0",
        None,
        None,
    )


class Raising(BaseStrategy):
    """A strategy whose label raises, though its rules do not."""

    def signals(self, holding: Holding, market: Market) -> tuple[ExitSignal, ...]:
        raise LookupError(f"no idea about {holding.symbol} at {market.today}")


def test_a_strategy_that_raises_spoils_only_its_own_explanation() -> None:
    policy = replace(a_policy(), strategies=(Raising(),))
    explanations = explain_all(a_snapshot(a_holding(), a_holding(PUT)), policy)
    assert all("LookupError" in each.sentence for each in explanations.values())
    assert all(each.strategy is None for each in explanations.values())


def test_outside_the_session_the_triggers_are_known_and_the_sentence_says_closed() -> None:
    evening = a_market("20:00")
    explanation = explain(a_snapshot(a_holding(quoted_at=at("15:59")), market=evening), a_policy(), CALL)
    assert explanation is not None
    assert explanation.sentence == "the market is closed"
    assert len(explanation.triggers) == 2


def test_a_backstop_that_rests_is_named_behind_why_the_position_stays() -> None:
    from decimal import Decimal  # noqa: PLC0415

    config = a_config(execution=ExecutionConfig(backstop=BackstopConfig(stop=Decimal("0.5"))))
    policy = compile_policy(config, "main")
    placed = the_decision(a_snapshot(a_holding()), policy)
    assert placed.backstop is not None
    assert "no rule is met; backstop: sell 1 stop $0.50 (day) placed at the broker" in placed.sentence


def test_the_users_order_and_the_rules_of_a_position_are_independent() -> None:
    snapshot = a_snapshot(a_holding(bid="1.04", ask="1.06"), orders=(an_order(limit="2.00"),))
    assert the_decision(snapshot).sentence.endswith("no rule is met")


def test_a_quote_that_is_not_usable_says_which_side_is_missing() -> None:
    held = a_holding(bid=None, ask="1.02")
    sentence = the_decision(a_snapshot(held)).sentence
    assert sentence == "no bid: no price rule can fire"
    assert replace(held, prices=Prices()).gain is None
