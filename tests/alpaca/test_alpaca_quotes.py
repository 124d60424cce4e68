from collections import Counter
from decimal import Decimal

import pytest
from alpaca_stand_in import KEY, SECRET, SHORT, Asked, Say, StandIn, a_quote_row, caught, connected, quotes_for, run

from sellctl.alpaca.quotes import AlpacaQuotes
from sellctl.alpaca.rest import Credentials, RateLimit, RestClient
from sellctl.core.config.schema import MarketDataConfig, OptionFeed, StockFeed
from sellctl.core.errors import AuthError, UnknownOutcomeError
from sellctl.core.model.instrument import Instrument, a_stock, an_option, instrument_of

STOCKS = "/v2/stocks/quotes/latest"
OPTIONS = "/v1beta1/options/quotes/latest"
UNSIGNED = Say({"message": "OPRA agreement is not signed"}, 403)
NO_SIP = Say({"message": "subscription does not permit querying recent SIP data"}, 403)


def stocks(count: int) -> list[Instrument]:
    return [a_stock(f"S{number:03}") for number in range(count)]


def options(count: int) -> list[Instrument]:
    return [an_option(f"SPY261120C{number:08}") for number in range(1, count + 1)]


def keys(asked: list[Asked]) -> list[str]:
    return [each.headers["APCA-API-KEY-ID"][-1] for each in asked]


def refusing(*letters: str) -> object:
    """Answers every key but these."""

    def answer(asked: Asked) -> Say:
        return Say({"message": "forbidden."}, 403) if keys([asked])[0] in letters else quotes_for(asked)

    return answer


def test_symbols_are_asked_for_in_batches_of_a_hundred(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for).on(OPTIONS, quotes_for)
    with connected(stand_in.url) as doors:
        quotes = run(doors.quotes.latest(stocks(130) + options(250) + stocks(130)))
    assert sorted(len(asked.symbols) for asked in stand_in.to(STOCKS)) == [30, 100]
    assert sorted(len(asked.symbols) for asked in stand_in.to(OPTIONS)) == [50, 100, 100]
    assert len(quotes) == 380
    assert quotes["S001"].bid == Decimal("1.05")
    assert doors.quotes.last_problems == ()


def test_a_hundred_symbols_are_one_request_and_nothing_is_none(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for)
    with connected(stand_in.url) as doors:
        run(doors.quotes.latest(stocks(100)))
        assert run(doors.quotes.latest([])) == {}
    assert len(stand_in.asked) == 1


def test_only_stocks_and_options_are_asked_for(stand_in: StandIn) -> None:
    others = [instrument_of("BTCUSD", "crypto"), instrument_of("912797", "treasury"), instrument_of("ODD", "us_option")]
    with connected(stand_in.url) as doors:
        assert run(doors.quotes.latest(others)) == {}
    assert stand_in.asked == []


def test_the_best_feed_is_asked_for_and_the_next_once_it_is_refused(stand_in: StandIn) -> None:
    def answer(asked: Asked) -> Say:
        return {"sip": NO_SIP, "opra": UNSIGNED}.get(asked.query["feed"]) or quotes_for(asked)

    stand_in.on(STOCKS, answer).on(OPTIONS, answer)
    with connected(stand_in.url) as doors:
        for _ in range(3):
            quotes = run(doors.quotes.latest(stocks(1) + options(1)))
    assert [asked.query["feed"] for asked in stand_in.to(STOCKS)] == ["sip", "iex", "iex", "iex"]
    assert [asked.query["feed"] for asked in stand_in.to(OPTIONS)] == ["opra", "indicative", "indicative", "indicative"]
    assert {quote.feed for quote in quotes.values()} == {"iex", "indicative"}


def test_what_one_key_is_refused_another_may_be_granted(stand_in: StandIn) -> None:
    def answer(asked: Asked) -> Say:
        return NO_SIP if asked.query["feed"] == "sip" and keys([asked]) == ["a"] else quotes_for(asked)

    stand_in.on(STOCKS, answer)
    with connected(stand_in.url, stand_in.url) as doors:
        feeds = [run(doors.quotes.latest(stocks(1)))["S000"].feed for _ in range(4)]
    assert sorted(feeds) == ["iex", "iex", "sip", "sip"]


def test_a_feed_named_in_the_configuration_is_used_as_it_is(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for).on(OPTIONS, UNSIGNED)
    with connected(stand_in.url, stock_feed=StockFeed.DELAYED_SIP, option_feed=OptionFeed.OPRA) as doors:
        quotes = run(doors.quotes.latest(stocks(1) + options(1)))
    assert list(quotes) == ["S000"]
    assert sorted(asked.query["feed"] for asked in stand_in.asked) == ["delayed_sip", "opra"]
    assert "OPRA agreement is not signed" in doors.quotes.last_problems[0]


