"""Every fault of the quote family, by name, as a client sees it."""

import datetime as dt
from typing import Any

import pytest
from sim_clients import CALL, Rest

from sellctl.sim.faults.catalogue import CATALOGUE
from sellctl.sim.server import SimServer

NOW = dt.datetime(2026, 11, 25, 16, 0, tzinfo=dt.UTC)


def quote(client: Rest, symbol: str = CALL) -> Any:
    """The latest quote, or None."""
    path = "/v1beta1/options/quotes/latest" if len(symbol) > 6 else "/v2/stocks/quotes/latest"
    return client.get(path, symbols=symbol)["quotes"].get(symbol)


@pytest.mark.parametrize(("name", "side", "size"), [("Q01", "bp", "bs"), ("Q02", "ap", "as")])
def test_a_side_is_zero(server: SimServer, client: Rest, name: str, side: str, size: str) -> None:
    server.exchange.inject(name)
    found = quote(client)
    assert (found[side], found[size]) == (0, 0)


def test_the_quote_is_crossed(server: SimServer, client: Rest) -> None:
    server.exchange.inject("Q03")
    found = quote(client)
    assert found["bp"] > found["ap"] > 0


@pytest.mark.parametrize(("name", "offset"), [("Q04", -3600), ("Q05", 600)])
def test_the_stamp_is_old_or_in_the_future(server: SimServer, client: Rest, name: str, offset: int) -> None:
    server.exchange.inject(name)
    stamp = dt.datetime.fromisoformat(quote(client)["t"])
    assert stamp - NOW == dt.timedelta(seconds=offset)


@pytest.mark.parametrize(("factor", "bid"), [("100", 200), ("0.01", 0.02)])
@pytest.mark.parametrize("times", [1, 3])
def test_prices_are_off_by_a_factor_as_often_as_told(
    server: SimServer, client: Rest, factor: str, bid: float, times: int
) -> None:
    server.exchange.inject("Q06", factor=factor, times=times)
    assert [quote(client)["bp"] for _ in range(times + 1)] == [bid] * times + [2]


def test_the_spread_is_as_wide_as_the_price(server: SimServer, client: Rest) -> None:
    server.exchange.inject("Q07")
    found = quote(client)
    assert (found["bp"], found["ap"]) == (1.08, 3.02)


def test_sizes_are_zero(server: SimServer, client: Rest) -> None:
    server.exchange.inject("Q08")
    found = quote(client)
    assert (found["bs"], found["as"], found["bp"]) == (0, 0, 2)


def test_a_halt_stops_fills_and_quotes_until_it_ends(server: SimServer, client: Rest) -> None:
    server.exchange.inject("Q09", symbol=CALL)
    server.advance(60)
    assert dt.datetime.fromisoformat(quote(client)["t"]) == NOW
    order = client.sell(limit_price="2.00").json()["id"]
    server.advance(60)
    assert client.get(f"/v2/orders/{order}")["status"] == "pending_new"
    server.exchange.clear_faults("Q09")
    server.advance(1)
    assert client.get(f"/v2/orders/{order}")["status"] == "filled"


def test_the_opening_minute_is_wide_and_the_next_is_not(client: Rest, server: SimServer) -> None:
    server.exchange.inject("Q10")
    server.advance_to(dt.datetime(2026, 11, 27, 14, 30, 10, tzinfo=dt.UTC))
    wide = quote(client)
    server.advance(60)
    calm = quote(client)
    assert wide["ap"] - wide["bp"] > 0.5 > calm["ap"] - calm["bp"]


def test_the_feed_is_silently_another(server: SimServer, client: Rest) -> None:
    server.exchange.inject("Q11")
    assert quote(client)["bp"] == 2.06


@pytest.mark.parametrize(("options", "bid"), [({"of": "F"}, 12), ({}, 6)])
def test_the_quote_is_another_contracts(server: SimServer, client: Rest, options: dict[str, str], bid: float) -> None:
    server.exchange.inject("Q12", symbol=CALL, **options)
    assert quote(client)["bp"] == bid


def test_there_is_no_quote_at_all(server: SimServer, client: Rest) -> None:
    server.exchange.inject("Q13", symbol=CALL)
    assert quote(client) is None
    assert quote(client, "F") is not None


@pytest.mark.parametrize(("value", "text"), [("NaN", "NaN"), ("Infinity", "Infinity"), ("1e308", "1e+308")])
def test_a_price_is_no_number(server: SimServer, client: Rest, value: str, text: str) -> None:
    server.exchange.inject("Q14", value=value)
    raw = client.ask("GET", "/v1beta1/options/quotes/latest", symbols=CALL).text
    assert f'"bp":{text}' in raw


def test_the_last_trade_is_far_from_the_quote(server: SimServer, client: Rest) -> None:
    server.exchange.inject("Q15")
    path = "/v1beta1/options/trades/latest"
    assert [client.get(path, symbols=CALL)["trades"][CALL]["p"] for _ in range(2)] == [3.08, 2.05]


def test_a_real_crash_takes_two_seconds_and_orders_fill_in_it(server: SimServer, client: Rest) -> None:
    server.exchange.inject("Q16", symbol=CALL)
    server.advance(1)
    halfway = quote(client)["bp"]
    server.advance(1)
    assert 2 > halfway > quote(client)["bp"] == 1.18
    order = client.sell(limit_price="1.18").json()["id"]
    assert client.get(f"/v2/orders/{order}")["filled_avg_price"] == "1.18"


def test_a_slow_grind_goes_through_the_stop(server: SimServer, client: Rest) -> None:
    server.exchange.inject("Q17", symbol="F", share="0.01")
    bids = []
    for _ in range(4):
        server.advance(600)
        bids.append(quote(client, "F")["bp"])
    assert bids == sorted(bids, reverse=True)
    assert bids[-1] < 12 * 0.8


def test_a_corrupted_quote_does_not_change_what_orders_trade_at(server: SimServer, client: Rest) -> None:
    server.exchange.inject("Q06", factor="100", times=None)
    order = client.sell(limit_price="2.00").json()["id"]
    assert client.get(f"/v2/orders/{order}")["filled_avg_price"] == "2"


def test_every_name_of_the_family_is_in_the_catalogue() -> None:
    assert {name for name in CATALOGUE if name[0] == "Q"} == {f"Q{number:02d}" for number in range(1, 18)}
