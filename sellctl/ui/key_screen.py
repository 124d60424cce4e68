"""The screen of `watch` on a terminal with keys: select a position, explain it, close it.

Keys and drawing share the event loop with trading. So a key redraws what was laid out before, of which only the visible
lines are made, and waits for nothing: the terminal is written by a thread, and while it doesn't take one picture no
further one is made. A second thread says DATA STALE when the event loop doesn't answer.
"""

import asyncio
import datetime as dt
import operator
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from sellctl.core.errors import SellctlError
from sellctl.core.model.view import AccountListing, AccountView, WatchView
from sellctl.service.output_stream import OutputStream
from sellctl.ui.details import details_of, orders_of, rule_rows, symbols_called
from sellctl.ui.displays import LiveDisplay
from sellctl.ui.formatting import Cell
from sellctl.ui.frame import HELP, Content, Frame, Layout, first_lines, frame_of, stale_accounts
from sellctl.ui.grid import ASCII, UNICODE
from sellctl.ui.key_terminal import KeyTerminal
from sellctl.ui.keys import KeyDecoder
from sellctl.ui.painter import Painter, Watchdog
from sellctl.ui.position_actions import PositionActions
from sellctl.ui.screen import WatchScreen
from sellctl.ui.screen_state import Action, Page, Question, ScreenState, Shown, Target, Wish, press

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime
    from sellctl.core.model.event import Event

_BUSY_SECONDS = 0.01  # until a terminal that was busy is tried again


