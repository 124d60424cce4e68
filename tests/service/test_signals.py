"""Signals: SIGHUP starts the work, and no handler hangs on a socket that the event loop closes at its end."""

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from sellctl.service.signals import on_hangup

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")


@pytest.fixture(autouse=True)
def the_handler_of_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def test_each_hangup_starts_the_work_and_one_runs_after_the_other() -> None:
    began: list[int] = []
    running: list[int] = []

    async def until_three_ran() -> None:
        done = asyncio.Event()

        async def work() -> None:
            assert not running
            running.append(1)
            await asyncio.sleep(0)
            running.clear()
            began.append(1)
            if len(began) == 3:
                done.set()
                return
            os.kill(os.getpid(), signal.SIGHUP)

        on_hangup(work)
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(done.wait(), 5)

    asyncio.run(until_three_ran())
    assert len(began) == 3


def test_a_hangup_while_the_loop_waits_wakes_it() -> None:
    async def hung_up() -> None:
        done = asyncio.Event()

        async def work() -> None:
            done.set()

        on_hangup(work)
        asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(done.wait(), 5)

    asyncio.run(hung_up())


def test_no_signal_writes_to_a_socket_of_the_loop() -> None:
    async def wakeup_socket() -> int:
        async def nothing() -> None: ...

        on_hangup(nothing)
        return signal.set_wakeup_fd(-1)

    assert asyncio.run(wakeup_socket()) == -1


def test_a_hangup_after_the_loop_has_ended_does_nothing() -> None:
    async def listen() -> None:
        async def nothing() -> None: ...

        on_hangup(nothing)

    asyncio.run(listen())
    os.kill(os.getpid(), signal.SIGHUP)
