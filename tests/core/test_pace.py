"""The broker's word that the account may not trade: one word a moment, tried again ever more rarely."""

import pytest

from sellctl.core.pace import AccountBar

WHY = "account is not authorized to trade"


@pytest.mark.parametrize(("refusals", "seconds"), [(1, 5.0), (2, 15.0), (3, 60.0), (9, 60.0)])
def test_a_bar_holds_longer_the_more_often_it_was_met_in_a_row(refusals: int, seconds: float) -> None:
    bar, now = AccountBar(), 0.0
    for _ in range(refusals):
        now = bar.until
        bar.refused(WHY, now)
    assert bar.holds(now + seconds - 0.1) == WHY
    assert not bar.holds(now + seconds)


def test_orders_refused_side_by_side_are_one_word() -> None:
    bar = AccountBar()
    assert [bar.refused(WHY, 0.0), bar.refused(WHY, 0.0), bar.refused(WHY, 0.1)] == [True, False, False]
    assert not bar.holds(5.0)


def test_a_bar_that_was_lifted_is_news_again() -> None:
    bar = AccountBar()
    bar.refused(WHY, 0.0)
    bar.lift()
    assert not bar.holds(0.1)
    assert bar.refused(WHY, 1.0)
