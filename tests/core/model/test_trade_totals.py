"""Totals over trades: what is unknown is not counted."""

import datetime as dt
from decimal import Decimal

from builders import CALL, a_holding, replace

from sellctl.core.model.exit_record import Exit, Part, trade_totals
from sellctl.core.model.position import PositionState

NOON = dt.datetime(2026, 11, 24, 17, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def a_trade(
    price: str | None = "1.20",
    entry: str | None = "1.00",
    *,
    opened: dt.datetime | None = NOON - HOUR,
    seen: dt.datetime | None = None,
    **more: object,
) -> Exit:
    """One contract that was sold at noon."""
    holding = a_holding(entry=entry, state=PositionState(opened_at=opened, first_seen=seen))
    part = Part(NOON, Decimal(1), None if price is None else Decimal(price))
    one = Exit("main", CALL, "take_profit", "2026-11-24", NOON, decided_on=holding, parts=(part,))
    return replace(one, **more)  # type: ignore[arg-type]


def test_the_totals_of_a_win_a_loss_and_a_draw() -> None:
    win, loss, draw = a_trade("1.20"), a_trade("0.70"), a_trade("1.00")
    totals = trade_totals([win, loss, draw])
    assert (totals.trades, totals.pnl.dollars, totals.won) == (3, Decimal(-10), 1)
    assert totals.win_rate == Decimal(1) / 3
    assert (totals.best, totals.worst) == (win, loss)


def test_a_trade_with_an_unknown_entry_or_price_counts_in_no_amount() -> None:
    totals = trade_totals([a_trade("1.20"), a_trade(entry=None), a_trade(price=None), a_trade(decided_on=None)])
    assert (totals.pnl.dollars, totals.pnl.known, totals.trades) == (Decimal(20), 1, 4)
    assert totals.win_rate == 1
    assert a_trade(entry=None).gain is None
    assert a_trade(price=None).gain is None


def test_without_a_known_profit_there_is_no_win_rate_no_best_and_no_worst() -> None:
    for trades in ([], [a_trade(entry=None)]):
        totals = trade_totals(trades)
        assert (totals.pnl.dollars, totals.win_rate, totals.best, totals.worst) == (None, None, None, None)


def test_the_time_held_counts_from_the_opening_fill_and_is_a_lower_bound_from_when_it_was_first_seen() -> None:
    exact, seen = a_trade(opened=NOON - 3 * HOUR), a_trade(opened=None, seen=NOON - HOUR)
    assert (exact.time_held, exact.knows_opening) == (3 * HOUR, True)
    assert (seen.time_held, seen.knows_opening) == (HOUR, False)
    assert trade_totals([exact]).is_exact
    both = trade_totals([exact, seen, a_trade(opened=None)])
    assert (both.time_held, both.timed, both.trades, both.is_exact) == (2 * HOUR, 2, 3, False)
    assert trade_totals([a_trade(opened=None)]).time_held is None


def test_a_gain_is_on_entry_and_mirrored_for_a_short() -> None:
    assert a_trade("1.20").gain == Decimal("0.2")
    short = a_holding(entry="1.00", short=True)
    assert a_trade("1.20", decided_on=short).gain == Decimal("-0.2")
