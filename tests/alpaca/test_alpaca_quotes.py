import datetime as dt
import threading
from collections import Counter
from decimal import Decimal

import pytest
from alpaca_stand_in import (
    KEY,
    PATIENT,
    SECRET,
    SHORT,
    Answer,
    ReceivedRequest,
    StandIn,
    a_config,
    a_quote_row,
    caught,
    connected,
    quotes_for,
    run,
)

from sellctl.alpaca.connect import connect
from sellctl.alpaca.quotes import AlpacaQuotes
from sellctl.alpaca.rest import Credentials, RateLimit, RestClient
from sellctl.core.config.schema import MarketDataConfig, OptionFeed, StockFeed
from sellctl.core.config.secrets import key_fingerprint
from sellctl.core.errors import AuthError, BrokerError, UnknownOutcomeError
from sellctl.core.model.instrument import AssetClass, Instrument, a_stock, an_option, instrument_of
from sellctl.core.tracking.remembered_facts import RememberedFacts

NOON = dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC)
STOCKS = "/v2/stocks/quotes/latest"
OPTIONS = "/v1beta1/options/quotes/latest"
ONE_FEED = {"stock_feed": StockFeed.IEX, "option_feed": OptionFeed.INDICATIVE}  # one request per batch
UNSIGNED = Answer({"message": "OPRA agreement is not signed"}, 403)
NO_SIP = Answer({"message": "subscription does not permit querying recent SIP data"}, 403)


def stocks(count: int) -> list[Instrument]:
    return [a_stock(f"S{number:03}") for number in range(count)]


def options(count: int) -> list[Instrument]:
    return [an_option(f"SPY261120C{number:08}") for number in range(1, count + 1)]


def keys(request: list[ReceivedRequest]) -> list[str]:
    return [each.headers["APCA-API-KEY-ID"][-1] for each in request]


def refusing(*letters: str) -> object:
    """Answers every key but these."""

    def answer(request: ReceivedRequest) -> Answer:
        return Answer({"message": "forbidden."}, 403) if keys([request])[0] in letters else quotes_for(request)

    return answer


def test_symbols_are_asked_for_in_batches_of_a_hundred(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for).on(OPTIONS, quotes_for)
    with connected(stand_in.url, **ONE_FEED) as adapters:
        quotes = run(adapters.quotes.latest(stocks(130) + options(250) + stocks(130)))
    assert sorted(len(request.symbols) for request in stand_in.to(STOCKS)) == [30, 100]
    assert sorted(len(request.symbols) for request in stand_in.to(OPTIONS)) == [50, 100, 100]
    assert len(quotes) == 380
    assert quotes["S001"].bid == Decimal("1.05")
    assert adapters.quotes.last_problems == ()


def test_a_hundred_symbols_are_one_request_and_nothing_is_none(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for)
    with connected(stand_in.url, **ONE_FEED) as adapters:
        run(adapters.quotes.latest(stocks(100)))
        assert run(adapters.quotes.latest([])) == {}
    assert len(stand_in.requests) == 1


def test_only_stocks_and_options_are_asked_for(stand_in: StandIn) -> None:
    others = [instrument_of("BTCUSD", "crypto"), instrument_of("912797", "treasury"), instrument_of("ODD", "us_option")]
    with connected(stand_in.url) as adapters:
        assert run(adapters.quotes.latest(others)) == {}
    assert stand_in.requests == []


def test_every_feed_is_asked_for_at_first_and_then_the_best_that_was_granted(stand_in: StandIn) -> None:
    def answer(request: ReceivedRequest) -> Answer:
        return {"sip": NO_SIP, "opra": UNSIGNED}.get(request.query["feed"]) or quotes_for(request)

    stand_in.on(STOCKS, answer).on(OPTIONS, answer)
    with connected(stand_in.url) as adapters:
        for _ in range(3):
            quotes = run(adapters.quotes.latest(stocks(1) + options(1)))
    assert Counter(request.query["feed"] for request in stand_in.to(STOCKS)) == {"sip": 1, "iex": 3}
    assert Counter(request.query["feed"] for request in stand_in.to(OPTIONS)) == {"opra": 1, "indicative": 3}
    assert {quote.feed for quote in quotes.values()} == {"iex", "indicative"}


