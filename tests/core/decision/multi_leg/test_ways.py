"""When a structure leaves by legs instead of as one order, and that the reason is told."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import a_market, a_policy, an_order, our_order, replace
from one_order_builders import (
    AT_NOON,
    CONDOR,
    LONG,
    SHORT,
    VERTICAL,
    a_credit,
    a_debit,
    a_leg,
    a_scene,
    busy,
    decided,
    percent,
    ruled,
    sent,
    the_order,
    under_way,
)
from structure_builders import a_multi_leg_order, call, put

from sellctl.core.config.schema import (
    MatchConfig,
    Preempt,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    StrategyOneConfig,
)
from sellctl.core.decision.context import DecisionContext
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.plan import DecisionState, Urgency
from sellctl.core.model.position import ExitAfter, Holding, PositionState
from sellctl.core.model.snapshot import Snapshot

TODAYS_LONG, TODAYS_SHORT = call(200, "261124"), call(210, "261124")


def by_legs(snapshot: Snapshot, policy: object = AT_NOON) -> str:
    """Why the short leg alone is sent."""
    decisions = decided(snapshot, policy)  # type: ignore[arg-type]
    orders = [each.submit for each in decisions.values() if each.submit]
    assert [order.symbols for order in orders] == [(SHORT,)]
    assert decisions[LONG].state is DecisionState.CLOSING
    assert f"{SHORT} closes first" in decisions[LONG].sentence
    return decisions[SHORT].sentence


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_level_that_is_too_low(level: int) -> None:
    why = f"by legs: the account's options level is {level}, and a multi-leg order needs 3"
    assert why in by_legs(a_scene(*a_debit(), level=level))


def named(snapshot: Snapshot) -> dict[str, str]:
    """The structure that the signal on each leg names."""
    return {symbol: each.signal.structure for symbol, each in decided(snapshot, AT_NOON).items() if each.signal}


def test_each_leg_that_leaves_by_itself_names_its_structure_whatever_the_reason() -> None:
    both = {LONG: VERTICAL, SHORT: VERTICAL}
    for reason in ({}, {"manual_closes": frozenset({VERTICAL})}, {"panic": frozenset({LONG, SHORT})}):
        assert named(a_scene(*a_debit(), level=2, **reason)) == both
    long, _ = a_debit()
    assert named(a_scene(busy(long, exit_after=ExitAfter(VERTICAL, "exit at 11:00").text))) == {LONG: VERTICAL}


def test_the_signal_of_one_order_and_that_of_a_leg_closed_for_itself_name_none() -> None:
    assert [
        each.signal.structure for each in decided(a_scene(*a_debit()), AT_NOON).values() if each.submit and each.signal
    ] == [""]
    assert named(a_scene(*a_debit(), manual_closes=frozenset({SHORT}), level=2))[SHORT] == ""


@pytest.mark.parametrize("level", [None, 3, 4])
def test_a_level_that_is_unknown_or_high_enough_is_tried(level: int | None) -> None:
    assert the_order(a_scene(*a_debit(), level=level)).symbol == VERTICAL


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (VERTICAL, "by legs: the broker refused a multi-leg order of it today"),
        ("", "by legs: the broker lets the account send no multi-leg orders"),
    ],
)
def test_a_refusal_of_today(refused: str, why: str) -> None:
    assert why in by_legs(a_scene(*a_debit(), no_multi_leg=frozenset({refused})))
    assert the_order(a_scene(*a_debit(), no_multi_leg=frozenset({"another"}))).symbol == VERTICAL


def test_legs_that_are_marked_while_they_leave_in_one_order_stay_one_order() -> None:
    mark = ExitAfter(VERTICAL, "exit at 11:00").text
    legs = under_way(*(busy(leg, exit_after=mark) for leg in a_debit()))
    assert the_order(a_scene(*legs, structures={VERTICAL: PositionState()})).symbol == VERTICAL


def test_a_quarantined_leg() -> None:
    long, short = a_debit()
    assert f"by legs: {LONG} is quarantined" in by_legs(a_scene(busy(long, quarantine="quarantined: 2 held"), short))


def test_a_leg_without_any_price() -> None:
    long, short = a_debit()
    assert f"by legs: {LONG} has no price" in by_legs(a_scene(replace(long, quote=None), short))


NOBODY_BIDS = (a_leg(LONG, 2, "5.00", None, "0.04"), a_leg(SHORT, -2, "3.00", "0.01", "0.02"))


def test_a_leg_that_nobody_bids_for_once_the_whole_price_ladder_brought_no_fill() -> None:
    steps = [the_order(a_scene(*under_way(*NOBODY_BIDS, step=step))) for step in range(1, 5)]
    assert {order.symbol for order in steps} == {VERTICAL}
    why = by_legs(a_scene(*under_way(*NOBODY_BIDS, step=9)))
    assert f"by legs: nobody bids for {LONG}, and it did not fill as one order" in why


def test_a_leg_without_a_usable_quote_once_a_forced_exit_found_no_fill_at_the_market() -> None:
    long, short = a_debit()
    unquoted = replace(long, quote=None, position=replace(long.position, current_price=Decimal("6.00")))
    legs = under_way(unquoted, short, step=9, urgency=Urgency.FORCED)
    decisions = decided(a_scene(*legs, panic=frozenset({LONG, SHORT})), AT_NOON)
    assert [each.submit.symbols for each in decisions.values() if each.submit] == [(SHORT,)]
    why = f"by legs: {LONG} has no usable quote, and it did not fill as one order"
    assert why in decisions[SHORT].sentence


def test_what_is_bid_for_stays_one_order_however_long_it_does_not_fill() -> None:
    assert the_order(a_scene(*under_way(*a_debit(), step=20))).symbol == VERTICAL


def test_three_refusals_in_a_row_whatever_they_said() -> None:
    def refused(times: int) -> tuple[Holding, ...]:
        return tuple(busy(leg, rejects=times, rejected_for=dt.timedelta(minutes=2)) for leg in a_debit())

    assert the_order(a_scene(*refused(2))).symbol == VERTICAL
    assert "by legs: the broker refused 3 orders for it in a row" in by_legs(a_scene(*refused(3)))


def test_an_order_of_the_users_that_is_opposite_to_a_leg() -> None:
    users = an_order(SHORT, "sell", limit="2.00")
    decisions = decided(a_scene(*a_debit(), orders=(users,)), AT_NOON)
    assert f"by legs: your order for {SHORT} is opposite to it" in decisions[SHORT].sentence
    assert decisions[SHORT].state is DecisionState.BLOCKED
    assert not any(each.submit for each in decisions.values())


def test_an_order_of_ours_for_one_leg_is_followed_to_its_end_first() -> None:
    decisions = decided(a_scene(*a_debit(), orders=(our_order(SHORT, "buy", "2"),)), AT_NOON)
    assert not any(each.submit for each in decisions.values())
    apart = a_multi_leg_order({SHORT: -1, call(220): 1}, "2", client_order_id="sellctl-other")
    decisions = decided(a_scene(*a_debit(), orders=(apart,)), AT_NOON)
    assert not any(each.submit for each in decisions.values())
    assert [each.why for each in decisions[SHORT].cancel_first] == [f"because {call(220)} is no longer held"]


def test_a_multi_leg_order_of_ours_whose_legs_are_not_shown_is_cancelled_and_nothing_is_sent_beside_it() -> None:
    hidden = a_multi_leg_order({}, "2", client_order_id="sellctl-other")
    decisions = decided(a_scene(*a_debit(), orders=(hidden,)), AT_NOON)
    assert not any(each.submit for each in decisions.values())
    whys = {cancel.why for each in decisions.values() for cancel in each.cancel_first}
    assert whys == {"because the broker does not show its legs"}


@pytest.mark.parametrize("available", [Decimal(2), None])
def test_beside_a_multi_leg_order_of_the_users_whose_legs_are_not_shown_nothing_is_sent(
    available: Decimal | None,
) -> None:
    hidden = a_multi_leg_order({}, "2")
    held = [replace(leg, position=replace(leg.position, available=available)) for leg in a_debit()]
    for level in (3, 2):
        decisions = decided(a_scene(*held, orders=(hidden,), level=level), AT_NOON)
        assert not any(each.submit for each in decisions.values())
        assert decisions[SHORT].state is DecisionState.BLOCKED
    panic = a_scene(*held, orders=(hidden,), panic=frozenset({LONG, SHORT}))
    decisions = decided(panic, ruled(sell={"take_over": Preempt.FORCED}, stop_loss=percent(5000)))
    assert {cancel.order.id for each in decisions.values() for cancel in each.cancel_first} == {hidden.id}


def test_legs_that_are_marked_to_follow_one_leave_by_legs_to_the_end() -> None:
    mark = ExitAfter(VERTICAL, "vertical: a time").text
    long, short = a_debit()
    by_legs(a_scene(busy(long, exit_after=mark), busy(short, exit_after=mark), structures={VERTICAL: PositionState()}))


def test_a_leg_that_is_closed_manually_leaves_alone() -> None:
    assert [order.symbols for order in sent(a_scene(*a_debit(), manual_closes=frozenset({SHORT})), AT_NOON)] == [
        (SHORT,)
    ]


def test_legs_that_leave_with_different_urgency_leave_each_for_itself() -> None:
    decisions = decided(a_scene(*a_debit(), panic=frozenset({SHORT})), AT_NOON)
    assert [each.submit.symbols for each in decisions.values() if each.submit] == [(SHORT,)]


def test_a_covered_call_leaves_by_legs_without_a_word() -> None:
    legs = (a_leg("AAPL", 100, "190.00", "195.00", "195.02"), a_leg(SHORT, -1, "3.00", "2.08", "2.10"))
    decisions = decided(a_scene(*legs), AT_NOON)
    assert [each.submit.symbols for each in decisions.values() if each.submit] == [(SHORT,)]
    assert "by legs" not in decisions[SHORT].sentence


def test_the_final_deadline_of_the_last_day() -> None:
    legs = (a_leg(TODAYS_LONG, 2, "5.00", "6.00", "6.10"), a_leg(TODAYS_SHORT, -2, "3.00", "2.08", "2.10"))

    def at_(clock: str) -> tuple[list[tuple[str, ...]], str]:
        decisions = decided(a_scene(*legs, market=a_market(clock)), ruled(stop_loss=percent(500)))
        return [d.submit.symbols for d in decisions.values() if d.submit], decisions[TODAYS_SHORT].sentence

    before, _ = at_("15:00")
    assert before == [(TODAYS_LONG, TODAYS_SHORT)]
    after, why = at_("15:14")
    assert (TODAYS_SHORT,) in after
    assert "by legs: the final deadline of its last day has come" in why


def test_where_no_strategy_judges_the_structure_its_legs_leave_each_for_itself() -> None:
    condors = StrategyConfig("condors", match=MatchConfig(structure=(StructureKind.IRON_CONDOR,)), rules=RulesConfig())
    rest = StrategyConfig("rest", rules=RulesConfig(exit_at=dt.time(11)))
    alone = SellModuleConfig(strategy_one=StrategyOneConfig(enabled=False), strategies=(condors, rest))
    decisions = decided(a_scene(*a_debit()), a_policy(alone))
    assert [each.submit.symbols for each in decisions.values() if each.submit] == [(SHORT,)]
    assert {symbol: each.signal.holding.symbol for symbol, each in decisions.items() if each.signal} == {
        LONG: LONG,
        SHORT: SHORT,
    }
    assert "by legs" not in decisions[SHORT].sentence


def test_a_structure_is_not_sent_while_the_account_is_halted_and_each_leg_says_so() -> None:
    decisions = decided(a_scene(*CONDOR, halted="earnings"), AT_NOON)
    assert {each.state for each in decisions.values()} == {DecisionState.DENIED}
    assert all("halted (earnings)" in each.sentence for each in decisions.values())


def test_a_long_leg_that_covers_a_short_outside_of_the_structure() -> None:
    """Two puts at 190 and one short at 200: both longs would leave, and one covers a put of an earlier expiration."""
    long = a_leg(put(190, "270115"), 2, "3.00", "2.00", "2.02")
    short = a_leg(put(200, "270115"), -1, "5.00", "4.00", "4.02")
    other = a_leg(put(190), -1, "1.00", "0.50", "0.52")
    decisions = decided(a_scene(long, short, other), ruled(StructureKind.RATIO, exit_at=dt.time(11)))
    assert [each.submit.symbols for each in decisions.values() if each.submit] == [(short.symbol,)]
    assert "by legs: a long leg of it covers another short" in decisions[short.symbol].sentence


PAIRS_OF_LONGS = {
    "AAPL-straddle-261218-200": (call(200), put(200)),
    "AAPL-strangle-261218-190P-210C": (put(190), call(210)),
}


def test_of_two_structures_whose_longs_cover_the_same_short_only_one_leaves_with_its_cover() -> None:
    longs = [a_leg(symbol, 1, "3.00", "2.00", "2.02") for pair in PAIRS_OF_LONGS.values() for symbol in pair]
    scene = a_scene(*longs, a_leg(call(220), -1, "1.00", "0.50", "0.52"), named=dict.fromkeys(PAIRS_OF_LONGS, ""))
    both = ruled(StructureKind.STRADDLE, StructureKind.STRANGLE, exit_at=dt.time(11))
    symbols = [symbol for order in sent(scene, both) for symbol in order.symbols]
    assert {call(200), call(210)} - set(symbols) == {call(210)}
    working = a_multi_leg_order(
        dict.fromkeys(PAIRS_OF_LONGS["AAPL-straddle-261218-200"], 1), client_order_id="sellctl-1"
    )
    beside = sent(replace(scene, orders=(working,)), both)
    assert call(210) not in {symbol for order in beside for symbol in order.symbols}


def test_a_position_of_no_quantity_on_the_underlying_keeps_no_structure_from_leaving() -> None:
    invalid = a_leg(call(220), 1, "1.00", "0.50", "0.52")
    invalid = replace(invalid, position=replace(invalid.position, qty=Decimal("NaN")))
    ours = a_multi_leg_order({call(220): 1, call(230): -1}, client_order_id="sellctl-1")
    assert [order.symbols for order in sent(a_scene(*a_debit(), invalid, orders=(ours,)), AT_NOON)] == [(LONG, SHORT)]


def test_many_structures_share_the_patient_orders_of_a_minute_as_one_exit_each() -> None:
    assert Urgency.TIME in DecisionContext.of(a_scene(*a_credit()), AT_NOON).walks
    roots = ("AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "META")
    legs = [
        leg
        for root in roots
        for leg in (
            a_leg(call(200, root=root), 2, "5.00", "6.00", "6.10"),
            a_leg(call(210, root=root), -2, "3.00", "2.08", "2.10"),
        )
    ]
    orders = sent(a_scene(*legs), AT_NOON)
    assert {order.limit_price for order in orders} == {orders[0].limit_price}
    assert len(orders) == len(roots)
