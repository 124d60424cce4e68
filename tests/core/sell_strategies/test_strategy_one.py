from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_market, a_policy, a_snapshot, replace, the_decision

from sellctl.core.config.schema import AssetKind, PriceBasisConfig, SellModuleConfig, StrategyOneConfig
from sellctl.core.model.gain import Amount, Basis
from sellctl.core.model.plan import DecisionState, ExitSignal, Reason
from sellctl.core.model.position import Holding, Prices
from sellctl.core.rules.stop_loss import StopLoss
from sellctl.core.rules.take_profit import TakeProfit
from sellctl.core.sell_strategies.strategy_one import StrategyOne

ONE = StrategyOne()


def judged(bid: str | None, ask: str | None, *, short: bool = False, entry: str | None = "1.00") -> Holding:
    prices = Prices(Decimal(bid) if bid else None, Decimal(ask) if ask else None, problem="")
    return replace(a_holding(entry=entry, short=short), prices=prices)


def evaluated(rule: TakeProfit | StopLoss, holding: Holding) -> ExitSignal | None:
    return rule.evaluate(holding, a_snapshot(holding).market)


@pytest.mark.parametrize(("bid", "fires"), [("1.09", False), ("1.0999", False), ("1.10", True), ("1.11", True)])
def test_a_long_meets_its_target_at_the_threshold(bid: str, *, fires: bool) -> None:
    assert bool(evaluated(TakeProfit(Amount(Decimal("0.1"))), judged(bid, "9"))) is fires


@pytest.mark.parametrize(("ask", "fires"), [("0.91", False), ("0.9001", False), ("0.90", True), ("0.89", True)])
def test_a_short_meets_its_target_in_the_mirror(ask: str, *, fires: bool) -> None:
    assert bool(evaluated(TakeProfit(Amount(Decimal("0.1"))), judged("0.01", ask, short=True))) is fires


@pytest.mark.parametrize(("mid", "fires"), [("0.81", False), ("0.8001", False), ("0.80", True), ("0.79", True)])
def test_a_long_meets_its_stop_at_the_threshold(mid: str, *, fires: bool) -> None:
    assert bool(evaluated(StopLoss(Amount(Decimal("0.2"))), judged(mid, mid))) is fires


@pytest.mark.parametrize(("mid", "fires"), [("1.19", False), ("1.1999", False), ("1.20", True), ("1.21", True)])
def test_a_short_meets_its_stop_in_the_mirror(mid: str, *, fires: bool) -> None:
    assert bool(evaluated(StopLoss(Amount(Decimal("0.2"))), judged(mid, mid, short=True))) is fires


def test_a_target_counts_what_one_could_take_now_and_not_the_mid() -> None:
    assert evaluated(TakeProfit(Amount(Decimal("0.1"))), judged("1.08", "1.14")) is None
    assert evaluated(TakeProfit(Amount(Decimal("0.1")), Basis.MID), judged("1.08", "1.14")) is not None


def test_a_stop_counts_the_mid_and_not_the_spread() -> None:
    assert evaluated(StopLoss(Amount(Decimal("0.2"))), judged("0.78", "0.86")) is None
    assert evaluated(StopLoss(Amount(Decimal("0.2")), Basis.EXIT_SIDE), judged("0.78", "0.86")) is not None


@pytest.mark.parametrize("entry", [None])
@pytest.mark.parametrize("prices", [("9", "9.1"), ("0.01", "0.02")])
def test_without_an_entry_price_no_percentage_rule_fires_and_a_person_hears_of_it(
    entry: str | None, prices: tuple[str, str]
) -> None:
    decision = the_decision(a_snapshot(a_holding(entry=entry, bid=prices[0], ask=prices[1])))
    assert decision.state is DecisionState.NOT_MANAGED
    assert decision.alert
    assert decision.sentence.startswith("NOT MANAGED: entry price unknown: no percentage rule can fire; ")


def test_a_target_carries_the_price_that_met_it_as_its_floor_and_a_stop_has_none() -> None:
    target, stop = (
        evaluated(TakeProfit(Amount(Decimal("0.1"))), judged("1.2", "1.3")),
        evaluated(StopLoss(Amount(Decimal("0.2"))), judged("0.7", "0.7")),
    )
    assert target is not None
    assert stop is not None
    assert (target.worst_price, stop.worst_price) == (Decimal("1.10"), None)


