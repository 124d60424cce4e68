"""A notch moves the nearest stop towards the price or away from it, or one sentence says why it doesn't."""

from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_policy, a_snapshot, at, replace
from structure_builders import call

from sellctl.core.config.schema import (
    MatchConfig,
    RulesConfig,
    SellModuleConfig,
    SideKind,
    StrategyConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.policy import Policy
from sellctl.core.errors import ConfigError, SafetyRefusalError
from sellctl.core.manual.proposed_overrides import ProposedOverride
from sellctl.core.manual.stop_notches import notch_of, proposed_notch
from sellctl.core.model.gain import Amount
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.position import Holding, Override, PositionState
from sellctl.core.structures.held import held_structures

SHORTS = MatchConfig(side=SideKind.SHORT)


def judged_by(stop: str, match: MatchConfig = MatchConfig()) -> Policy:  # noqa: B008  a frozen value
    """Positions with a stop at this loss."""
    strategy = StrategyConfig("one", match=match, rules=RulesConfig(stop_loss=Amount(Decimal(stop))))
    return a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(enabled=False), strategies=(strategy,)))


def moved(holding: Holding | None = None, *, closer: bool, policy: Policy | None = None) -> ProposedOverride:
    holding = holding or a_holding(qty="3")
    return proposed_notch(a_snapshot(holding), policy or a_policy(), holding.symbol, "alice", towards_price=closer)


def overridden(holding: Holding, **rules: str) -> Holding:
    return replace(holding, state=replace(holding.state, override=Override("bob", at("11:00"), **rules)))


def with_peak(holding: Holding, peak: str) -> Holding:
    return replace(holding, state=replace(holding.state, peak=Decimal(peak)))


def test_a_notch_towards_the_price_tightens_the_stop_without_a_warning() -> None:
    proposed = moved(closer=True)
    assert (proposed.change.stop, proposed.warnings) == ("price 0.85", ())
    assert proposed.after
    assert (proposed.after.stop, proposed.after.by) == ("price 0.85", "alice")


def test_a_notch_away_from_the_price_says_how_much_more_can_be_lost() -> None:
    proposed = moved(closer=False)
    assert proposed.change.stop == "price 0.75"
    assert proposed.warnings == ("Its stop moves away from the price, from $0.80 to $0.75: $15.00 more can be lost.",)


@pytest.mark.parametrize(("closer", "stop"), [(True, "price 1.35"), (False, "price 1.45")])
def test_the_stop_of_a_short_lies_above_and_moves_the_other_way(*, closer: bool, stop: str) -> None:
    short = a_holding(qty="3", short=True)
    proposed = moved(short, closer=closer, policy=judged_by("0.40", SHORTS))
    assert proposed.change.stop == stop
    assert bool(proposed.warnings) is not closer


def test_the_notches_of_a_structure_are_of_its_net_entry() -> None:
    bought, sold = call(200), call(210)
    holdings = (
        a_holding(bought, "2", "3.00", bid="3.00", ask="3.02"),
        a_holding(sold, "2", "1.00", bid="1.00", ask="1.02", short=True),
    )
    policy = judged_by("0.30", MatchConfig(structure=(StructureKind.VERTICAL,)))
    (structure,) = held_structures(holdings, (), {}, {StructureKind.VERTICAL})
    snapshot = replace(a_snapshot(*holdings), structures={structure.name: PositionState()})
    for closer, stop in ((True, "price 1.50"), (False, "price 1.30")):
        proposed = proposed_notch(snapshot, policy, structure.name, "alice", towards_price=closer)
        assert (proposed.name, proposed.change.stop) == (structure.name, stop)
        assert bool(proposed.warnings) is not closer


@pytest.mark.parametrize(
    ("entry", "increment", "notch"),
    [
        ("1.00", "0.05", "0.05"),
        ("1.00", "0.01", "0.05"),
        ("0.02", "0.01", "0.01"),
        ("0.02", "0.05", "0.05"),
        ("0.50", "0.05", "0.05"),
        ("0.50", "0.01", "0.03"),
        ("4.50", "0.10", "0.20"),
        ("0.10", "0.0001", "0.01"),
        ("210.40", "0.01", "10.52"),
    ],
)
def test_a_notch_is_5_percent_of_the_entry_in_whole_increments_and_at_least_a_cent(
    entry: str, increment: str, notch: str
) -> None:
    assert notch_of(a_holding(entry=entry), Decimal(increment)) == Decimal(notch)


