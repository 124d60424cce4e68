"""The exact shape of every answer: its key set pinned, and validated against Alpaca's schemas if at hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from official_schemas import DATA, KNOWN_FAULTS, OPENAPI, ORDER, REPAIRS, TRADING, check
from sim_clients import CALL, SCENARIO, Rest, a_client, a_server

from sellctl.sim.server import SimServer

HIGHER = "NVDA261218C00210000"

POSITION = {
    "asset_id", "symbol", "exchange", "asset_class", "asset_marginable", "qty", "avg_entry_price", "side",
    "market_value", "cost_basis", "unrealized_pl", "unrealized_plpc", "unrealized_intraday_pl",
    "unrealized_intraday_plpc", "current_price", "lastday_price", "change_today", "qty_available",
}  # fmt: skip
ACCOUNT = {
    "id", "account_number", "status", "crypto_status", "crypto_tier", "currency", "cash", "accrued_fees",
    "buying_power", "effective_buying_power", "regt_buying_power", "non_marginable_buying_power",
    "options_buying_power", "options_approved_level", "options_trading_level", "portfolio_value", "equity",
    "last_equity", "long_market_value", "short_market_value", "position_market_value", "initial_margin",
    "maintenance_margin", "last_maintenance_margin", "intraday_adjustments", "pending_reg_taf_fees",
    "pending_transfer_in", "pending_transfer_out", "multiplier", "sma", "shorting_enabled", "account_blocked",
    "trading_blocked", "transfers_blocked", "trade_suspended_by_user", "balance_asof", "created_at",
    "admin_configurations", "user_configurations",
}  # fmt: skip
CONFIGURATION = {
    "disable_overnight_trading", "fractional_trading", "max_margin_multiplier", "max_options_trading_level",
    "no_shorting", "ptp_no_exception_entry", "suspend_trade", "trade_confirm_email",
}  # fmt: skip
CLOCK = {"timestamp", "is_open", "next_open", "next_close"}
CALENDAR = {"date", "open", "close", "session_open", "session_close", "settlement_date"}
V3_CLOCK = {
    "market", "timestamp", "is_market_day", "phase", "phase_until", "next_market_open", "next_market_close",
}  # fmt: skip
V3_DAY = {
    "date", "core_start", "core_end", "pre_start", "pre_end", "post_start", "post_end", "settlement_date",
}  # fmt: skip
ASSET = {
    "id", "class", "exchange", "symbol", "name", "status", "tradable", "marginable", "shortable", "easy_to_borrow",
    "borrow_status", "fractionable", "maintenance_margin_requirement", "margin_requirement_long",
    "margin_requirement_short", "attributes",
}  # fmt: skip
CONTRACT = {
    "id", "symbol", "name", "status", "tradable", "expiration_date", "root_symbol", "underlying_symbol",
    "underlying_asset_id", "type", "style", "strike_price", "multiplier", "size", "open_interest",
    "open_interest_date", "close_price", "close_price_date", "ppind",
}  # fmt: skip
FILL = {
    "id", "activity_type", "transaction_time", "type", "price", "qty", "side", "symbol", "leaves_qty", "order_id",
    "cum_qty", "order_status",
}  # fmt: skip
NON_TRADE = {
    "id", "activity_type", "activity_sub_type", "date", "created_at", "net_amount", "per_share_amount", "description",
    "symbol", "qty", "price", "status", "currency",
}  # fmt: skip
STOCK_QUOTE = {"ap", "as", "ax", "bp", "bs", "bx", "c", "t", "z"}
OPTION_QUOTE = STOCK_QUOTE - {"z"}
STOCK_TRADE, OPTION_TRADE = {"c", "i", "p", "s", "t", "x", "z"}, {"c", "p", "s", "t", "x"}
BAR = {"o", "h", "l", "c", "n", "t", "v", "vw"}
STOCK_SNAPSHOT = {"latestQuote", "latestTrade", "minuteBar", "dailyBar"}
OPTION_SNAPSHOT = STOCK_SNAPSHOT | {"greeks", "impliedVolatility"}


@pytest.fixture(scope="module")
def server() -> Iterator[SimServer]:
    with a_server(SCENARIO.replace("prices:\n", f"prices:\n  {HIGHER}: {{bid: 1.00, ask: 1.06}}\n")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: SimServer) -> Iterator[Rest]:
    with a_client(server) as rest:
        yield rest


# --- the official schemas


@pytest.mark.skipif(not OPENAPI, reason="SELLCTL_OPENAPI_DIR names no folder with Alpaca's schemas")
def test_the_official_schemas_are_at_hand_and_find_a_wrong_answer() -> None:
    assert (Path(OPENAPI) / TRADING).exists()
    with pytest.raises(AssertionError):
        check({"timestamp": "now", "is_open": "yes"}, "legacy_clock")


def test_every_known_fault_of_the_schemas_has_its_repair() -> None:
    assert set(REPAIRS) == set(KNOWN_FAULTS)


# --- the trading API


def test_an_account(client: Rest) -> None:
    body = client.get("/v2/account")
    assert set(body) == ACCOUNT
    assert {key for key, value in body.items() if isinstance(value, int) and not isinstance(value, bool)} == {
        "options_approved_level", "options_trading_level", "crypto_tier",
    }  # fmt: skip
    check(body, "Account")


def test_a_configuration(client: Rest) -> None:
    body = client.get("/v2/account/configurations")
    assert set(body) == CONFIGURATION
    check(body, "AccountConfigurations")
    assert client.ask("PATCH", "/v2/account/configurations", {"max_options_trading_level": 2}).json() == {
        **body, "max_options_trading_level": 2,
    }  # fmt: skip
    assert client.ask("PATCH", "/v2/account/configurations", {"colour": "red"}).status_code == 422


def test_positions_are_text_and_options_count_a_hundred_shares(client: Rest) -> None:
    rows = client.get("/v2/positions")
    assert [set(row) for row in rows] == [POSITION, POSITION]
    option = next(row for row in rows if row["symbol"] == CALL)
    assert {key: option[key] for key in ("qty", "avg_entry_price", "market_value", "cost_basis", "unrealized_pl")} == {
        "qty": "4", "avg_entry_price": "1.5", "market_value": "820", "cost_basis": "600", "unrealized_pl": "220",
    }  # fmt: skip
    assert (option["exchange"], option["current_price"]) == ("", "2.05")
    for row in rows:
        check(row, "Position")


def test_an_order(client: Rest) -> None:
    sent = client.sell(limit_price=3.05).json()
    assert set(sent) == ORDER
    assert {key: sent[key] for key in ("qty", "limit_price", "filled_qty", "order_class", "legs")} == {
        "qty": "1", "limit_price": "3.05", "filled_qty": "0", "order_class": "simple", "legs": None,
    }  # fmt: skip
    check(sent, "Order")
    check(client.get(f"/v2/orders/{sent['id']}"), "Order")
    check(client.get("/v2/orders"), "Orders", fault="orders-are-a-list")
    assert client.ask("DELETE", "/v2/orders").status_code == 207


def test_a_filled_a_cancelled_a_replaced_and_a_stock_order(client: Rest) -> None:
    stock = {"symbol": "F", "side": "sell", "qty": "1", "type": "market", "time_in_force": "day"}
    filled = client.ask("POST", "/v2/orders", stock).json()
    resting = client.ask("POST", "/v2/orders", {**stock, "type": "limit", "limit_price": "13"}).json()
    changed = client.ask("PATCH", f"/v2/orders/{resting['id']}", {"limit_price": "14"}).json()
    assert filled["order_class"] == ""
    for order in (filled, resting, changed):
        row = client.get(f"/v2/orders/{order['id']}")
        assert set(row) == ORDER
        check(row, "Order")
    rows = client.ask("DELETE", "/v2/orders").json()
    assert [set(row) for row in rows] == [{"id", "status", "body"}]
    check(rows[0], "CanceledOrderResponse")


def test_clock_and_calendar(client: Rest) -> None:
    clock = client.get("/v2/clock")
    assert set(clock) == CLOCK
    check(clock, "legacy_clock")
    days = client.get("/v2/calendar", start="2026-11-25", end="2026-11-30")
    assert [day["date"] for day in days] == ["2026-11-25", "2026-11-27", "2026-11-30"]
    assert days[1] == {
        "date": "2026-11-27", "open": "09:30", "close": "13:00", "session_open": "0400", "session_close": "1700",
        "settlement_date": "2026-11-30",
    }  # fmt: skip
    check(days, "legacy_public_calendar_resp")
    assert client.ask("GET", "/v2/calendar", start="soon").status_code == 400


def test_the_third_versions_of_clock_and_calendar(client: Rest) -> None:
    clocks = client.get("/v3/clock", markets="NYSE,OPRA", time="2026-11-27T13:30:00-05:00")
    assert [set(clock) for clock in clocks["clocks"]] == [V3_CLOCK, V3_CLOCK]
    assert {clock["phase"] for clock in clocks["clocks"]} == {"post"}
    check(clocks, "clock_resp")
    days = client.get("/v3/calendar/NYSE", start="2026-11-27", end="2026-11-27")
    assert [set(day) for day in days["calendar"]] == [V3_DAY]
    assert days["calendar"][0]["core_end"] == "2026-11-27T13:00:00-05:00"
    check(days, "public_calendar_resp")
    assert client.ask("GET", "/v3/calendar/MOON").status_code == 400


def test_assets_and_contracts(client: Rest) -> None:
    assets = client.get("/v2/assets")
    assert {frozenset(asset) for asset in assets} == {frozenset(ASSET)}
    for asset in assets:
        check(asset, "Assets")
    page = client.get("/v2/options/contracts", underlying_symbols="NVDA", expiration_date_lte="2027-01-01", limit="1")
    assert [set(one) for one in page["option_contracts"]] == [CONTRACT]
    check(page["option_contracts"][0], "OptionContract")
    rest = client.get(
        "/v2/options/contracts",
        underlying_symbols="NVDA",
        expiration_date_lte="2027-01-01",
        limit="1",
        page_token=page["next_page_token"],
    )
    assert (rest["option_contracts"][0]["symbol"], rest["next_page_token"]) == (HIGHER, None)
    whole = client.get(f"/v2/options/contracts/{CALL}", show_deliverables="true")
    check(whole, "OptionContract")
    missing = client.ask("GET", "/v2/options/contracts/XYZ261218C00200000")
    assert (missing.status_code, missing.json()["code"]) == (404, 40410000)


def test_contracts_show_only_what_expires_until_the_weekend_unless_asked(client: Rest) -> None:
    assert client.get("/v2/options/contracts", underlying_symbols="NVDA")["option_contracts"] == []


def test_activities_page_by_the_last_id_and_settlements_show_the_next_day() -> None:
    today = "NVDA261125C00100000"
    text = SCENARIO.replace("positions:\n", f"positions:\n      - {{symbol: {today}, qty: 1, entry: 1}}\n", 1)
    quiet = text.replace("rate_limit: 0", "rate_limit: 0, liquidate: false")
    with a_server(quiet) as server, a_client(server) as client:
        for _ in range(3):
            client.sell(limit_price="2.00")
        server.advance(6 * 3600)
        first = client.get("/v2/account/activities", page_size="2")
        rest = client.get("/v2/account/activities", page_size="2", page_token=first[-1]["id"])
        assert [len(first), len(rest)] == [2, 1]
        assert {frozenset(row) for row in first + rest} == {frozenset(FILL)}
        check(first[0], "TradingActivities")
        assert client.get("/v2/positions/NVDA")["qty"] == "100"
        assert client.get("/v2/account/activities/OPEXC") == []
        server.advance(18 * 3600)
        [row] = client.get("/v2/account/activities/OPEXC")
        assert set(row) == NON_TRADE
        check(row, "NonTradeActivities", fault="activity-date-is-a-date")
        kinds = client.get("/v2/account/activities", category="non_trade_activity", direction="asc")
        assert sorted(one["activity_type"] for one in kinds) == ["OPEXC", "OPTRD"]


def test_closing_all_answers_with_an_order_or_an_error_for_each() -> None:
    with a_server() as server, a_client(server) as client:
        client.sell(qty="4")
        rows = client.ask("DELETE", "/v2/positions").json()
        by_symbol = {row["symbol"]: row for row in rows}
        assert (by_symbol[CALL]["status"], by_symbol["F"]["status"]) == (403, 200)
        assert "related_orders" not in by_symbol[CALL]["body"]
        check(by_symbol["F"], "PositionClosedReponse")
        check(by_symbol[CALL], "PositionClosedReponse", fault="closed-body-may-be-an-error")


def test_exercise_and_its_refusals(client: Rest) -> None:
    for path, code in (
        (f"{HIGHER}/exercise", 40310000),
        ("F/exercise", 42210000),
        (f"{CALL}/do-not-exercise", 42210000),
    ):
        answer = client.ask("POST", f"/v2/positions/{path}")
        assert answer.json()["code"] == code
        check(answer.json(), "Error")


# --- market data


def test_stock_quotes_trades_and_snapshots(client: Rest) -> None:
    quotes = client.get("/v2/stocks/quotes/latest", symbols="F,NOBODY")
    assert {symbol: set(quote) for symbol, quote in quotes["quotes"].items()} == {"F": STOCK_QUOTE}
    check(quotes, "stock_latest_quotes_resp", DATA)
    trades = client.get("/v2/stocks/trades/latest", symbols="F")
    assert set(trades["trades"]["F"]) == STOCK_TRADE
    check(trades, "stock_latest_trades_resp", DATA)
    shots = client.get("/v2/stocks/snapshots", symbols="F")
    assert set(shots["F"]) == STOCK_SNAPSHOT
    assert set(shots["F"]["dailyBar"]) == BAR
    check(shots, "stock_snapshots_resp", DATA)


def test_one_stocks_quote_trade_and_snapshot(client: Rest) -> None:
    check(client.get("/v2/stocks/F/quotes/latest"), "stock_latest_quotes_resp_single", DATA)
    check(client.get("/v2/stocks/F/trades/latest"), "stock_latest_trades_resp_single", DATA)
    check(client.get("/v2/stocks/F/snapshot"), "stock_snapshots_resp_single", DATA)
    assert client.ask("GET", "/v2/stocks/NOBODY/snapshot").status_code == 404


def test_corporate_actions_are_the_scenarios_splits() -> None:
    later = 'events: [{at: "12:00", split: {symbol: F, ratio: 2}}, {at: "12:00", split: {symbol: G, ratio: 0.1}}]\n'
    with a_server(SCENARIO + later) as server, a_client(server) as client:
        answer = client.get("/v1/corporate-actions", symbols="F,G,H", types="forward_split,reverse_split", limit="1")
        assert answer["corporate_actions"]["forward_splits"][0]["ex_date"] == "2026-11-25"
        check(answer, "corporate_actions_resp", DATA)
        rest = client.get("/v1/corporate-actions", symbols="F,G,H", page_token=answer["next_page_token"])
        (reverse,) = rest["corporate_actions"]["reverse_splits"]
        assert (reverse["symbol"], reverse["new_rate"], reverse["old_rate"]) == ("G", 1, 10)
        check(rest, "corporate_actions_resp", DATA)
        none = client.get("/v1/corporate-actions", start="2026-11-26", end="2026-11-27")
        assert none == {"corporate_actions": {}, "next_page_token": None}


def test_option_quotes_trades_snapshots_and_the_chain(client: Rest) -> None:
    quotes = client.get("/v1beta1/options/quotes/latest", symbols=f"{CALL},NVDA261218C00999000")
    assert {symbol: set(quote) for symbol, quote in quotes["quotes"].items()} == {CALL: OPTION_QUOTE}
    assert quotes["quotes"][CALL]["c"] == "A"
    check(quotes, "option_latest_quotes_resp", DATA)
    trades = client.get("/v1beta1/options/trades/latest", symbols=CALL)
    assert set(trades["trades"][CALL]) == OPTION_TRADE
    check(trades, "option_latest_trades_resp", DATA)
    shots = client.get("/v1beta1/options/snapshots", symbols=CALL)
    assert set(shots["snapshots"][CALL]) == OPTION_SNAPSHOT
    check(shots, "option_snapshots_resp", DATA)
    chain = client.get("/v1beta1/options/snapshots/NVDA", limit="1", type="call")
    assert (list(chain["snapshots"]), chain["next_page_token"]) == ([CALL], "MQ==")
    check(chain, "option_snapshots_resp", DATA)


def test_on_the_last_day_greeks_are_zero_and_there_is_no_volatility() -> None:
    today = "NVDA261125C00195000"
    with a_server(SCENARIO + f"  {today}: {{bid: 1.00, ask: 1.05}}\n") as server, a_client(server) as client:
        shot = client.get("/v1beta1/options/snapshots", symbols=today)["snapshots"][today]
    assert (set(shot["greeks"].values()), "impliedVolatility" in shot) == ({0}, False)


def test_more_than_a_hundred_options_a_request_are_refused(client: Rest) -> None:
    many = ",".join(f"NVDA261218C{strike:08d}" for strike in range(101))
    assert client.ask("GET", "/v1beta1/options/quotes/latest", symbols=many).status_code == 400
    assert client.ask("GET", "/v1beta1/options/quotes/latest", symbols=many[:-20]).status_code == 200
    assert client.ask("GET", "/v1beta1/options/quotes/latest", symbols="").status_code == 400


@pytest.mark.parametrize(
    ("path", "feed", "message"),
    [
        ("/v2/stocks/quotes/latest", "sip", "subscription does not permit querying recent SIP data"),
        ("/v1beta1/options/quotes/latest", "opra", "OPRA agreement is not signed"),
    ],
)
def test_paid_feeds_are_refused_without_a_code(client: Rest, path: str, feed: str, message: str) -> None:
    answer = client.ask("GET", path, symbols=CALL if "options" in path else "F", feed=feed)
    assert (answer.status_code, answer.json()) == (403, {"message": message})


# --- the edges


@pytest.mark.parametrize("key", ["", "nobody"])
def test_an_unknown_key_is_401_everywhere(server: SimServer, key: str) -> None:
    with a_client(server) as client:
        client.session.headers["APCA-API-KEY-ID"] = key
        for path in ("/v2/account", "/v2/stocks/quotes/latest", "/v2/nothing"):
            answer = client.ask("GET", path)
            assert (answer.status_code, answer.json()) == (401, {"message": "unauthorized."})


def test_an_unknown_path_is_404(client: Rest) -> None:
    assert client.ask("GET", "/v2/nothing").status_code == 404


def test_orders_are_filtered_sorted_and_limited() -> None:
    with a_server() as server, a_client(server) as client:
        for price in ("3.00", "3.05", "3.10"):
            client.sell(limit_price=price)
            server.advance(60)
        prices = [row["limit_price"] for row in client.get("/v2/orders")]
        assert prices == ["3.1", "3.05", "3"]
        assert [row["limit_price"] for row in client.get("/v2/orders", direction="asc", limit="2")] == ["3", "3.05"]
        after = "2026-11-25T11:01:00-05:00"
        assert [row["limit_price"] for row in client.get("/v2/orders", after=after)] == ["3.1"]
        assert [row["limit_price"] for row in client.get("/v2/orders", until=after)] == ["3"]
        for query in ({"symbols": "F"}, {"side": "buy"}, {"status": "closed"}, {"asset_class": "us_equity"}):
            assert client.get("/v2/orders", **query) == []
        assert len(client.get("/v2/orders", asset_class="us_option", symbols="NVDA")) == 3
        assert client.ask("GET", "/v2/orders", limit="501").status_code == 422
        assert client.ask("GET", "/v2/orders", after="soon").status_code == 422


def test_every_answer_counts_down_and_the_limit_refills_with_the_minute() -> None:
    with a_server(SCENARIO.replace("rate_limit: 0", "rate_limit: 3")) as server, a_client(server) as client:
        answers = [client.ask("GET", "/v2/clock") for _ in range(4)]
        assert [answer.headers["X-Ratelimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["X-Ratelimit-Reset"] == str(int(server.exchange.now.timestamp()) + 60)
        assert client.ask("GET", "/v2/stocks/quotes/latest", symbols="F").status_code == 200
        server.advance(60)
        assert client.ask("GET", "/v2/clock").status_code == 200


def test_exact_numbers_are_read_as_they_were_sent() -> None:
    with a_server() as server, a_client(server) as client:
        assert (
            client.sell(limit_price=0.1 + 0.2).json()["message"].startswith("invalid limit_price 0.30000000000000004")
        )
        assert client.sell(limit_price=3.05, qty=1.0).json()["qty"] == "1"


def test_a_body_that_is_no_json_is_422() -> None:
    with a_server() as server, a_client(server) as client:
        answer = client.session.post(f"{server.url}/v2/orders", data=b"{", timeout=5)
        assert (answer.status_code, answer.json()["code"]) == (422, 42210000)


def test_shorts_are_negative_by_default_and_unsigned_by_setting() -> None:
    text = SCENARIO.replace("qty: 100, entry: 11.00", "qty: -100, entry: 11.00")
    with a_server(text) as server, a_client(server) as client:
        short = client.get("/v2/positions/F")
        assert (short["qty"], short["side"], short["market_value"]) == ("-100", "short", "-1200.5")
        assert short["unrealized_pl"] == "-100.5"
        assert short["unrealized_plpc"].startswith("-0.09")
    unsigned = text.replace("rate_limit: 0", "rate_limit: 0, signed_short_qty: false")
    with a_server(unsigned) as server, a_client(server) as client:
        assert client.get("/v2/positions/F")["qty"] == "100"
