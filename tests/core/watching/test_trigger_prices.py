"""The prices at which rules would close what is held."""

from decimal import Decimal

from builders import CALL, PUT, a_holding, a_policy, a_snapshot

from sellctl.core.watching.trigger_prices import FARTHEST, distances, stops


def test_the_nearest_trigger_of_a_position_counts() -> None:
    held = a_snapshot(a_holding(CALL, bid="1.00", ask="1.00"))
    assert round(distances(held, a_policy())[CALL], 6) == Decimal("0.1")


def test_a_position_without_a_price_is_the_farthest_from_its_triggers() -> None:
    assert distances(a_snapshot(a_holding(CALL, bid=None, ask=None)), a_policy())[CALL] == FARTHEST


def test_a_position_without_a_stop_is_left_out() -> None:
    held = a_snapshot(a_holding(CALL), a_holding(PUT, bid=None, ask=None, entry=None))
    assert stops(held, a_policy()) == {CALL: Decimal("0.80")}
