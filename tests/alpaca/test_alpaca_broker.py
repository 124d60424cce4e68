import datetime as dt
from decimal import Decimal

import pytest
from alpaca_stand_in import (
    KEY,
    OPTION,
    SECRET,
    Answer,
    ReceivedRequest,
    StandIn,
    a_position_row,
    an_order_row,
    caught,
    connected,
    run,
    without,
)

from sellctl.core.errors import NotFoundError, Refusal, RequestRejectedError, UnknownOutcomeError
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.order import OrderState
from sellctl.core.model.position import Direction

START = dt.datetime(2026, 11, 20, 5, tzinfo=dt.UTC)


def test_an_order_leaves_as_exact_text_with_nothing_else_in_it(stand_in: StandIn) -> None:
    echo = an_order_row(symbol=OPTION.symbol, client_order_id=OPTION.client_order_id)
    stand_in.on("/v2/orders", Answer(echo))
    with connected(stand_in.url) as adapters:
        order = run(adapters.brokers["a"].submit(OPTION))
    (request,) = stand_in.requests
    assert request.method == "POST"
    assert request.json == {
        "symbol": "PTON240126C00000500",
        "qty": "1",
        "side": "sell",
        "type": "limit",
        "time_in_force": "day",
        "client_order_id": "sellctl-abc",
        "limit_price": "1.05",
        "position_intent": "sell_to_close",
    }
    assert order.client_order_id == "sellctl-abc"


def test_the_key_and_the_name_of_the_official_client_go_with_each_request(stand_in: StandIn) -> None:
    stand_in.on("/v2/positions", Answer([]))
    with connected(stand_in.url) as adapters:
        run(adapters.brokers["a"].positions())
    headers = stand_in.requests[0].headers
    assert headers["APCA-API-KEY-ID"] == KEY + "a"
    assert headers["APCA-API-SECRET-KEY"] == SECRET + "a"
    assert headers["User-Agent"].startswith("APCA-PY/0.44")


@pytest.mark.parametrize("wrong", [{"client_order_id": "sellctl-other"}, {"symbol": "AAPL"}, {"id": None}])
def test_an_answer_about_another_order_leaves_the_outcome_unknown(stand_in: StandIn, wrong: dict) -> None:
    echo = an_order_row(symbol=OPTION.symbol, client_order_id=OPTION.client_order_id)
    stand_in.on("/v2/orders", Answer(echo | wrong))
    with connected(stand_in.url) as adapters:
        assert isinstance(caught(adapters.brokers["a"].submit(OPTION)), UnknownOutcomeError)


def test_positions_are_read_row_by_row_and_a_bad_row_affects_no_other(stand_in: StandIn) -> None:
    rows = [
        a_position_row(),
        a_position_row(symbol="AAPL", asset_class="us_equity", qty="NaN"),
        7,
        a_position_row(symbol="GBOND", asset_class="treasury"),
        a_position_row(symbol="SPY", asset_class="us_equity", qty="-3", side="short", qty_available="-3"),
    ]
    stand_in.on("/v2/positions", Answer(rows))
    with connected(stand_in.url) as adapters:
        answer = run(adapters.brokers["a"].positions())
    option, bond, short = answer.rows
    assert (option.qty, option.available, option.entry_price) == (Decimal(2), Decimal(2), Decimal("6.05"))
    assert bond.instrument.asset_class is AssetClass.OTHER
    assert (short.direction, short.qty, short.available) == (Direction.SHORT, Decimal(3), Decimal(3))
    assert [row.symbol for row in answer.invalid] == ["AAPL", ""]
    assert "'NaN'" in answer.invalid[0].why


def test_a_204_completes_the_cancel_request(stand_in: StandIn) -> None:
    stand_in.on("/v2/orders/id-0001", Answer(status=204))
    with connected(stand_in.url) as adapters:
        assert run(adapters.brokers["a"].cancel("id-0001")) is None
    assert [(request.method, request.path) for request in stand_in.requests] == [("DELETE", "/v2/orders/id-0001")]


