"""Why a position stays or closes, as the user reads it."""

import datetime as dt
from decimal import Decimal

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
    AccountGuardConfig,
    AssetKind,
    BackstopConfig,
    ExecutionConfig,
    MatchConfig,
    RulesConfig,
    SellModuleConfig,
    ShortAction,
    ShortPositionsConfig,
    SideKind,
    StrategyConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explain, explain_all, explained
from sellctl.core.decision.policy import compile_policy
from sellctl.core.model.gain import Amount, AmountUnit
from sellctl.core.model.market import Market
from sellctl.core.model.plan import DecisionState, ExitSignal, Reason
from sellctl.core.model.position import Holding, PositionState, Prices
from sellctl.core.sell_strategies.base_strategy import BaseStrategy

D = Decimal


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
    rule = "a stop fires on the ask now, and on the mid after 1 min of width"
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
    line = "`applies_to: [option, stock]` under sell_module.strategy_one adds stocks"
    decision = the_decision(stock)
    assert decision.state is DecisionState.NOT_MANAGED
    assert decision.sentence == f"NOT MANAGED: rules cover options only; {line}"
    assert "NOT MANAGED" not in the_decision(stock, a_policy(SellModuleConfig(strategy_one=both))).sentence
    other = SellModuleConfig(strategies=(StrategyConfig(name="spy", match=MatchConfig(symbol=("SPY",))),))
    sentence = the_decision(stock, a_policy(other)).sentence
    assert sentence == (
        f"NOT MANAGED: no other strategy matches it, and strategy one's rules cover options only; {line}"
    )


def test_an_option_without_any_strategy_has_no_target_and_no_stop() -> None:
    off = a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(enabled=False)))
    decision = the_decision(a_snapshot(a_holding()), off)
    assert decision.state is DecisionState.NOT_MANAGED
    assert decision.sentence == (
        "NOT MANAGED: no strategy matches it; `enabled: true` under sell_module.strategy_one adds a target and a stop; "
        "only its last day and a panic close it"
    )


def test_what_a_person_exempted_says_so_and_nothing_more() -> None:
    snapshot = replace(a_snapshot(a_holding(bid="1.20", ask="1.22")), exempt=frozenset({"AAPL"}))
    decision = the_decision(snapshot)
    assert (decision.state, decision.sentence, decision.triggers) == (DecisionState.EXEMPT, "exempt (by you)", ())


def test_an_exemption_that_ends_says_when_and_ends_by_the_brokers_clock() -> None:
    until = {"AAPL": at("12:00")}
    due = replace(a_snapshot(a_holding(bid="1.20", ask="1.22")), exempt=frozenset({"AAPL"}), exempt_until=until)
    before, after = (replace(due, market=a_market(clock)) for clock in ("11:59:59", "12:00"))
    assert the_decision(before).state is DecisionState.EXEMPT
    assert the_decision(before).sentence == "exempt (by you, until Tue 24 Nov 2026 12:00 ET)"
    assert the_decision(after).state is DecisionState.CLOSING


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ({"AAPL": at("13:00"), CALL: at("15:30")}, "exempt (by you, until Tue 24 Nov 2026 15:30 ET)"),
        ({"AAPL": at("11:00"), CALL: at("15:30")}, "exempt (by you, until Tue 24 Nov 2026 15:30 ET)"),
        ({"AAPL": at("11:00")}, "exempt (by you)"),
        ({CALL: at("13:00")}, "exempt (by you)"),
    ],
)
def test_of_two_exemptions_the_one_that_lasts_longer_counts(ends: dict[str, dt.datetime], said: str) -> None:
    snapshot = replace(a_snapshot(a_holding()), exempt=frozenset({"AAPL", CALL}), exempt_until=ends)
    assert the_decision(snapshot).sentence == said


