import pytest
from alpaca_stand_in import (
    Asked,
    Say,
    StandIn,
    an_order_row,
    caught,
    connected,
    run,
)

from sellctl.core.errors import UnknownOutcomeError


def paged(rows: list[dict]) -> object:
    """Answers as Alpaca pages: `after` exclusive on the microsecond, oldest first, at most `limit` rows."""

    def answer(asked: Asked) -> Say:
        after = asked.query.get("after")
        newer = [row for row in rows if after is None or row["submitted_at"] > after]
        return Say(sorted(newer, key=lambda row: row["submitted_at"])[: int(asked.query["limit"])])

    return answer


def at(second: int) -> str:
    return f"2026-11-20T15:{second // 60:02}:{second % 60:02}.000000Z"


def test_open_orders_are_read_to_the_end_however_many_there_are(stand_in: StandIn) -> None:
    stand_in.on("/v2/orders", paged([an_order_row(n, submitted_at=at(n)) for n in range(1234)]))
    with connected(stand_in.url) as doors:
        answer = run(doors.brokers["a"].open_orders())
    assert len(answer.rows) == 1234
    assert len({order.id for order in answer.rows}) == 1234
    assert stand_in.asked[0].query == {"status": "open", "nested": "true", "direction": "asc", "limit": "500"}
    assert len(stand_in.asked) == 3


def test_orders_of_one_instant_at_a_page_edge_are_not_lost(stand_in: StandIn) -> None:
    stamps = [at(n) if n < 480 else at(480) for n in range(540)]
    stand_in.on("/v2/orders", paged([an_order_row(n, submitted_at=stamp) for n, stamp in enumerate(stamps)]))
    with connected(stand_in.url) as doors:
        assert len(run(doors.brokers["a"].open_orders()).rows) == 540


def test_a_short_list_costs_one_request(stand_in: StandIn) -> None:
    stand_in.on("/v2/orders", Say([an_order_row()]))
    with connected(stand_in.url) as doors:
        run(doors.brokers["a"].open_orders())
    assert len(stand_in.asked) == 1


def test_a_server_that_overlooks_the_limit_is_still_read_to_the_end(stand_in: StandIn) -> None:
    rows = [an_order_row(n, submitted_at=at(n)) for n in range(120)]
    whole = paged(rows)
    stand_in.on("/v2/orders", lambda asked: whole(Asked("GET", "", asked.query | {"limit": "50"}, {}, "")))
    with connected(stand_in.url) as doors:
        assert len(run(doors.brokers["a"].open_orders()).rows) == 120


@pytest.mark.parametrize("stamp", [at(1), None])
def test_a_list_that_never_ends_is_an_error_and_never_a_shorter_list(stand_in: StandIn, stamp: str | None) -> None:
    stand_in.on("/v2/orders", Say([an_order_row(n, submitted_at=stamp) for n in range(500)]))
    with connected(stand_in.url) as doors:
        assert isinstance(caught(doors.brokers["a"].open_orders()), UnknownOutcomeError)
    assert len(stand_in.asked) <= 2


def test_a_failed_second_page_fails_the_whole_list(stand_in: StandIn) -> None:
    page = [an_order_row(n, submitted_at=at(n)) for n in range(500)]
    stand_in.on("/v2/orders", Say(page), Say("gone", 502))
    with connected(stand_in.url) as doors:
        assert isinstance(caught(doors.brokers["a"].open_orders()), UnknownOutcomeError)
