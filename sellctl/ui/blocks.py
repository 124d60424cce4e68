"""The blocks of the live screen: one per account, its head and the rows of its positions, as lines of (text, style).

On a terminal with few lines, positions that are closing, blocked or near a trigger are shown first.
"""

import datetime as dt
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sellctl.core.model.plan import STAYS_OPEN, PositionDecision, Urgency
from sellctl.core.model.view import AccountView, Mode, Totals, totals_of
from sellctl.ui.formatting import counted, duration, market_phase, nearest, profit, sanitize, state_cell
from sellctl.ui.grid import Grid, GridRow, Line, Part, note_lines
from sellctl.ui.screen_state import Target
from sellctl.ui.summaries import dollars_texts

OLD_UPDATE = dt.timedelta(seconds=30)
FARTHEST = Decimal("Infinity")
_INDENT = "    "  # of what continues the line of an account
MODES = {
    Mode.PAPER: "bold cyan",
    Mode.SIMULATED: "bold cyan",
    Mode.LIVE: "bold white on red",
    Mode.DRY_RUN: "bold yellow",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One position, and its rank for a terminal with too few lines: the lowest rank is shown first."""

    target: Target
    rank: tuple[int, Decimal]
    content: GridRow

    def is_found_by(self, text: str) -> bool:
        """Whether a filter finds it: by its account, its symbol as it is shown or not, or its state."""
        state = state_cell(self.content.entry.decision).text
        names = f"{self.target.account} {self.target.name} {self.target.title} {state}"
        return text.lower() in names.lower()


@dataclass(frozen=True, slots=True)
class Block:
    """One account: its head, which is always shown, and its positions."""

    head: tuple[Line, ...]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, account: AccountView, rows: Iterable[GridRow], width: int) -> "Block":
        """The block of an account, which has these rows."""
        return cls(account_head(account, width), tuple(_row(account, row) for row in rows))


def account_head(account: AccountView, width: int) -> tuple[Line, ...]:
    """The lines above the positions of an account."""
    return (*_wrapped(_account_line(account), width), *_problems(account, width))


def _row(account: AccountView, row: GridRow) -> Row:
    symbol = row.entry.symbol
    target = Target(account.facts.name, str(symbol.data), sanitize(symbol.drawn.strip()))
    return Row(target, _rank(row.entry.decision), row)


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


def all_lines(blocks: Sequence[Block], grid: Grid) -> list[list[Line]]:
    """Every line below the heads, of each account."""
    return [[line for row in block.rows for line in grid.row(row.content)] for block in blocks]


def thinned_lines(
    blocks: Sequence[Block], grid: Grid, max_lines: int, hint: str = "enlarge the terminal to see all"
) -> list[list[Line]]:
    """The lines below the heads within `max_lines`: first a line for each position by rank, then their sentences.

    Only what is shown is laid out: with 200 positions that is a quarter of the work.
    """
    rows = sorted((row.rank, index, at) for index, block in enumerate(blocks) for at, row in enumerate(block.rows))
    if len(rows) <= max_lines:
        every = all_lines(blocks, grid)
        if sum(map(len, every)) <= max_lines:
            return every
    lines_for_counts = 0 if len(rows) <= max_lines else len(blocks)
    seen = rows[: max(max_lines - lines_for_counts, 0)]
    spare = max_lines - lines_for_counts - len(seen)
    lines: list[dict[int, Sequence[Line]]] = [{} for _ in blocks]
    for _, index, at in seen:
        laid_out = tuple(grid.row(blocks[index].rows[at].content))
        lines[index][at] = laid_out if len(laid_out) - 1 <= spare else (grid.cut(laid_out),)
        spare -= len(lines[index][at]) - 1
    more = f"  {grid.glyphs.more} {{}} ({hint})"
    return [_with_count(shown, len(block.rows), more) for block, shown in zip(blocks, lines, strict=True)]


def _with_count(shown: Mapping[int, Sequence[Line]], positions: int, more: str) -> list[Line]:
    """The lines of the positions that are shown, in order, and one with the number of those left out."""
    lines = [line for at in sorted(shown) for line in shown[at]]
    missing = positions - len(shown)
    return [*lines, [(more.format(counted(missing, "more position")), "dim")]] if missing else lines


def _wrapped(line: Line, width: int) -> Iterator[Line]:
    """A line, broken between its parts to fit the width; a part that is longer, as a reason to poll, between words."""
    current: Line = []
    for text, style in line:
        last = text
        if current and sum(len(before) for before, _ in current) + len(text) > width:
            yield current
            current = [(_INDENT, "")]
            if not text.strip():
                continue
            *full, last = textwrap.wrap(text, max(width - len(_INDENT), 1))
            yield from ([*current, (piece, style)] for piece in full)
        current.append((last, style))
    yield current
