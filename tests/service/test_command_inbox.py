"""The inbox of a running watcher: what it passes on, and what it reports instead."""

import asyncio
import json
from pathlib import Path

import pytest
from builders import CALL
from postgres_fixtures import PostgresLocation, a_host
from shell_fakes import World

from sellctl.core.errors import JournalError
from sellctl.core.manual.verb import Verb
from sellctl.core.watching.manual_requests import CommandRequest
from sellctl.service.command_inbox import CHECK_EVERY_SECONDS, WatcherElsewhere, serve, was_accepted, watcher_of
from sellctl.service.requests import text_of
from sellctl.service.state_folder import StateFolder


async def served(world: World, state: StateFolder, requests: list[Path]) -> None:
    """Serve until these requests are gone."""
    inbox = asyncio.create_task(serve(world.a_scheduler(), state, asyncio.Event()))
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


def test_after_the_stop_no_request_is_accepted(state: StateFolder) -> None:
    async def ask_after_the_stop() -> Path:
        stop = asyncio.Event()
        inbox = asyncio.create_task(serve(world.a_scheduler(), state, stop))
        await asyncio.sleep(0)
        stop.set()
        request = state.ask(Verb.PANIC, accounts=("main",))
        await asyncio.wait_for(inbox, 2 * CHECK_EVERY_SECONDS)
        return request

    world = World()
    assert asyncio.run(ask_after_the_stop()).exists()
    assert not world.watcher.requests.panic_is_pending


def test_a_request_that_a_host_took_while_it_was_stopped_is_left_to_the_next_host(
    tmp_path: Path, postgres: PostgresLocation
) -> None:
    from sellctl.journal.leases.shared_state import SharedState  # noqa: PLC0415  an extra

    state, world, stop = StateFolder(tmp_path / "one", journal_url=lambda: postgres.url), World(), asyncio.Event()
    state.make()
    shared, registration = SharedState(postgres), a_host(postgres, "one", "main")
    request = CommandRequest("ab12", Verb.CLOSE, CALL, ("main",), "ana")
    shared.ask(request.id, "main", text_of(request))

    def stopped_meanwhile() -> int:
        stop.set()
        return registration

    asyncio.run(serve(world.a_scheduler(), state, stop, stopped_meanwhile))
    state.close_shared()
    assert not world.watcher.requests.are_pending
    assert shared.look(registration, ["main"]).requests == (("ab12", text_of(request)),)


def test_a_host_that_has_started_since_the_last_look_is_asked(tmp_path: Path, postgres: PostgresLocation) -> None:
    state = StateFolder(tmp_path / "one", journal_url=lambda: postgres.url)
    state.look_at_shared(acts=False)
    assert watcher_of(state, "main", "PA1") is None
    a_host(postgres, "one", "main")
    watcher = watcher_of(state, "main", "PA1")
    assert isinstance(watcher, WatcherElsewhere)
    assert watcher.name == "host one"


def test_a_request_is_carried_out_although_the_journal_cannot_record_it(state: StateFolder) -> None:
    world = World()
    world.journal.fails = JournalError("The journal can't grow: the disk is full.")

    async def ask_a_running_inbox() -> None:
        inbox = asyncio.create_task(serve(world.a_scheduler(), state, asyncio.Event()))
        await asyncio.sleep(0)
        path = state.ask(Verb.PANIC, accounts=("main",), by="sellctl panic")
        assert await asyncio.to_thread(was_accepted, path)
        assert not inbox.done()
        inbox.cancel()

    asyncio.run(ask_a_running_inbox())
    assert world.watcher.requests.panic_is_pending
    assert any("the disk is full" in text for text in world.texts)


# --- which accounts are read at once ----------------------------------------------------------------------------------


class Noted:
    """A scheduler that only notes which accounts are to be read at once."""

    def __init__(self) -> None:
        self.world = World()
        self.watchers = [self.world.watcher]
        self.at_once: list[list[str]] = []

    def read_at_once(self, accounts: object) -> None:
        self.at_once.append(list(accounts))  # type: ignore[call-overload]

    def publish(self, *_what: object, **_more: object) -> None: ...


def noted_while(state: StateFolder, act: object) -> Noted:
    """Serve while somebody acts on the state folder."""
    noted = Noted()

    async def serving() -> None:
        inbox = asyncio.create_task(serve(noted, state, asyncio.Event()))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert callable(act)
        act()
        await asyncio.sleep(CHECK_EVERY_SECONDS * 1.5)
        inbox.cancel()

    state.make()
    asyncio.run(serving())
    return noted


def test_a_request_makes_its_account_due_at_once(tmp_path: Path) -> None:
    state = StateFolder(tmp_path)
    noted = noted_while(state, lambda: state.ask(Verb.CLOSE, symbol=CALL, accounts=("main",)))
    assert noted.at_once == [["main"]]
    assert noted.world.watcher.requests.closing == {CALL}


def test_a_halt_and_an_exemption_make_every_account_due_at_once(tmp_path: Path) -> None:
    for name, act in (("halt", StateFolder.halt), ("exempt", StateFolder.set_exempt)):
        state = StateFolder(tmp_path / name)

        def change(state: StateFolder = state, act: object = act) -> None:
            act(state, "earnings", "me") if act is StateFolder.halt else state.set_exempt(CALL, wanted=True)  # type: ignore[operator]

        assert noted_while(state, change).at_once == [["main"]], name


def test_nothing_asked_makes_no_account_due(tmp_path: Path) -> None:
    assert noted_while(StateFolder(tmp_path), lambda: None).at_once == []
