"""A desk on one account's watcher, all in one event loop: what people send goes in, what the bot writes comes out."""

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders import CALL, a_config
from shell_fakes import World

from sellctl.bootstrap import Runtime
from sellctl.chat.access import Access
from sellctl.chat.buttons import Buttons
from sellctl.chat.desk import Action, Desk
from sellctl.chat.handover import Handover
from sellctl.chat.messages import Command, Incoming, Message, Tap
from sellctl.chat.outbox import Outbox
from sellctl.core.config.schema import ChatRole
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.watching.manual_requests import CommandRequest
from sellctl.service.logs import redactor
from sellctl.service.proposals import Proposals
from sellctl.service.state_folder import StateFolder
from sellctl.service.verbs import Verbs

if TYPE_CHECKING:
    import asyncio

ANN, BOB, GROUP, STRANGER = 42, 43, -100, 666
ROLES: Mapping[int, ChatRole] = {ANN: ChatRole.OPERATOR, BOB: ChatRole.VIEWER, GROUP: ChatRole.ADMIN}
CANARY = "canary-secret-of-the-account"
WRITTEN_AT = 1_800_000_000.0


@dataclass
class DeskStage:
    """One account with a desk. `seconds` is the desk's clock."""

    folder: Path
    loop: "asyncio.AbstractEventLoop"
    world: World = field(default_factory=World)
    seconds: float = 1000.0
    lines: list[str] = field(default_factory=list)
    written: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = StateFolder(self.folder)
        self.scheduler = self.world.a_scheduler()
        loaded = LoadedConfig(a_config(), None, {}, ())
        self.verbs = Verbs(Runtime(loaded, self.scheduler, self.world.clock, self.state, "sellctl", self.world.journal))
        self.outbox = Outbox(self.clock, size=10_000)
        self.buttons: Buttons[Action] = Buttons(self.clock)
        access = Access(ROLES, self.lines.append, self.clock)
        self.desk = Desk(
            access,
            self.outbox,
            self.buttons,
            self.verbs,
            Handover(self.loop),
            redact=redactor([CANARY]),
            report=self.lines.append,
            monotonic=self.clock,
            wall=lambda: WRITTEN_AT,
        )

    def clock(self) -> float:
        return self.seconds

    async def poll_later(self) -> None:
        """Poll the account ten seconds later."""
        self.world.clock.seconds += 10
        await self.scheduler.poll()

    async def send(self, incoming: Incoming) -> list[Message]:
        """What the bot writes after a message or a tap."""
        await self.desk.answer(incoming)
        return self.read()

    def read(self) -> list[Message]:
        """What the bot has written since."""
        found: list[Message] = []
        while first := self.outbox.first():
            self.outbox.sent(first[0])
            found += [first[1]] if isinstance(first[1], Message) else []
        self.written += found
        return found

    async def write(self, text: str, chat: int = ANN, who: str = "Ann", age: float = 0.0) -> str:
        """The texts with which the bot answers a message."""
        return texts_of(await self.send(Command(chat, who, text, WRITTEN_AT - age)))

    async def tap(self, label: str, chat: int = ANN, who: str = "Ann", of: int | None = None) -> str:
        """The texts with which the bot answers a tap on the newest button that begins so, sent to the chat `of`."""
        token = self.token(label, chat if of is None else of)
        return texts_of(await self.send(Tap(chat, who, token, "1", 7)))

    def token(self, label: str, chat: int = ANN) -> str:
        every = [button for each in self.written if each.chat == chat for button in each.buttons]
        return next(button.token for button in reversed(every) if button.label.startswith(label))

    @property
    def proposals(self) -> Proposals:
        """The proposals as the desk confirms them."""
        return self.desk._confirming.proposals  # noqa: SLF001  the stage looks behind the desk

    @property
    def requests(self) -> list[Any]:
        """Who has asked to close, by the journal."""
        return [detail["by"] for _, kind, detail in self.world.journal.notes if kind == "request"]

    @property
    def changes(self) -> list[CommandRequest]:
        """The changes of rules that the watcher was asked for, and has not carried out."""
        return list(self.world.requests.changes)

    @property
    def override(self) -> str:
        """What is set for the position by hand; "" for nothing."""
        override = self.world.watcher.positions.episodes.known[CALL].override
        return override.text if override else ""


def texts_of(messages: Iterable[Message]) -> str:
    return "\n".join(each.text for each in messages)


Played = Callable[[DeskStage], Coroutine[Any, Any, None]]
Act = Callable[[Played], DeskStage]