def test_at_a_price_of_two_cents_a_notch_keeps_the_stop_above_zero_and_below_the_price() -> None:
    cheap = overridden(a_holding(entry="0.02", bid="0.02", ask="0.03"), stop="price 0.01")
    with pytest.raises(ConfigError, match=r"stays at \$0\.01: \$0\.01 less leaves no price above zero\."):
        moved(cheap, closer=False)
    assert moved(cheap, closer=True).change.stop == "price 0.02"
    nearer = overridden(cheap, stop="price 0.02")
    with pytest.raises(SafetyRefusalError, match=r"at \$0\.03 it would close at once"):
        moved(nearer, closer=True)


def test_a_notch_never_moves_the_stop_to_the_price_or_beyond_it() -> None:
    close = overridden(a_holding(), stop="price 1.00")
    with pytest.raises(SafetyRefusalError, match=r"was not moved: at \$1\.05 it would close at once"):
        moved(close, closer=True)
    short = overridden(a_holding(short=True), stop="price 1.05")
    with pytest.raises(SafetyRefusalError, match=r"was not moved: at \$1\.00 it would close at once"):
        moved(short, closer=True)


def test_without_a_usable_quote_a_stop_moves_away_only() -> None:
    unquoted = a_holding(bid=None, ask=None)
    with pytest.raises(SafetyRefusalError, match="the price is unknown"):
        moved(unquoted, closer=True)
    assert moved(unquoted, closer=False).change.stop == "price 0.75"


@pytest.mark.parametrize("closer", [True, False])
def test_without_a_stop_there_is_nothing_to_move(*, closer: bool) -> None:
    stock = a_holding("TSLA", entry="400", bid="408", ask="408.1")
    policy = a_policy(
        SellModuleConfig(strategies=(StrategyConfig("own", rules=RulesConfig(take_profit=Amount(Decimal(1)))),))
    )
    with pytest.raises(ConfigError) as error:
        moved(stock, closer=closer, policy=policy)
    assert str(error.value) == (
        "TSLA has no stop at a price that could be moved. `sellctl set TSLA --stop 25%` sets one."
    )


@pytest.mark.parametrize("closer", [True, False])
def test_a_trailing_stop_that_is_nearer_is_named_because_a_notch_would_change_nothing(*, closer: bool) -> None:
    trailed = with_peak(overridden(a_holding(bid="1.20", ask="1.22"), trail="10%"), "1.22")
    with pytest.raises(ConfigError) as error:
        moved(trailed, closer=closer)
    assert "is its trailing stop at $1.098, which no notch moves." in error.value.sentence
    assert "sets one" in error.value.hint


def test_a_trailing_stop_that_is_farther_away_is_no_obstacle() -> None:
    trailed = with_peak(overridden(a_holding(), trail="50%"), "1.02")
    assert moved(trailed, closer=True).change.stop == "price 0.85"


def test_without_an_entry_price_a_notch_has_no_size() -> None:
    unknown = overridden(a_holding(entry=None), stop="price 0.50")
    with pytest.raises(ConfigError, match=r"entry price of .* is unknown, and a notch is a part of it"):
        moved(unknown, closer=True)


def test_what_else_was_set_stays_with_its_end() -> None:
    earlier = overridden(a_holding(), stop="15%", target="50%")
    assert earlier.state.override
    after = moved(earlier, closer=True).after
    assert after == Override("alice", at("12:00"), stop="price 0.90", target="50%")


def test_a_stop_that_isnt_a_number_is_none() -> None:
    endless = overridden(a_holding(CALL, entry="Infinity"), stop="25%")
    with pytest.raises(ConfigError, match="no stop at a price that could be moved"):
        moved(endless, closer=True)