def test_a_wide_spread_fires_no_target() -> None:
    wide = replace(judged("1.20", "3.00"), prices=replace(judged("1.20", "3.00").prices, wide=True))
    assert evaluated(TakeProfit(Amount(Decimal("0.1"))), wide) is None


@pytest.mark.parametrize(
    ("bid", "ask", "settled", "fires"),
    [
        ("0.10", "0.81", False, False),  # even the ask isn't there
        ("0.10", "0.80", False, True),
        ("0.10", "1.51", True, False),  # settled: the mid counts, 0.805
        ("0.10", "1.50", True, True),
    ],
)
@pytest.mark.parametrize("basis", Basis)
def test_a_stop_on_a_wide_spread_needs_the_far_side_or_a_settled_mid(
    bid: str, ask: str, basis: Basis, *, settled: bool, fires: bool
) -> None:
    wide = judged(bid, ask)
    wide = replace(wide, prices=replace(wide.prices, wide=True, wide_settled=settled))
    assert bool(evaluated(StopLoss(Amount(Decimal("0.2")), basis), wide)) is fires


def test_a_stop_on_a_wide_spread_is_an_alert() -> None:
    decision = the_decision(a_snapshot(a_holding(bid="0.30", ask="0.60")))
    assert decision.signal is not None
    assert decision.signal.reason is Reason.STOP_LOSS
    assert decision.alert
    assert "stop -20%: ask $0.60 is at or below the stop $0.80, on a wide spread" in decision.sentence


def test_it_takes_longs_of_the_assets_it_applies_to() -> None:
    both = StrategyOne(applies_to=(AssetKind.OPTION, AssetKind.STOCK))
    assert ONE.accepts(a_holding(), a_market())
    assert not ONE.accepts(a_holding(short=True), a_market())
    assert not ONE.accepts(a_holding("AAPL"), a_market())
    assert both.accepts(a_holding("AAPL"), a_market())


def test_what_no_strategy_takes_is_held_with_that_sentence() -> None:
    sentence = the_decision(a_snapshot(a_holding("AAPL", "100"))).sentence
    assert sentence.startswith("NOT MANAGED: rules cover options only; ")


def test_switched_off_it_decides_nothing() -> None:
    off = a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(enabled=False)))
    decision = the_decision(a_snapshot(a_holding(bid="9.00", ask="9.10")), off)
    assert (decision.state, decision.submit) == (DecisionState.NOT_MANAGED, None)


def test_the_price_basis_of_the_configuration_is_used() -> None:
    mid = a_policy(SellModuleConfig(price_basis=PriceBasisConfig(profit=Basis.MID)))
    holding = a_holding(bid="1.08", ask="1.14")
    assert the_decision(a_snapshot(holding)).state is DecisionState.WATCHING
    decision = the_decision(a_snapshot(holding), mid)
    assert decision.submit is not None
    assert decision.submit.limit_price == Decimal("1.11")  # the mid first, and never below the price that met it


def test_a_target_reached_at_the_bid_is_sold_at_the_bid() -> None:
    decision = the_decision(a_snapshot(a_holding(entry="1.00", bid="1.10", ask="1.12")))
    assert decision.state is DecisionState.CLOSING
    assert decision.submit is not None
    assert decision.submit.limit_price == Decimal("1.10")
    assert decision.sentence == "target +10%: bid $1.10 is at or above the target $1.10; sell 1 limit $1.10"


def test_a_price_in_between_is_held_with_both_gains() -> None:
    decision = the_decision(a_snapshot(a_holding(bid="1.04", ask="1.06")))
    assert decision.state is DecisionState.WATCHING
    assert decision.sentence == "+4% at the bid of $1.04 and +5% at the mid of $1.05: no rule is met"
    assert decision.gain == Decimal("0.04")


def test_the_nearest_triggers_are_shown_with_their_distance() -> None:
    triggers = {t.reason: t for t in the_decision(a_snapshot(a_holding(bid="1.00", ask="1.00"))).triggers}
    assert triggers[Reason.TAKE_PROFIT].price == Decimal("1.10")
    assert triggers[Reason.TAKE_PROFIT].distance == Decimal("0.1")
    assert triggers[Reason.STOP_LOSS].distance == Decimal("-0.2")


def test_one_option_without_a_bid_is_held_and_says_what_is_missing() -> None:
    decision = the_decision(a_snapshot(a_holding(CALL, bid=None, ask="0.05")))
    assert decision.state is DecisionState.WATCHING
    assert "no bid" in decision.sentence
