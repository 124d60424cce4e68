"""The exit of a structure of more than four legs: an order for each part, its price, and what follows."""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from itertools import combinations

import pytest
from builders import at, replace
from hypothesis import event, given
from hypothesis import strategies as st
from msgspec import Struct
from one_order_builders import a_leg, a_scene, busy, decided, percent, ruled, sent, under_way
from structure_builders import a_multi_leg_order, call, legs, put

from sellctl.core.config.schema import ShortAction, ShortPositionsConfig
from sellctl.core.decision.engine import decide
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.order import ZERO, Order
from sellctl.core.model.plan import DecisionState, Reason, SubmitOrder, Urgency
from sellctl.core.model.position import ExitAfter, Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.structures.coverage import cover_of
from sellctl.core.structures.names import structure_name

N1, N2 = call(200, "261204"), call(205, "261204")
CONDOR = {put(170): 1, put(180): -1, call(210): -1, call(220): 1}
SIX = {N1: -1, N2: 1, **CONDOR}
NEAR, FAR = (N1, N2), tuple(sorted(CONDOR))
NEAR_NAME = "AAPL-vertical-261204-200-205C"
FAR_NAME = "AAPL-iron_condor-261218-170-180-210-220"
BIDS = {N1: "2.00", N2: "0.98", put(170): "0.50", put(180): "1.00", call(210): "1.00", call(220): "0.50"}
CUSTOM = ruled(StructureKind.CUSTOM, exit_at=dt.time(11))


def named(contracts: dict[str, int]) -> str:
    return structure_name(StructureKind.CUSTOM, legs(contracts))


NAME = named(SIX)


def six(units: int = 2, **changes: int) -> list[Holding]:
    """The legs, of which each has a bid and an ask two cents above it."""
    return [leg(symbol, changes.get(symbol, units * ratio)) for symbol, ratio in SIX.items()]


def leg(symbol: str, qty: int) -> Holding:
    return a_leg(symbol, qty, "1.00" if qty > 0 else "3.00", BIDS[symbol], str(Decimal(BIDS[symbol]) + Decimal("0.02")))


def scene(*held: Holding, **more: object) -> Snapshot:
    return a_scene(*held, named={NAME: "mine"}, **more)


def marked(*held: Holding) -> list[Holding]:
    return [busy(each, exit_after=ExitAfter(NAME, "custom: exit at 11:00").text) for each in held]


def orders(snapshot: Snapshot, policy: object = CUSTOM) -> dict[tuple[str, ...], SubmitOrder]:
    return {tuple(sorted(order.symbols)): order for order in sent(snapshot, policy)}  # type: ignore[arg-type]


def test_each_part_is_an_order_of_its_own_for_all_units() -> None:
    found = orders(scene(*six()))
    assert found.keys() == {NEAR, FAR}
    assert {order.symbol: order.qty for order in found.values()} == {NEAR_NAME: 2, FAR_NAME: 2}
    assert len({order.client_order_id for order in found.values()}) == 2
    assert {each.ratio for order in found.values() for each in order.legs} == {1}


def test_the_signal_of_a_part_names_the_structure_and_the_legs_that_leave_with_it() -> None:
    signals = {each.submit.symbol: each.signal for each in decided(scene(*six()), CUSTOM).values() if each.submit}
    assert {signal.structure for signal in signals.values() if signal} == {NAME}
    near = signals[NEAR_NAME]
    assert near
    assert sorted(near.then_close) == sorted(FAR)
    assert near.detail.startswith("custom: ")


def test_a_part_that_is_closed_for_itself_takes_no_other_part_with_it() -> None:
    def signals(panic: frozenset[str]) -> set[tuple[str, str, tuple[str, ...]]]:
        found = decided(scene(*six(), panic=panic), ruled(StructureKind.CUSTOM, take_profit=percent(500))).values()
        both = ((each.submit, each.signal) for each in found if each.submit and each.signal)
        return {(order.symbol, signal.structure, signal.then_close) for order, signal in both}

    assert signals(frozenset(NEAR)) == {(NEAR_NAME, "", ())}
    assert signals(frozenset(SIX)) == {(NEAR_NAME, NAME, ()), (FAR_NAME, NAME, ())}


