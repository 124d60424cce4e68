"""What is decided on the legs of a structure: on its net price, short legs first, and what is left of it follows."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal

import pytest
from builders import a_holding, a_policy, a_snapshot, replace
from structure_builders import CONDOR, call, put

from sellctl.core.config.schema import (
    IntRange,
    MatchConfig,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.model.gain import Amount
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.market import Market
from sellctl.core.model.plan import DecisionState, PositionDecision, Reason, Urgency
from sellctl.core.model.position import ExitAfter, Holding, PositionState
from sellctl.core.model.snapshot import AccountFacts
from sellctl.core.rules.base import UnpricedRule
from sellctl.core.sell_strategies.declared import Declared

NAME = "AAPL-iron_condor-261218-170-180-210-220"
PUTS, CALLS = (put(170), put(180)), (call(210), call(220))
# The credit is 2.00 and closing costs 4.10: a loss of 105%.
ENTRIES = {put(170): "1.00", put(180): "2.00", call(210): "2.00", call(220): "1.00"}
QUOTES = {
    put(170): ("0.50", "0.52"), put(180): ("1.00", "1.02"), call(210): ("5.58", "5.60"), call(220): ("2.02", "2.04"),
}  # fmt: skip


def policy(*kinds: StructureKind, **rules: object) -> Policy:
    entry = StrategyConfig("mine", match=MatchConfig(structure=kinds), rules=RulesConfig(**rules))  # type: ignore[arg-type]
    return a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(enabled=False), strategies=(entry,)))


CONDORS = policy(StructureKind.IRON_CONDOR, stop_loss=Amount(Decimal(1)))


def leg(symbol: str, qty: int, *, closing: str = "", kept: int = 0) -> Holding:
    bid, ask = QUOTES[symbol]
    mark = ExitAfter(closing, "iron_condor: stop", Decimal(kept)).text if closing else ""
    state = PositionState(exit_after=mark)
    return a_holding(symbol, str(abs(qty)), ENTRIES[symbol], bid=bid, ask=ask, short=qty < 0, state=state)


def condor(units: int = 1) -> list[Holding]:
    return [leg(symbol, units * ratio) for symbol, ratio in CONDOR.items()]


def decided(
    *legs: Holding, by: Policy = CONDORS, known: tuple[str, ...] = (), level: int | None = None
) -> dict[str, PositionDecision]:
    snapshot = a_snapshot(*legs, account=AccountFacts("main", "PA1", options_level=level))
    snapshot = replace(snapshot, structures={name: PositionState() for name in known})
    return {each.holding.symbol: each for each in decide(snapshot, by).decisions}


def sent(decisions: dict[str, PositionDecision]) -> dict[str, Decimal]:
    return {symbol: each.submit.qty for symbol, each in decisions.items() if each.submit}


def test_a_leg_whose_fill_the_position_does_not_show_yet_does_not_follow_a_second_time() -> None:
    held = [leg(symbol, 3 * ratio, closing=NAME) for symbol, ratio in CONDOR.items()]
    short_put, short_call = (next(each for each in held if each.symbol == symbol) for symbol in (put(180), call(210)))
    ahead = replace(short_call, position=replace(short_call.position, qty=Decimal(2)))
    waiting = [ahead if each is short_call else each for each in held]
    far = policy(StructureKind.IRON_CONDOR, stop_loss=Amount(Decimal(5)))
    assert sent(decided(*waiting, by=far, known=(NAME,), level=2))[put(180)] == 1
    filled = replace(short_put, state=replace(short_put.state, qty_left=Decimal(2)))
    unseen = [filled if each is short_put else each for each in waiting]
    assert put(180) not in sent(decided(*unseen, by=far, known=(NAME,), level=2))


def test_by_legs_both_short_ones_are_sent_at_the_stop_of_the_net_and_the_long_ones_wait_for_them() -> None:
    decisions = decided(*condor(2), level=2)
    assert sent(decisions) == {put(180): 2, call(210): 2}
    for symbol in (put(170), call(220)):
        assert decisions[symbol].state is DecisionState.CLOSING
        assert decisions[symbol].sentence.endswith(f"; {call(210)}, {put(180)} close first")
    signal = decisions[put(180)].signal
    assert signal is not None
    assert (signal.reason, set(signal.then_close)) == (Reason.STOP_LOSS, {put(170), call(210), call(220)})


def test_long_legs_that_wait_for_short_ones_depend_on_the_next_poll_where_a_fill_is_not_shown_yet() -> None:
    """No order works any more then, so that nothing else would make the next poll come early."""
    assert not decided(*condor(2), level=2)[put(170)].unconfirmed
    held = {each.symbol: each for each in condor(2)}
    for short in (put(180), call(210)):
        held[short] = replace(held[short], state=replace(held[short].state, qty_left=Decimal(0)))
    decisions = decided(*held.values(), level=2)
    assert not sent(decisions)
    assert all(decisions[long].unconfirmed for long in (put(170), call(220)))


def test_where_no_match_names_condors_each_of_its_verticals_is_judged_alone() -> None:
    decisions = decided(*condor(), by=policy(StructureKind.VERTICAL, stop_loss=Amount(Decimal(1))))
    assert sent(decisions) == {call(210): 1}
    assert decisions[put(180)].state is DecisionState.WATCHING


def test_a_leg_that_is_judged_alone_waits_for_no_other_leg() -> None:
    later = MatchConfig(structure=(StructureKind.VERTICAL,), dte=IntRange(999))
    entry = StrategyConfig("later", match=later, rules=RulesConfig(stop_loss=Amount(Decimal(1))))
    decisions = decided(leg(put(170), 1), leg(put(180), -1), by=a_policy(SellModuleConfig(strategies=(entry,))))
    assert decisions[put(170)].state is DecisionState.DENIED
    assert f"1 of it cover {put(180)}, which closes first" in decisions[put(170)].sentence


@pytest.mark.parametrize(
    "by", [policy(), policy(StructureKind.VERTICAL), CONDORS], ids=["none", "verticals", "condors"]
)
def test_a_structure_that_is_asked_to_close_closes_its_part_of_each_leg_and_no_long_one_before_the_short_ones(
    by: Policy,
) -> None:
    legs = [leg(symbol, (3 if symbol == call(220) else 2) * ratio) for symbol, ratio in CONDOR.items()]
    snapshot = replace(a_snapshot(*legs), manual_closes=frozenset({NAME}))
    decisions = {each.holding.symbol: each for each in decide(snapshot, by).decisions}
    signals = {symbol: each.signal for symbol, each in decisions.items() if each.signal}
    assert {signal.reason for signal in signals.values()} <= {Reason.CLOSED_MANUALLY, Reason.STOP_LOSS}
    assert {symbol: signal.qty for symbol, signal in signals.items()} == dict.fromkeys(CONDOR, 2)
    assert {each.state for each in decisions.values()} == {DecisionState.CLOSING}
    assert sent(decisions)
    assert sent(decisions).keys() <= {put(180), call(210)}


def test_one_leg_that_is_asked_to_close_waits_for_no_other() -> None:
    snapshot = replace(a_snapshot(*condor()), manual_closes=frozenset({call(220)}))
    decisions = {each.holding.symbol: each for each in decide(snapshot, policy(StructureKind.IRON_CONDOR)).decisions}
    assert decisions[call(220)].state is DecisionState.DENIED


def test_an_exempt_structure_leaves_its_legs_alone_and_no_other_position_on_the_underlying() -> None:
    legs = [*condor(), a_holding(call(300), "1", "1.00", bid="0.50", ask="0.52")]
    snapshot = replace(a_snapshot(*legs), exempt=frozenset({NAME}))
    decisions = {each.holding.symbol: each for each in decide(snapshot, a_policy()).decisions}
    assert {symbol for symbol, each in decisions.items() if each.signal} == {call(300)}
    covered = replace(a_snapshot(*legs), exempt=frozenset({"AAPL-covered_call-261218-300C"}))
    assert {each.holding.symbol for each in decide(covered, a_policy()).decisions if each.signal} == {
        put(170),
        call(220),
    }


def test_a_condor_that_no_match_takes_is_judged_by_no_leg() -> None:
    both = policy(StructureKind.VERTICAL, StructureKind.BUTTERFLY, stop_loss=Amount(Decimal(50)))
    assert sent(decided(*condor(), by=both)) == {}


@pytest.mark.parametrize("closed", [put(180), call(210)])
def test_once_a_short_leg_is_closed_the_other_one_follows_and_the_long_ones_as_they_cover_nothing(closed: str) -> None:
    rest = [leg(symbol, qty, closing=NAME) for symbol, qty in CONDOR.items() if symbol != closed]
    decisions = decided(*rest)
    other = ({put(180), call(210)} - {closed}).pop()
    follows = put(170) if closed == put(180) else call(220)
    assert sent(decisions) == {other: 1, follows: 1}
    signal = decisions[other].signal
    assert signal is not None
    assert (signal.reason, signal.urgency) == (Reason.STRUCTURE, Urgency.PROTECTIVE)
    assert signal.detail == f"the rest of a structure that is being closed: {NAME}: iron_condor: stop"


def test_a_short_leg_that_lags_behind_is_closed_with_what_is_still_whole_and_what_is_not() -> None:
    legs = [leg(symbol, (1 if symbol == put(180) else 2) * ratio, closing=NAME) for symbol, ratio in CONDOR.items()]
    assert sent(decided(*legs, known=(NAME,))) == {put(180): 1, call(210): 2}


def test_what_is_kept_of_a_leg_does_not_follow_the_structure() -> None:
    wings = [leg(call(220), 3, closing=NAME, kept=2), leg(put(170), 1, closing=NAME, kept=1)]
    assert sent(decided(*wings)) == {call(220): 1}


def test_as_long_as_a_marked_structure_is_whole_nothing_follows() -> None:
    calm = policy(StructureKind.IRON_CONDOR, stop_loss=Amount(Decimal(50)))
    legs = [leg(symbol, qty, closing=NAME) for symbol, qty in CONDOR.items()]
    assert sent(decided(*legs, by=calm, known=(NAME,))) == {}


def test_a_suspended_leg_of_a_structure_closes_nothing_of_it() -> None:
    legs = [replace(each, state=replace(each.state, suspended="looks like a split")) for each in condor()]
    assert sent(decided(*legs)) == {}


def test_a_worthless_side_is_no_lost_quote_of_a_condor_whose_net_is_known() -> None:
    def unquoted(symbol: str, ask: str, qty: int) -> Holding:
        state = PositionState(unquoted_for=dt.timedelta(minutes=6))
        return a_holding(symbol, str(abs(qty)), ENTRIES[symbol], bid=None, ask=ask, short=qty < 0, state=state)

    def states(ask: str) -> set[DecisionState]:
        puts = [unquoted(symbol, ask, CONDOR[symbol]) for symbol in PUTS]
        return {each.state for each in decided(*puts, *(leg(s, CONDOR[s]) for s in CALLS), by=calm).values()}

    calm = policy(StructureKind.IRON_CONDOR, stop_loss=Amount(Decimal(50)))
    assert states("0.05") == {DecisionState.WATCHING}
    assert DecisionState.NO_QUOTE in states("0.06")


def test_a_structure_whose_legs_net_to_nothing_has_no_percentage_rule_and_alerts_once() -> None:
    legs = (leg(call(210), -1), replace_entry(leg(call(220), 1), ENTRIES[call(210)]))
    verticals = policy(StructureKind.VERTICAL, stop_loss=Amount(Decimal(1)))
    decisions = decided(*legs, by=verticals).values()
    (sentence,) = (each.sentence for each in decisions if each.alert)
    assert sentence == (
        "AAPL-vertical-261218-210-220C: entry price unknown (its legs net to $0.00): no percentage rule can fire"
    )
    assert not any(each.alert for each in decided(*condor(), by=verticals).values())


def replace_entry(holding: Holding, entry: str) -> Holding:
    return replace(holding, position=replace(holding.position, entry_price=Decimal(entry)))


def test_a_leg_without_a_usable_quote_makes_the_net_unknown_and_no_price_rule_fires() -> None:
    legs = [replace(each, quote=None) if each.symbol == put(170) else each for each in condor()]
    assert sent(decided(*legs)) == {}


@dataclass(frozen=True)
class Counted(UnpricedRule):
    """A rule that is never true; it notes each symbol or structure on which it is evaluated."""

    evaluated: list[str]

    def evaluate(self, holding: Holding, _market: Market) -> None:
        self.evaluated.append(holding.symbol)

    def label(self, _holding: Holding, _market: Market) -> str:
        return "never"


def test_the_rules_of_a_structure_are_evaluated_once_for_all_of_its_legs() -> None:
    evaluated: list[str] = []
    match = MatchConfig(structure=(StructureKind.IRON_CONDOR,))
    decided(*condor(), by=replace(CONDORS, strategies=(Declared("mine", match=match, compiled=(Counted(evaluated),)),)))
    assert evaluated == [NAME]
