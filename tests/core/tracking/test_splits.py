"""When a price has jumped by a split that the position doesn't show yet."""

from decimal import Decimal

import pytest
from builders import CALL, TUESDAY, a_position, a_quote, replace

from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Split
from sellctl.core.tracking.quote_history import QuoteHistory
from sellctl.core.tracking.splits import SplitsOfDay, ratio_text, suspected_split, usual_split


def the_answer(*ratios: str, asked: bool = True) -> SplitsOfDay:
    """The broker's answer about AAPL: its splits of today; `asked=False`: there is none yet."""
    splits = SplitsOfDay()
    splits.begin(TUESDAY)
    if asked:
        splits.answered(["AAPL"], [Split("AAPL", Decimal(ratio), TUESDAY) for ratio in ratios])
    return splits


def suspected(
    splits: SplitsOfDay,
    price: str,
    *,
    entry: str | None = None,
    lastday: str | None = None,
    closed: str | None = None,
    reopened: str | None = None,
    symbol: str = "AAPL",
) -> bool:
    history = QuoteHistory(AssetClass.STOCK, 1.5, newest=a_quote(symbol, price, price))
    if closed is not None:
        history.closed_at = Decimal(closed)
    if closed is not None or reopened is not None:
        history.reopened_at = Decimal(reopened or price)
    position = replace(a_position(symbol, "10", entry), lastday_price=None if lastday is None else Decimal(lastday))
    return suspected_split(position, history, splits) is not None


@pytest.mark.parametrize("ratio", ["2", "3", "4", "1.5", "10", "20", "0.1", "0.5", "0.02"])
@pytest.mark.parametrize("before", ["entry", "lastday", "closed"])
def test_a_known_split_is_seen_in_any_earlier_price(ratio: str, before: str) -> None:
    after = str(Decimal(100) / Decimal(ratio) * Decimal("1.06"))
    assert suspected(the_answer(ratio), after, **{before: "100"})  # type: ignore[arg-type]


def test_a_known_split_without_any_earlier_price_is_suspected() -> None:
    assert suspected(the_answer("2"), "50")


@pytest.mark.parametrize(("ratio", "price"), [("2", "95"), ("2", "200"), ("0.1", "105"), ("0.1", "50")])
def test_a_price_that_has_not_moved_by_a_known_split_is_none(ratio: str, price: str) -> None:
    assert not suspected(the_answer(ratio), price, entry="100", lastday="100")


def test_a_position_that_shows_the_split_is_not_suspected() -> None:
    assert not suspected(the_answer("2"), "52", entry="50", lastday="50")


def test_without_an_answer_a_price_that_halves_during_the_day_is_a_loss() -> None:
    assert not suspected(the_answer(asked=False), "50", closed="100", reopened="101", symbol=CALL)
    assert suspected(the_answer(asked=False), "49", closed="100", reopened="50", symbol=CALL)


def test_without_an_answer_a_stock_that_was_seen_near_its_previous_close_today_has_lost_the_rest() -> None:
    assert not suspected(the_answer(asked=False), "50", lastday="100", reopened="98")
    assert suspected(the_answer(asked=False), "50", lastday="100", reopened="51")
    to_come = the_answer(asked=False)
    to_come.is_asked = True
    assert suspected(to_come, "50", lastday="100", reopened="98")


def test_without_a_split_today_a_price_that_halves_is_a_loss() -> None:
    assert not suspected(the_answer(), "50", entry="100", lastday="100", closed="100")


def test_a_small_stock_dividend_is_no_split() -> None:
    assert not suspected(the_answer("1.05"), "95", lastday="100")


def test_two_splits_of_one_day_count_as_one() -> None:
    assert the_answer("2", "1.5").ratio_of("AAPL") == 3


@pytest.mark.parametrize(
    ("price", "rests"), [("50", True), ("50.9", True), ("33.4", True), ("1000", True), ("48", False), ("60", False)]
)
def test_without_an_answer_only_exactly_a_usual_split_over_night_is_suspected(price: str, *, rests: bool) -> None:
    assert suspected(the_answer(asked=False), price, entry="100", closed="100") is rests
    assert suspected(the_answer(asked=False), price, entry="100", lastday="100") is rests
    assert not suspected(the_answer(asked=False), price, entry="100")


def test_without_an_answer_an_options_previous_close_counts_only_while_one_is_to_come() -> None:
    splits = the_answer(asked=False)
    assert not suspected(splits, "0.50", lastday="1.00", symbol=CALL)
    splits.is_asked = True
    assert suspected(splits, "0.50", lastday="1.00", symbol=CALL)
    assert suspected(the_answer(asked=False), "0.50", closed="1.00", symbol=CALL)


def test_the_answers_of_one_day_are_not_those_of_the_next() -> None:
    splits = the_answer("2")
    splits.begin(TUESDAY.replace(day=25))
    assert splits.missing(["AAPL"]) == {"AAPL"}
    assert splits.ratio_of("AAPL") is None


def test_ratios_read_as_traders_write_them() -> None:
    ratios = ("2", "1.5", "0.1", "0.05", "3", "0.3333333333")
    assert [ratio_text(Decimal(ratio)) for ratio in ratios] == ["2:1", "3:2", "1:10", "1:20", "3:1", "1:3"]
    assert usual_split(Decimal("66.5"), [Decimal(100)]) == Decimal("1.5")
