"""Which reads of a symbol are current while requests are in flight, and afterwards."""

import asyncio
from collections.abc import Callable

import pytest
from builders import CALL, PUT
from order_fakes import FakeClock

from sellctl.core.errors import JournalError
from sellctl.core.tracking.in_flight_requests import InFlightRequests

MSFT = "MSFT261218C00400000"


def holds(in_flight: InFlightRequests, read_at: float) -> list[bool]:
    return [in_flight.is_read_current(symbol, read_at) for symbol in (CALL, PUT, MSFT)]


def during_and_after(
    kind: Callable[[InFlightRequests], Callable[..., object]],
) -> tuple[list[bool], list[bool], list[bool]]:
    """Which reads are current while a request for CALL is in flight, and after it an earlier one and a later one."""
    clock = FakeClock()
    in_flight = InFlightRequests(clock)

    async def scene() -> tuple[list[bool], list[bool], list[bool]]:
        answer = asyncio.Event()
        work = asyncio.ensure_future(kind(in_flight)(CALL, answer.wait))  # type: ignore[arg-type]
        assert in_flight.has_any
        during = holds(in_flight, 100.0)
        clock.seconds = 5.0
        answer.set()
        assert await work
        assert (in_flight.has_any, in_flight.last_ended_at) == (False, 5.0)
        return during, holds(in_flight, 5.0), holds(in_flight, 5.1)

    return asyncio.run(scene())


def test_an_order_ends_every_view_of_its_underlying_until_the_next_read() -> None:
    during, before, later = during_and_after(lambda in_flight: in_flight.track_send)
    assert during == before == [False, False, True]
    assert later == [True, True, True]


def test_a_cancel_ends_the_view_of_its_own_symbol_only() -> None:
    during, before, later = during_and_after(lambda in_flight: in_flight.track_cancel)
    assert during == before == [False, True, True]
    assert later == [True, True, True]


def test_an_order_that_is_seen_to_have_ended_ends_every_view_of_its_underlying() -> None:
    clock = FakeClock()
    in_flight = InFlightRequests(clock)
    clock.seconds = 5.0
    in_flight.invalidate_reads([CALL])
    assert holds(in_flight, 5.0) == [False, False, True]
    assert holds(in_flight, 5.1) == [True, True, True]
    assert not in_flight.has(CALL)


def test_an_action_counts_from_the_moment_it_is_announced_until_the_last_of_its_kind_has_ended() -> None:
    in_flight = InFlightRequests(FakeClock())

    async def scene() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        works = [in_flight.track_send(symbol, event.wait) for symbol, event in ((CALL, first), (PUT, second))]
        assert not in_flight.is_underlying_read_current("AAPL", 1.0)
        both = asyncio.gather(*works)
        first.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not in_flight.is_underlying_read_current("AAPL", 1.0)
        second.set()
        await both
        assert in_flight.is_underlying_read_current("AAPL", 1.0)

    asyncio.run(scene())


def test_where_what_an_action_waits_for_fails_nothing_has_happened() -> None:
    in_flight = InFlightRequests(FakeClock())

    async def full() -> None:
        raise JournalError("The disk is full.")

    async def scene() -> None:
        for kind in (in_flight.track_send, in_flight.track_cancel):
            with pytest.raises(JournalError):
                await kind(CALL, asyncio.Event().wait, full())

    asyncio.run(scene())
    assert holds(in_flight, 0.0) == [True, True, True]
    assert not in_flight.has_any
