"""The live screen of `watch`: turns a WatchView into lines for rich.

The screen is a list of lines, and a line is a list of (text, style) pairs, so that everything but the last step is
plain data. The layout follows the size of the console at every refresh: on a terminal with few lines, positions that
are closing, blocked or near a trigger are shown first; on a wide one, each sentence is in the line of its position.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sellctl.core.model.event import Event, Severity
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.view import WatchView
from sellctl.ui.blocks import Block, all_lines, thinned_lines
from sellctl.ui.formatting import clock, duration, sanitize
from sellctl.ui.grid import ASCII, UNICODE, Glyphs, Grid, Line, rows_in
from sellctl.ui.recent_events import is_notice

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

EVENTS = 8  # lines, where the screen has no height that says how many there are
WEIGHTS = {
    Severity.INFO: ("", ""),
    Severity.WARNING: ("warning: ", "yellow"),
    Severity.ERROR: ("error: ", "bold red"),
    Severity.CRITICAL: ("critical: ", "bold white on red"),
}


@dataclass(frozen=True, slots=True)
class WatchScreen:
    """A renderable that adapts to the size of the console."""

    view: WatchView

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        """The lines as rich texts; a line that is too long is wrapped, never truncated."""
        from rich.text import Text  # noqa: PLC0415  only a live screen needs rich

        height = (options.height or console.height) if console.is_terminal else None
        for line in screen_lines(self.view, options.max_width, height, ASCII if options.ascii_only else UNICODE):
            yield Text.assemble(*line, overflow="fold", end="\n")


def screen_lines(view: WatchView, width: int, height: int | None = None, glyphs: Glyphs = UNICODE) -> list[Line]:
    """The lines of the screen, fewer than `height` of them when it is given."""
    rows = [rows_in(account) for account in view.accounts]
    grid = Grid.of([row for each in rows for row in each], width, glyphs)
    head = [title_line(view, width), *grid.head()]
    blocks = [Block.of(account, each, width) for account, each in zip(view.accounts, rows, strict=True)]
    if height is None:
        bodies, spare = all_lines(blocks, grid), True
        events = event_lines(view.events, width, EVENTS)
    else:
        left = height - 1 - len(head) - sum(len(block.head) for block in blocks)
        reserved = event_lines(view.events, width, events_for(height - 1))
        bodies = thinned_lines(blocks, grid, left - len(reserved) - bool(reserved))
        left -= sum(map(len, bodies))
        spare = left - len(reserved) - bool(reserved) >= len(blocks)
        events = event_lines(view.events, width, left - (len(blocks) if spare else 0) - 1)
    lines = [*head]
    for index, (block, body) in enumerate(zip(blocks, bodies, strict=True)):
        lines += [*([[]] if spare and index else []), *block.head, *body]
    return [*lines, *([[]] if events else []), *events]


def events_for(lines: int) -> int:
    """How many of so many lines of a screen are for events before positions are shown; more if some stay free."""
    return min(max(lines // 5, 2), EVENTS)


def title_line(view: WatchView, width: int) -> Line:
    """The first line: the time, and when the next check is."""
    left = "sellctl watch"
    soon = "" if view.next_poll_in is None else f"  next check in {duration(view.next_poll_in)}"
    right = f"{view.now.astimezone(NEW_YORK):%a %d %b %Y  %H:%M:%S} ET{soon}"
    return [(left, "bold"), (" " * max(width - len(left) - len(right), 2), ""), (right, "dim")]


def event_lines(events: Sequence[Event], width: int, max_lines: int) -> list[Line]:
    """The newest events, in at most `max_lines` lines. A notice is shown where exits and alerts leave room."""
    places = range(len(events))
    by_rank = sorted(places, key=lambda place: (not is_notice(events[place]), place), reverse=True)
    shown: dict[int, list[Line]] = {}
    left = max_lines
    for place in by_rank:
        lines = [*_lines_of(events[place], width)]
        if len(lines) > left:
            break
        shown[place] = lines
        left -= len(lines)
    return [line for place in sorted(shown) for line in shown[place]]


def event_text(event: Event) -> str:
    """An event as one line: time, severity, account and sentence."""
    account = f"{event.account}: " if event.account else ""
    return sanitize(f"{clock(event.at)}  {WEIGHTS[event.severity][0]}{account}{event.sentence}")


def _lines_of(event: Event, width: int) -> Iterator[Line]:
    style = WEIGHTS[event.severity][1]
    time, text = event_text(event).split("  ", 1)
    first, *others = textwrap.wrap(text, max(width - len(time) - 2, 20)) or [""]
    yield [(f"{time}  ", "dim"), (first, style)]
    yield from ([(" " * (len(time) + 2) + other, style)] for other in others)