def test_suspended_rules_are_an_alert_that_names_the_command_which_resumes_them() -> None:
    snapshot = a_snapshot(a_holding(state=PositionState(suspended="looks like a split")))
    (decided,) = decide(snapshot, a_policy()).decisions
    assert decided.alert
    assert decided.sentence == (
        f"its strategy's rules are suspended: looks like a split; `sellctl manage {CALL}` resumes them"
    )
    shown = the_decision(snapshot)
    assert (shown.state, shown.sentence) == (DecisionState.NOT_MANAGED, f"NOT MANAGED: {decided.sentence}")
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
    config = a_config(execution=ExecutionConfig(backstop=BackstopConfig(stop=Decimal("0.5"))))
    policy = compile_policy(config, "main")
    placed = the_decision(a_snapshot(a_holding()), policy)
    assert placed.backstop is not None
    assert "no rule is met; backstop: sell 1 stop $0.50 (day) to be placed at the broker" in placed.sentence


def test_the_users_order_and_the_rules_of_a_position_are_independent() -> None:
    snapshot = a_snapshot(a_holding(bid="1.04", ask="1.06"), orders=(an_order(limit="2.00"),))
    assert the_decision(snapshot).sentence.endswith("no rule is met")


def test_a_quote_that_is_not_usable_says_which_side_is_missing() -> None:
    held = a_holding(bid=None, ask="1.02")
    sentence = the_decision(a_snapshot(held)).sentence
    assert sentence == "no bid: no price rule can fire"
    assert replace(held, prices=Prices()).gain is None


# --- what nothing protects --------------------------------------------------------------------------------------------

OFF = StrategyOneConfig(enabled=False)
STOCKS = StrategyOneConfig(applies_to=(AssetKind.STOCK,))
ADDED = "under sell_module.strategies adds rules"


def unprotected(sell: SellModuleConfig, *holdings: Holding, symbol: str | None = None, **more: object) -> str:
    """The sentence on a position, which has to be NOT MANAGED."""
    decision = the_decision(a_snapshot(*holdings, **more), a_policy(sell), symbol)  # type: ignore[arg-type]
    assert decision.state is DecisionState.NOT_MANAGED
    assert not decision.is_notable or decision.alert
    return decision.sentence


def test_an_option_is_told_which_line_adds_options() -> None:
    sentence = unprotected(SellModuleConfig(strategy_one=STOCKS), a_holding())
    assert sentence == (
        "NOT MANAGED: rules cover stocks only; `applies_to: [option, stock]` under sell_module.strategy_one adds "
        "options; only its last day and a panic close it"
    )


def test_a_stock_without_strategy_one_is_told_both_keys_and_nothing_closes_it() -> None:
    assert unprotected(SellModuleConfig(strategy_one=OFF), a_holding("AAPL")) == (
        "NOT MANAGED: no strategy matches it; `enabled: true` with `applies_to: [option, stock]` "
        "under sell_module.strategy_one adds a target and a stop"
    )


def test_what_a_match_does_not_fit_is_not_managed() -> None:
    spy = StrategyConfig(name="spy", match=MatchConfig(symbol=("SPY",)))
    sentence = unprotected(SellModuleConfig(strategies=(spy,), strategy_one=OFF), a_holding())
    assert sentence.startswith("NOT MANAGED: no strategy matches it; ")


def test_a_covered_short_without_a_strategy_says_what_covers_it_in_words() -> None:
    short, long = a_holding("AAPL261218C00210000", short=True), a_holding(CALL)
    assert unprotected(SellModuleConfig(), short, long, symbol=short.symbol) == (
        f"NOT MANAGED: short, covered by AAPL 18 Dec 26 200 C; a strategy with `match: {{side: short}}` {ADDED}; "
        "only its last day and a panic close it"
    )


def test_a_covered_short_that_a_match_fits_is_watched() -> None:
    shorts = StrategyConfig(
        name="shorts", match=MatchConfig(side=SideKind.SHORT), rules=RulesConfig(take_profit=Amount(D("0.5")))
    )
    short, shares = a_holding("AAPL261218C00210000", short=True), a_holding("AAPL", "100")
    policy = a_policy(SellModuleConfig(strategies=(shorts,)))
    assert the_decision(a_snapshot(short, shares), policy, short.symbol).state is DecisionState.WATCHING


def test_a_covered_call_is_closed_by_a_panic_only() -> None:
    short, shares = a_holding("AAPL261218C00210000", short=True), a_holding("AAPL", "100")
    sentence = unprotected(SellModuleConfig(), short, shares, symbol=short.symbol)
    assert sentence.endswith("; only a panic closes it")