def test_when_it_is_closed_by_its_name_the_other_part_follows() -> None:
    snapshot = scene(*six(), manual_closes=frozenset({NAME}))
    found = decided(snapshot, ruled(StructureKind.CUSTOM, take_profit=percent(500))).values()
    follow = {each.submit.symbol: set(each.signal.then_close) for each in found if each.submit and each.signal}
    assert follow == {NEAR_NAME: set(FAR), FAR_NAME: set(NEAR)}


def test_it_says_of_which_structure_the_order_closes_legs() -> None:
    sentences = [each.sentence for each in decided(scene(*six()), CUSTOM).values() if each.submit]
    assert sum(f"as one order for 2 of the 6 legs of {NAME}" in each for each in sentences) == 1


def test_a_part_that_works_already_stays_the_same_and_the_other_one_is_sent() -> None:
    order = a_multi_leg_order({symbol: ratio for symbol, ratio in SIX.items() if symbol in FAR}, "2")
    order = replace(order, client_order_id="sellctl-abc")
    assert orders(scene(*marked(*six()), orders=(order,))).keys() == {NEAR}


def test_when_a_part_has_left_the_other_one_follows_at_once_as_the_same_order() -> None:
    rest = marked(*(each for each in six() if each.symbol in FAR))
    found = decided(scene(*rest), ruled(StructureKind.CUSTOM, take_profit=percent(500)))
    (decision,) = (each for each in found.values() if each.submit)
    assert decision.submit
    assert decision.signal
    assert decision.submit.symbol == FAR_NAME
    assert (decision.signal.reason, decision.signal.urgency) == (Reason.STRUCTURE, Urgency.PROTECTIVE)
    assert decision.signal.structure == NAME


def test_a_leg_that_was_closed_meanwhile_ends_the_order_of_its_part_alone_and_the_rest_of_it_follows() -> None:
    order = a_multi_leg_order(CONDOR, "2", client_order_id="sellctl-abc")
    held = marked(*(each for each in six() if each.symbol != call(220)))
    plan = decide(scene(*held, orders=(order,)), CUSTOM)
    assert [cancel.why for cancel in plan.cancels] == [f"because {call(220)} is no longer held"]
    assert [each.submit.symbol for each in plan.submits if each.submit] == [NEAR_NAME]
    assert orders(scene(*held)).keys() == {NEAR, tuple(sorted(CONDOR.keys() - {call(220)}))}


def test_what_a_part_has_more_than_the_other_one_follows_as_one_order() -> None:
    held = marked(*six(2, **{N1: -1, N2: 1}))
    found = orders(scene(*held), ruled(StructureKind.CUSTOM, take_profit=percent(500)))
    assert {order.symbol: order.qty for order in found.values()} == {FAR_NAME: 1}


def test_what_is_kept_of_a_leg_does_not_leave_with_a_part() -> None:
    rest = [
        busy(each, exit_after=ExitAfter(NAME, "exit at 11:00", Decimal(1)).text) for each in six() if each.symbol in FAR
    ]
    assert {order.qty for order in orders(scene(*rest)).values()} == {1}


def test_where_no_multi_leg_order_may_be_sent_it_leaves_by_legs_with_the_reason() -> None:
    found = decided(scene(*six(), level=2), CUSTOM)
    assert {each.submit.symbols for each in found.values() if each.submit} == {(N1,), (put(180),), (call(210),)}
    why = "by legs: the account's options level is 2, and a multi-leg order needs 3"
    assert all(why in each.sentence for each in found.values())


def test_a_part_that_the_broker_refused_leaves_by_legs_and_the_other_one_as_an_order() -> None:
    found = decided(scene(*six(), no_multi_leg=frozenset({FAR_NAME})), CUSTOM)
    assert {each.submit.symbols for each in found.values() if each.submit} == {NEAR, (put(180),), (call(210),)}
    assert "by legs: the broker refused a multi-leg order of it today" in found[call(210)].sentence
    assert "by legs" not in found[N1].sentence
    rest = marked(*(each for each in six() if each.symbol in {put(170), call(220)}))
    longs = decided(scene(*rest, no_multi_leg=frozenset({FAR_NAME})), CUSTOM)
    assert {each.submit.symbols for each in longs.values() if each.submit} == {(put(170),), (call(220),)}


def test_the_long_legs_of_what_follows_by_legs_wait_for_its_short_ones() -> None:
    rest = marked(*(each for each in six() if each.symbol in FAR))
    found = decided(scene(*rest, level=2), CUSTOM)
    assert {each.submit.symbols for each in found.values() if each.submit} == {(put(180),), (call(210),)}
    for long in (put(170), call(220)):
        assert found[long].state is DecisionState.CLOSING
        assert "close first" in found[long].sentence


