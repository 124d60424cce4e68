import pytest
from alpaca_stand_in import (
    Answer,
    ReceivedRequest,
    StandIn,
    an_order_row,
    caught,
    connected,
    run,
)

from sellctl.core.errors import UnknownOutcomeError


def paged(rows: list[dict]) -> object:
    """Answers as Alpaca pages: `after` exclusive on the microsecond, oldest first, at most `limit` rows."""

    def answer(request: ReceivedRequest) -> Answer:
        after = request.query.get("after")
        newer = [row for row in rows if after is None or row["submitted_at"] > after]
        return Answer(sorted(newer, key=lambda row: row["submitted_at"])[: int(request.query["limit"])])

    return answer


def at(second: int) -> str:
    return f"2026-11-20T15:{second // 60:02}:{second % 60:02}.000000Z"


def test_open_orders_are_read_to_the_end_however_many_there_are(stand_in: StandIn) -> None:
    stand_in.on("/v2/orders", paged([an_order_row(n, submitted_at=at(n)) for n in range(1234)]))
    with connected(stand_in.url) as adapters:
        answer = run(adapters.brokers["a"].open_orders())
    assert len(answer.rows) == 1234
    assert len({order.id for order in answer.rows}) == 1234
    assert stand_in.requests[0].query == {"status": "open", "nested": "true", "direction": "asc", "limit": "500"}
    assert len(stand_in.requests) == 3


def test_orders_of_one_instant_at_a_page_edge_are_not_lost(stand_in: StandIn) -> None:
    stamps = [at(n) if n < 480 else at(480) for n in range(540)]
    stand_in.on("/v2/orders", paged([an_order_row(n, submitted_at=stamp) for n, stamp in enumerate(stamps)]))
    with connected(stand_in.url) as adapters:
        assert len(run(adapters.brokers["a"].open_orders()).rows) == 540


def test_a_short_list_costs_one_request(stand_in: StandIn) -> None:
    stand_in.on("/v2/orders", Answer([an_order_row()]))
    with connected(stand_in.url) as adapters:
        run(adapters.brokers["a"].open_orders())
    assert len(stand_in.requests) == 1


def test_a_server_that_ignores_the_limit_is_still_read_to_the_end(stand_in: StandIn) -> None:
    rows = [an_order_row(n, submitted_at=at(n)) for n in range(120)]
    whole = paged(rows)
    stand_in.on(
        "/v2/orders", lambda request: whole(ReceivedRequest("GET", "", request.query | {"limit": "50"}, {}, ""))
    )
    with connected(stand_in.url) as adapters:
        assert len(run(adapters.brokers["a"].open_orders()).rows) == 120


@pytest.mark.parametrize("stamp", [at(1), None])
def test_a_list_that_never_ends_is_an_error_and_never_a_shorter_list(stand_in: StandIn, stamp: str | None) -> None:
    stand_in.on("/v2/orders", Answer([an_order_row(n, submitted_at=stamp) for n in range(500)]))
    with connected(stand_in.url) as adapters:
        assert isinstance(caught(adapters.brokers["a"].open_orders()), UnknownOutcomeError)
    assert len(stand_in.requests) <= 2


def test_a_failed_second_page_fails_the_whole_list(stand_in: StandIn) -> None:
    page = [an_order_row(n, submitted_at=at(n)) for n in range(500)]
    stand_in.on("/v2/orders", Answer(page), Answer("gone", 502))
    with connected(stand_in.url) as adapters:
        assert isinstance(caught(adapters.brokers["a"].open_orders()), UnknownOutcomeError)
