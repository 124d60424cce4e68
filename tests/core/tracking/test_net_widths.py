"""How long a structure has been wide: unbroken, and during the session only."""

import datetime as dt

from builders import a_holding, a_market
from structure_builders import call

from sellctl.core.structures.held import HeldStructure, held_structures
from sellctl.core.structures.recognition import KINDS
from sellctl.core.tracking.net_widths import NetWidths

OPEN, CLOSED = a_market("12:00"), a_market("17:00")
NAME = "AAPL-vertical-261218-200-210C"


def a_vertical(ask: str) -> tuple[HeldStructure, ...]:
    held = (a_holding(call(200), bid="10.00", ask=ask), a_holding(call(210), bid="9.50", ask="9.52", short=True))
    return held_structures(held, (), {}, KINDS)


def test_it_counts_from_the_first_check_at_which_the_net_was_wide_until_one_at_which_it_is_not() -> None:
    widths = NetWidths()
    for now, ask in ((0.0, "10.02"), (5.0, "10.50"), (10.0, "10.60"), (70.0, "10.50")):
        widths.see(a_vertical(ask), OPEN, now)
    assert widths.wide_for(NAME, 70.0) == dt.timedelta(seconds=65)
    widths.see(a_vertical("10.02"), OPEN, 75.0)
    assert widths.wide_for(NAME, 75.0) == dt.timedelta(0)


def test_outside_of_the_session_and_for_what_is_gone_nothing_counts() -> None:
    widths = NetWidths()
    widths.see(a_vertical("10.50"), OPEN, 0.0)
    widths.see(a_vertical("10.50"), CLOSED, 5.0)
    assert widths.wide_for(NAME, 5.0) == dt.timedelta(0)
    widths.see((), OPEN, 10.0)
    assert widths.wide_for(NAME, 10.0) == dt.timedelta(0)
