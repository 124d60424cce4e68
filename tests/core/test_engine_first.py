from builders import a_holding, a_policy, a_snapshot

from sellctl.core.engine import decide
from sellctl.core.model.plan import State


def test_a_target_reached_at_the_bid_is_sold_at_the_bid() -> None:
    plan = decide(a_snapshot(a_holding(entry="1.00", bid="1.10", ask="1.12")), a_policy())
    (verdict,) = plan.verdicts
    assert verdict.state is State.LEAVING
    assert str(verdict.submit.limit_price) == "1.10"


def test_a_price_in_between_is_held_with_its_gain() -> None:
    (verdict,) = decide(a_snapshot(a_holding(bid="1.05", ask="1.07")), a_policy()).verdicts
    assert verdict.state is State.HELD
    assert "+5%" in verdict.sentence