def test_a_cancel_of_a_filled_order_is_not_cancelable(stand_in: StandIn) -> None:
    said = {"code": 42210000, "message": 'order is already in "filled" state'}
    stand_in.on("/v2/orders/id-0001", Answer(said, 422))
    with connected(stand_in.url) as adapters:
        error = caught(adapters.brokers["a"].cancel("id-0001"))
    assert isinstance(error, RequestRejectedError)
    assert error.refusal is Refusal.NOT_CANCELABLE


def test_an_order_id_stays_inside_its_path(stand_in: StandIn) -> None:
    with connected(stand_in.url) as adapters:
        caught(adapters.brokers["a"].cancel("../positions?x=1"))
    assert stand_in.requests[0].path == "/v2/orders/..%2Fpositions%3Fx%3D1"


def test_an_order_is_looked_up_by_our_own_id(stand_in: StandIn) -> None:
    path = "/v2/orders:by_client_order_id"
    stand_in.on(
        path,
        Answer(an_order_row(client_order_id="sellctl-abc", status="brand_new")),
        Answer({"code": 40410000, "message": "order not found for sellctl-abc"}, 404),
        Answer(an_order_row(client_order_id="sellctl-other")),
    )
    with connected(stand_in.url) as adapters:
        broker = adapters.brokers["a"]
        assert run(broker.order_by_client_id("sellctl-abc")).state is OrderState.UNKNOWN
        assert isinstance(caught(broker.order_by_client_id("sellctl-abc")), NotFoundError)
        assert isinstance(caught(broker.order_by_client_id("sellctl-abc")), UnknownOutcomeError)
    assert stand_in.requests[0].query == {"client_order_id": "sellctl-abc"}


def test_a_multi_leg_order_that_is_looked_up_without_its_legs_is_read(stand_in: StandIn) -> None:
    row = an_order_row(1, symbol="", asset_class="", side="", order_class="mleg", client_order_id="sellctl-abc")
    stand_in.on("/v2/orders:by_client_order_id", Answer(row))
    with connected(stand_in.url) as adapters:
        order = run(adapters.brokers["a"].order_by_client_id("sellctl-abc"))
    assert (order.symbol, order.side, order.legs, order.state) == ("", None, (), OrderState.WORKING)


def test_the_history_of_symbols_is_inclusive_at_its_start_and_filtered_here_too(stand_in: StandIn) -> None:
    leg = an_order_row(7, type="", order_class="mleg", limit_price=None)
    rows = [
        an_order_row(1, submitted_at="2026-11-20T05:00:00Z"),
        an_order_row(2, submitted_at="2026-11-20T04:59:59Z"),
        an_order_row(3, symbol="MSFT"),
        an_order_row(4, symbol="MSFT", qty="NaN"),
        an_order_row(5, qty="NaN"),
        an_order_row(6, symbol="", side="", order_class="mleg", limit_price="-0.6", legs=[leg]),
    ]
    stand_in.on("/v2/orders", Answer(rows))
    with connected(stand_in.url) as adapters:
        answer = run(adapters.brokers["a"].orders_since(START, ["AAPL"]))
    assert [order.id for order in answer.rows] == ["id-0001", "id-0006"]
    assert answer.rows[1].side is None
    assert answer.rows[1].limit_price == Decimal("-0.6")
    assert [row.symbol for row in answer.invalid] == ["AAPL"]
    assert (
        stand_in.requests[0].query | {"symbols": "AAPL", "after": "2026-11-20T04:59:59.999999Z"}
        == stand_in.requests[0].query
    )


