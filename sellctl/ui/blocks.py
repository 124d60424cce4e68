"""The blocks of the live screen: one per account, its head and the rows of its positions, as lines of (text, style).

On a terminal with few lines, positions that are closing, blocked or near a trigger are shown first.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from sellctl.core.model.plan import STAYS_OPEN, PositionDecision, Urgency
from sellctl.core.model.view import AccountView, Mode, Totals, totals_of
from sellctl.ui.entries import Entry
from sellctl.ui.formatting import counted, duration, market_phase, nearest, profit, sanitize, state_cell
from sellctl.ui.grid import Glyphs, Grid, Line, Part, entries_in, note_lines
from sellctl.ui.screen_state import Target
from sellctl.ui.summaries import dollars_texts

OLD_UPDATE = dt.timedelta(seconds=30)
FARTHEST = Decimal("Infinity")
MODES = {
    Mode.PAPER: "bold cyan",
    Mode.SIMULATED: "bold cyan",
    Mode.LIVE: "bold white on red",
    Mode.DRY_RUN: "bold yellow",
}
HIDDEN_HINT = "enlarge the terminal to see all"


@dataclass(frozen=True, slots=True)
class Row:
    """The lines of one position, and its rank for a terminal with too few lines: the lowest rank is shown first.

    `text` is what a filter searches, in lower case.
    """

    target: Target
    text: str
    lines: tuple[Line, ...]
    cut: Line  # the one for a screen that has no room for the others
    rank: tuple[int, Decimal]


@dataclass(frozen=True, slots=True)
class Block:
    """One account: its head, which is always shown, and its positions."""

    head: tuple[Line, ...]
    rows: tuple[Row, ...]
    hidden: tuple[Line, ...] = ()

    @property
    def body(self) -> list[Line]:
        """All lines below the head."""
        return [*(line for row in self.rows for line in row.lines), *self.hidden]

    @classmethod
    def of(cls, account: AccountView, grid: Grid) -> "Block":
        """The block of an account."""
        entries = entries_in(account)
        return cls(
            (*_wrapped(_account_line(account), grid.width), *_problems(account, grid.width)),
            tuple(_row(account, entry, grid) for entry in entries),
        )


def _row(account: AccountView, entry: Entry, grid: Grid) -> Row:
    lines = tuple(grid.row(account, entry))
    symbol, title = str(entry.symbol.data), sanitize(entry.symbol.drawn.strip())
    text = f"{account.facts.name} {symbol} {title} {state_cell(entry.decision).text}".lower()
    return Row(Target(account.facts.name, symbol, title), text, lines, grid.cut(lines), _rank(entry.decision))


def _rank(decision: PositionDecision) -> tuple[int, Decimal]:
    """Exits by urgency first, then positions by the distance to their nearest trigger."""
    trigger = nearest(decision)
    distance = trigger.distance if trigger else None
    urgency = decision.signal.urgency if decision.signal else len(Urgency) + (decision.state in STAYS_OPEN)
    return urgency, FARTHEST if distance is None else abs(distance)


def _account_line(account: AccountView) -> Line:
    parts: Line = [(sanitize(account.facts.name), "bold"), ("  ", ""), (badge(account.mode), MODES[account.mode])]
    for text, style in _account_notes(account):
        parts += [("  ", ""), (text, style)]
    return parts


def badge(mode: Mode) -> str:
    """What trades in an account, in capitals."""
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


def thinned(blocks: Sequence[Block], max_lines: int, glyphs: Glyphs, hint: str = HIDDEN_HINT) -> list[Block]:
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
    return [_cut(block, lines[index], f"{glyphs.more} {{}} ({hint})") for index, block in enumerate(blocks)]


def _cut(block: Block, lines: Mapping[int, tuple[Line, ...]], note: str) -> Block:
    """A block with only these lines of these rows, and a line with the number of positions left out."""
    rows = tuple(replace(row, lines=lines[at]) for at, row in enumerate(block.rows) if at in lines)
    missing = len(block.rows) - len(rows)
    hidden: Line = [(f"  {note.format(counted(missing, 'more position'))}", "dim")]
    return Block(block.head, rows, (hidden,) if missing else ())


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
