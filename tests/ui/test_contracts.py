"""Symbols as a trader reads them."""

import pytest

from sellctl.core.model.instrument import parse_occ
from sellctl.ui.contracts import name_cell, readable_name


@pytest.mark.parametrize(
    ("symbol", "text"),
    [
        ("AAPL261218C00230000", "AAPL 18 Dec 26 230 C"),
        ("SPXW270104P05000500", "SPXW 4 Jan 27 5000.5 P"),
        ("AAPL1261218C00230000", "AAPL1 18 Dec 26 230 C"),
    ],
)
def test_a_contract_is_its_root_date_strike_and_right(symbol: str, text: str) -> None:
    option = parse_occ(symbol)
    assert option is not None
    assert option.text == text
    assert readable_name(symbol) == text


@pytest.mark.parametrize(
    ("name", "text", "short"),
    [
        (
            "QQQ-iron_condor-261218-550-560-640-650",
            "QQQ iron condor 18 Dec 26 550/560/640/650",
            "QQQ iron condor 18 Dec 26",
        ),
        (
            "AAPL-calendar-261218-270115-200C",
            "AAPL calendar 18 Dec 26/15 Jan 27 200",
            "AAPL calendar 18 Dec 26/15 Jan 27",
        ),
        ("INTC", "INTC", "INTC"),
        ("BTC/USD", "BTC/USD", "BTC/USD"),
    ],
)
def test_a_structure_has_its_strikes_except_in_a_drawn_table(name: str, text: str, short: str) -> None:
    cell = name_cell(name)
    assert (cell.text, cell.drawn, cell.data) == (text, short, name)


def test_a_symbol_with_control_characters_is_escaped() -> None:
    assert "\x1b" not in readable_name("A\x1b[31m")
