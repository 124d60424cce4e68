"""A structure that no match names still leaves as one order when all of it is to leave for one reason of the engine."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from itertools import combinations, permutations

import pytest
from builders import a_market, a_policy, at, our_order, replace
from one_order_builders import a_leg, a_scene, decided, percent, ruled, sent
from structure_builders import a_multi_leg_order, call, legs, put

from sellctl.core.config.schema import (
    AccountGuardConfig,
    GuardAction,
    MatchConfig,
    RulesConfig,
    SellModuleConfig,
    SideKind,
    StrategyConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.policy import Policy
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.plan import DecisionState, PositionDecision, Reason, SubmitOrder, Urgency
from sellctl.core.model.position import ExitProgress, Holding
from sellctl.core.model.snapshot import AccountFacts, Snapshot
from sellctl.core.structures.coverage import cover_of
from sellctl.core.structures.names import structure_name

DEFAULT = a_policy(SellModuleConfig())
WITHOUT_STRUCTURES = a_policy(SellModuleConfig(structures=None))
START, EAGER, FINAL = "14:56", "15:03", "15:11"
TODAY = "261124"
CONDOR_TODAY = f"AAPL-iron_condor-{TODAY}-170-180-210-220"
VERTICAL_TODAY = f"AAPL-vertical-{TODAY}-200-210C"


def option(symbol: str, qty: int, price: str, *, entry: str = "", clock: str = "12:00") -> Holding:
    """An option that is quoted at that time, and without an `entry` at it, so that no rule of its own is met."""
    ask = str(Decimal(price) + Decimal("0.02"))
    return a_leg(symbol, qty, entry or price, price, ask, quoted_at=at(clock))


def condor(expires: str = TODAY, clock: str = "12:00", units: int = 1) -> tuple[Holding, ...]:
    held = ((put(170, expires), 1), (put(180, expires), -1), (call(210, expires), -1), (call(220, expires), 1))
    return tuple(option(s, qty * units, "1.00" if qty < 0 else "0.50", clock=clock) for s, qty in held)


def vertical(expires: str = TODAY, clock: str = "12:00") -> tuple[Holding, ...]:
    return (
        option(call(200, expires), 2, "6.00", clock=clock),
        option(call(210, expires), -2, "2.00", clock=clock),
    )


def last_day(clock: str, legs: tuple[Holding, ...], **more: object) -> Snapshot:
    return a_scene(*legs, market=a_market(clock), **more)


def under_panic(legs: tuple[Holding, ...], **more: object) -> Snapshot:
    return a_scene(*legs, panic=frozenset(leg.symbol for leg in legs), **more)


def symbols_of(legs: tuple[Holding, ...]) -> tuple[str, ...]:
    return tuple(sorted(leg.symbol for leg in legs))


def orders(snapshot: Snapshot, policy: Policy = DEFAULT) -> list[tuple[str, ...]]:
    """The symbols of each order that is sent."""
    return [order.symbols for order in sent(snapshot, policy)]


def is_whole(snapshot: Snapshot, policy: Policy = DEFAULT) -> bool:
    """Whether one order for all that is held is sent, and no other."""
    held = symbols_of(snapshot.holdings)
    return orders(snapshot, policy) == [held]


def the_exit(snapshot: Snapshot, policy: Policy = DEFAULT) -> PositionDecision:
    (decision,) = [each for each in decided(snapshot, policy).values() if each.submit]
    return decision


# --- the last day -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [condor, vertical])
@pytest.mark.parametrize(("clock", "urgency"), [(START, Urgency.TIME), (EAGER, Urgency.PROTECTIVE)])
def test_on_its_last_day_with_the_default_configuration(clock: str, urgency: Urgency, build: object) -> None:
    legs = build(clock=clock)  # type: ignore[operator]
    snapshot = last_day(clock, legs)
    assert is_whole(snapshot)
    exit_ = the_exit(snapshot)
    assert exit_.signal is not None
    assert (exit_.signal.reason, exit_.signal.urgency) == (Reason.ZERO_DAY, urgency)
    assert exit_.submit is not None
    assert exit_.submit.symbol == (CONDOR_TODAY if build is condor else VERTICAL_TODAY)


def test_every_leg_names_the_structure_that_leaves_as_one_order_and_no_other_position_does() -> None:
    other = option(call(300), 1, "1.00")
    snapshot = under_panic((*condor("261218"), other))
    names = {symbol: each.as_one for symbol, each in decided(snapshot, DEFAULT).items()}
    assert names.pop(call(300)) == ""
    assert set(names.values()) == {"AAPL-iron_condor-261218-170-180-210-220"}
    denied = decided(last_day(EAGER, condor(clock=EAGER), halted="a halt"), DEFAULT).values()
    assert {(each.state, each.as_one) for each in denied} == {(DecisionState.DENIED, CONDOR_TODAY)}


def test_a_walk_starts_at_the_net_mid_and_its_later_steps_are_nearer_to_the_natural_price() -> None:
    legs = vertical(clock=START)

    def limit(step: int) -> Decimal | None:
        progress = ExitProgress(Reason.ZERO_DAY, Urgency.TIME, step, dt.timedelta(seconds=60), "sellctl-abc")
        walked = tuple(replace(leg, state=replace(leg.state, exit=progress if step else None)) for leg in legs)
        return the_exit(last_day(START, walked)).submit.limit_price  # type: ignore[union-attr]

    steps = [limit(step) for step in range(6)]
    assert all(step is not None for step in steps)
    assert len(set(steps)) > 1
    assert steps == sorted(steps)  # type: ignore[type-var]  # a credit: below zero, and nearer to it with each step


def test_its_order_is_left_alone_and_then_repriced_by_the_state_of_its_legs_alone() -> None:
    """So it is after a restart too: nothing is stored under the name of such a structure."""
    long, short = vertical(clock=START)
    ours = a_multi_leg_order({long.symbol: 1, short.symbol: -1}, "2", client_order_id="sellctl-abc", limit="-3.97")

    def at_age(seconds: float) -> list[PositionDecision]:
        progress = ExitProgress(Reason.ZERO_DAY, Urgency.TIME, 2, dt.timedelta(seconds=seconds), "sellctl-abc")
        legs = tuple(replace(leg, state=replace(leg.state, exit=progress)) for leg in (long, short))
        return list(decided(last_day(START, legs, orders=(ours,)), DEFAULT).values())

    assert [(each.step, each.cancel_first) for each in at_age(1)] == [("2 of 4", ())] * 2
    (repriced,) = [each for each in at_age(60) if each.cancel_first]
    assert [(cancel.order, cancel.why) for cancel in repriced.cancel_first] == [(ours, "to reprice")]


def test_a_long_leg_at_its_own_stop_that_may_not_leave_before_the_short_ones_does_not_part_it() -> None:
    legs = condor(clock=START)
    worthless = option(call(220, TODAY), 1, "0.30", entry="2.00", clock=START)
    assert is_whole(last_day(START, (*legs[:3], worthless)))


def shorts_alone(**rules: object) -> Policy:
    """These rules for each short option, beside the default configuration."""
    entry = StrategyConfig("shorts", match=MatchConfig(side=SideKind.SHORT), rules=RulesConfig(**rules))  # type: ignore[arg-type]
    return a_policy(SellModuleConfig(strategies=(entry,)))


def test_a_short_leg_at_its_own_stop_leaves_for_itself_as_before() -> None:
    long, short = vertical(clock=START)
    at_stop = option(short.symbol, -2, "2.00", entry="1.00", clock=START)
    assert orders(last_day(START, (long, at_stop)), shorts_alone(stop_loss=percent(50))) == [(short.symbol,)]


def test_in_the_final_phase_of_its_last_day_it_leaves_by_legs_and_says_so() -> None:
    snapshot = last_day(FINAL, condor(clock=FINAL))
    assert set(orders(snapshot)) == {(put(180, TODAY),), (call(210, TODAY),)}
    sentence = decided(snapshot, DEFAULT)[put(180, TODAY)].sentence
    assert "by legs: the final deadline of its last day has come" in sentence


def test_a_calendar_of_which_only_one_leg_expires_today_leaves_by_that_leg() -> None:
    near, far = option(call(200, TODAY), -1, "1.00", clock=EAGER), option(call(200), 1, "2.00", clock=EAGER)
    assert orders(last_day(EAGER, (near, far))) == [(near.symbol,)]


# --- panic and the account guard --------------------------------------------------------------------------------------

GUARDED = a_policy(SellModuleConfig(account_guard=AccountGuardConfig(loss=percent(5))))
HALTED = a_policy(SellModuleConfig(account_guard=AccountGuardConfig(loss=percent(5), action=GuardAction.HALT)))


def with_a_loss(snapshot: Snapshot) -> Snapshot:
    facts = AccountFacts(
        "main", "PA1", options_level=3, equity=Decimal(9000), last_equity=Decimal(10000), transfers=Decimal(0)
    )
    return replace(snapshot, account=facts)


@pytest.mark.parametrize("build", [condor, vertical])
def test_under_panic_and_by_the_account_guard(build: object) -> None:
    legs = build("261218")  # type: ignore[operator]
    assert is_whole(under_panic(legs))
    assert is_whole(with_a_loss(a_scene(*legs)), GUARDED)
    assert orders(with_a_loss(a_scene(*legs)), HALTED) == []


def test_a_strategy_judges_each_leg_alone_as_before() -> None:
    long, short = vertical("261218")
    at_target = option(short.symbol, -2, "1.00", entry="3.00")
    assert orders(a_scene(long, at_target), shorts_alone(take_profit=percent(50))) == [(short.symbol,)]
    decisions = decided(a_scene(*condor("261218")), DEFAULT)
    assert {each.holding.structure for each in decisions.values()} == {None}


def test_what_several_panic_orders_of_one_underlying_close_is_told_apart() -> None:
    legs = (*condor("261218"), *vertical("270115"))
    assert sorted(map(len, orders(under_panic(legs)))) == [2, 4]


def test_panic_on_a_part_of_it_closes_that_part() -> None:
    long, short = vertical("261218")
    assert orders(a_scene(long, short, panic=frozenset({short.symbol}))) == [(short.symbol,)]


def test_an_order_of_a_panic_that_is_over_stays() -> None:
    long, short = vertical("261218")
    progress = ExitProgress(Reason.PANIC, Urgency.FORCED, 1, dt.timedelta(seconds=1), "sellctl-abc")
    legs = tuple(replace(leg, state=replace(leg.state, exit=progress)) for leg in (long, short))
    ours = a_multi_leg_order({long.symbol: 1, short.symbol: -1}, "2", client_order_id="sellctl-abc")
    decisions = decided(a_scene(*legs, orders=(ours,)), DEFAULT)
    assert not any(each.submit or each.cancel_first for each in decisions.values())


def test_while_its_order_works_what_is_opened_beside_it_does_not_put_it_together_anew() -> None:
    legs = condor("261218")
    between = option(call(215), 1, "0.70")
    progress = ExitProgress(Reason.PANIC, Urgency.FORCED, 1, dt.timedelta(seconds=1), "sellctl-abc")
    leaving = tuple(replace(leg, state=replace(leg.state, exit=progress)) for leg in legs)
    contracts = {leg.symbol: 1 if leg.position.is_long else -1 for leg in legs}
    ours = a_multi_leg_order(contracts, "1", client_order_id="sellctl-abc", limit="1.10")
    decisions = decided(under_panic((*leaving, between), orders=(ours,)), DEFAULT)
    assert not any(each.cancel_first for each in decisions.values())
    assert "all legs of AAPL-iron_condor-261218-170-180-210-220" in decisions[call(220)].sentence


# --- what stays as it is ----------------------------------------------------------------------------------------------


def test_with_structures_off_its_legs_leave_one_by_one_without_a_word() -> None:
    for snapshot in (last_day(EAGER, condor(clock=EAGER)), under_panic(condor("261218"))):
        assert {len(symbols) for symbols in orders(snapshot, WITHOUT_STRUCTURES)} == {1}
        assert not any("by legs" in each.sentence for each in decided(snapshot, WITHOUT_STRUCTURES).values())


def test_without_the_level_for_it_its_legs_leave_one_by_one_and_say_why() -> None:
    snapshot = last_day(EAGER, condor(clock=EAGER), level=2)
    assert set(orders(snapshot)) == {(put(180, TODAY),), (call(210, TODAY),)}
    decision = decided(snapshot, DEFAULT)[put(180, TODAY)]
    assert "by legs: the account's options level is 2, and a multi-leg order needs 3" in decision.sentence
    assert decision.signal is not None
    assert decision.signal.structure == CONDOR_TODAY


def test_a_refusal_of_today_counts() -> None:
    snapshot = last_day(EAGER, condor(clock=EAGER), no_multi_leg=frozenset({CONDOR_TODAY}))
    assert (call(210, TODAY),) in orders(snapshot)


def test_what_was_bought_only_and_what_has_shares_leaves_leg_by_leg() -> None:
    straddle = (option(call(200, TODAY), 1, "2.00", clock=EAGER), option(put(200, TODAY), 1, "2.00", clock=EAGER))
    assert orders(last_day(EAGER, straddle)) == [(leg.symbol,) for leg in straddle]
    covered = (a_leg("AAPL", 100, "190.00", "190.00", "190.02"), option(call(210), -1, "1.00"))
    stocks = a_policy(SellModuleConfig(strategy_one=StrategyOneConfig(applies_to=("option", "stock"))))  # type: ignore[arg-type]
    decisions = decided(under_panic(covered), stocks)
    assert [each.submit.symbols for each in decisions.values() if each.submit] == [(call(210),)]
    assert not any(each.signal and each.signal.structure for each in decisions.values())


def test_an_uncovered_short_of_a_ratio_leaves_by_itself_until_all_of_it_is_to_leave() -> None:
    ratio = (option(call(200), 1, "6.00"), option(call(210), -2, "2.00"))
    snapshot = a_scene(*ratio)
    assert orders(snapshot) == [(call(210),)]
    assert the_exit(snapshot).submit.qty == 1  # type: ignore[union-attr]
    assert is_whole(under_panic(ratio))


def test_a_leg_that_is_left_alone_parts_it() -> None:
    long, short = vertical("261218")
    snapshot = replace(under_panic((long, short)), exempt=frozenset({long.symbol}))
    assert orders(snapshot) == [(short.symbol,)]


def test_an_order_for_one_of_its_legs_is_followed_to_its_end_first() -> None:
    legs = condor("261218")
    decisions = decided(under_panic(legs, orders=(our_order(put(180), "buy", "1"),)), DEFAULT)
    assert all(not each.submit or len(each.submit.symbols) == 1 for each in decisions.values())


# --- several at once --------------------------------------------------------------------------------------------------

NEAR, FAR = "261204", "261218"
LOWER, UPPER = ({call(strike, NEAR): -1, call(strike, FAR): 1} for strike in (200, 220))
REVERSED = {call(210, NEAR): 1, call(210, FAR): -1}  # a far long of one of the others covers its short
THREE = {**LOWER, **REVERSED, **UPPER}


@pytest.mark.parametrize("first", list(permutations([LOWER, REVERSED, UPPER])))
@pytest.mark.parametrize("by_match", [True, False])
def test_several_orders_on_one_underlying_uncover_no_short_whichever_of_them_fill_first(
    first: tuple[dict[str, int], ...], *, by_match: bool
) -> None:
    held = [a_leg(symbol, qty, "1.00", "1.00", "1.02") for symbol, qty in THREE.items()]
    policy = ruled(StructureKind.CALENDAR, exit_at=dt.time(11)) if by_match else DEFAULT
    named = {structure_name(StructureKind.CALENDAR, legs(each)): "" for each in first}
    found = sent(a_scene(*held, named=named, panic=frozenset() if by_match else frozenset(THREE)), policy)
    assert found
    for filled in (some for count in range(len(found) + 1) for some in combinations(found, count)):
        assert naked_after(filled) == 0


def naked_after(filled: Iterable[SubmitOrder]) -> Decimal:
    """The naked contracts once these orders have filled."""
    left = dict(THREE)
    for order in filled:
        for symbol in order.symbols:
            qty = int(order.qty_of(symbol))
            left[symbol] -= qty if left[symbol] > 0 else -qty
    held = [a_leg(symbol, qty, "1.00", "1.00", "1.02") for symbol, qty in left.items() if qty]
    return sum(cover_of(held).uncovered.values(), Decimal(0))


SIX = {call(200, NEAR): -1, call(205, NEAR): 1, put(170): 1, put(180): -1, call(210): -1, call(220): 1}


def test_a_named_structure_of_six_legs_that_no_match_names_leaves_in_parts() -> None:
    held = [option(symbol, qty, "1.00" if qty < 0 else "0.50") for symbol, qty in SIX.items()]
    named = {structure_name(StructureKind.CUSTOM, legs(SIX)): "my own"}
    found = orders(a_scene(*held, named=named, panic=frozenset(SIX)))
    assert sorted(map(len, found)) == [2, 4]


def test_what_is_closed_by_its_name_leaves_whole_also_where_a_leg_is_at_its_own_stop() -> None:
    worthless = option(call(220), 1, "0.30", entry="2.00")
    asked = frozenset({"AAPL-iron_condor-261218-170-180-210-220"})
    assert is_whole(a_scene(*condor("261218")[:3], worthless, manual_closes=asked))
