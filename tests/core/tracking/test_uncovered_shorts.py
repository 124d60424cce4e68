"""How much of a short is known to be uncovered: what reads of the positions agree on that are far enough apart."""

from decimal import Decimal

from builders import a_position

from sellctl.core.model.position import Position
from sellctl.core.model.snapshot import InvalidRow, Rows
from sellctl.core.tracking.uncovered_shorts import CONFIRMED_AFTER, UncoveredShorts

SHORT, LONG, OTHER = "AAPL261218C00200000", "AAPL261218C00210000", "AAPL261218C00220000"


def a_short(qty: str = "2", symbol: str = SHORT) -> Position:
    return a_position(symbol, qty, short=True)


def confirmed(*reads: tuple[float, tuple[Position, ...]], invalid: tuple[InvalidRow, ...] = ()) -> Decimal:
    """What is confirmed of the short after these reads, the first of which has the rows that can't be read."""
    shorts = UncoveredShorts()
    for number, (at, rows) in enumerate(reads):
        shorts.see(Rows(rows, () if number else invalid), at)
    return shorts.confirmed(SHORT)


def test_one_read_confirms_nothing_however_often_it_is_used() -> None:
    assert confirmed((100.0, (a_short(),))) == 0
    assert confirmed((100.0, (a_short(),)), (100.0, (a_short(),))) == 0


def test_two_reads_that_are_far_enough_apart_confirm_it() -> None:
    assert confirmed((100.0, (a_short(),)), (99.9 + CONFIRMED_AFTER, (a_short(),))) == 0
    assert confirmed((100.0, (a_short(),)), (100.0 + CONFIRMED_AFTER, (a_short(),))) == 2


def test_a_first_read_confirms_what_it_shows_where_nothing_on_the_underlying_has_just_filled() -> None:
    for filled_lately, expected in ((frozenset({"MSFT"}), 2), (frozenset({"AAPL"}), 0), (None, 0)):
        shorts = UncoveredShorts()
        shorts.see(Rows((a_short(),)), 100.0, filled_lately)
        assert shorts.confirmed(SHORT) == expected


def test_a_later_read_confirms_nothing_alone_even_where_nothing_has_just_filled() -> None:
    shorts = UncoveredShorts()
    shorts.see(Rows((a_short(), a_position(LONG, "2"))), 100.0, frozenset())
    shorts.see(Rows((a_short(),)), 103.0, frozenset())
    assert shorts.confirmed(SHORT) == 0


def test_a_read_that_shows_the_cover_begins_anew() -> None:
    covered = (a_short(), a_position(LONG, "2"))
    assert confirmed((100.0, (a_short(),)), (105.0, covered), (111.0, (a_short(),)), (120.0, (a_short(),))) == 0


def test_only_the_quantity_on_which_all_reads_agree_is_confirmed() -> None:
    one_covered, none_covered = (a_short(), a_position(LONG, "1")), (a_short(),)
    assert confirmed((100.0, none_covered), (110.0, one_covered)) == 1
    assert confirmed((100.0, one_covered), (105.0, none_covered), (110.0, none_covered)) == 1
    assert confirmed((100.0, one_covered), (105.0, none_covered), (115.0, none_covered)) == 2
    assert confirmed((100.0, none_covered), (105.0, one_covered), (110.0, none_covered)) == 1


def test_a_short_that_is_not_shown_begins_anew() -> None:
    assert confirmed((100.0, (a_short(),)), (105.0, ()), (110.0, (a_short(),))) == 0


def test_a_read_with_a_row_that_may_be_the_cover_confirms_nothing() -> None:
    reads = ((100.0, (a_short(),)), (110.0, (a_short(),)))
    assert confirmed(*reads, invalid=(InvalidRow(LONG, "no quantity"),)) == 0
    assert confirmed(*reads, invalid=(InvalidRow("", "no symbol"),)) == 0
    assert confirmed(*reads, invalid=(InvalidRow("MSFT", "no quantity"),)) == 2


def test_short_shares_have_no_cover() -> None:
    shorts = UncoveredShorts()
    for at in (100.0, 110.0):
        shorts.see(Rows((a_short("5", "AAPL"), a_short("1", OTHER), a_position(LONG, "1"))), at)
    assert (shorts.confirmed("AAPL"), shorts.confirmed(OTHER)) == (5, 0)
