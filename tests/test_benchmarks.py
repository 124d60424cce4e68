import datetime as dt

import pytest

from benchmarks.__main__ import Row
from benchmarks.exit_stage import Market, a_stage
from benchmarks.hosts import lateness, percentile
from benchmarks.request_log import Reply, Request, RequestLog, as_table
from benchmarks.sampling import sampled
from benchmarks.structures import MARKET_BY_LEGS, ONE_ORDER, NakedTime, play
from sellctl.sim.scenario.reader import parse_scenario

JUDGED = [
    ("1.18 x (2.21 / 2.09 s)", "<= 1 x", "**no**"),
    ("0.83 x (74 ms)", "<= 1.3 x", "yes"),
    ("52,375 holdings/s", ">= 100,000 holdings/s", "**no**"),
    ("0.0123 / 0.0246 $ per share: 50% less; 990 of 1000 filled", ">= 40% less", "yes"),
    ("62%: waiting for answers 42%", ">= 70%, since a bound was missed", "**no**"),
    ("148; 0 not closed", "<= 180", "yes"),
    ("3 (190 flat)", "0", "**no**"),
    ("1.8 s (0.90 s of time)", "< 5 s, the default interval", "yes"),
    ("none", "none of alpaca, pandas", "yes"),
    ("13: 2 GET /v2/clock", "listed", ""),
    ("74 ms", "", ""),
]


@pytest.mark.parametrize(("measured", "bound", "met"), JUDGED)
def test_a_figure_is_compared_with_its_bound_in_the_bounds_unit(measured: str, bound: str, met: str) -> None:
    assert Row("a figure", measured, bound, "start").met == met


def test_the_sampler_attributes_time_to_the_code_that_ran() -> None:
    with sampled() as samples:
        sum(sum(range(1_000)) for _ in range(5_000))
    assert samples.total > 5
    assert samples.outside == 1.0


def an_order(at: float, symbol: str, log: RequestLog, *, status: int = 200) -> None:
    request = Request(at, "POST", "/v2/orders", {}, "k0", Reply(status))
    log.requests.append(request)
    log.note_order(request, symbol)


def a_read(at: float, path: str = "/v2/positions", *, status: int = 200, **query: str) -> Request:
    return Request(at, "GET", path, {name: [value] for name, value in query.items()}, "k0", Reply(status))


def test_the_log_counts_the_requests_until_every_due_option_has_its_first_order() -> None:
    log = RequestLog()
    log.expect(["A", "B"])
    log.requests.append(a_read(10.0))
    for at, symbol in ((10.1, "A"), (10.3, "B"), (10.4, "A")):
        an_order(at, symbol, log)
    report = log.report(from_move=False)
    assert report["first_orders"] == pytest.approx([0.1, 0.3])
    assert report["until"] == {"GET /v2/positions": 1, "POST /v2/orders": 2}
    assert report["whole"] == {"GET /v2/positions": 1, "POST /v2/orders": 3}


def test_an_order_that_the_exchange_refuses_is_not_the_first_one() -> None:
    log = RequestLog()
    log.expect(["A"])
    an_order(10.1, "A", log, status=403)
    assert log.arrived == 0
    an_order(10.2, "A", log)
    assert log.arrived == 1


def test_requests_of_one_kind_are_counted_together_and_refusals_apart() -> None:
    quotes = "/v1beta1/options/quotes/latest"
    assert a_read(0, "/v2/options/contracts/A").kind == a_read(0, "/v2/options/contracts/B").kind
    assert a_read(0, quotes, feed="opra", symbols="A").kind == f"GET {quotes}?feed=opra"
    assert a_read(0, quotes, feed="opra", status=403).kind == f"GET {quotes}?feed=opra (403)"


def test_the_busiest_minute_counts_trading_and_market_data_apart() -> None:
    log = RequestLog(requests=[a_read(at) for at in (0, 30, 59, 61, 125)] + [a_read(59, "/v2/stocks/quotes/latest")])
    assert log.report(from_move=False)["busiest"] == 3


