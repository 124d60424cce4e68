import datetime as dt
import json
from decimal import Decimal

import pytest
from alpaca_stand_in import a_position_row, a_quote_row, an_order_row, without
from hypothesis import given
from hypothesis import strategies as st

from sellctl.alpaca.convert import (
    UnreadableError,
    account_of,
    clock_of,
    instant_of,
    number_of,
    order_of,
    position_of,
    quotes_of,
    rows_of,
    sessions_of,
)
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import OrderState, OrderType, PositionIntent, Side
from sellctl.core.model.position import Direction

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def corrupted(row: dict, keys: list[str]) -> st.SearchStrategy[dict]:
    """The row with anything at all in some of its fields."""
    return st.dictionaries(st.sampled_from(keys), ANY_JSON).map(lambda wrong: row | wrong)


# --- numbers and instants


@pytest.mark.parametrize(
    ("given_as", "number"),
    [("1.05", "1.05"), (3, "3"), (Decimal("0.1"), "0.1"), ("-2", "-2"), ("1e-9", "1e-9"), ("0", "0")],
)
def test_numbers_come_as_texts_or_as_numbers(given_as: object, number: str) -> None:
    assert number_of(given_as, "qty") == Decimal(number)


@pytest.mark.parametrize(
    "nonsense",
    [
        "NaN",
        "nan",
        "Infinity",
        "-inf",
        "sNaN",
        "1_000",
        " 1",
        "",
        "1e999",
        "٣",
        True,
        None,
        [],
        {},
        Decimal("NaN"),
        "1e308",
        10**30,
        "0." + "0" * 30 + "1",
    ],
)
def test_what_is_no_plausible_number_is_unreadable(nonsense: object) -> None:
    with pytest.raises(UnreadableError, match="qty"):
        number_of(nonsense, "qty")


def test_an_unreadable_value_is_quoted_briefly() -> None:
    with pytest.raises(UnreadableError) as refused:
        number_of("x\x1b[31m" * 100, "qty")
    assert len(str(refused.value)) < 80
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["2026-11-20T15:00:00.123456789Z", "2026-11-20T10:00:00.123456-05:00", "2026-11-20T15:00:00.123456+00:00"],
)
def test_instants_are_utc_to_the_microsecond(text: str) -> None:
    assert instant_of(text, "t") == dt.datetime(2026, 11, 20, 15, 0, 0, 123456, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text", ["2026-11-20T15:00:00", "2026-11-20", "now", "", None, 1763650000, "0001-01-01T00:00:00+10:00"]
)
def test_what_is_no_timestamp_is_unreadable(text: object) -> None:
    with pytest.raises(UnreadableError):
        instant_of(text, "t")


# --- positions


@pytest.mark.parametrize(
    ("fields", "direction"),
    [
        ({}, Direction.LONG),
        ({"side": "short"}, Direction.SHORT),
        ({"qty": "-2", "side": None}, Direction.SHORT),
        ({"qty": "-2", "side": "short"}, Direction.SHORT),
    ],
)
def test_a_short_is_one_by_its_side_or_its_sign(fields: dict, direction: Direction) -> None:
    position = position_of(a_position_row(**fields))
    assert (position.direction, position.qty) == (direction, Decimal(2))


@pytest.mark.parametrize("entry", ["0", "-1", None, "", "NaN", "text"])
def test_an_entry_price_that_is_missing_or_not_above_zero_is_unknown(entry: object) -> None:
    assert position_of(a_position_row(avg_entry_price=entry)).entry_price is None


CONSISTENT = {
    "asset_class": "us_option",
    "qty": "1",
    "avg_entry_price": "0.05",
    "cost_basis": "5",
    "current_price": "0.06",
    "market_value": "6",
    "unrealized_pl": "1",
}


@pytest.mark.parametrize(
    "contradiction",
    [
        {"cost_basis": "500"},
        {"cost_basis": "-5"},
        {"cost_basis": "0"},
        {"cost_basis": "0.05"},
        {"qty": "10"},
        {"avg_entry_price": "5"},
        {"market_value": "0.06", "unrealized_pl": None},
        {"current_price": "6"},
        {"unrealized_pl": "-400"},
        {"cost_basis": None, "unrealized_pl": "-494"},
    ],
)
def test_the_entry_price_of_a_row_that_contradicts_itself_is_unknown(contradiction: dict) -> None:
    position = position_of(a_position_row(**CONSISTENT | contradiction))
    assert position.entry_price is None
    assert position.contradiction


