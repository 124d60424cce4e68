"""What a person has chosen on the screen of `watch`, and what a key changes of it. Pure: state and key in, both out.

A key never acts by itself: it yields a Wish, which the screen passes on. Where it has to be confirmed, the screen puts
a Question into the state, and only `y` on it yields the wish again, confirmed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sellctl.ui.keys import BACKSPACE, DOWN, END, ENTER, ESCAPE, HOME, NAVIGATION, PAGE_DOWN, PAGE_UP, UP, Key

CONFIRM_SECONDS = 0.3  # from the moment a question is on the screen until it can be confirmed
QUESTION_SECONDS = 60.0  # after which a question isn't asked any more: its prices are old
LONGEST_FILTER = 40
SELECT_FIRST = "Select a position first, with the arrows or j and k."
_STEPS = {UP: -1, "k": -1, DOWN: 1, "j": 1}
_PAGES = {PAGE_UP: -1, PAGE_DOWN: 1}


class Page(StrEnum):
    """What the screen shows."""

    LIST = "list"
    EXPLANATION = "explanation"
    HELP = "help"


class Action(StrEnum):
    """What a key asks for. All but a halt are about one position or structure."""

    CLOSE = "close"
    CLOSE_HALF = "close half"
    BREAKEVEN = "breakeven"
    STOP_CLOSER = "move the stop towards the price"
    STOP_FARTHER = "move the stop away from the price"
    EXEMPT = "exempt"  # or manage, when it is exempt
    HALT = "halt"
    END = "end"


ACTIONS = {
    "b": Action.BREAKEVEN,
    "+": Action.STOP_CLOSER,
    "-": Action.STOP_FARTHER,
    "h": Action.CLOSE_HALF,
    "c": Action.CLOSE,
    "x": Action.EXEMPT,
    "H": Action.HALT,
    "q": Action.END,
}
WITHOUT_POSITION = frozenset({Action.HALT, Action.END})


@dataclass(frozen=True, slots=True)
class Target:
    """A row of the list: a position, or a structure by sellctl's name. `title` is how the row names it."""

    account: str
    name: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for. `target` is None for a wish that is about no position."""

    action: Action
    target: Target | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A wish with its consequences, waiting for `y`. `drawn_at` is None until the whole text is on the screen."""

    wish: Wish
    text: str
    asked_at: float
    drawn_at: float | None = None


@dataclass(frozen=True, slots=True)
class ScreenState:
    """What is selected and shown. `scroll` counts the lines above a page of text; `notes` are answers to wishes."""

    page: Page = Page.LIST
    selected: Target | None = None
    scroll: int = 0
    filter: str = ""
    is_typing: bool = False
    question: Question | None = None
    notes: tuple[str, ...] = ()
    last_row: int = 0  # where the selected row was last, should it be gone

    @property
    def is_overview(self) -> bool:
        """Whether nothing is chosen, so that the most urgent rows are shown."""
        return self.selected is None and not self.filter and not self.is_typing

    def noting(self, text: str) -> "ScreenState":
        """With the answer to a wish."""
        return replace(self, notes=(*self.notes, text)[-3:])

    def without_note(self, text: str) -> "ScreenState":
        """Without this note."""
        return replace(self, notes=tuple(note for note in self.notes if note != text)) if text in self.notes else self

    def drawn(self, at: float) -> "ScreenState":
        """The whole question is on the screen since `at`."""
        if self.question is None or self.question.drawn_at is not None:
            return self
        return replace(self, question=replace(self.question, drawn_at=at))

    def without_old_question(self, now: float) -> "ScreenState":
        """Without a question that nobody answered in time."""
        if self.question is None or now - self.question.asked_at < QUESTION_SECONDS:
            return self
        return replace(self, question=None).noting(f"Nothing was done: nobody answered for {QUESTION_SECONDS:.0f} s.")

    def fitted(self, rows: Sequence[Target]) -> "ScreenState":
        """With the selection among these rows. Once its row is gone nothing is selected: no key may hit another one."""
        if self.selected is None:
            return self
        if self.selected not in rows:
            page = Page.LIST if self.page is Page.EXPLANATION else self.page
            return replace(self, selected=None, page=page).noting(f"{self.selected.title} is not on the list any more.")
        return replace(self, last_row=rows.index(self.selected))


