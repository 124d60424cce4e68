"""Requests of other commands to a running watcher: whose accounts are read at once, and for what."""

import asyncio
from pathlib import Path

from builders import CALL
from shell_fakes import World

from sellctl.core.watching.manual_requests import Verb
from sellctl.service.command_inbox import CHECK_EVERY_SECONDS, serve
from sellctl.service.state_folder import StateFolder


class Noted:
    """A scheduler that only notes which accounts are to be read at once."""

    def __init__(self) -> None:
        self.world = World()
        self.watchers = [self.world.watcher]
        self.at_once: list[list[str]] = []

    def read_at_once(self, accounts: object) -> None:
        self.at_once.append(list(accounts))  # type: ignore[call-overload]


def served(state: StateFolder, act: object) -> Noted:
    """Serve while somebody acts on the state folder."""
    noted = Noted()

    async def serving() -> None:
        inbox = asyncio.create_task(serve(noted, state))  # type: ignore[arg-type]
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
    noted = served(state, lambda: state.ask(Verb.CLOSE, symbol=CALL, accounts=("main",)))
    assert noted.at_once == [["main"]]
    assert noted.world.watcher.requests.closing == {CALL}


def test_a_halt_and_an_exemption_make_every_account_due_at_once(tmp_path: Path) -> None:
    for name, act in (("halt", StateFolder.halt), ("exempt", StateFolder.set_exempt)):
        state = StateFolder(tmp_path / name)

        def change(state: StateFolder = state, act: object = act) -> None:
            act(state, "earnings", "me") if act is StateFolder.halt else state.set_exempt(CALL, wanted=True)  # type: ignore[operator]

        assert served(state, change).at_once == [["main"]], name


def test_nothing_asked_makes_no_account_due(tmp_path: Path) -> None:
    assert served(StateFolder(tmp_path), lambda: None).at_once == []