def test_a_structure_without_parts_leaves_by_legs_and_says_so() -> None:
    one_short = {call(200): -4, call(210): 1, call(220): 1, call(230): 1, call(240): 1}
    held = [a_leg(symbol, qty, "1.00", "1.00", "1.02") for symbol, qty in one_short.items()]
    found = decided(a_scene(*held, named={named(one_short): ""}), CUSTOM)
    assert [each.submit.symbols for each in found.values() if each.submit] == [(call(200),)]
    assert "by legs: it has more than four legs, and no parts that cover themselves" in found[call(200)].sentence


def test_a_part_whose_long_leg_covers_a_short_outside_of_the_structure_leaves_by_legs() -> None:
    more = SIX | {put(170): 2}
    held = [leg(symbol, qty) for symbol, qty in more.items()]
    assert len(sent(a_scene(*held, named={named(more): ""}), CUSTOM)) == 2
    other = a_leg(put(160), -1, "3.00", "1.00", "1.02")
    found = decided(a_scene(*held, other, named={named(more): ""}), CUSTOM)
    assert {each.submit.symbols for each in found.values() if each.submit} == {NEAR, (put(180),), (call(210),)}
    assert "by legs: a long leg of it covers another short" in found[put(180)].sentence


TARGET = ruled(StructureKind.CUSTOM, take_profit=percent(50))


def test_at_a_target_the_limits_of_all_parts_add_up_to_no_more_than_the_price_that_met_it() -> None:
    found = orders(scene(*under_way(*six(), step=20, urgency=3)), TARGET)
    assert found.keys() == {NEAR, FAR}
    limits = [order.limit_price for order in found.values()]
    assert None not in limits
    assert sum(limit for limit in limits if limit is not None) <= Decimal("3.00")  # half of the credit of $6.00


@pytest.mark.parametrize("limit", ["0.50", "1.90", "2.40"])
def test_beside_a_part_that_works_the_other_one_keeps_what_is_left_of_the_targets_price(limit: str) -> None:
    order = a_multi_leg_order({N1: -1, N2: 1}, "2", limit=limit, client_order_id="sellctl-abc")
    found = orders(scene(*under_way(*six(), step=20, urgency=3), orders=(order,)), TARGET)
    (far,) = found.values()
    assert far.limit_price is not None
    assert far.limit_price + Decimal(limit) <= Decimal("3.00")


def test_a_target_that_is_no_longer_met_ends_the_order_of_a_part() -> None:
    held = [*under_way(*six(), urgency=3)]
    order = a_multi_leg_order({N1: -1, N2: 1}, "2", client_order_id="sellctl-abc")
    plan = decide(scene(*held, orders=(order,)), ruled(StructureKind.CUSTOM, take_profit=percent(90)))
    assert [cancel.why for cancel in plan.cancels] == ["because the target is no longer met"]


@pytest.mark.parametrize(("long", "short", "units"), [(3, -2, 1), (6, -4, 2), (4, -2, 2), (7, -4, 2)])
def test_a_structure_of_unequal_ratios_is_one_order_with_its_ratios_in_lowest_terms(
    long: int, short: int, units: int
) -> None:
    ratios = {call(200): 2, call(210): -1} if (long, short) == (4, -2) else {call(200): 3, call(210): -2}
    held = [a_leg(call(200), long, "3.00", "2.00", "2.02"), a_leg(call(210), short, "1.00", "1.00", "1.02")]
    policy = ruled(StructureKind.CUSTOM, StructureKind.RATIO, exit_at=dt.time(11))
    (order,) = sent(a_scene(*held, named={named(ratios): ""}), policy)
    assert {each.symbol: each.ratio for each in order.legs} == {symbol: abs(qty) for symbol, qty in ratios.items()}
    assert order.qty == units


IGNORED = ShortPositionsConfig(action=ShortAction.IGNORE)  # or a naked short would be closed without the others
WITH_SHORTS = ruled(StructureKind.CUSTOM, sell={"short_positions": IGNORED}, exit_at=dt.time(11))


# --- any structure, any fills -----------------------------------------------------------------------------------------

SYMBOLS = [kind(strike, day) for kind in (call, put) for strike in (190, 200, 210) for day in ("261204", "261218")]