def test_a_poll_is_late_by_what_exceeds_the_interval_since_the_accounts_last_one() -> None:
    log = RequestLog()
    for at, key in ((0.0, "k0"), (0.1, "k1"), (5.3, "k0"), (5.0, "k1"), (10.3, "k0"), (12.0, "k1")):
        log.requests.append(Request(at, "GET", "/v2/positions", {}, key, Reply(200)))
        log.requests.append(Request(at + 1, "GET", "/v2/orders", {"status": ["open"]}, key, Reply(200)))
    chain = log.report(from_move=False)["chain"]
    assert isinstance(chain, list)
    assert lateness(chain, 2) == pytest.approx([0.3, 0.0, 0.0, 2.0])
    with pytest.raises(RuntimeError, match="1 of 3 accounts were not polled again"):
        lateness(chain, 3)


def test_an_account_that_is_polled_once_only_is_no_account_on_time() -> None:
    log = RequestLog(requests=[a_read(0), a_read(5)])
    log.requests.append(Request(1, "GET", "/v2/positions", {}, "k1", Reply(200)))
    chain = log.report(from_move=False)["chain"]
    assert isinstance(chain, list)
    with pytest.raises(RuntimeError, match="1 of 2 accounts"):
        lateness(chain, 2)


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (100, 98), (101, 99), (200, 197)])
def test_a_percentile_is_exceeded_by_the_remaining_share_at_most(count: int, expected: int) -> None:
    assert percentile(range(count), 0.99) == expected


def test_requests_are_listed_as_a_table() -> None:
    assert [line.split() for line in as_table({"one": {"GET /a": 2}, "two": {"GET /a": 1, "GET /b": 3}})] == [
        ["one", "two"],
        ["GET", "/a", "2", "1"],
        ["GET", "/b", "0", "3"],
        ["in", "all", "2", "4"],
    ]


def test_the_exchange_measures_a_program_that_sells_what_is_due() -> None:
    with a_stage(Market(2, 3, 1), 0.02) as stage:
        run = stage.sell("floor", whole=True)
    assert len(run.report["first_orders"]) == 2
    assert run.last > 3 * 0.02  # three answers are waited for: the lists, the refused feed, and the quotes
    assert not run.report["refused"]
    assert run.report["whole"] == {
        "GET /v2/positions": 2,
        "GET /v2/orders?status=open": 2,
        "GET /v1beta1/options/quotes/latest?feed=opra (403)": 1,
        "GET /v1beta1/options/quotes/latest?feed=indicative": 1,
        "POST /v2/orders": 2,
        "DELETE /v2/orders/...": 2,
    }


def test_a_vertical_and_a_condor_leave_as_one_or_by_legs_and_no_fill_uncovers_a_short() -> None:
    as_one, by_legs = (play(way, range(2), expires_today=True) for way in (ONE_ORDER, MARKET_BY_LEGS))
    assert [one.orders for one in by_legs] == [2, 4]
    for ours, theirs in zip(as_one, by_legs, strict=True):
        assert ours.slippage is not None
        assert theirs.slippage is not None
        assert ours.slippage <= theirs.slippage
        assert not any((ours.naked_fills, ours.naked_seconds, ours.missed))


A_COVER_IS_SOLD = """
start: "2026-11-25 11:00"
accounts:
  main:
    positions:
      - {symbol: F261218P00012000, qty: -1, entry: 1.00}
      - {symbol: F261218P00011000, qty: 1, entry: 0.50}
prices: {F261218P00012000: 1.00, F261218P00011000: 0.50}
events:
  - {at: "11:01", order: {account: main, symbol: F261218P00011000, side: sell, qty: 1}}
  - {at: "11:02", order: {account: main, symbol: F261218P00012000, side: buy, qty: 1}}
"""


def test_a_short_counts_as_uncovered_from_the_fill_that_takes_its_cover_until_it_is_bought_back() -> None:
    exchange = parse_scenario(A_COVER_IS_SOLD).exchange()
    naked = NakedTime(exchange, "main")
    exchange.listeners.append(naked.on_event)
    exchange.advance_to(exchange.now + dt.timedelta(minutes=5))
    assert (naked.fills, naked.seconds) == (1, 60)
