"""The prices at which rules would close what is held."""

from decimal import Decimal

from builders import CALL, PUT, a_holding, a_policy, a_snapshot

from sellctl.core.decision.engine import decide
from sellctl.core.model.plan import Plan
from sellctl.core.model.position import Holding
from sellctl.core.watching.trigger_prices import FARTHEST, distances, stops


def a_plan(*holdings: Holding) -> Plan:
    return decide(a_snapshot(*holdings), a_policy())


def test_the_nearest_trigger_of_a_position_counts() -> None:
    assert round(distances(a_plan(a_holding(CALL, bid="1.00", ask="1.00")))[CALL], 6) == Decimal("0.1")


def test_a_position_without_a_price_is_the_farthest_from_its_triggers() -> None:
    assert distances(a_plan(a_holding(CALL, bid=None, ask=None)))[CALL] == FARTHEST


def test_a_position_without_a_stop_is_left_out() -> None:
    plan = a_plan(a_holding(CALL), a_holding(PUT, bid=None, ask=None, entry=None))
    assert stops(plan) == {CALL: Decimal("0.80")}
