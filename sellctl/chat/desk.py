"""Answers people: commands, and taps on buttons. It runs in the bot's thread, and the watcher's loop does what it asks.

A close always asks first, with account, mode, quantity and estimate, and so does a change of rules, with the prices
before and after; the button that confirms it works once. Before it is done it is looked up again: when the position has
changed since, it asks again.
"""

import asyncio
import datetime as dt
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from sellctl.chat import lookups, texts
from sellctl.chat.access import Access, allows, name_in, person
from sellctl.chat.buttons import Buttons
from sellctl.chat.handover import Handover
from sellctl.chat.messages import Button, Command, Incoming, Message, Tap, TapAnswer
from sellctl.chat.outbox import Outbox
from sellctl.chat.requests import (
    SET_EXAMPLE,
    command_in,
    known_command,
    name_and_qty,
    name_and_rules,
    name_and_until,
)
from sellctl.core.config.schema import ChatRole
from sellctl.core.errors import ConfigError, SafetyRefusalError, SellctlError
from sellctl.core.manual.proposed_overrides import ProposedOverride, ShownOverride, shown_of
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.position import OverrideChange
from sellctl.core.until import end_of
from sellctl.core.watching.manual_exits import ProposedExit, QtyOrShare, Quantities, qty_or_share, quantities_of
from sellctl.journal.location import JournalLocation
from sellctl.service.confirming import AGAIN, Confirmer, Confirming, ShownProposal
from sellctl.service.halt_flag import HaltOrigin
from sellctl.service.names import exempted_text
from sellctl.service.proposals import Surface
from sellctl.service.rule_changes import change_of
from sellctl.service.verbs import HOST_SECONDS, why_not
from sellctl.ui.formatting import sanitize

if TYPE_CHECKING:
    from sellctl.core.watching.manual_requests import CommandRequest
    from sellctl.service.verbs import Verbs

ALERT_SECONDS: Final = 12 * 3_600.0  # how long the buttons under an alert work
CONFIRM_SECONDS: Final = 120.0  # how long a question can be confirmed
OLD_SECONDS: Final = 120.0  # a command that was written longer ago is not carried out
OLD_HALT_SECONDS: Final = 600.0  # likewise a halt: what is late there is still safe
COMMANDS_PER_MINUTE: Final = 30  # of one chat
FILL_SECONDS: Final = 45.0  # how long an exit is followed
FIRST_ORDER_SECONDS: Final = 10.0  # how long its first order is waited for
SET_SECONDS: Final = 15.0  # how long it is waited for that rules are set
_LOOK_SECONDS: Final = 0.5
_LOOK_WHETHER_SET_SECONDS: Final = 0.1
_LONGEST_REASON: Final = 200
_MINUTE: Final = 60.0
_TODAY: Final = "today"
_GONE = "This button no longer works."


class AskClose(Struct, frozen=True):
    """The button "Close now" of an alert."""

    account: str
    name: str


class AskExempt(Struct, frozen=True):
    """The button "Leave alone today" of an alert."""

    account: str
    name: str


class ConfirmClose(Struct, frozen=True):
    """Close what was shown."""

    account: str
    name: str
    qty: QtyOrShare | None
    shown: Quantities


class ConfirmExempt(Struct, frozen=True):
    """Leave a position alone until a time."""

    name: str
    until: str


class ConfirmSet(Struct, frozen=True):
    """Change the rules that are set for a position, as it was shown."""

    name: str
    change: OverrideChange
    shown: tuple[ShownOverride, ...]


class ConfirmProposal(Struct, frozen=True):
    """Carry out what an assistant has proposed, as it was shown."""

    shown: ShownProposal


class Dismiss(Struct, frozen=True):
    """Do nothing."""


Action = AskClose | AskExempt | ConfirmClose | ConfirmExempt | ConfirmProposal | ConfirmSet | Dismiss


