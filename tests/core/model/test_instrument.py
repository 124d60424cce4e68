import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.model.instrument import (
    AssetClass,
    Right,
    a_stock,
    contract_text,
    instrument_of,
    parse_occ,
    symbol_of,
)


@pytest.mark.parametrize(
    ("symbol", "root", "expires", "right", "strike"),
    [
        ("AAPL261218C00200000", "AAPL", dt.date(2026, 12, 18), Right.CALL, "200"),
        ("SPXW261127P05999500", "SPXW", dt.date(2026, 11, 27), Right.PUT, "5999.5"),
        ("AAPL1261218C00200000", "AAPL1", dt.date(2026, 12, 18), Right.CALL, "200"),
        ("2GOOG261218P00012500", "2GOOG", dt.date(2026, 12, 18), Right.PUT, "12.5"),
        ("F261127C00000500", "F", dt.date(2026, 11, 27), Right.CALL, "0.5"),
        ("C261127P00070000", "C", dt.date(2026, 11, 27), Right.PUT, "70"),
        ("F240229C00010000", "F", dt.date(2024, 2, 29), Right.CALL, "10"),
    ],
)
def test_an_occ_symbol_is_parsed_from_the_right(
    symbol: str, root: str, expires: dt.date, right: Right, strike: str
) -> None:
    contract = parse_occ(symbol)
    assert contract is not None
    assert (contract.root, contract.expires, contract.right) == (root, expires, right)
    assert contract.strike == Decimal(strike)


@pytest.mark.parametrize(
    "symbol",
    [
        "",
        "AAPL",
        "261218C00200000",  # no root
        "AAPL261318C00200000",  # month 13
        "AAPL260229C00200000",  # no such day
        "AAPL261218X00200000",  # neither call nor put
        "AAPL261218C0020000",  # strike too short
        "AAPL 261218C00200000",
        "aapl261218c00200000",
        "TOOLONG261218C00200000",
        "AAPL261218C00200000 ",
        "AAPL261218C00200000\n",
        "BTC/USD",
    ],
)
def test_what_is_not_an_occ_symbol_is_no_contract(symbol: str) -> None:
    assert parse_occ(symbol) is None


@given(
    root=st.from_regex(r"[A-Z0-9]{1,6}", fullmatch=True),
    expires=st.dates(dt.date(2000, 1, 1), dt.date(2068, 12, 31)),
    right=st.sampled_from(Right),
    strike=st.integers(1, 99_999_999),
)
def test_every_contract_survives_being_written_and_read(root: str, expires: dt.date, right: Right, strike: int) -> None:
    contract = parse_occ(f"{root}{expires:%y%m%d}{right.value[0].upper()}{strike:08d}")
    assert contract is not None
    assert (contract.root, contract.expires, contract.right) == (root, expires, right)
    assert contract.strike == Decimal(strike) / 1000


@given(st.text(max_size=24))
def test_nonsense_never_raises(symbol: str) -> None:
    parse_occ(symbol)


def test_a_root_with_a_digit_is_an_adjusted_contract() -> None:
    adjusted, plain = parse_occ("AAPL1261218C00200000"), parse_occ("AAPL261218C00200000")
    assert adjusted is not None
    assert plain is not None
    assert (adjusted.is_adjusted, plain.is_adjusted) == (True, False)


@pytest.mark.parametrize(
    ("symbol", "broker_class", "asset", "underlying"),
    [
        ("SPXW261127P05999500", "us_option", AssetClass.OPTION, "SPX"),
        ("BRKB261218C00500000", "us_option", AssetClass.OPTION, "BRK.B"),
        ("AAPL", "us_equity", AssetClass.STOCK, "AAPL"),
        ("not an option", "us_option", AssetClass.OTHER, "not an option"),
        ("BTCUSD", "crypto", AssetClass.CRYPTO, "BTCUSD"),
        ("BTCUSD", "crypto_perp", AssetClass.CRYPTO, "BTCUSD"),
        ("X", "something_new", AssetClass.OTHER, "X"),
    ],
)
def test_the_brokers_class_and_the_symbol_name_the_instrument(
    symbol: str, broker_class: str, asset: AssetClass, underlying: str
) -> None:
    instrument = instrument_of(symbol, broker_class)
    assert (instrument.asset_class, instrument.underlying) == (asset, underlying)


def test_a_stock_is_its_own_underlying() -> None:
    assert a_stock("AAPL").underlying == "AAPL"


@pytest.mark.parametrize(
    ("symbol", "text"),
    [
        ("AAPL261218C00230000", "AAPL 18 Dec 26 230 C"),
        ("SPXW261127P05999500", "SPXW 27 Nov 26 5999.5 P"),
        ("AAPL1261204C00200000", "AAPL1 4 Dec 26 200 C"),
        ("F270115C00000500", "F 15 Jan 27 0.5 C"),
        ("BRKB260618P00412125", "BRKB 18 Jun 26 412.125 P"),
    ],
)
def test_a_contract_is_written_for_people_and_read_again_in_any_case(symbol: str, text: str) -> None:
    contract = parse_occ(symbol)
    assert contract is not None
    assert contract.text == text
    assert contract_text(symbol) == text
    assert symbol_of(text) == symbol_of(text.lower()) == symbol_of(text.replace(" ", "  ")) == symbol


@pytest.mark.parametrize(
    "text",
    [
        "AAPL",
        "AAPL261218C00230000",
        "AAPL 18 Dec 26 230",
        "AAPL 18 Dez 26 230 C",
        "AAPL 31 Feb 26 230 C",
        "AAPL 18 Dec 2026 230 C",
        "AAPL 18 Dec 26 230 X",
        "AAPL 18 Dec 26 230.1234 C",
        "AAPL 18 Dec 26 ²30 C",
        "",
    ],
)
def test_what_is_not_the_text_of_a_contract_names_no_symbol(text: str) -> None:
    assert symbol_of(text) is None


def test_a_symbol_that_is_no_option_is_its_own_text() -> None:
    assert contract_text("AAPL") == "AAPL"
    assert contract_text("BTC/USD") == "BTC/USD"


@given(
    root=st.from_regex(r"[A-Z][A-Z0-9.]{0,5}", fullmatch=True),
    expires=st.dates(dt.date(2000, 1, 1), dt.date(2068, 12, 31)),
    right=st.sampled_from("CP"),
    strike=st.integers(0, 99_999_999),
)
def test_every_contract_survives_its_text(root: str, expires: dt.date, right: str, strike: int) -> None:
    symbol = f"{root}{expires:%y%m%d}{right}{strike:08}"
    assert symbol_of(contract_text(symbol)) == symbol
