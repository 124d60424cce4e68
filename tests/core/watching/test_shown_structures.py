"""What is shown of structures: their name, what they can win and lose, and one decision on the whole."""

from decimal import Decimal

import pytest
from builders import a_holding, a_policy, a_snapshot, replace
from structure_builders import CONDOR, call, put

from sellctl.core.config.schema import (
    AssetKind,
    LegConfig,
    MatchConfig,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    StrategyOneConfig,
    StructureConfig,
)
from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explained
from sellctl.core.decision.policy import Policy
from sellctl.core.model.gain import Amount
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.plan import DecisionState, Reason
from sellctl.core.model.position import Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.model.view import ShownStructure
from sellctl.core.watching.shown_structures import shown_structures

D = Decimal
ENTRIES = {put(170): "1.00", put(180): "2.00", call(210): "2.00", call(220): "1.00"}
QUOTES = {put(170): "0.40", put(180): "0.80", call(210): "1.00", call(220): "0.70"}
NAME = "AAPL-iron_condor-261218-170-180-210-220"


def a_condor(qty: int = 2) -> Snapshot:
    """A condor sold for 2.00, whose purchase costs 0.70 at the mid."""
    return a_snapshot(*(leg(symbol, side * qty) for symbol, side in CONDOR.items()))


def leg(symbol: str, qty: int) -> Holding:
    mid = D(QUOTES[symbol])
    return a_holding(
        symbol, str(abs(qty)), ENTRIES[symbol], bid=str(mid - D("0.02")), ask=str(mid + D("0.02")), short=qty < 0
    )


def judging(*kinds: StructureKind, **sell: object) -> Policy:
    rules = RulesConfig(take_profit=Amount(D("0.8")), stop_loss=Amount(D(2)))
    sell.setdefault("strategy_one", StrategyOneConfig(enabled=not kinds))
    entry = StrategyConfig("mine", match=MatchConfig(structure=kinds), rules=rules)
    return a_policy(SellModuleConfig(strategies=(entry,) if kinds else (), **sell))  # type: ignore[arg-type]


def shown(snapshot: Snapshot, policy: Policy) -> tuple[ShownStructure, ...]:
    return shown_structures(explained(decide(snapshot, policy), snapshot, policy), snapshot, policy)


def test_a_condor_has_its_credit_its_gain_and_what_it_can_win_and_lose() -> None:
    (condor,) = shown(a_condor(), judging(StructureKind.IRON_CONDOR))
    whole = condor.decision.holding
    assert (condor.name, condor.title, condor.units) == (NAME, "AAPL iron condor", 2)
    assert (whole.position.entry_price, whole.exit_price) == (D("2.00"), D("0.78"))
    assert condor.decision.gain == D("0.61")
    assert (condor.most_profit, condor.most_loss) == (D(400), D(1600))
    assert condor.breakevens == (D(178), D(212))


def test_one_that_a_strategy_judges_has_its_triggers_and_its_legs_have_none() -> None:
    (condor,) = shown(a_condor(), judging(StructureKind.IRON_CONDOR))
    assert condor.is_one
    assert {each.reason: each.price for each in condor.decision.triggers} == {
        Reason.TAKE_PROFIT: D("0.40"),
        Reason.STOP_LOSS: D("6.00"),
    }
    assert condor.decision.sentence == "+61% at the ask of $0.78 and +65% at the mid of $0.70: no rule is met"
    assert [each.triggers for each in condor.legs] == [()] * 4
    assert {each.sentence for each in condor.legs} == {f"judged as a leg of {NAME}"}


def test_one_whose_kind_no_match_names_is_shown_and_its_legs_are_judged_alone() -> None:
    (condor,) = shown(a_condor(), judging())
    assert not condor.is_one
    assert condor.decision.triggers == ()
    assert condor.decision.sentence == (
        "NOT MANAGED: 2 of its 4 legs, which are judged alone; "
        "a strategy with `match: {structure: iron_condor}` under sell_module.strategies judges them as one"
    )
    assert [each.state for each in condor.legs].count(DecisionState.NOT_MANAGED) == 2
    assert any(each.triggers for each in condor.legs)