def test_todays_orders_of_all_symbols_are_one_list_without_a_filter_by_symbol(stand_in: StandIn) -> None:
    rows = [
        an_order_row(1),
        an_order_row(2, symbol="MSFT"),
        an_order_row(3, symbol="MSFT", qty="NaN"),
        an_order_row(4, submitted_at="2026-11-20T04:59:59Z"),
    ]
    stand_in.on("/v2/orders", Answer(rows))
    with connected(stand_in.url) as adapters:
        answer = run(adapters.brokers["a"].orders_since(START, None, for_order=False))
    (request,) = stand_in.requests
    assert "symbols" not in request.query
    assert request.query["status"] == "all"
    assert [order.id for order in answer.rows] == ["id-0001", "id-0002"]
    assert [row.symbol for row in answer.invalid] == ["MSFT"]


def test_more_than_500_orders_of_today_are_read_page_by_page(stand_in: StandIn) -> None:
    stamps = [(START + dt.timedelta(seconds=number)).isoformat().replace("+00:00", "Z") for number in range(620)]
    rows = [an_order_row(number, submitted_at=stamp) for number, stamp in enumerate(stamps)]
    stand_in.on("/v2/orders", Answer(rows[:500]), Answer(rows[499:]))
    with connected(stand_in.url) as adapters:
        answer = run(adapters.brokers["a"].orders_since(START, None, for_order=False))
    assert len(answer.rows) == 620
    assert len(stand_in.requests) == 2


def test_the_history_of_no_symbols_asks_nothing(stand_in: StandIn) -> None:
    with connected(stand_in.url) as adapters:
        assert run(adapters.brokers["a"].orders_since(START, [])).rows == ()
    assert stand_in.requests == []


# --- account, clock, calendar


def test_the_account_tells_its_number_and_what_blocks_it(stand_in: StandIn) -> None:
    stand_in.on(
        "/v2/account",
        Answer({"account_number": "PA1", "status": "ACTIVE", "trading_blocked": False}),
        Answer({"account_number": "PA1", "status": "ACCOUNT_CLOSED", "trade_suspended_by_user": True}),
        Answer({"status": "ACTIVE"}),
    )
    with connected(stand_in.url) as adapters:
        broker = adapters.brokers["a"]
        facts = run(broker.account())
        assert (facts.name, facts.number, facts.paper, facts.blocked) == ("a", "PA1", True, "")
        assert run(broker.account()).blocked == (
            "trading is suspended in the account's own settings; its status is ACCOUNT_CLOSED"
        )
        assert isinstance(caught(broker.account()), UnknownOutcomeError)


def test_the_clock_is_told_in_utc_and_is_never_guessed(stand_in: StandIn) -> None:
    clock = {
        "timestamp": "2025-06-24T14:15:22.123456789-04:00",
        "is_open": True,
        "next_open": "2025-06-25T09:30:00-04:00",
        "next_close": "2025-06-24T16:00:00-04:00",
    }
    broken = [clock | {"is_open": "yes"}, clock | {"timestamp": "2025-06-24T14:15:22"}, without(clock, "next_close")]
    stand_in.on("/v2/clock", Answer(clock), *map(Answer, broken))
    with connected(stand_in.url) as adapters:
        broker = adapters.brokers["a"]
        assert run(broker.clock()).now == dt.datetime(2025, 6, 24, 18, 15, 22, 123456, tzinfo=dt.UTC)
        for _ in broken:
            assert isinstance(caught(broker.clock()), UnknownOutcomeError)