def test_keys_take_turns(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for)
    with connected(stand_in.url, stand_in.url, stand_in.url) as doors:
        for _ in range(2):
            run(doors.quotes.latest(stocks(300)))
    assert Counter(keys(stand_in.asked)) == {"a": 2, "b": 2, "c": 2}


def test_only_the_accounts_named_for_market_data_are_used(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for)
    with connected(stand_in.url, stand_in.url, accounts=("b",)) as doors:
        for _ in range(3):
            run(doors.quotes.latest(stocks(1)))
    assert set(keys(stand_in.asked)) == {"b"}


def test_a_refused_key_is_skipped_and_costs_one_request_a_minute(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, refusing("a"))
    with connected(stand_in.url, stand_in.url) as doors:
        for _ in range(12):
            assert len(run(doors.quotes.latest(stocks(1)))) == 1
    assert Counter(keys(stand_in.asked)) == {"a": 1, "b": 12}
    assert doors.quotes.last_problems == ()


FAILING = {
    "hangs": Say(hang=True),
    "throttled": Say({"message": "too many requests."}, 429),
    "broken": Say("", 500),
    "null": Say("null"),
}


@pytest.mark.parametrize("failing", FAILING.values(), ids=FAILING)
def test_a_key_that_fails_in_any_way_is_skipped_for_that_batch(stand_in: StandIn, failing: Say) -> None:
    stand_in.on(STOCKS, lambda asked: failing if keys([asked]) == ["b"] else quotes_for(asked))
    with connected(stand_in.url, stand_in.url, limits=SHORT) as doors:
        assert len(run(doors.quotes.latest(stocks(1)))) == 1


def test_keys_that_hang_one_after_the_other_exhaust_the_patience(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, Say(hang=True))
    clients = [RestClient(stand_in.url, Credentials(name, KEY, SECRET), limits=SHORT) for name in "abcd"]
    quotes = AlpacaQuotes(clients, MarketDataConfig(), retry_seconds=0.4)
    assert isinstance(caught(quotes.latest(stocks(1))), UnknownOutcomeError)
    assert len(stand_in.asked) == 2
    for client in clients:
        client.close()


def test_the_budget_of_each_key_is_known(stand_in: StandIn) -> None:
    told = {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "9"}
    stand_in.on(STOCKS, Say({"quotes": {}}, headers=told))
    with connected(stand_in.url, stand_in.url) as doors:
        run(doors.quotes.latest(stocks(1)))
        assert sorted(map(str, doors.quotes.rate_limits.values())) == ["None", str(RateLimit(200, 9, None))]


def test_a_batch_that_no_key_gets_is_absent_and_reported(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for).on(OPTIONS, Say("", 500))
    with connected(stand_in.url, stand_in.url) as doors:
        assert list(run(doors.quotes.latest(stocks(1) + options(3)))) == ["S000"]
        assert len(doors.quotes.last_problems) == 1
        assert doors.quotes.last_problems[0].startswith("No quotes for SPY261120C00000001 and 2 more: ")
        run(doors.quotes.latest(stocks(1)))
        assert doors.quotes.last_problems == ()


def test_when_every_key_fails_for_everything_it_is_an_error(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, refusing("a", "b")).on(OPTIONS, Say("", 500))
    with connected(stand_in.url, stand_in.url) as doors:
        assert isinstance(caught(doors.quotes.latest(stocks(1))), AuthError)
        assert isinstance(caught(doors.quotes.latest(stocks(1) + options(1))), UnknownOutcomeError)


def test_an_unreadable_quote_and_symbols_nobody_asked_for_spoil_nothing_else(stand_in: StandIn) -> None:
    said = {"S000": a_quote_row(bp="NaN"), "S001": a_quote_row(), "S002": None, "XXX": a_quote_row()}
    stand_in.on(STOCKS, Say({"quotes": said}))
    with connected(stand_in.url) as doors:
        assert list(run(doors.quotes.latest(stocks(3)))) == ["S001"]
    assert doors.quotes.last_problems == ("S000: its quote is unreadable: bp 'NaN' is not a number.",)


@pytest.mark.parametrize("names_it", [True, False])
def test_a_symbol_that_alpaca_refuses_spoils_only_itself(stand_in: StandIn, names_it: bool) -> None:
    def answer(asked: Asked) -> Say:
        if "S007" not in asked.symbols:
            return quotes_for(asked)
        return Say({"message": "invalid symbol: S007" if names_it else "invalid symbol"}, 400)

    stand_in.on(STOCKS, answer)
    with connected(stand_in.url) as doors:
        quotes = run(doors.quotes.latest(stocks(100)))
    assert len(quotes) == 99
    assert len(stand_in.asked) == (2 if names_it else 15)
    assert doors.quotes.last_problems[0].startswith("S007: ")