class KeyScreen(LiveDisplay):
    """The live screen with keys. `end` ends the watch, as Ctrl-C does."""

    def __init__(
        self,
        runtime: "Runtime",
        events: "Iterable[Event]",
        actions: PositionActions,
        end: Callable[[], None],
        out: OutputStream | None = None,
    ) -> None:
        super().__init__(runtime, events, out)
        self._actions = actions
        self._end = end
        self._decoder = KeyDecoder()
        self._state = ScreenState()
        self._shown = Shown()
        self._view: WatchView | None = None
        self._stale: dict[str, dt.timedelta] = {}
        self._layout: tuple[Sequence[object], Layout] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._terminal = KeyTerminal(self._out, self._on_input, self._on_change)
        self._painter = Painter(self._out)
        self._waits_for_terminal = False
        self._watchdog = Watchdog(self._paint_frozen)

    def __enter__(self) -> Self:
        """Take over the terminal. Called in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._terminal.open()
        self._painter.paint(first_lines(*self._painter.size))
        self._watchdog.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Give the terminal back. The last state stays on it."""
        self._watchdog.stop()
        self._terminal.close()
        if self._view:
            self._painter.console.print(WatchScreen(self._view))
        self._out.drain()

    def refresh(self) -> None:
        """Draw again, with the present ages and time to the next poll."""
        self._watchdog.beat()
        super().refresh()

    def _show(self, wait: float) -> None:
        self._view = self._view_now(wait)
        interval, overdue = self._runtime.scheduler.interval, dt.timedelta(seconds=max(-wait, 0.0))
        self._stale = dict(stale_accounts(self._view, interval, overdue))
        self._state = self._state.without_old_question(time.monotonic())
        self._draw()

    # --- keys ---------------------------------------------------------------------------------------------------------

    def _on_input(self, data: bytes, at: float) -> None:
        """Called in the thread that reads."""
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take_input, data, at)

    def _on_change(self) -> None:
        """Called by a signal handler."""
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._redraw)

    def _redraw(self) -> None:
        self._painter.forget()
        self._draw()

    def _take_input(self, data: bytes, at: float) -> None:
        keys = self._decoder.keys(data, at)
        for key in keys:
            self._state, wish = press(self._state, key, self._shown)
            if wish:
                self._take_wish(wish)
            if len(keys) > 1 and self._view:
                self._shown = self._frame(self._view).shown
        if keys:
            self._draw()

    def _take_wish(self, wish: Wish) -> None:
        if wish.action is Action.END:
            self._end()
            return
        try:
            text = "" if wish.confirmed else self._actions.question(wish)
        except SellctlError as error:
            self._state = self._state.noting(str(error))
            return
        if text:
            self._state = replace(self._state, question=Question(wish, text, time.monotonic()))
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(wish))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, wish: Wish) -> None:
        try:
            await self._actions.carry_out(wish, self._tell)
        except SellctlError as error:
            self._tell(str(error))

    def _tell(self, text: str) -> None:
        self._state = self._state.noting(text)
        self._draw()

    # --- drawing ------------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Draw the last view in the present state, once the terminal has taken the last picture."""
        if self._view is None or not self._terminal.is_ours:
            return
        if not self._out.is_idle:
            self._draw_later()
            return
        frame = self._frame(self._view)
        self._shown = frame.shown
        self._painter.paint(frame.lines)
        if frame.has_question and self._state.question and self._state.question.drawn_at is None:
            self._note_question(self._state.question)

    def _paint_frozen(self, silent: float) -> None:
        """Called in the thread of the watchdog."""
        if self._terminal.is_ours and self._out.is_idle:
            self._painter.paint_frozen(silent)

    def _draw_later(self) -> None:
        if self._loop and not self._waits_for_terminal:
            self._waits_for_terminal = True
            self._loop.call_later(_BUSY_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._waits_for_terminal = False
        self._draw()

    def _note_question(self, question: Question) -> None:
        """Note since when the question is on the terminal: once that has taken the picture."""
        if self._state.question is not question:
            return
        if self._out.is_idle:
            self._state = self._state.drawn(time.monotonic())
        elif self._loop:
            self._loop.call_later(_BUSY_SECONDS, self._note_question, question)

    def _frame(self, view: WatchView) -> Frame:
        width, height = self._painter.size
        layout = self._laid_out(view, width).filtered(view, self._state.filter)
        self._state = self._state.fitted(layout.targets)
        return frame_of(Content(view, layout, self._stale, self._page(view)), self._state, height)

    def _laid_out(self, view: WatchView, width: int) -> Layout:
        """The layout of a view, made anew once a plan or the width of the terminal has changed."""
        made_of = [width, *(part for each in view.accounts for part in (each.plan, each.structures, each.only_due))]
        if self._layout is None or not _are_same(self._layout[0], made_of):
            glyphs = ASCII if self._painter.console.options.ascii_only else UNICODE
            self._layout = made_of, Layout.of(view, width, glyphs)
        return self._layout[1]

    def _page(self, view: WatchView) -> list[tuple[str, str]]:
        if self._state.page is Page.HELP:
            return list(HELP)
        if self._state.page is Page.EXPLANATION and self._state.selected:
            return self._explanation(view, self._state.selected)
        return []

    def _explanation(self, view: WatchView, target: Target) -> list[tuple[str, str]]:
        account = next(each for each in view.accounts if each.facts.name == target.account)
        watcher = next(each for each in self._runtime.scheduler.watchers if each.name == target.account)
        listing = _listing(account)
        symbols = symbols_called(listing, target.name)
        if not symbols or account.market is None:
            return []
        orders = orders_of(symbols, watcher.state.open_orders)
        rows, _ = details_of(listing, target.name, orders, account.market)
        texts = [(str(label), value.text if isinstance(value, Cell) else str(value)) for label, value in rows]
        return [*texts, *rule_rows(watcher, listing, target.name)]


def _are_same(before: Sequence[object], after: Sequence[object]) -> bool:
    return len(before) == len(after) and all(map(operator.is_, before, after))


def _listing(account: AccountView) -> AccountListing:
    return AccountListing(
        account.facts.name,
        mode=account.mode,
        plan=account.plan,
        structures=account.structures,
        only_due=account.only_due,
    )
