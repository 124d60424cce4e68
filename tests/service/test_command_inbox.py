"""The inbox of a running watcher: what it passes on, and what it reports instead."""

import asyncio
import json
from pathlib import Path

import pytest
from shell_fakes import World

from sellctl.core.errors import JournalError
from sellctl.core.watching.manual_requests import Verb
from sellctl.service.command_inbox import serve, was_accepted
from sellctl.service.state_folder import StateFolder


async def served(world: World, state: StateFolder, requests: list[Path]) -> None:
    """Serve until these requests are gone."""
    inbox = asyncio.create_task(serve(world.a_scheduler(), state))
    while any(path.exists() for path in requests):
        assert not inbox.done(), inbox.exception()
        await asyncio.sleep(0)
    inbox.cancel()


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    folder = StateFolder(tmp_path / "state")
    folder.make()
    return folder


def put(state: StateFolder, name: str, content: object) -> Path:
    path = state.path / "requests" / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(json.dumps(content))
    path.chmod(0o600)
    return path


def test_what_is_no_request_is_reported_and_handling_goes_on(state: StateFolder) -> None:
    world = World()
    asyncio.run(served(world, state, [put(state, "0.json", [1, 2]), put(state, "1.json", {"accounts": [{}]})]))
    assert [text.partition(" was discarded: ")[2] for text in world.texts] == [
        "it is not a JSON object",
        "its fields have the wrong types",
    ]


def test_a_request_that_was_left_for_an_earlier_process_is_not_carried_out(state: StateFolder) -> None:
    world = World()
    asyncio.run(served(world, state, [state.ask(Verb.PANIC, accounts=("main",))]))
    assert not world.watcher.requests.panic_is_pending


def test_a_request_is_carried_out_although_the_journal_cannot_record_it(state: StateFolder) -> None:
    world = World()
    world.journal.fails = JournalError("The journal can't grow: the disk is full.")

    async def ask_a_running_inbox() -> None:
        inbox = asyncio.create_task(serve(world.a_scheduler(), state))
        await asyncio.sleep(0)
        path = state.ask(Verb.PANIC, accounts=("main",), by="sellctl panic")
        assert await asyncio.to_thread(was_accepted, path)
        assert not inbox.done()
        inbox.cancel()

    asyncio.run(ask_a_running_inbox())
    assert world.watcher.requests.panic_is_pending
    assert any("the disk is full" in text for text in world.texts)
