"""The prices at which rules would close what is held."""

from decimal import Decimal

from builders import CALL, PUT, a_holding, a_policy, a_snapshot

from sellctl.core.trigger_prices import FARTHEST, distances, stops, triggers_of


def test_a_holding_has_a_trigger_per_rule_and_the_nearest_counts() -> None:
    snapshot = a_snapshot(a_holding(CALL, bid="1.00", ask="1.00"))
    assert len(triggers_of(snapshot, a_policy())[CALL]) == 2
    assert round(distances(snapshot, a_policy())[CALL], 6) == Decimal("0.1")


def test_a_holding_without_a_price_is_the_farthest_from_its_triggers() -> None:
    snapshot = a_snapshot(a_holding(CALL, bid=None, ask=None))
    assert distances(snapshot, a_policy())[CALL] == FARTHEST


def test_the_stop_of_a_long_and_of_a_short_is_the_one_that_would_fire_first() -> None:
    snapshot = a_snapshot(a_holding(CALL), a_holding(PUT, bid=None, ask=None, entry=None))
    assert stops(snapshot, a_policy()) == {CALL: Decimal("0.80")}