@pytest.mark.parametrize(
    "refusal",
    [
        {"message": "forbidden."},
        {"message": "a data plan with SIP is needed"},
        {"code": 40310000, "message": "not entitled to this feed"},
    ],
)
def test_a_feed_that_is_refused_in_other_words_gives_way_to_the_next(
    stand_in: StandIn, refusal: dict[str, object]
) -> None:
    stand_in.on(STOCKS, lambda request: Answer(refusal, 403) if request.query["feed"] == "sip" else quotes_for(request))
    with connected(stand_in.url) as adapters:
        for _ in range(2):
            assert run(adapters.quotes.latest(stocks(1)))["S000"].feed == "iex"
    assert Counter(feeds_asked(stand_in)) == {"sip": 1, "iex": 2}


def test_a_refusal_of_the_best_feed_costs_the_first_run_of_all_no_additional_round_trip(stand_in: StandIn) -> None:
    iex_arrived = threading.Event()

    def answer(request: ReceivedRequest) -> Answer:
        if request.query["feed"] == "sip":
            return NO_SIP if iex_arrived.wait(2) else Answer({"message": "the feeds were asked in turn"}, 500)
        iex_arrived.set()
        return quotes_for(request)

    stand_in.on(STOCKS, answer)
    with connected(stand_in.url) as adapters:
        assert run(adapters.quotes.latest(stocks(1)))["S000"].feed == "iex"


def test_the_best_feed_does_not_wait_for_the_answer_of_the_next(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, lambda request: quotes_for(request) if request.query["feed"] == "sip" else Answer(hang=True))
    with connected(stand_in.url, limits=SHORT) as adapters:
        assert run(adapters.quotes.latest(stocks(1)))["S000"].feed == "sip"
        assert adapters.quotes.last_problems == ()


def without_sip(request: ReceivedRequest) -> Answer:
    return NO_SIP if request.query["feed"] == "sip" else quotes_for(request)


def feeds_asked(stand_in: StandIn) -> list[str]:
    return [request.query["feed"] for request in stand_in.to(STOCKS)]


def test_keys_that_were_never_asked_begin_with_what_another_key_was_granted(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, without_sip)
    with connected(stand_in.url, stand_in.url, stand_in.url) as adapters:
        for _ in range(6):
            assert len(run(adapters.quotes.latest(stocks(1)))) == 1
    assert Counter(feeds_asked(stand_in)) == {"sip": 1, "iex": 6}
    assert sorted(keys(stand_in.to(STOCKS))) == [*"aa", *"bbb", *"cc"]


def test_keys_that_were_never_asked_are_asked_behind_one_after_the_other(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, without_sip)
    with connected(stand_in.url, stand_in.url, stand_in.url) as adapters:
        run(adapters.quotes.latest(stocks(1)))
        stand_in.on(STOCKS, lambda r: NO_SIP if r.query["feed"] == "sip" and keys([r]) == ["a"] else quotes_for(r))
        for _ in range(3):
            run(adapters.quotes.try_better_feeds())
        feeds = [run(adapters.quotes.latest(stocks(1)))["S000"].feed for _ in range(3)]
    assert keys([r for r in stand_in.to(STOCKS) if r.query["feed"] == "sip"]) == [*"bcca"]
    assert sorted(feeds) == ["iex", "iex", "sip"]


def test_a_key_that_was_never_asked_and_does_not_answer_is_asked_again(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, without_sip)
    with connected(stand_in.url, stand_in.url) as adapters:
        run(adapters.quotes.latest(stocks(1)))
        stand_in.on(STOCKS, lambda r: Answer({"message": "later"}, 500) if r.query["feed"] == "sip" else quotes_for(r))
        run(adapters.quotes.try_better_feeds())
        stand_in.on(STOCKS, quotes_for)
        run(adapters.quotes.try_better_feeds())
        feeds = [run(adapters.quotes.latest(stocks(1)))["S000"].feed for _ in range(2)]
    assert sorted(feeds) == ["iex", "sip"]


def test_the_best_feed_that_any_key_was_granted_is_the_one_to_begin_with(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, lambda r: NO_SIP if r.query["feed"] == "sip" and keys([r]) == ["b"] else quotes_for(r))
    facts = RememberedFacts()
    facts.feed_granted(key_fingerprint(KEY + "a"), AssetClass.STOCK, "sip", NOON)
    config = a_config(stand_in.url, stand_in.url, stand_in.url)
    quotes = connect(config, PATIENT, facts=facts, now=lambda: NOON).quotes
    assert sorted(run(quotes.latest(stocks(1)))["S000"].feed for _ in range(3)) == ["iex", "sip", "sip"]