@dataclass(slots=True)
class Desk:
    """Answers what arrives. `why_not` says why nothing can be closed or set now, as when nothing is watched.

    `redact` removes secrets from what is written, `monotonic` is a clock in seconds, and `wall` tells Unix seconds.
    """

    access: Access
    outbox: Outbox
    buttons: Buttons[Action]
    verbs: "Verbs"
    handover: Handover
    why_not: Callable[[], str] = lambda: ""
    redact: Callable[[str], str] = str
    report: Callable[[str], None] = lambda _text: None
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    _confirming: Confirming = field(init=False)
    _followed: set[asyncio.Task[None]] = field(default_factory=set)
    _asked: dict[int, deque[float]] = field(default_factory=dict)  # when each chat has asked in the last minute

    def __post_init__(self) -> None:
        self._confirming = Confirming.on(Surface.TELEGRAM, self.verbs, self.why_not)

    # --- what arrives -------------------------------------------------------------------------------------------------

    async def answer(self, incoming: Incoming) -> None:
        """Answer a message or a tap. Chats that aren't served get no answer."""
        role = self.access.role_of(incoming.chat, incoming.who)
        if role is None:
            return
        if isinstance(incoming, Tap):
            self.outbox.put(TapAnswer(incoming.chat, incoming.query))
        if not self._may_ask(incoming.chat):
            self._say(incoming.chat, "Too many requests in a minute: this one was not carried out.")
            return
        try:
            await (self._command(incoming, role) if isinstance(incoming, Command) else self._tap(incoming, role))
        except SellctlError as error:
            self._say(incoming.chat, str(error))
        except Exception as error:  # noqa: BLE001  a bug costs one answer, not the bot
            self.report(f"Telegram: a request was not answered: internal error, {type(error).__name__}")
            self._say(incoming.chat, "That could not be answered because of an internal error. See the log.")

    def refuse(self, incoming: Incoming) -> None:
        """Say that there were too many requests at once."""
        if incoming.chat in self.access.roles:
            self._say(incoming.chat, "Too many requests at once: one was not carried out.")

    def _may_ask(self, chat: int) -> bool:
        now = self.monotonic()
        asked = self._asked.setdefault(chat, deque(maxlen=COMMANDS_PER_MINUTE))
        if len(asked) == COMMANDS_PER_MINUTE and now - asked[0] < _MINUTE:
            return False
        asked.append(now)
        return True

    # --- commands -----------------------------------------------------------------------------------------------------

    async def _command(self, command: Command, role: ChatRole) -> None:
        found = command_in(command.text)
        if found is None:
            if command.chat > 0:  # in a group people talk to each other
                self._say(command.chat, "Write /help for what can be asked.")
            return
        name, rest = found
        known = known_command(name)
        if known is None:
            self._say(command.chat, f"/{name} is no command. Write /help for what can be asked.")
            return
        if not allows(role, known.role):
            raise SafetyRefusalError(f"/{known.name} needs the role {known.role}, and this chat has {role}.")
        self._refuse_old(known.name, command)
        await _HANDLERS[known.name](self, command, rest)

    def _refuse_old(self, name: str, command: Command) -> None:
        """SafetyRefusalError for a command that has waited too long: whoever wrote it may think otherwise by now."""
        age = self.wall() - command.sent_at
        if age > (OLD_HALT_SECONDS if name == "halt" else OLD_SECONDS):
            sentence = f"/{name} was written {age / _MINUTE:.0f} minutes ago, and was not carried out."
            raise SafetyRefusalError(sentence, hint="Write it again if you still mean it.")

    async def _help(self, command: Command, _rest: str) -> None:
        self._say(command.chat, texts.help_text(self.access.roles[command.chat]))

    async def _positions(self, command: Command, _rest: str) -> None:
        accounts, halted = await self.handover.call(lambda: (self.verbs.listings(), self.verbs.halted()))
        self._say(command.chat, texts.positions_text(accounts, halted))

    async def _explain(self, command: Command, rest: str) -> None:
        name = _required(rest, "/explain AAPL")
        self._say(command.chat, await self.handover.call(lambda: lookups.explain_text(self.verbs, name)))

    async def _report(self, command: Command, _rest: str) -> None:
        self._say(command.chat, await asyncio.to_thread(lookups.report_text, self._journal, self._now()))

    async def _trades(self, command: Command, _rest: str) -> None:
        self._say(command.chat, await asyncio.to_thread(lookups.trades_text, self._journal, self._now()))

    @property
    def _journal(self) -> JournalLocation:
        return self.verbs.runtime.state.journal

    def _now(self) -> dt.datetime:
        """The broker's time at the last poll, or the host's before the first one."""
        market = self.verbs.runtime.scheduler.market
        return market.now if market else self.verbs.runtime.clock.now()

    async def _close(self, command: Command, rest: str) -> None:
        name, qty = name_and_qty(_required(rest, "/close AAPL, or /close AAPL 2"))
        await self._ask_close(command.chat, name, "", qty_or_share(qty) if qty else None)

    async def _set(self, command: Command, rest: str) -> None:
        name, given = name_and_rules(_required(rest, SET_EXAMPLE))
        await self._ask_set(command, name, lambda: change_of(given, self.verbs.runtime.scheduler.market))

    async def _confirm(self, command: Command, rest: str) -> None:
        if not rest:
            raise ConfigError("The code is missing.", hint="Write it like /confirm 4QF7-0KMD-9XTA.")
        await self._ask_proposal(command, rest)

    async def _exempt(self, command: Command, rest: str) -> None:
        name, until = name_and_until(_required(rest, "/exempt AAPL, or /exempt AAPL friday"))
        await self._leave_alone(command.chat, command.who, name, until)

    async def _manage(self, command: Command, rest: str) -> None:
        name, by = _required(rest, "/manage AAPL"), person(command.who, command.chat)
        managed = await self.handover.call(lambda: self.verbs.manage(name, by))
        self._say(command.chat, f"{managed} is managed from the next check.")

    async def _halt(self, command: Command, rest: str) -> None:
        reason = sanitize(rest)[:_LONGEST_REASON] or "no reason was given"
        by = person(command.who, command.chat)
        untold = await self.handover.call(lambda: self.verbs.halt(reason, by, HaltOrigin.CHAT))
        done = (
            f"Halted: {reason}. No new orders are sent; orders that are working at the broker stay there. "
            "`sellctl resume` at the machine lifts it."
        )
        self._say(command.chat, f"{done}\n\n{untold}".rstrip())

    async def _leave_alone(self, chat: int, who: str, name: str, until: str, replaces: int = 0) -> None:
        def exempt() -> str:
            end = end_of(until or None, self.verbs.runtime.scheduler.market)
            return exempted_text(self.verbs.exempt(name, person(who, chat), until=end), end)

        self._say(chat, await self.handover.call(exempt), replaces=replaces)

    # --- buttons ------------------------------------------------------------------------------------------------------

    async def _tap(self, tap: Tap, role: ChatRole) -> None:
        if not allows(role, ChatRole.OPERATOR):
            raise SafetyRefusalError(f"This needs the role {ChatRole.OPERATOR}, and this chat has {role}.")
        match action := self.buttons.take(tap.token, tap.chat):
            case AskClose(account, name):
                await self._ask_close(tap.chat, name, account, None)
            case AskExempt(account, name):
                await self._ask_exempt(tap.chat, name, account)
            case ConfirmClose() | ConfirmSet() | ConfirmProposal():
                await self._confirmed(tap, action)
            case ConfirmExempt(name, until):
                await self._leave_alone(tap.chat, tap.who, name, until, tap.message)
            case Dismiss():
                self._say(tap.chat, "Nothing was done.", replaces=tap.message)
            case None:
                self._say(tap.chat, _GONE)

    async def _ask_close(self, chat: int, name: str, account: str, qty: QtyOrShare | None, first: str = "") -> None:
        self._refuse_idle()
        proposed = await self.handover.call(lambda: self.verbs.propose_close(name, account=account, qty=qty))
        possible = [each for each in proposed if each.is_possible]
        if not possible:
            why = next((each.decision.sentence for each in proposed if each.decision.sentence), "it can't be sent now")
            raise SafetyRefusalError(f"{name} is not closed: {why}.")
        confirm = ConfirmClose(account, proposed[0].name or name, qty, quantities_of(proposed))
        yes = f"Yes, close {texts.possible_text(possible)}"
        question = f"{first}Close this now? It can be confirmed for {CONFIRM_SECONDS / _MINUTE:.0f} minutes.\n\n"
        self._ask(chat, f"{question}{texts.proposed_text(proposed)}", yes, confirm)

    async def _ask_exempt(self, chat: int, name: str, account: str) -> None:
        held = await self.handover.call(lambda: lookups.held_text(self.verbs, name, account))
        question = "Leave this alone until today's close? Its stops and targets don't fire meanwhile, in any account."
        self._ask(
            chat, f"{question}\n\n{held}", f"Yes, leave {contract_text(name)} alone today", ConfirmExempt(name, _TODAY)
        )

    async def _confirmed(self, tap: Tap, action: ConfirmClose | ConfirmSet | ConfirmProposal) -> None:
        """Do what was confirmed. Why it can't be done stands in the place of the question."""
        try:
            match action:
                case ConfirmClose():
                    await self._close_confirmed(tap, action)
                case ConfirmSet():
                    await self._set_confirmed(tap, action)
                case ConfirmProposal(shown):
                    await self._proposal_confirmed(tap, shown)
        except SellctlError as error:
            self._say(tap.chat, str(error), tap.message)

    async def _close_confirmed(self, tap: Tap, confirmed: ConfirmClose) -> None:
        """Close what was confirmed, unless it has changed since; then it is asked again."""
        self._refuse_idle()
        verbs, by = self.verbs, person(tap.who, tap.chat)
        row = await asyncio.to_thread(lookups.newest_row_of, verbs.runtime.state.journal)

        def close() -> "tuple[list[ProposedExit], list[CommandRequest]]":
            proposed = verbs.propose_close(confirmed.name, account=confirmed.account, qty=confirmed.qty)
            return proposed, verbs.close(proposed, by) if quantities_of(proposed) == confirmed.shown else []

        proposed, requests = await self.handover.call(close)
        if not requests:
            self._say(tap.chat, "Nothing was sent: the position has changed since this was asked.", tap.message)
            await self._ask_close(tap.chat, confirmed.name, confirmed.account, confirmed.qty)
            return
        self._say(tap.chat, f"Closing, as {by} has confirmed.\n\n{texts.proposed_text(proposed)}", tap.message)
        self._follow(tap.chat, self._outcome(proposed, requests, row))

    async def _outcome(self, proposed: "Sequence[ProposedExit]", requests: "Sequence[CommandRequest]", row: int) -> str:
        """What became of exits, once they are closed or after some time."""
        possible = [each for each in proposed if each.is_possible]
        journal, began = self.verbs.runtime.state.journal, self.monotonic()
        first_order_within = HOST_SECONDS if self.verbs.runtime.observes else FIRST_ORDER_SECONDS
        while True:
            is_done, was_sent = await asyncio.to_thread(lookups.progress_of, journal, row, possible)
            waited = self.monotonic() - began
            if is_done or waited > (FILL_SECONDS if was_sent else first_order_within):
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return texts.outcomes_text(await self.handover.call(lambda: self.verbs.outcome(requests)))

    async def _ask_set(self, asked: Incoming, name: str, change_of_it: "Callable[[], OverrideChange]") -> None:
        """Show what a change would do, and ask. The change is made in the watcher's loop."""
        self._refuse_idle()
        verbs, by = self.verbs, person(asked.who, asked.chat)

        def propose() -> tuple[ConfirmSet, str]:
            change = change_of_it()
            proposed = verbs.propose_set(name, change, by)
            confirm = ConfirmSet(proposed[0].name if proposed else name, change, shown_of(proposed))
            return confirm, texts.rules_text(proposed, lookups.listings_by_name(verbs))

        confirm, text = await self.handover.call(propose)
        question = f"Set this? It can be confirmed for {CONFIRM_SECONDS / _MINUTE:.0f} minutes.\n\n{text}"
        self._ask(asked.chat, question, "Set it", confirm, no="Cancel")

    async def _set_confirmed(self, tap: Tap, confirmed: ConfirmSet) -> None:
        """Set what was confirmed, unless what it does has changed since; then it is asked again."""
        self._refuse_idle()
        verbs, by, change = self.verbs, person(tap.who, tap.chat), confirmed.change

        def set_rules() -> "tuple[list[ProposedOverride], list[CommandRequest], str]":
            proposed = verbs.propose_set(confirmed.name, change, by)
            requests = verbs.set(proposed, change, by) if shown_of(proposed) == confirmed.shown else []
            return proposed, requests, texts.rules_text(proposed, lookups.listings_by_name(verbs))

        proposed, requests, text = await self.handover.call(set_rules)
        if not requests:
            self._say(tap.chat, "Nothing was set: what it does has changed since this was asked.", tap.message)
            await self._ask_set(tap, confirmed.name, lambda: change)
            return
        self._say(tap.chat, f"Passed to the watcher, as {by} has confirmed.\n\n{text}", tap.message)
        self._follow(tap.chat, self._what_was_set(proposed, requests))

    async def _ask_proposal(self, asked: Incoming, code: str) -> None:
        """Show what an assistant has proposed, and ask. Its code is used up by that."""

        def show() -> tuple[ShownProposal, str]:
            shown = self._confirming.show(code, _confirmer(asked))
            return shown, texts.proposal_text(shown, lookups.listings_by_name(self.verbs))

        shown, text = await self.handover.call(show)
        if not shown.is_possible:
            raise SafetyRefusalError(f"It can't be closed now: {why_not(shown.exits)}.", hint=AGAIN)
        question = f"Confirm this? It can be confirmed for {CONFIRM_SECONDS / _MINUTE:.0f} minutes.\n\n{text}"
        self._ask(asked.chat, question, texts.proposal_label(shown), ConfirmProposal(shown), no="Cancel")

    async def _proposal_confirmed(self, tap: Tap, shown: ShownProposal) -> None:
        """Do what an assistant has proposed and somebody has confirmed, unless it does something else by now."""
        row = await asyncio.to_thread(lookups.newest_row_of, self._journal)
        done = await self.handover.call(lambda: self._confirming.carry_out(shown, _confirmer(tap)))
        self._say(tap.chat, done.sentence or f"Passed to the watcher, as {done.by}.", tap.message)
        if done.shown.exits:
            self._follow(tap.chat, self._outcome(done.shown.exits, done.requests, row))
        elif done.shown.overrides:
            self._follow(tap.chat, self._what_was_set(done.shown.overrides, done.requests))

    async def _what_was_set(self, proposed: "Sequence[ProposedOverride]", requests: "Sequence[CommandRequest]") -> str:
        """What became of a change, once the watchers have answered or after some time."""
        began = self.monotonic()
        while None in (found := await asyncio.to_thread(self.verbs.was_set, requests)):
            if self.monotonic() - began > SET_SECONDS:
                break
            await asyncio.sleep(_LOOK_WHETHER_SET_SECONDS)
        program = self.verbs.runtime.program
        return "\n".join(texts.set_text(*each, program) for each in zip(proposed, found, strict=True))

    def _follow(self, chat: int, becoming: "Coroutine[Any, Any, str]") -> None:
        """Say what became of something, when that is known; other requests are answered meanwhile."""
        following = asyncio.create_task(self._say_outcome(chat, becoming))
        self._followed.add(following)
        following.add_done_callback(self._followed.discard)

    async def _say_outcome(self, chat: int, becoming: "Coroutine[Any, Any, str]") -> None:
        try:
            self._say(chat, await becoming)
        except SellctlError as error:
            self._say(chat, f"What became of it is unknown: {error}")
        except Exception as error:  # noqa: BLE001  a bug costs one answer, not the bot
            self.report(f"Telegram: an outcome was not reported: internal error, {type(error).__name__}")

    def _refuse_idle(self) -> None:
        if why := self.why_not():
            raise SafetyRefusalError(why)

    # --- writing ------------------------------------------------------------------------------------------------------

    def alert(self, text: str, account: str, name: str) -> None:
        """Send an alert to every chat, with buttons where it is about a position and the chat may act on it.

        May be called in any thread.
        """
        for chat, role in self.access.roles.items():
            actions: list[tuple[str, Action]] = [
                ("Close now", AskClose(account, name)),
                ("Leave alone today", AskExempt(account, name)),
            ]
            acts = bool(name) and allows(role, ChatRole.OPERATOR)
            buttons = self.buttons.issue(chat, actions, ALERT_SECONDS, exclusive=False) if acts else ()
            self._say(chat, text, buttons=buttons)

    def _ask(self, chat: int, question: str, yes: str, action: Action, no: str = "No") -> None:
        actions: list[tuple[str, Action]] = [(texts.label(yes), action), (no, Dismiss())]
        self._say(chat, question, buttons=self.buttons.issue(chat, actions, CONFIRM_SECONDS, exclusive=True))

    def _say(self, chat: int, text: str, replaces: int = 0, buttons: tuple[Button, ...] = ()) -> None:
        self.outbox.put(Message(chat, texts.fitted(self.redact(text)), buttons, replaces))


_HANDLERS: Final[Mapping[str, Callable[[Desk, Command, str], Awaitable[None]]]] = {
    "help": Desk._help,  # noqa: SLF001  the table of the class's own commands
    "positions": Desk._positions,  # noqa: SLF001
    "explain": Desk._explain,  # noqa: SLF001
    "report": Desk._report,  # noqa: SLF001
    "trades": Desk._trades,  # noqa: SLF001
    "close": Desk._close,  # noqa: SLF001
    "set": Desk._set,  # noqa: SLF001
    "confirm": Desk._confirm,  # noqa: SLF001
    "exempt": Desk._exempt,  # noqa: SLF001
    "manage": Desk._manage,  # noqa: SLF001
    "halt": Desk._halt,  # noqa: SLF001
}


def _confirmer(incoming: Incoming) -> Confirmer:
    return Confirmer(name_in(incoming.who, incoming.chat), Surface.TELEGRAM)


def _required(rest: str, example: str) -> str:
    if not rest:
        raise ConfigError("The name of a position is missing.", hint=f"Write it like {example}.")
    return rest
