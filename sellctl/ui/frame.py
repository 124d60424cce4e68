"""One picture of the screen with keys: at most `height` lines, none wider than `width` cells. Plain data, as all lines.

From top to bottom: the time, what is stale, the positions or a page of text, the newest events, and at the foot the
answers, the question, or the keys. The foot has the first claim to room, because a question that can't be read wholly
can't be confirmed.
"""

import datetime as dt
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from sellctl.core.model.view import WatchView
from sellctl.ui.blocks import Block, account_head, thinned_lines
from sellctl.ui.formatting import duration, sanitize
from sellctl.ui.grid import Glyphs, Grid, GridRow, Line, rows_in
from sellctl.ui.screen import event_lines, events_for, title_line
from sellctl.ui.screen_state import Page, ScreenState, Shown, Target

STALE_INTERVALS = 3
STALE = "DATA STALE"
_LOUD = "bold reverse"
_LEAST_BODY = 3  # lines, before events are shown
_LABEL = 14  # the widest label of a page of text
_KEYS = (
    ("j/k", "select"),
    ("Enter", "explain"),
    ("b", "breakeven"),
    ("+/-", "stop"),
    ("c", "close"),
    ("h", "half"),
    ("x", "exempt"),
    ("H", "halt"),
    ("/", "filter"),
)
_PAGE_KEYS = (("Esc", "back"), ("j/k", "scroll"), *_KEYS[2:-1])
_HELP_KEYS = _PAGE_KEYS[:2]
_LAST_KEYS = (("?", "help"), ("q", "end"))
_TALL = 20  # lines of a terminal on which the keys may take two of them
HELP = (
    ("j k, arrows", "select the next or previous position; Home, End, PageUp and PageDown go further"),
    ("Enter", "explain the selected position: its rules, prices and orders; Esc, Enter or q goes back"),
    ("b", "breakeven: its stop at the entry price; asks first where that loosens the stop or closes it at once"),
    ("+ -", "its stop a notch towards the price or away from it: 5% of the entry price, at least $0.01; - asks first"),
    ("h", "close half of it, rounded down; asks first"),
    ("c", "close it; asks first"),
    ("x", "exempt it: rules don't touch it any more; again: manage it"),
    ("H", "halt: no new orders in any account until `sellctl resume`; asks first"),
    ("/", "show only what matches a text: symbol, account or state; Esc shows all again"),
    ("q", "end, as Ctrl-C: orders at the broker stay there"),
    ("", ""),
    ("y", "confirms a question, once it could be read; any other key means no"),
    ("", "Nothing that is pasted counts as a key."),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows of a view on a screen of some width. It serves until a plan changes, and not only for one picture."""

    width: int
    grid: Grid
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, view: WatchView, width: int, glyphs: Glyphs) -> "Layout":
        """The layout for all positions."""
        rows: list[Sequence[GridRow]] = [rows_in(account) for account in view.accounts]
        grid = Grid.of([row for each in rows for row in each], width, glyphs)
        blocks = (Block.of(account, each, width) for account, each in zip(view.accounts, rows, strict=True))
        return cls(width, grid, tuple(blocks))

    def filtered(self, view: WatchView, text: str) -> "Layout":
        """With the present heads of the accounts, and only the rows that a filter finds."""
        blocks = (
            Block(account_head(account, self.width), tuple(row for row in block.rows if row.is_found_by(text)))
            for account, block in zip(view.accounts, self.blocks, strict=True)
        )
        return Layout(self.width, self.grid, tuple(blocks))

    @property
    def targets(self) -> tuple[Target, ...]:
        """What can be selected, from top to bottom."""
        return tuple(row.target for block in self.blocks for row in block.rows)


@dataclass(frozen=True, slots=True)
class Content:
    """What a picture is made of. `layout` is filtered already, `stale` has the age of data that is old by account.

    `page` has the rows of the page of text, if one is shown.
    """

    view: WatchView
    layout: Layout
    stale: Mapping[str, dt.timedelta]
    page: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture, what it shows, and whether the whole question is in it."""

    lines: tuple[Line, ...]
    shown: Shown
    has_question: bool


def stale_accounts(view: WatchView, interval: dt.timedelta, overdue: dt.timedelta) -> Mapping[str, dt.timedelta]:
    """The accounts whose data is old, with its age. `overdue` is for how long the next check should have been there.

    Outside the session accounts aren't read, so that only a check that doesn't come makes them stale.
    """
    limit = STALE_INTERVALS * interval
    ages = {account.facts.name: account.age for account in view.accounts if account.age is not None}
    is_open = {account.facts.name: account.market is not None and account.market.is_open for account in view.accounts}
    if overdue > limit:
        return {name: max(age, overdue) for name, age in ages.items()}
    return {name: age for name, age in ages.items() if is_open[name] and age > limit}


def frame_of(content: Content, state: ScreenState, height: int) -> Frame:
    """The picture of a content in a state."""
    view, layout, stale, width = content.view, content.layout, content.stale, content.layout.width
    foot = _folded(_foot(state, layout, width, height), width)
    has_question = state.question is not None and len(foot) <= height
    foot = foot[-height:]
    above = height - len(foot)
    title, alarm = _folded([title_line(view, width)], width)[:above], _folded(_stale_lines(stale), width)
    alarm = alarm[: above - len(title)]
    room = above - len(title) - len(alarm)
    if state.page is Page.LIST:
        body, shown = _list(content, state, room)
    else:
        body, shown = _text(content.page, state, width, room)
    if stale and len(stale) == len(view.accounts):
        title, body = _colourless(title), _colourless(body)
    blank: list[Line] = [[] for _ in range(room - len(body))]
    return Frame((*title, *alarm, *body, *blank, *foot), shown, has_question)


def folded(line: Line, width: int) -> Iterator[Line]:
    """A line in as many as it needs."""
    if sum(cell_len(text) for text, _ in line) <= width:
        yield line
        return
    row: Line = []
    used = 0
    for text, style in line:
        piece = ""
        for character in text:
            cells = cell_len(character)
            if used + cells > width:
                yield [*row, (piece, style)]
                row, piece, used = [], "", 0
            piece += character
            used += cells
        row.append((piece, style))
    yield row


def _folded(lines: Iterable[Line], width: int) -> list[Line]:
    return [row for line in lines for row in folded(line, width)]


def first_lines(width: int, height: int) -> tuple[Line, ...]:
    """The picture until the first check: its keys are those that act already."""
    foot: Line = [("q", "bold"), (" end", "dim")]
    head: list[Line] = [[("sellctl watch", "bold")], [("Polling the accounts ...", "")]]
    blank: list[Line] = [[] for _ in range(height - len(head) - 1)]
    return tuple(next(folded(line, width)) for line in (*head, *blank, foot))


def frozen_frame(lines: Sequence[Line], seconds: float, size: tuple[int, int]) -> list[Line]:
    """The last picture, without its colours, when the program has not answered for so long.

    It is cut to `size`, because the terminal may have got a smaller one meanwhile; its last line is always there.
    """
    width, height = size
    loud: Line = [(_loud(f"sellctl has not answered for {seconds:.0f} s"), _LOUD)]
    seen = lines[1:] if len(lines) <= height else (*lines[1 : height - 1], lines[-1])
    return [next(folded(line, width)) for line in (loud, *_colourless(seen))]


def _loud(text: str) -> str:
    return f" {STALE}: {text} "


def _stale_lines(stale: Mapping[str, dt.timedelta]) -> Iterator[Line]:
    if stale:
        ages = ", ".join(f"{sanitize(name)} not updated for {duration(age)}" for name, age in stale.items())
        yield [(_loud(ages), _LOUD)]


def _colourless(lines: Sequence[Line]) -> list[Line]:
    """Without colours; the selection stays."""
    return [[(text, style if style == "reverse" else "") for text, style in line] for line in lines]


# --- the list ---------------------------------------------------------------------------------------------------------


def _list(content: Content, state: ScreenState, room: int) -> tuple[list[Line], Shown]:
    view, layout = content.view, content.layout
    columns = _folded(layout.grid.head(), layout.width)
    columns = columns if len(columns) + _LEAST_BODY <= room else []
    room_for_events = room - len(columns) - _LEAST_BODY
    reserved = _events(view, layout.width, min(events_for(room_for_events), room_for_events - 1))
    left = max(room - len(columns) - len(reserved) - bool(reserved), 0)
    rows = _overview(layout, left) if state.is_overview else _window(layout, state, left)
    stale = {index for index, account in enumerate(view.accounts) if account.facts.name in content.stale}
    body = [line for index, row in rows for line in (_colourless([row]) if index in stale else [row])][:left]
    below = room - len(columns) - len(body)
    events = _events(view, layout.width, min(below, room_for_events) - 1)
    blank: list[Line] = [[] for _ in range(below - len(events))]
    return [*columns, *body, *blank, *events], Shown(layout.targets, max(left - 2, 1))


def _events(view: WatchView, width: int, most: int) -> list[Line]:
    """The newest events, in at most `most` lines."""
    return _folded(event_lines(view.events, width, most), width)[: max(most, 0)]


_Row = tuple[int, Line]  # the index of an account, and a line of it
_Place = tuple[int, GridRow | Line]  # the same, with a position that isn't laid out yet


def _overview(layout: Layout, room: int) -> list[_Row]:
    """All accounts, each with its most urgent positions."""
    heads = sum(len(block.head) for block in layout.blocks)
    bodies = thinned_lines(layout.blocks, layout.grid, max(room - heads, 0), "the arrow keys show them")
    spare = room - heads - sum(map(len, bodies)) >= len(bodies)
    rows: list[_Row] = []
    for index, (block, body) in enumerate(zip(layout.blocks, bodies, strict=True)):
        lines = [*([[]] if spare and index else []), *block.head, *body]
        rows += [(index, row) for row in _folded(lines, layout.width)]
    return rows


def _window(layout: Layout, state: ScreenState, room: int) -> list[_Row]:
    """The selected position with all of its lines, and as many others around it as fit, a line for each.

    The topmost line is the account of what is below it.
    """
    places: list[_Place] = []
    selected = 0
    for index, block in enumerate(layout.blocks):
        places += [(index, line) for line in block.head]
        for row in block.rows:
            selected = len(places) if row.target == state.selected else selected
            places.append((index, row.content))
    if not layout.targets:
        heads = [row for place in places for row in _lines_at(place, layout)]
        return [*heads, (-1, [("  nothing matches", "dim")])]
    if len(places) <= room:
        marked = selected if state.selected else -1
        rows = [row for at, place in enumerate(places) for row in _all_lines_at(place, layout, marked=at == marked)]
        if len(rows) <= room:
            return rows
    rows = _lines_at(places[selected], layout, is_selected=state.selected is not None)[:room]
    first, behind = selected, selected + 1
    while True:
        above = _lines_at(places[first - 1], layout) if first else []
        has_above = bool(above) and len(rows) + len(above) <= room
        rows, first = ([*above, *rows], first - 1) if has_above else (rows, first)
        below = _lines_at(places[behind], layout) if behind < len(places) else []
        has_below = bool(below) and len(rows) + len(below) <= room
        rows, behind = ([*rows, *below], behind + 1) if has_below else (rows, behind)
        if not has_above and not has_below:
            break
    index, top = places[first]
    if not isinstance(top, list) and first < selected:
        rows[0] = (index, layout.blocks[index].head[0])
    return rows


def _lines_at(place: _Place, layout: Layout, *, is_selected: bool = False) -> list[_Row]:
    """The lines at a place: all of the selected position, and one of any other."""
    if is_selected or isinstance(place[1], list):
        return _all_lines_at(place, layout, marked=is_selected)
    cut = layout.grid.cut(tuple(layout.grid.row(place[1])))
    return [(place[0], row) for row in folded(cut, layout.width)]


def _all_lines_at(place: _Place, layout: Layout, *, marked: bool) -> list[_Row]:
    index, content = place
    if isinstance(content, list):
        return [(index, row) for row in folded(content, layout.width)]
    first, *others = layout.grid.row(content)
    return [(index, row) for row in _folded([_marked(first, layout.width) if marked else first, *others], layout.width)]


def _marked(line: Line, width: int) -> Line:
    """The line of the selected position, in reverse over the whole width."""
    text = "".join(part for part, _ in line)
    return [(text + " " * (width - cell_len(text)), "reverse")]


# --- a page of text ---------------------------------------------------------------------------------------------------


def _text(page: Sequence[tuple[str, str]], state: ScreenState, width: int, room: int) -> tuple[list[Line], Shown]:
    """The lines of a page from `state.scroll` on. Where there are more, the last line says so."""
    lines = _folded(_labelled(page, width), width)
    most = max(len(lines) - max(room - 1, 1), 0) if len(lines) > room else 0
    first = min(state.scroll, most)
    seen = lines[first : first + (room - 1 if most else room)]
    if most:
        seen.append([(f"lines {first + 1} to {first + len(seen)} of {len(lines)}", "dim")])
    targets = (state.selected,) if state.selected else ()
    return seen[: max(room, 0)], Shown(targets, max(room - 2, 1), most)


def _labelled(page: Sequence[tuple[str, str]], width: int) -> Iterator[Line]:
    widest = min(max((len(label) for label, _ in page), default=0), _LABEL)
    for label, text in page:
        first, *others = textwrap.wrap(sanitize(text), max(width - widest - 2, 16)) or [""]
        yield [(f"{sanitize(label).ljust(widest)}  ", "bold"), (first, "")]
        yield from ([(" " * (widest + 2) + other, "")] for other in others)


# --- the foot ---------------------------------------------------------------------------------------------------------


def _foot(state: ScreenState, layout: Layout, width: int, height: int) -> Iterator[Line]:
    """What was answered, then the question, or what is typed, or the keys."""
    if state.question:
        for line in state.question.text.splitlines():
            yield from _wrapped(line, "bold yellow", width)
        yield [("y does it, any other key doesn't", "bold")]
        return
    for note in state.notes:
        yield from _wrapped(note, "bold", width)
    if state.is_typing or state.filter:
        count = f"  {len(layout.targets)} shown" if state.filter else ""
        yield [(f"filter: {sanitize(state.filter)}", "bold"), ("_" if state.is_typing else "", ""), (count, "dim")]
    elif state.selected and state.page is Page.LIST:
        yield [("selected: ", "dim"), (sanitize(f"{state.selected.account}  {state.selected.title}"), "bold")]
    if state.is_typing:
        yield [("Enter keeps the filter, Esc shows all", "dim")]
    else:
        yield from _key_lines(state.page, width, 2 if height >= _TALL else 1)


def _wrapped(text: str, style: str, width: int) -> Iterator[Line]:
    yield from ([(piece, style)] for piece in textwrap.wrap(sanitize(text), max(width, 1)) or [""])


def _key_lines(page: Page, width: int, most: int) -> Iterator[Line]:
    """The keys, as many as fit into so many lines; on the list, help and end always stand there."""
    keys = list({Page.LIST: _KEYS, Page.EXPLANATION: _PAGE_KEYS, Page.HELP: _HELP_KEYS}[page])
    last = _LAST_KEYS if page is Page.LIST else ()
    while len(rows := _rows_of_keys((*keys, *last), width)) > most and keys:
        keys.pop()
    for row in rows:
        parts = [[(key, "bold"), (f" {what}", "dim")] for key, what in row]
        yield [part for index, each in enumerate(parts) for part in ([("  ", ""), *each] if index else each)]


def _rows_of_keys(keys: Iterable[tuple[str, str]], width: int) -> list[list[tuple[str, str]]]:
    """Keys with their meaning, in as few lines as they need."""
    rows: list[list[tuple[str, str]]] = []
    used = width
    for key, what in keys:
        cells = len(f"  {key} {what}")
        if used + cells > width:
            rows.append([])
            used = -2  # no blanks before the first one
        rows[-1].append((key, what))
        used += cells
    return rows