def test_what_one_key_is_refused_another_may_be_granted(stand_in: StandIn) -> None:
    def answer(request: ReceivedRequest) -> Answer:
        return NO_SIP if request.query["feed"] == "sip" and keys([request]) == ["a"] else quotes_for(request)

    stand_in.on(STOCKS, answer)
    with connected(stand_in.url, stand_in.url) as adapters:
        feeds = [run(adapters.quotes.latest(stocks(1)))["S000"].feed for _ in range(4)]
    assert sorted(feeds) == ["iex", "iex", "sip", "sip"]


def test_a_feed_named_in_the_configuration_is_used_as_it_is(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for).on(OPTIONS, UNSIGNED)
    with connected(stand_in.url, stock_feed=StockFeed.DELAYED_SIP, option_feed=OptionFeed.OPRA) as adapters:
        quotes = run(adapters.quotes.latest(stocks(1) + options(1)))
    assert list(quotes) == ["S000"]
    assert sorted(request.query["feed"] for request in stand_in.requests) == ["delayed_sip", "opra"]
    assert "OPRA agreement is not signed" in adapters.quotes.last_problems[0]


def test_keys_take_turns(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for)
    with connected(stand_in.url, stand_in.url, stand_in.url, **ONE_FEED) as adapters:
        for _ in range(2):
            run(adapters.quotes.latest(stocks(300)))
    assert Counter(keys(stand_in.requests)) == {"a": 2, "b": 2, "c": 2}


def test_only_the_accounts_named_for_market_data_are_used(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for)
    with connected(stand_in.url, stand_in.url, accounts=("b",)) as adapters:
        for _ in range(3):
            run(adapters.quotes.latest(stocks(1)))
    assert set(keys(stand_in.requests)) == {"b"}


def test_a_refused_key_is_skipped_and_costs_one_request_a_minute(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, refusing("a"))
    with connected(stand_in.url, stand_in.url, **ONE_FEED) as adapters:
        for _ in range(12):
            assert len(run(adapters.quotes.latest(stocks(1)))) == 1
    assert Counter(keys(stand_in.requests)) == {"a": 1, "b": 12}
    assert adapters.quotes.last_problems == ()


FAILING = {
    "hangs": Answer(hang=True),
    "throttled": Answer({"message": "too many requests."}, 429),
    "broken": Answer("", 500),
    "null": Answer("null"),
}


@pytest.mark.parametrize("failing", FAILING.values(), ids=FAILING)
def test_a_key_that_fails_in_any_way_is_skipped_for_that_batch(stand_in: StandIn, failing: Answer) -> None:
    stand_in.on(STOCKS, lambda request: failing if keys([request]) == ["b"] else quotes_for(request))
    with connected(stand_in.url, stand_in.url, limits=SHORT) as adapters:
        assert len(run(adapters.quotes.latest(stocks(1)))) == 1


def test_after_a_while_no_further_key_is_tried_for_a_batch(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, Answer(hang=True))
    clients = [RestClient(stand_in.url, Credentials(name, KEY, SECRET), limits=SHORT) for name in "abcd"]
    quotes = AlpacaQuotes(clients, MarketDataConfig(**ONE_FEED), retry_seconds=0.4)
    assert isinstance(caught(quotes.latest(stocks(1))), UnknownOutcomeError)
    assert len(stand_in.requests) == 2
    for client in clients:
        client.close()


def test_the_budget_of_each_key_is_known(stand_in: StandIn) -> None:
    told = {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "9"}
    stand_in.on(STOCKS, Answer({"quotes": {}}, headers=told))
    with connected(stand_in.url, stand_in.url) as adapters:
        run(adapters.quotes.latest(stocks(1)))
        assert sorted(map(str, adapters.quotes.rate_limits.values())) == ["None", str(RateLimit(200, 9, None))]


def test_a_batch_that_no_key_gets_is_absent_and_reported(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for).on(OPTIONS, Answer("", 500))
    with connected(stand_in.url, stand_in.url) as adapters:
        assert list(run(adapters.quotes.latest(stocks(1) + options(3)))) == ["S000"]
        assert len(adapters.quotes.last_problems) == 1
        assert adapters.quotes.last_problems[0].startswith("No quotes for SPY261120C00000001 and 2 more: ")
        run(adapters.quotes.latest(stocks(1)))
        assert adapters.quotes.last_problems == ()


