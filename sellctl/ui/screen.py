"""The live screen of `watch`: turns a WatchView into lines for rich.

The screen is a list of lines, and a line is a list of (text, style) pairs, so that everything but the last step is
plain data. The layout follows the size of the console at every refresh: on a terminal with few lines, positions that
are closing, blocked or near a trigger are shown first; on a wide one, each sentence is in the line of its position.
"""

import datetime as dt
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from sellctl.core.model.event import Event, Severity
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.plan import STAYS_OPEN, PositionDecision, Urgency
from sellctl.core.model.view import AccountView, Mode, Totals, WatchView, totals_of
from sellctl.ui.entries import Entry
from sellctl.ui.formatting import clock, counted, duration, market_phase, nearest, profit, sanitize
from sellctl.ui.grid import ASCII, UNICODE, Glyphs, Grid, Line, Part, entries_in, note_lines
from sellctl.ui.summaries import dollars_texts

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

EVENTS = 8
OLD_UPDATE = dt.timedelta(seconds=30)
FARTHEST = Decimal("Infinity")
MODES = {
    Mode.PAPER: "bold cyan",
    Mode.SIMULATED: "bold cyan",
    Mode.LIVE: "bold white on red",
    Mode.DRY_RUN: "bold yellow",
}
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
    grid = Grid.of(view, width, glyphs)
    max_lines = None if height is None else height - 1
    head = [_title(view, width), *grid.head()]
    accounts = [_Block.of(account, grid) for account in view.accounts]
    fixed = len(head) + sum(len(block.head) for block in accounts)
    events = _events(view.events, width, EVENTS if max_lines is None else min(max(max_lines // 5, 2), EVENTS))
    if max_lines is not None:
        fixed += len(events) + bool(events)
        accounts = _thinned(accounts, max_lines - fixed, glyphs)
    spare = max_lines is None or max_lines - fixed - sum(len(block.body) for block in accounts) >= len(accounts)
    lines = [*head]
    for index, block in enumerate(accounts):
        lines += [*([[]] if spare and index else []), *block.head, *block.body]
    return [*lines, *([[]] if events else []), *events]


def _title(view: WatchView, width: int) -> Line:
    left = "sellctl watch"
    soon = "" if view.next_poll_in is None else f"  next check in {duration(view.next_poll_in)}"
    right = f"{view.now.astimezone(NEW_YORK):%a %d %b %Y  %H:%M:%S} ET{soon}"
    return [(left, "bold"), (" " * max(width - len(left) - len(right), 2), ""), (right, "dim")]


def _events(events: Sequence[Event], width: int, max_lines: int) -> list[Line]:
    """The newest events, in at most `max_lines` lines."""
    lines: list[Line] = []
    for event in reversed(events[-max_lines:]):
        more = [*_event_lines(event, width)]
        if len(more) + len(lines) > max_lines:
            break
        lines = [*more, *lines]
    return lines


def event_text(event: Event) -> str:
    """An event as one line: time, severity, account and sentence."""
    account = f"{event.account}: " if event.account else ""
    return sanitize(f"{clock(event.at)}  {WEIGHTS[event.severity][0]}{account}{event.sentence}")


def _event_lines(event: Event, width: int) -> Iterator[Line]:
    style = WEIGHTS[event.severity][1]
    time, text = event_text(event).split("  ", 1)
    first, *others = textwrap.wrap(text, max(width - len(time) - 2, 20)) or [""]
    yield [(f"{time}  ", "dim"), (first, style)]
    yield from ([(" " * (len(time) + 2) + other, style)] for other in others)


# --- one account ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Row:
    """The lines of one position, and its rank for a terminal with too few lines: the lowest rank is shown first."""

    lines: tuple[Line, ...]
    cut: Line  # the one for a screen that has no room for the others
    rank: tuple[int, Decimal]


@dataclass(frozen=True, slots=True)
class _Block:
    """One account: its head, which is always shown, and its positions."""

    head: tuple[Line, ...]
    rows: tuple[_Row, ...]
    hidden: tuple[Line, ...] = ()

    @property
    def body(self) -> list[Line]:
        return [*(line for row in self.rows for line in row.lines), *self.hidden]

    @classmethod
    def of(cls, account: AccountView, grid: Grid) -> "_Block":
        entries = entries_in(account)
        return cls(
            (*_wrapped(_account_line(account), grid.width), *_problems(account, grid.width)),
            tuple(_row(tuple(grid.row(account, entry)), entry, grid) for entry in entries),
        )


def _row(lines: tuple[Line, ...], entry: Entry, grid: Grid) -> _Row:
    return _Row(lines, grid.cut(lines), _rank(entry.decision))


def _rank(decision: PositionDecision) -> tuple[int, Decimal]:
    """Exits by urgency first, then positions by the distance to their nearest trigger."""
    trigger = nearest(decision)
    distance = trigger.distance if trigger else None
    urgency = decision.signal.urgency if decision.signal else len(Urgency) + (decision.state in STAYS_OPEN)
    return urgency, FARTHEST if distance is None else abs(distance)


def _account_line(account: AccountView) -> Line:
    parts: Line = [(sanitize(account.facts.name), "bold"), ("  ", ""), (_badge(account.mode), MODES[account.mode])]
    for text, style in _account_notes(account):
        parts += [("  ", ""), (text, style)]
    return parts


def _badge(mode: Mode) -> str:
    return f" {mode.value.upper()} " if mode is Mode.LIVE else mode.value.upper()


def _account_notes(account: AccountView) -> Iterator[Part]:
    if account.market:
        yield market_phase(account.market), "" if account.market.is_open else "dim"
    if account.age is None:
        yield "not updated yet", "yellow"
    else:
        yield f"updated {duration(account.age)} ago", "yellow" if account.age > OLD_UPDATE else "dim"
    if account.source:
        yield account.source, "yellow" if ":" in account.source else "dim"
    if account.requests_used is not None:
        yield f"{account.requests_used} req/min", "dim"
    if account.orders_working:
        yield f"{counted(account.orders_working, 'order')} working", ""
    if account.realised:
        yield f"today {profit(account.realised)}", "green" if account.realised > 0 else "red"
    if account.plan:
        yield from _totals_notes(totals_of([(account.plan, account.structures)]))


def _totals_notes(totals: Totals) -> Iterator[Part]:
    if not totals.positions:
        yield "no positions", "dim"
    if totals.not_managed:
        yield f"{totals.not_managed} NOT MANAGED", "bold yellow"
    if totals.exempt:
        yield f"{totals.exempt} exempt", "dim"
    yield from ((text, "") for text in dollars_texts(totals))


def _problems(account: AccountView, width: int) -> Iterator[Line]:
    faults = account.plan.faults if account.plan else ()
    blocked = f"trading is blocked by the broker: {account.facts.blocked}" if account.facts.blocked else ""
    if account.halted:
        yield from note_lines(f"HALTED, no new orders: {account.halted}", "bold red", width, 2)
    for problem in filter(None, (account.problem, blocked, *faults)):
        yield from note_lines(f"problem: {problem}", "bold red", width, 2)


def _thinned(blocks: Sequence[_Block], max_lines: int, glyphs: Glyphs) -> list[_Block]:
    """The accounts within `max_lines`, by rank: first a line for each position, then their sentences."""
    if sum(len(block.body) for block in blocks) <= max_lines:
        return list(blocks)
    rows = sorted((row.rank, index, at) for index, block in enumerate(blocks) for at, row in enumerate(block.rows))
    lines_for_counts = 0 if len(rows) <= max_lines else len(blocks)
    seen = rows[: max(max_lines - lines_for_counts, 0)]
    spare = max_lines - lines_for_counts - len(seen)
    lines: dict[int, dict[int, tuple[Line, ...]]] = {index: {} for index in range(len(blocks))}
    for _, index, at in seen:
        row = blocks[index].rows[at]
        lines[index][at] = row.lines if len(row.lines) - 1 <= spare else (row.cut,)
        spare -= len(lines[index][at]) - 1
    return [_cut(block, lines[index], glyphs) for index, block in enumerate(blocks)]


def _cut(block: _Block, lines: Mapping[int, tuple[Line, ...]], glyphs: Glyphs) -> _Block:
    """A block with only these lines of these rows, and a line with the number of positions left out."""
    rows = tuple(replace(row, lines=lines[at]) for at, row in enumerate(block.rows) if at in lines)
    missing = len(block.rows) - len(rows)
    note: Line = [(f"  {glyphs.more} {counted(missing, 'more position')} (enlarge the terminal to see all)", "dim")]
    return _Block(block.head, rows, (note,) if missing else ())


def _wrapped(line: Line, width: int) -> Iterator[Line]:
    """A line, broken between its parts to fit the width."""
    current: Line = []
    for part in line:
        if current and sum(len(text) for text, _ in (*current, part)) > width:
            yield current
            current = [("    ", "")]
            if not part[0].strip():
                continue
        current.append(part)
    yield current