def test_one_that_leaves_as_one_order_shows_that_although_its_legs_are_judged_alone() -> None:
    (condor,) = shown(replace(a_condor(), panic=frozenset(CONDOR)), judging())
    assert not condor.is_one
    assert condor.decision.state is DecisionState.CLOSING
    assert condor.decision.sentence.startswith("panic: closing everything; buy 2 net limit")
    assert condor.decision.sentence.endswith("as one order for 4 legs")


def test_kinds_that_a_match_names_come_first() -> None:
    found = shown(a_condor(), judging(StructureKind.VERTICAL))
    assert [each.kind for each in found] == [StructureKind.VERTICAL] * 2
    assert all(each.is_one for each in found)


def test_off_shows_none() -> None:
    assert shown(a_condor(), judging(structures=None)) == ()


def test_what_a_structure_lacks_of_a_leg_is_said() -> None:
    snapshot = a_snapshot(*(leg(symbol, 3 if symbol == call(220) else 2 * side) for symbol, side in CONDOR.items()))
    (condor,) = shown(snapshot, judging(StructureKind.IRON_CONDOR))
    (more,) = (each for each in condor.legs if each.holding.symbol == call(220))
    assert more.sentence == f"judged as a leg of {NAME}; 1 beyond it that no strategy matches"
    assert condor.quantities[call(220)] == 2


def test_a_leg_without_an_entry_price_says_that_no_percentage_rule_can_fire() -> None:
    legs = [leg(symbol, side * 2) for symbol, side in CONDOR.items()]
    legs[0] = replace(legs[0], position=replace(legs[0].position, entry_price=None))
    policy = judging(StructureKind.IRON_CONDOR)
    (condor,) = shown(a_snapshot(*legs), policy)
    (unknown,) = (each for each in condor.legs if each.alert)
    assert "entry price unknown: no percentage rule can fire" in unknown.sentence
    assert (condor.decision.gain, condor.most_profit, condor.decision.alert) == (None, None, True)


def test_what_adjusted_contracts_can_win_is_unknown() -> None:
    adjusted = [a_holding(call(strike, root="AAPL1"), "1", "2.00", short=strike == 210) for strike in (200, 210)]
    (vertical,) = shown(a_snapshot(*adjusted), judging())
    assert (vertical.kind, vertical.most_profit, vertical.breakevens) == (StructureKind.VERTICAL, None, ())


def test_one_that_the_user_names_has_that_name() -> None:
    own = StructureConfig("my-calls", (LegConfig(call(210)), LegConfig(call(220))))
    snapshot = replace(a_condor(), named={"AAPL-vertical-261218-210-220C": "my-calls"})
    titles = [each.title for each in shown(snapshot, judging(structures=(own,)))]
    assert titles == ["my-calls", "AAPL vertical"]


@pytest.mark.parametrize("exempt", [NAME, "AAPL", put(170)])
def test_an_exempt_one_says_so(exempt: str) -> None:
    snapshot = replace(a_condor(), exempt=frozenset({exempt}))
    (condor,) = shown(snapshot, judging(StructureKind.IRON_CONDOR))
    assert condor.decision.sentence == "exempt (by you)"
    assert not condor.is_one


def test_the_state_is_that_of_the_leg_that_needs_attention_first() -> None:
    (condor,) = shown(replace(a_condor(), manual_closes=frozenset({NAME})), judging())
    assert condor.decision.state is DecisionState.CLOSING
    assert condor.decision.signal is not None
    assert condor.decision.signal.reason is Reason.CLOSED_MANUALLY
    halted = replace(a_condor(), manual_closes=frozenset({NAME}), halted="tonight")
    (condor,) = shown(halted, judging())
    assert condor.decision.state is DecisionState.DENIED


def test_a_structure_of_which_no_strategy_matches_a_leg_is_not_managed() -> None:
    stocks = StrategyOneConfig(applies_to=(AssetKind.STOCK,))
    (condor,) = shown(a_condor(), a_policy(SellModuleConfig(strategy_one=stocks)))
    assert condor.decision.state is DecisionState.NOT_MANAGED
    assert condor.decision.sentence.startswith("NOT MANAGED: 4 of its 4 legs, which are judged alone; ")