def test_when_every_key_fails_for_everything_it_is_an_error(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, refusing("a", "b")).on(OPTIONS, Answer("", 500))
    with connected(stand_in.url, stand_in.url) as adapters:
        assert isinstance(caught(adapters.quotes.latest(stocks(1))), AuthError)
        assert isinstance(caught(adapters.quotes.latest(stocks(1) + options(1))), UnknownOutcomeError)


def test_an_unreadable_quote_and_unrequested_symbols_affect_no_other_quote(stand_in: StandIn) -> None:
    said = {"S000": a_quote_row(bp="NaN"), "S001": a_quote_row(), "S002": None, "XXX": a_quote_row()}
    stand_in.on(STOCKS, Answer({"quotes": said}))
    with connected(stand_in.url) as adapters:
        assert list(run(adapters.quotes.latest(stocks(3)))) == ["S001"]
    assert adapters.quotes.last_problems == ("S000: its quote is unreadable: bp 'NaN' is not a number.",)


@pytest.mark.parametrize("names_it", [True, False])
def test_a_symbol_that_alpaca_refuses_affects_no_other(stand_in: StandIn, names_it: bool) -> None:
    def answer(request: ReceivedRequest) -> Answer:
        if "S007" not in request.symbols:
            return quotes_for(request)
        return Answer({"message": "invalid symbol: S007" if names_it else "invalid symbol"}, 400)

    stand_in.on(STOCKS, answer)
    with connected(stand_in.url, **ONE_FEED) as adapters:
        quotes = run(adapters.quotes.latest(stocks(100)))
    assert len(quotes) == 99
    assert len(stand_in.requests) == (2 if names_it else 15)
    assert adapters.quotes.last_problems[0].startswith("S007: ")


def test_a_strange_symbol_costs_no_ordinary_one_its_quote_whatever_alpaca_answers(stand_in: StandIn) -> None:
    def answer(request: ReceivedRequest) -> Answer:
        strange = {"S001+", "=1+1"} & set(request.symbols)
        return Answer({"message": "bad request: S001+"}, 400) if strange else quotes_for(request)

    stand_in.on(STOCKS, answer)
    with connected(stand_in.url) as adapters:
        quotes = run(adapters.quotes.latest([*stocks(3), a_stock("S001+"), a_stock("=1+1")]))
    assert sorted(quotes) == ["S000", "S001", "S002"]


# --- splits

ACTIONS = "/v1/corporate-actions"
DAY = dt.date(2026, 11, 24)


def a_split(symbol: str, new: object, old: object, ex_date: str = "2026-11-24") -> dict[str, object]:
    return {"symbol": symbol, "new_rate": new, "old_rate": old, "ex_date": ex_date, "process_date": ex_date}


def a_page(token: str | None = None, **actions: list[dict[str, object]]) -> Answer:
    return Answer({"corporate_actions": actions, "next_page_token": token})


def test_the_splits_of_a_day_are_those_with_its_ex_date_on_every_page(stand_in: StandIn) -> None:
    first = a_page("more", forward_splits=[a_split("S000", 2, 1), a_split("S001", 3, 2, "2026-11-25")])
    dividend = {"symbol": "S003", "rate": 1, "ex_date": "2026-11-24"}
    second = a_page(reverse_splits=[a_split("S002", 1, 10)], stock_dividends=[dividend])
    stand_in.on(ACTIONS, first, second)
    with connected(stand_in.url) as adapters:
        splits = run(adapters.quotes.splits(["S000", "S001", "S002", "S003"], DAY))
    assert {split.symbol: str(split.ratio) for split in splits} == {"S000": "2", "S002": "0.1", "S003": "2"}
    asked, again = stand_in.to(ACTIONS)
    assert asked.query["types"] == "forward_split,reverse_split,stock_dividend"
    assert asked.query["start"] < "2026-11-24" < asked.query["end"]
    assert again.query.items() >= {"page_token": "more"}.items()


@pytest.mark.parametrize(
    "wrong",
    [
        Answer("", 404),
        Answer("", 500),
        Answer({"corporate_actions": None, "next_page_token": None}),
        Answer({"corporate_actions": {"forward_splits": "x"}, "next_page_token": None}),
        a_page(forward_splits=[a_split("S000", 0, 1)]),
        a_page(forward_splits=[a_split("S000", "NaN", 1)]),
        a_page(forward_splits=[a_split("S000", 2, 1, "soon")]),
        a_page("again", forward_splits=[]),  # a list without an end
    ],
)
def test_an_answer_about_splits_that_cannot_be_read_to_its_end_is_an_error(stand_in: StandIn, wrong: Answer) -> None:
    stand_in.on(ACTIONS, wrong)
    with connected(stand_in.url) as adapters:
        assert isinstance(caught(adapters.quotes.splits(["S000"], DAY)), BrokerError)