@pytest.mark.parametrize(
    "row",
    [
        CONSISTENT,
        CONSISTENT | {"cost_basis": "5.3", "unrealized_pl": "0.7"},  # 0.053, rounded to 0.05
        CONSISTENT | {"cost_basis": None, "market_value": None, "unrealized_pl": None},
        CONSISTENT | {"cost_basis": "text", "market_value": "", "unrealized_pl": []},
        CONSISTENT | {"qty": "-1", "side": "short", "cost_basis": "-5", "market_value": "-6", "unrealized_pl": "-1"},
        CONSISTENT | {"qty": "1", "side": "short", "unrealized_pl": "-1"},  # a broker that writes no signs
        {
            "asset_class": "us_equity",
            "symbol": "AAPL",
            "qty": "0.333333333",
            "avg_entry_price": "200.1",
            "cost_basis": "66.7",
            "current_price": "210",
            "market_value": "69.99",
            "unrealized_pl": "3.29",
        },
    ],
)
def test_rounding_and_missing_amounts_contradict_nothing(row: dict) -> None:
    position = position_of(a_position_row(**row))
    assert position.entry_price == Decimal(str(row["avg_entry_price"]))
    assert position.contradiction == ""


def test_the_amounts_of_an_adjusted_contract_are_not_compared_because_its_size_is_unknown() -> None:
    row = CONSISTENT | {
        "symbol": "AAPL1261218C00200000",
        "cost_basis": "7.5",
        "market_value": "9",
        "unrealized_pl": "1.5",
    }
    assert position_of(a_position_row(**row)).entry_price == Decimal("0.05")


def test_a_price_that_the_market_value_contradicts_is_unknown_too() -> None:
    assert position_of(a_position_row(**CONSISTENT | {"market_value": "600"})).current_price is None


@pytest.mark.parametrize("wrong", [{"qty": "-2"}, {"market_value": "-12"}, {"side": None, "market_value": "-12"}])
def test_a_row_that_is_long_and_short_at_once_is_unreadable(wrong: dict) -> None:
    answer = rows_of([a_position_row(**{"side": "long"} | wrong)], position_of)
    assert "long" in answer.invalid[0].why


def test_what_the_broker_does_not_say_is_unknown() -> None:
    position = position_of(without(a_position_row(), "qty_available", "current_price", "asset_id", "side"))
    assert (position.available, position.current_price) == (None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"qty": "0"},
        {"qty": "two"},
        {"qty": None},
        {"symbol": ""},
        {"symbol": None},
        {"symbol": "A B"},
        {"symbol": "A,B"},
        {"symbol": "AAPL261218C00210000+AAPL261218C00200000"},
        {"symbol": "\x1b[31m"},
    ],
)
def test_a_position_without_a_symbol_or_a_quantity_is_unreadable(wrong: dict) -> None:
    answer = rows_of([a_position_row(**wrong), a_position_row()], position_of)
    assert (len(answer.rows), len(answer.invalid)) == (1, 1)


@pytest.mark.parametrize(
    ("symbol", "shown"),
    [("A,B", "'A,B'"), ("A\nB", r"'A\nB'"), ("\u202eA", r"'\u202eA'"), ("", ""), (None, ""), (7, ""), ("MSFT", "MSFT")],
)
def test_a_row_whose_symbol_is_none_is_taken_for_no_other_position(symbol: object, shown: str) -> None:
    answer = rows_of([a_position_row(symbol=symbol, qty="x")], position_of)
    assert [row.symbol for row in answer.invalid] == [shown]


@pytest.mark.parametrize("asset_class", ["treasury", "us_index", "", None, 7])
def test_an_unknown_asset_class_is_read_as_other(asset_class: object) -> None:
    assert position_of(a_position_row(asset_class=asset_class)).instrument.asset_class is AssetClass.OTHER


@pytest.mark.parametrize("answer", [None, {}, "", 7, {"positions": []}])
def test_what_is_no_list_is_never_an_empty_list(answer: object) -> None:
    with pytest.raises(UnreadableError, match="expected a list"):
        rows_of(answer, position_of)


# --- orders


def test_an_order_keeps_statuses_and_types_that_are_new_to_us_as_unknown() -> None:
    order = order_of(an_order_row(status="in_orbit", type="moonshot", order_class="simple"))
    assert (order.status, order.state, order.type) == ("in_orbit", OrderState.UNKNOWN, OrderType.OTHER)