def test_sessions_are_new_york_hours_in_utc_half_days_and_all(stand_in: StandIn) -> None:
    days = [
        {"date": "2026-11-26", "open": "09:30", "close": "16:00"},
        {"date": "2026-11-27", "open": "09:30", "close": "13:00", "session_open": "0400"},
        {"date": "2026-07-06", "open": "09:30", "close": "16:00"},
    ]
    hours = [("09:30", "soon"), ("09:30", "0930"), ("16:00", "09:30"), ("09:30+00:00", "16:00"), ("24:00", "25:00")]
    bad = [[{"date": "2026-11-27", "open": opens, "close": closes}] for opens, closes in hours]
    bad.append([{"date": "9999-12-31", "open": "09:30", "close": "23:59"}])
    stand_in.on("/v2/calendar", Answer(days), Answer(days), *map(Answer, bad))
    with connected(stand_in.url) as adapters:
        broker = adapters.brokers["a"]
        (half,) = run(broker.sessions(dt.date(2026, 11, 27), dt.date(2026, 11, 30)))
        assert half.closes_at == dt.datetime(2026, 11, 27, 18, tzinfo=dt.UTC)
        (summer,) = run(broker.sessions(dt.date(2026, 7, 1), dt.date(2026, 7, 31)))
        assert summer.opens_at == dt.datetime(2026, 7, 6, 13, 30, tzinfo=dt.UTC)
        for _ in bad:
            assert isinstance(
                caught(broker.sessions(dt.date(2026, 11, 27), dt.date(2026, 11, 27))), UnknownOutcomeError
            )
    assert stand_in.requests[0].query == {"start": "2026-11-27", "end": "2026-11-30"}


# --- several accounts


def test_one_account_with_a_refused_key_leaves_the_others_working(stand_in: StandIn) -> None:
    def by_key(request: ReceivedRequest) -> Answer:
        return (
            Answer({"message": "unauthorized."}, 401)
            if request.headers["APCA-API-KEY-ID"].endswith("a")
            else Answer([])
        )

    stand_in.on("/v2/positions", by_key)
    with connected(stand_in.url, stand_in.url) as adapters:
        assert "a: " in str(caught(adapters.brokers["a"].positions()))
        assert run(adapters.brokers["b"].positions()).rows == ()


# --- the penny programme ----------------------------------------------------------------------------------------------

CONTRACTS = "/v2/options/contracts"


def a_contract_row(symbol: str, ppind: object) -> dict[str, object]:
    return {"symbol": symbol, "ppind": ppind}


def test_one_contract_says_whether_its_underlying_trades_in_pennies(stand_in: StandIn) -> None:
    stand_in.on(f"{CONTRACTS}/ZM261218C00080000", Answer(a_contract_row("ZM261218C00080000", ppind=False)))
    with connected(stand_in.url) as adapters:
        assert run(adapters.brokers["a"].penny_program(["ZM261218C00080000"])) == {"ZM": False}


def test_several_underlyings_are_one_request_and_those_that_the_page_lacks_are_absent(stand_in: StandIn) -> None:
    rows = [
        a_contract_row("AAPL261218C00100000", ppind=True),
        a_contract_row("AAPL261218C00200000", ppind=True),
        a_contract_row("ZM261218C00080000", ppind=False),
        a_contract_row("GME261218C00020000", ppind=True),
        a_contract_row("GME1261218C00020000", ppind=None),
        a_contract_row("MSFT261218C00400000", ppind=True),
        a_contract_row("MSFT261218C00410000", ppind=False),
    ]
    stand_in.on(CONTRACTS, Answer({"option_contracts": rows, "next_page_token": "more"}))
    asked = [f"{root}261218C00200000" for root in ("AAPL", "GME", "MSFT", "TSLA", "ZM")]
    with connected(stand_in.url) as adapters:
        assert run(adapters.brokers["a"].penny_program(asked)) == {"AAPL": True, "ZM": False, "GME": True}
    (request,) = stand_in.requests
    assert request.query == {
        "underlying_symbols": "AAPL,GME,MSFT,TSLA,ZM",
        "expiration_date": "2026-12-18",
        "type": "call",
        "limit": "1000",
    }


def test_a_page_that_is_no_list_of_contracts_is_no_answer(stand_in: StandIn) -> None:
    stand_in.on(CONTRACTS, Answer({"contracts": []}))
    with connected(stand_in.url) as adapters:
        error = caught(adapters.brokers["a"].penny_program(["AAPL261218C00200000", "ZM261218C00200000"]))
    assert isinstance(error, UnknownOutcomeError)
