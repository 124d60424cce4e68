"""A simulated Alpaca whose clock stands still, for the tests of the control API."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_stage import HELD, Api, Play, on_air

from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Play a test against the API: play(test, scenario, api=..., sell=...)."""
    running: list[SimServer] = []

    def on_stage(test: Callable[[Api], Awaitable[None]], scenario: str = HELD, **more: Any) -> None:
        server = SimServer(parse_scenario(scenario), speed=0).start()
        running.append(server)

        async def played() -> None:
            async with on_air(server, tmp_path, **more) as api:
                await test(api)

        asyncio.run(played())

    yield on_stage
    for server in running:
        server.stop()