@dataclass(frozen=True, slots=True)
class Shown:
    """What was last drawn: the rows that can be selected, the lines of a page, and the most that can be scrolled."""

    rows: tuple[Target, ...] = ()
    page_lines: int = 1
    most_scroll: int = 0


def press(state: ScreenState, key: Key, shown: Shown) -> tuple[ScreenState, Wish | None]:
    """The state after a key, and what it asks for; None when it asks for nothing."""
    state = state.without_note(SELECT_FIRST)
    if state.question:
        return _answered(state, state.question, key)
    if state.is_typing:
        return _typed(state, key), None
    if state.page is Page.LIST:
        if moved := _moved(state, key, shown):
            return moved, None
    elif scrolled := _scrolled(state, key, shown):
        return scrolled, None
    return _command(state, key)


def _answered(state: ScreenState, question: Question, key: Key) -> tuple[ScreenState, Wish | None]:
    """Confirmed by a `y` of its own that came after the question could be read; anything else ends the question."""
    state = replace(state, question=None)
    is_readable = question.drawn_at is not None and key.at - question.drawn_at >= CONFIRM_SECONDS
    if key.name == "y" and key.alone and is_readable:
        return state, replace(question.wish, confirmed=True)
    why = " `y` came before the question could be read." if key.name == "y" and not is_readable else ""
    return state.noting(f"Nothing was done.{why}"), None


def _typed(state: ScreenState, key: Key) -> ScreenState:
    """The filter as it is typed."""
    if key.name in {ENTER, DOWN, UP}:
        return replace(state, is_typing=False)
    if key.name == ESCAPE:
        return replace(state, is_typing=False, filter="")
    if key.name == BACKSPACE:
        return replace(state, filter=state.filter[:-1])
    return replace(state, filter=(state.filter + key.name)[:LONGEST_FILTER]) if len(key.name) == 1 else state


def _moved(state: ScreenState, key: Key, shown: Shown) -> ScreenState | None:
    """With another row selected; None when the key doesn't move the selection."""
    if key.name not in {*_STEPS, *NAVIGATION}:
        return None
    last = len(shown.rows) - 1
    if last < 0:
        return state
    has_selected = state.selected is not None and state.selected in shown.rows
    row = state.last_row if state.selected is None or not has_selected else shown.rows.index(state.selected)
    if key.name in {HOME, END}:
        row = 0 if key.name == HOME else last
    elif key.name in _PAGES:
        row += _PAGES[key.name] * shown.page_lines
    elif has_selected:
        row += _STEPS[key.name]
    row = min(max(row, 0), last)
    return replace(state, selected=shown.rows[row], last_row=row)


def _scrolled(state: ScreenState, key: Key, shown: Shown) -> ScreenState | None:
    """A page of text with other lines; None when the key doesn't scroll."""
    step = _STEPS.get(key.name, 0) or _PAGES.get(key.name, 0) * shown.page_lines
    if key.name in {HOME, END}:
        step = -state.scroll if key.name == HOME else shown.most_scroll
    if not step and key.name not in {HOME, END}:
        return None
    return replace(state, scroll=min(max(state.scroll + step, 0), shown.most_scroll))


def _command(state: ScreenState, key: Key) -> tuple[ScreenState, Wish | None]:
    name = key.name
    is_page = state.page is not Page.LIST
    if name == ESCAPE:
        left = (
            replace(state, page=Page.LIST, scroll=0) if is_page else replace(state, selected=None, filter="", notes=())
        )
        return left, None
    if is_page and name in {ENTER, "q", "?"}:
        return replace(state, page=Page.LIST, scroll=0), None
    if name == "?":
        return replace(state, page=Page.HELP, scroll=0), None
    if name == "/" and not is_page:
        return replace(state, is_typing=True), None
    if name == ENTER and state.selected:
        return replace(state, page=Page.EXPLANATION, scroll=0), None
    return _wish(state, key)


def _wish(state: ScreenState, key: Key) -> tuple[ScreenState, Wish | None]:
    action = ACTIONS.get(key.name)
    if action is None or not key.alone or (state.page is Page.HELP and action is not Action.END):
        return state, None
    if action in WITHOUT_POSITION:
        return replace(state, notes=()), Wish(action)
    if state.selected is None:
        return replace(state, notes=(SELECT_FIRST,)), None
    return replace(state, notes=()), Wish(action, state.selected)
