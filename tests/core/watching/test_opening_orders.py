"""What was opened as one order stays together from the first sight of the order on, without a request of its own."""

import asyncio
from decimal import Decimal

from builders import a_policy, at, replace
from order_fakes import FakeEpisodeStore
from shell_fakes import World
from structure_builders import an_opening_order, call, positions, put

from sellctl.core.config.schema import (
    LegConfig,
    MatchConfig,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    StructureConfig,
)
from sellctl.core.model.gain import Amount, Basis
from sellctl.core.model.instrument import StructureKind
from sellctl.core.model.order import Order

OUTER = {put(160): 1, put(175): -1, call(215): -1, call(230): 1}
INNER = {put(170): 1, put(180): -1, call(210): -1, call(220): 1}
OPENED = {"AAPL-iron_condor-261218-160-175-215-230", "AAPL-iron_condor-261218-170-180-210-220"}
NARROWEST = {"AAPL-iron_condor-261218-170-175-215-220", "AAPL-iron_condor-261218-160-180-210-230"}
ORDERS = (an_opening_order(OUTER, client_order_id="one"), an_opening_order(INNER, client_order_id="other"))
CONDORS = StrategyConfig(
    "condors",
    match=MatchConfig(structure=(StructureKind.IRON_CONDOR,)),
    rules=RulesConfig(stop_loss=Amount(Decimal(50))),
)


class Desk(World):
    """One account whose condors are judged as one position."""

    def start(self, sell: SellModuleConfig | None = None) -> None:
        """A process starts, on what an earlier one has stored."""
        self.watcher = self.a_watcher(self.broker)
        self.watcher.take_policy(a_policy(sell or SellModuleConfig(strategies=(CONDORS,))), Basis.MID)

    def hold(self, held: dict[str, int], *orders: Order) -> None:
        self.broker.held = tuple(positions(held))
        self.broker.orders = {order.client_order_id: order for order in orders}

    def recognised(self, seconds: float = 15) -> set[str]:
        """The structures after the next poll."""
        self.clock.seconds += seconds
        self.broker.requests.clear()
        asyncio.run(self.poll())
        return set(self.watcher.positions.structures)


def a_desk(held: dict[str, int], *orders: Order) -> Desk:
    desk = Desk(episode_store=FakeEpisodeStore())
    desk.start()
    desk.hold(held, *orders)
    return desk


def test_one_sight_of_the_orders_is_enough_for_later_polls_and_processes() -> None:
    desk = a_desk(OUTER | INNER, *ORDERS)
    assert desk.recognised() == OPENED
    desk.hold(OUTER | INNER)
    assert desk.recognised() == OPENED
    desk.start()
    assert desk.recognised() == OPENED


def test_they_cost_no_request() -> None:
    without, with_orders = a_desk(OUTER | INNER), a_desk(OUTER | INNER, *ORDERS)
    for _ in range(3):
        without.recognised()
        with_orders.recognised()
        assert with_orders.broker.requests == without.broker.requests


def test_legs_that_come_between_two_polls_are_together_once_the_next_poll_has_shown_their_orders() -> None:
    desk = a_desk({})
    desk.recognised()
    desk.hold(OUTER | INNER, *(replace(order, filled_at=at("12:00:20")) for order in ORDERS))
    assert desk.recognised() == NARROWEST
    assert "all orders" not in desk.broker.requests
    assert desk.recognised() == OPENED
    assert desk.broker.requests.count("all orders") == 1
    assert desk.recognised() == OPENED
    assert "all orders" not in desk.broker.requests


def test_a_list_of_orders_that_fails_costs_one_poll_only() -> None:
    desk = a_desk({})
    desk.recognised()
    desk.broker.unlisted = True
    desk.hold(OUTER | INNER)
    problems = []
    for _ in range(4):
        desk.recognised()
        problems.append(desk.watcher.state.problem is not None)
    assert problems == [False, True, False, False]


def test_what_a_match_names_and_was_recognised_before_an_order_filled_keeps_its_legs() -> None:
    verticals = replace(CONDORS, match=MatchConfig(structure=(StructureKind.VERTICAL,)))
    desk = a_desk({call(210): -1, call(220): 1})
    desk.start(SellModuleConfig(strategies=(verticals,)))
    assert desk.recognised() == {"AAPL-vertical-261218-210-220C"}
    later = an_opening_order({call(205): 1, call(210): -1}, filled_at=at("12:00:20"))
    desk.hold({call(205): 1, call(210): -2, call(220): 1}, later)
    for _ in range(3):
        assert desk.recognised() == {"AAPL-vertical-261218-210-220C"}


def test_the_users_own_structures_come_before_what_was_opened() -> None:
    desk = a_desk(OUTER | INNER, *ORDERS)
    mine = StructureConfig(name="mine", legs=(LegConfig(call(215)), LegConfig(call(220))))
    desk.start(SellModuleConfig(strategies=(CONDORS,), structures=(mine,)))
    found = desk.recognised()
    assert "AAPL-vertical-261218-215-220C" in found
    assert found.isdisjoint(OPENED)
