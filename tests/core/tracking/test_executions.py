"""Which views of a symbol hold while orders are sent and cancelled, and afterwards."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from builders import CALL, PUT
from order_fakes import FakeClock

from sellctl.core.errors import JournalError
from sellctl.core.tracking.executions import Executions

MSFT = "MSFT261218C00400000"


def holds(executions: Executions, seen_at: float) -> list[bool]:
    return [executions.view_holds(symbol, seen_at) for symbol in (CALL, PUT, MSFT)]


def during_and_after(kind: Callable[[Executions], Callable[..., object]]) -> tuple[list[bool], list[bool], list[bool]]:
    """Which views hold while an action on CALL is under way, after it by an earlier read, and by a later one."""
    clock = FakeClock()
    executions = Executions(clock)

    async def scene() -> tuple[list[bool], list[bool], list[bool]]:
        answer = asyncio.Event()
        work = asyncio.ensure_future(kind(executions)(answer.wait))  # type: ignore[arg-type]
        assert executions.is_any_under_way
        during = holds(executions, 100.0)
        clock.seconds = 5.0
        answer.set()
        assert await work
        assert (executions.is_any_under_way, executions.last_ended_at) == (False, 5.0)
        return during, holds(executions, 5.0), holds(executions, 5.1)

    return asyncio.run(scene())


def test_an_order_ends_every_view_of_its_underlying_until_the_next_read() -> None:
    during, before, later = during_and_after(lambda executions: partial(executions.sending, CALL))
    assert during == before == [False, False, True]
    assert later == [True, True, True]


def test_a_cancel_ends_the_view_of_its_own_symbol_only() -> None:
    during, before, later = during_and_after(lambda executions: partial(executions.cancelling, [CALL]))
    assert during == before == [False, True, True]
    assert later == [True, True, True]


def test_the_cancel_of_a_multi_leg_order_ends_the_view_of_each_of_its_symbols() -> None:
    during, before, later = during_and_after(lambda executions: partial(executions.cancelling, [CALL, PUT]))
    assert during == before == [False, False, True]
    assert later == [True, True, True]


def test_an_order_that_is_seen_to_have_ended_ends_every_view_of_its_underlying() -> None:
    clock = FakeClock()
    executions = Executions(clock)
    clock.seconds = 5.0
    executions.expire([CALL])
    assert holds(executions, 5.0) == [False, False, True]
    assert holds(executions, 5.1) == [True, True, True]
    assert not executions.is_under_way(CALL)


def test_an_action_counts_from_the_moment_it_is_announced_until_the_last_of_its_kind_has_ended() -> None:
    executions = Executions(FakeClock())

    async def scene() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        works = [executions.sending(symbol, event.wait) for symbol, event in ((CALL, first), (PUT, second))]
        assert not executions.underlying_holds("AAPL", 1.0)
        both = asyncio.gather(*works)
        first.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not executions.underlying_holds("AAPL", 1.0)
        second.set()
        await both
        assert executions.underlying_holds("AAPL", 1.0)

    asyncio.run(scene())


def test_where_what_an_action_waits_for_fails_nothing_has_happened() -> None:
    executions = Executions(FakeClock())

    async def full() -> None:
        raise JournalError("The disk is full.")

    async def scene() -> None:
        for kind in (executions.sending, executions.cancelling):
            with pytest.raises(JournalError):
                await kind(CALL, asyncio.Event().wait, full())

    asyncio.run(scene())
    assert holds(executions, 0.0) == [True, True, True]
    assert not executions.is_any_under_way
