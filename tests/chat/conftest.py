"""A desk whose account was polled, for the tests of what the bot answers."""

import asyncio
from pathlib import Path

import pytest
from desk_stage import Act, DeskStage, Played


@pytest.fixture
def act(tmp_path: Path) -> Act:
    """Play a scene on a desk whose account was polled."""

    def acted(scene: Played) -> DeskStage:
        async def run() -> DeskStage:
            stage = DeskStage(tmp_path / "state", asyncio.get_running_loop())
            await stage.scheduler.poll()
            await scene(stage)
            return stage

        return asyncio.run(run())

    return acted
