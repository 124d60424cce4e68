"""The bot as `watch` and `serve` use it: made from the configuration, started beside the watchers, ended with them."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sellctl.core.config.schema import NotificationKind
from sellctl.core.model.event import EventKind
from sellctl.core.model.view import mode_of
from sellctl.service.notifier import check_telegram

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.chat.bot import BotThread
    from sellctl.chat.desk import Desk
    from sellctl.chat.telegram import BotApi
    from sellctl.core.config_manager import LoadedConfig
    from sellctl.core.model.event import Event
    from sellctl.service.verbs import Verbs

CLOSE_SECONDS: Final = 3.0  # the longest that the end of the bot may take
_EARLY: Final = 100  # alerts that are kept until the bot has started


class Chat:
    """The bot of a process that watches. ConfigError when the extra isn't installed.

    `alert` may be called before `start`, and from then on in any thread; it never waits.
    """

    def __init__(self, loaded: "LoadedConfig", redact: Callable[[str], str]) -> None:
        check_telegram()
        self._loaded = loaded
        self._redact = redact
        self._early: list[tuple[str, str, str]] = []
        self._desk: Desk | None = None
        self._thread: BotThread | None = None

    @property
    def kinds(self) -> frozenset[NotificationKind]:
        """The kinds of notifications that it sends."""
        return frozenset(self._loaded.config.telegram.kinds)

    def alert(self, text: str, event: "Event | None" = None) -> None:
        """Send a notification to every chat: with buttons when the event is about a position that may be held."""
        account = event.account if event else ""
        name = event.symbol if event and event.kind is not EventKind.FILLED else ""
        shown = f"{self._mode_of(account)} {text}" if account else text
        if self._desk is not None:
            self._desk.alert(shown, account, name)
        elif len(self._early) < _EARLY:
            self._early.append((shown, account, name))

    def start(self, runtime: "Runtime", verbs: "Verbs", why_not: Callable[[], str] = lambda: "") -> None:
        """Start the bot's thread. To be called in the watchers' event loop.

        `why_not` says why nothing can be closed or set now; "" while something can.
        """
        import asyncio  # noqa: PLC0415  help and completion don't need it

        from sellctl.chat.access import Access  # noqa: PLC0415  as above
        from sellctl.chat.bot import BotThread  # noqa: PLC0415  as above
        from sellctl.chat.buttons import Buttons  # noqa: PLC0415  as above
        from sellctl.chat.desk import Desk  # noqa: PLC0415  as above
        from sellctl.chat.handover import Handover  # noqa: PLC0415  as above
        from sellctl.chat.outbox import Outbox  # noqa: PLC0415  as above

        telegram = self._loaded.config.telegram
        handover = Handover(asyncio.get_running_loop())

        def report(text: str) -> None:
            handover.tell(lambda: runtime.scheduler.publish("", EventKind.NOTE, self._redact(text), failed=True))

        outbox = Outbox(time.monotonic)
        access = Access({chat.id: chat.role for chat in telegram.chats}, report, time.monotonic)
        desk = Desk(access, outbox, Buttons(time.monotonic), verbs, handover, why_not, self._redact, report)
        self._thread = BotThread(self._connect, outbox, desk, report)
        self._desk = desk
        for early in self._early:
            desk.alert(*early)
        self._early.clear()
        self._thread.start()

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Deliver what waits, and end the bot, for at most as many seconds."""
        if self._thread is not None:
            self._thread.close(seconds)

    def _connect(self) -> "BotApi":
        from sellctl.chat.telegram import BotApi  # noqa: PLC0415  an optional extra, imported in the bot's thread

        telegram = self._loaded.config.telegram
        return BotApi(telegram.token or "", telegram.api_url)

    def _mode_of(self, account: str) -> str:
        config = self._loaded.config
        paper = config.accounts[account].paper if account in config.accounts else True
        return mode_of(paper=paper, simulated=config.simulator).value.upper()


def chat_of(loaded: "LoadedConfig", redact: Callable[[str], str]) -> Chat | None:
    """The bot that the configuration describes; None without a token."""
    return Chat(loaded, redact) if loaded.config.telegram.token else None