@st.composite
def structures(draw: st.DrawFn) -> dict[str, int]:
    """Five to eight legs, most of which cover each other."""
    symbols = draw(st.lists(st.sampled_from(SYMBOLS), min_size=5, max_size=8, unique=True))
    return {symbol: draw(st.sampled_from([-1, -1, 1, 1, 1, 2, -2, 3])) for symbol in symbols}


class Working(Struct, frozen=True):
    """An order at the broker: what of each leg a unit of it closes, below zero of a short one."""

    id: str
    per_unit: dict[str, int]
    units: int
    filled: int = 0

    @property
    def left(self) -> int:
        return self.units - self.filled

    @property
    def order(self) -> Order:
        terms = {"client_order_id": self.id, "id": self.id, "submitted": at("12:00")}
        order = a_multi_leg_order(self.per_unit, str(self.units), filled=str(self.filled), **terms)
        if len(self.per_unit) > 1:
            return order
        return replace(order.legs[0], client_order_id=self.id, id=self.id, order_class="", limit_price=Decimal(1))


class Account:
    """An account whose orders fill as they are told to, and which keeps what is stored of its legs."""

    def __init__(self, ratios: dict[str, int], units: int) -> None:
        self.name = named(ratios)
        self.held = {symbol: ratio * units for symbol, ratio in ratios.items()}
        self.orders: list[Working] = []
        self.is_marked = False
        self.sent = 0

    def poll(self) -> None:
        """Decide, cancel and send."""
        held = [a_leg(symbol, qty, "1.00", "1.00", "1.02") for symbol, qty in self.held.items() if qty]
        if self.is_marked:
            held = [busy(each, exit_after=ExitAfter(self.name, "exit at 11:00").text) for each in held]
        orders = tuple(each.order for each in self.orders)
        plan = decide(a_scene(*held, named={self.name: ""}, orders=orders), WITH_SHORTS)
        assert not any("could not be evaluated" in each.sentence for each in plan.decisions)
        ended = {cancel.order.id for cancel in plan.cancels}
        self.orders = [each for each in self.orders if each.id not in ended]
        for decision in plan.submits:
            assert decision.submit
            self._send(decision.submit)
            self.is_marked = self.is_marked or bool(decision.signal and decision.signal.then_close)

    def _send(self, request: SubmitOrder) -> None:
        self.sent += 1
        event(f"an order for {len(request.symbols)} legs")
        signs = {symbol: 1 if self.held[symbol] > 0 else -1 for symbol in request.symbols}
        per_unit = {symbol: sign * int(request.qty_of(symbol) / request.qty) for symbol, sign in signs.items()}
        self.orders.append(Working(f"sellctl-{self.sent}", per_unit, int(request.qty)))

    def fill(self, index: int, units: int, *, ends: bool) -> None:
        """Fill so many units of an order, which ends then or stays with the rest."""
        order = self.orders.pop(index)
        units = min(units, order.left)
        self.held = self.after(((order, units),))
        if not ends and order.left > units:
            self.orders.append(replace(order, filled=order.filled + units))

    def after(self, fills: Iterable[tuple[Working, int]]) -> dict[str, int]:
        """What is held once so many units of these orders have filled."""
        left = dict(self.held)
        for order, units in fills:
            for symbol, ratio in order.per_unit.items():
                left[symbol] -= ratio * units
        return left


def naked(held: dict[str, int]) -> Decimal:
    every = (a_leg(symbol, qty, "1.00", "1.00", "1.02") for symbol, qty in held.items() if qty)
    return sum(cover_of(every).uncovered.values(), ZERO)


@given(structures(), st.integers(1, 3), st.data())
def test_whatever_fills_first_nothing_is_uncovered_and_nothing_is_sold_twice(
    ratios: dict[str, int], units: int, data: st.DataObject
) -> None:
    account = Account(ratios, units)
    before = naked(account.held)
    for _ in range(12):
        account.poll()
        for count in range(len(account.orders) + 1):
            for chosen in combinations(account.orders, count):
                left = account.after((order, order.left) for order in chosen)
                assert all(left[symbol] * ratio >= 0 for symbol, ratio in ratios.items())
                assert naked(left) <= before
        if account.orders:
            index = data.draw(st.integers(0, len(account.orders) - 1))
            account.fill(index, data.draw(st.integers(0, 3)), ends=data.draw(st.booleans()))
    for _ in range(30):
        account.poll()
        if account.orders:
            account.fill(0, 99, ends=True)
    assert not any(account.held.values())