def test_a_strange_symbol_is_not_in_the_request_for_splits(stand_in: StandIn) -> None:
    stand_in.on(ACTIONS, a_page())
    with connected(stand_in.url) as adapters:
        assert run(adapters.quotes.splits(["S000", "XYZ+", "=1+1"], DAY)) == ()
    assert [request.symbols for request in stand_in.to(ACTIONS)] == [["S000"]]


def test_another_key_is_asked_for_splits_when_one_fails(stand_in: StandIn) -> None:
    refused = Answer({"message": "forbidden."}, 403)
    stand_in.on(ACTIONS, lambda request: refused if keys([request]) == ["b"] else a_page())
    with connected(stand_in.url, stand_in.url) as adapters:
        assert [run(adapters.quotes.splits(["S000"], DAY)) for _ in range(2)] == [(), ()]


# --- the granted feed is remembered -----------------------------------------------------------------------------------


def a_process(url: str, facts: RememberedFacts, hours: float = 0) -> AlpacaQuotes:
    """The quotes of another process, so many hours after the first one."""
    return connect(a_config(url), PATIENT, facts=facts, now=lambda: NOON + dt.timedelta(hours=hours)).quotes


def test_the_next_process_asks_for_the_feed_that_was_granted_at_once(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, without_sip)
    facts = RememberedFacts()
    for _ in range(2):
        assert len(run(a_process(stand_in.url, facts).latest(stocks(1)))) == 1
    first, second, third = feeds_asked(stand_in)
    assert {first, second} == {"sip", "iex"}
    assert third == "iex"


def test_a_better_feed_is_tried_again_after_some_hours_with_one_symbol_and_used_once_granted(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, without_sip)
    facts = RememberedFacts()
    run(a_process(stand_in.url, facts).latest(stocks(3)))
    for hours in (5, 7, 8):
        quotes = a_process(stand_in.url, facts, hours)
        run(quotes.latest(stocks(3)))
        run(quotes.try_better_feeds())
    assert feeds_asked(stand_in)[2:] == ["iex", "iex", "sip", "iex"]
    assert [len(request.symbols) for request in stand_in.to(STOCKS)] == [3, 3, 3, 3, 1, 3]
    stand_in.on(STOCKS, quotes_for)
    quotes = a_process(stand_in.url, facts, 14)
    run(quotes.latest(stocks(3)))
    run(quotes.try_better_feeds())
    assert run(quotes.latest(stocks(3)))["S000"].feed == "sip"
    assert feeds_asked(stand_in)[6:] == ["iex", "sip", "sip"]


def test_a_feed_that_was_revoked_over_night_falls_back_within_the_same_call(stand_in: StandIn) -> None:
    facts = RememberedFacts()
    facts.feed_granted(key_fingerprint(KEY + "a"), AssetClass.STOCK, "sip", NOON)
    stand_in.on(STOCKS, without_sip)
    quotes = a_process(stand_in.url, facts, 18)
    assert [run(quotes.latest(stocks(1)))["S000"].feed for _ in range(2)] == ["iex", "iex"]
    assert feeds_asked(stand_in) == ["sip", "iex", "iex"]


def test_a_remembered_feed_that_is_refused_gives_way_to_a_better_one(stand_in: StandIn) -> None:
    facts = RememberedFacts()
    facts.feed_granted(key_fingerprint(KEY + "a"), AssetClass.STOCK, "iex", NOON)
    stand_in.on(STOCKS, lambda request: NO_SIP if request.query["feed"] == "iex" else quotes_for(request))
    assert run(a_process(stand_in.url, facts).latest(stocks(1)))["S000"].feed == "sip"


def test_the_feed_of_another_key_or_of_another_configuration_means_nothing(stand_in: StandIn) -> None:
    stand_in.on(STOCKS, quotes_for)
    facts = RememberedFacts()
    facts.feed_granted("of another key", AssetClass.STOCK, "iex", NOON)
    facts.feed_granted(key_fingerprint(KEY + "a"), AssetClass.STOCK, "delayed_sip", NOON)
    assert run(a_process(stand_in.url, facts).latest(stocks(1)))["S000"].feed == "sip"