def test_a_naked_short_is_bought_back_and_so_is_managed_before_the_open_too() -> None:
    decision = the_decision(a_snapshot(a_holding(short=True), market=a_market("08:00")))
    assert (decision.state, decision.sentence) == (DecisionState.WATCHING, "the market is closed")


@pytest.mark.parametrize("why", [{"entry": None}, {"state": PositionState(suspended="looks like a split")}])
def test_a_naked_short_is_bought_back_although_the_rules_of_its_strategy_cannot_fire(why: dict[str, object]) -> None:
    shorts = StrategyConfig(
        name="shorts", match=MatchConfig(side=SideKind.SHORT), rules=RulesConfig(take_profit=Amount(D("0.5")))
    )
    held, policy = a_holding(short=True, **why), a_policy(SellModuleConfig(strategies=(shorts,)))  # type: ignore[arg-type]
    assert the_decision(a_snapshot(held, market=a_market("08:00")), policy).state is DecisionState.WATCHING


def test_ignored_shorts_are_not_managed() -> None:
    ignored = ShortPositionsConfig(ShortAction.IGNORE, (AssetKind.OPTION, AssetKind.STOCK))
    option = unprotected(SellModuleConfig(short_positions=ignored), a_holding(short=True))
    assert option.startswith("NOT MANAGED: naked short, and short options are ignored (short_positions); ")
    stock = unprotected(SellModuleConfig(short_positions=ignored), a_holding("AAPL", short=True))
    assert stock == f"NOT MANAGED: short; a strategy with `match: {{side: short}}` {ADDED}"


def test_what_is_not_managed_is_so_outside_the_session_too() -> None:
    sentence = unprotected(SellModuleConfig(), a_holding("AAPL"), market=a_market("20:00"))
    assert sentence.startswith("NOT MANAGED: rules cover options only; ")


def test_the_account_guard_is_named_where_it_would_close_an_option() -> None:
    guarded = SellModuleConfig(
        strategy_one=OFF, account_guard=AccountGuardConfig(loss=Amount(D(500), AmountUnit.POSITION))
    )
    assert unprotected(guarded, a_holding()).endswith("only its last day, a panic and the account guard close it")


def test_without_an_entry_price_a_rule_that_needs_none_still_protects() -> None:
    nothing_known = a_holding(entry=None)
    assert unprotected(SellModuleConfig(), nothing_known) == (
        "NOT MANAGED: entry price unknown: no percentage rule can fire; "
        "a strategy with `stop_loss: price $1.00` under sell_module.strategies needs none"
    )
    by_price = RulesConfig(stop_loss=Amount(D("0.80"), AmountUnit.PRICE))
    by_time = RulesConfig(stop_loss=Amount(D("0.2")), days_to_expiry=5)
    for rules in (by_price, by_time):
        policy = a_policy(SellModuleConfig(strategies=(StrategyConfig(name="mine", rules=rules),)))
        assert the_decision(a_snapshot(nothing_known), policy).state is DecisionState.WATCHING


def test_an_exit_that_is_due_is_no_position_without_protection() -> None:
    snapshot = replace(a_snapshot(a_holding("AAPL", "5")), manual_closes=frozenset({"AAPL"}))
    assert the_decision(snapshot).state is DecisionState.CLOSING


@pytest.mark.parametrize("exempt", [CALL, "AAPL"])
def test_what_the_user_exempted_is_exempt_even_where_no_rule_would_apply(exempt: str) -> None:
    snapshot = replace(a_snapshot(a_holding()), exempt=frozenset({exempt}))
    assert the_decision(snapshot, a_policy(SellModuleConfig(strategy_one=OFF))).state is DecisionState.EXEMPT


def test_exempt_and_not_managed_positions_are_nothing_to_tell() -> None:
    plan = explained(
        decide(replace(a_snapshot(a_holding(), a_holding("MSFT")), exempt=frozenset({CALL})), a_policy()),
        replace(a_snapshot(a_holding(), a_holding("MSFT")), exempt=frozenset({CALL})),
        a_policy(),
    )
    assert {each.state for each in plan.decisions} == {DecisionState.EXEMPT, DecisionState.NOT_MANAGED}
    assert plan.notable == ()