def test_an_order_is_read_whole() -> None:
    row = an_order_row(
        position_intent="sell_to_close",
        filled_avg_price="1.5",
        filled_at="2026-11-20T15:00:01Z",
        type=None,
        order_type="stop",
    )
    order = order_of(row)
    assert (order.side, order.qty, order.limit_price, order.stop_price) == (
        Side.SELL,
        Decimal(1),
        Decimal("1.05"),
        None,
    )
    assert (order.type, order.position_intent) == (OrderType.STOP, PositionIntent.SELL_TO_CLOSE)
    assert order.filled_at == dt.datetime(2026, 11, 20, 15, 0, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("given", "shown"), [("10.0", "10"), (10.0, "10"), ("10.50", "10.50"), ("0.5", "0.5"), ("0.0", "0")]
)
def test_a_quantity_has_no_zeros_after_the_point(given: object, shown: str) -> None:
    number = json.loads(json.dumps(given), parse_float=Decimal)
    order = order_of(an_order_row(qty=number, filled_qty=number))
    assert (str(order.qty), str(order.filled_qty)) == (shown, shown)
    if order.qty:
        position = position_of(a_position_row(qty=number, qty_available=number, market_value=None, side="long"))
        assert (str(position.qty), str(position.available)) == (shown, shown)


def test_a_notional_order_has_no_quantity_and_a_new_one_no_stamp() -> None:
    order = order_of(an_order_row(qty=None, submitted_at=None))
    assert (order.qty, order.submitted_at) == (None, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": None},
        {"status": ""},
        {"side": "short"},
        {"qty": "-1"},
        {"filled_qty": None},
        {"limit_price": "-1"},
        {"limit_price": "NaN"},
        {"legs": [7]},
        {"legs": "x"},
    ],
)
def test_an_order_that_could_be_misread_is_unreadable(wrong: dict) -> None:
    answer = rows_of([an_order_row(**wrong)], order_of)
    assert [row.symbol for row in answer.invalid] == ["AAPL"]


# --- quotes


def test_no_active_side_is_none_and_a_null_quote_is_absent() -> None:
    answer = {
        "quotes": {"A": a_quote_row(bp=0, bs=0), "B": None, "C": a_quote_row(), "D": without(a_quote_row(), "ap")}
    }
    rows = quotes_of(json.loads(json.dumps(answer), parse_float=Decimal), frozenset("ABD"), "iex")
    one_sided, other = rows.rows
    assert (one_sided.bid, one_sided.ask, one_sided.bid_size, one_sided.feed) == (
        None,
        Decimal("1.1"),
        Decimal(0),
        "iex",
    )
    assert (other.symbol, other.ask, other.mid) == ("D", None, None)


@pytest.mark.parametrize(
    "wrong", [{"bp": -1}, {"bp": "NaN"}, {"bp": True}, {"t": None}, {"t": "2026-11-20T15:00:00"}, {"ap": 10**30}]
)
def test_a_bad_quote_affects_no_other(wrong: dict) -> None:
    rows = quotes_of(
        {"quotes": {"A": a_quote_row(ap=2, bp=1) | wrong, "B": a_quote_row(ap=2, bp=1)}}, frozenset("AB"), ""
    )
    assert [quote.symbol for quote in rows.rows] == ["B"]
    assert [row.symbol for row in rows.invalid] == ["A"]


@pytest.mark.parametrize("answer", [None, [], {}, {"quotes": None}, {"quotes": []}])
def test_an_answer_without_quotes_in_it_is_unreadable(answer: object) -> None:
    with pytest.raises(UnreadableError):
        quotes_of(answer, frozenset("A"), "")


# --- anything at all


@given(st.lists(corrupted(a_position_row(), list(a_position_row())) | ANY_JSON, max_size=4))
def test_positions_never_break_on_anything(rows: list) -> None:
    answer = rows_of(rows, position_of)
    assert len(answer.rows) + len(answer.invalid) == len(rows)
    assert all(row.qty > 0 and row.qty.is_finite() for row in answer.rows)


@given(st.lists(corrupted(an_order_row(), list(an_order_row())) | ANY_JSON, max_size=4))
def test_orders_never_break_on_anything(rows: list) -> None:
    answer = rows_of(rows, order_of)
    assert len(answer.rows) + len(answer.invalid) == len(rows)


@given(st.dictionaries(st.sampled_from("ABC"), corrupted(a_quote_row(ap=1, bp=1), list(a_quote_row())) | ANY_JSON))
def test_quotes_never_break_on_anything(quotes: dict) -> None:
    for quote in quotes_of({"quotes": quotes}, frozenset("ABC"), "iex").rows:
        assert quote.bid is None or (quote.bid > 0 and quote.bid.is_finite())


ANY_KEYS = ["account_number", "status", "account_blocked", "trading_blocked", "is_open", "timestamp"]


@given(ANY_JSON | st.dictionaries(st.sampled_from(ANY_KEYS), ANY_JSON))
def test_single_answers_are_read_or_refused_and_nothing_else(answer: object) -> None:
    day = dt.date(2026, 11, 20)
    readers = (
        lambda: account_of(answer, "main", paper=True),
        lambda: clock_of(answer),
        lambda: sessions_of(answer, day, day),
    )
    for read in readers:
        try:
            read()
        except UnreadableError:
            continue
