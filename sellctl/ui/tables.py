"""Tables for a terminal. Long texts wrap; where the table is still too wide, columns move to a line below their row.

Only this module, `screen` and `displays` use rich; `render` imports this one only when a table is printed, so that
start-up is quick. Symbols and numbers are never truncated or wrapped.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sellctl.ui.formatting import Cell, Tone, are_numbers

STYLES = {Tone.PLAIN: "", Tone.GOOD: "green", Tone.BAD: "red", Tone.WARN: "yellow", Tone.QUIET: "dim"}
GAP = 2
INDENT = 4
# A column with a text of several words that is longer than PROSE_FROM may wrap, but is never narrower than MIN_PROSE.
PROSE_FROM = 28
MIN_PROSE = 28
# What of a position moves below its line first, so that its state stays in it.
MOVED_FIRST = ("nearest trigger", "value", "entry", "now", "days")


@dataclass(frozen=True, slots=True)
class Column:
    """One column with its cells."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def width(self) -> int:
        """The width of its longest text."""
        return max(cell_len(text) for text in (self.name, *(cell.drawn for cell in self.cells)))

    @property
    def is_prose(self) -> bool:
        """Whether it holds sentences, which may wrap."""
        return any(" " in cell.drawn.strip() and cell_len(cell.drawn) > PROSE_FROM for cell in self.cells)

    @property
    def is_number(self) -> bool:
        """Whether it is right-aligned."""
        return are_numbers(self.cells)


def table_text(columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str, out: TextIO) -> str:
    """The table as text for the terminal that `out` is, at its width."""
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(table(columns, rows, title, console.width))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def lines_text(lines: Sequence[str], out: TextIO) -> str:
    """Lines of prose as text for the terminal that `out` is, wrapped at its width."""
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        for line in lines:
            console.print(Text(line))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str, width: int) -> RenderableType:
    """The table for a terminal of `width` columns."""
    parts: list[RenderableType] = [Text(line, "" if index else "bold") for index, line in enumerate(title.splitlines())]
    if rows:
        built = [Column(name, tuple(row[index] for row in rows)) for index, name in enumerate(columns)]
        parts.append(_in_columns(built) if _fits(built, width) else _below(built, width))
    else:
        parts.append(Text("none", "dim"))
    return Group(*parts)


def _fits(columns: Sequence[Column], width: int) -> bool:
    """Whether all columns fit, with long texts wrapped no narrower than MIN_PROSE."""
    least = sum(min(column.width, MIN_PROSE) if column.is_prose else column.width for column in columns)
    return least + GAP * (len(columns) - 1) <= width


def _in_columns(columns: Sequence[Column]) -> Table:
    drawing = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for column in columns:
        drawing.add_column(
            Text(column.name),
            justify="right" if column.is_number else "left",
            no_wrap=not column.is_prose,
            overflow="fold",
            min_width=min(column.width, MIN_PROSE) if column.is_prose else column.width,
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        drawing.add_row(*(_text(cell) for cell in cells))
    return drawing


def _text(cell: Cell) -> Text:
    return Text(cell.drawn, STYLES[cell.tone])


# --- too wide for columns ---------------------------------------------------------------------------------------------


def _below(columns: Sequence[Column], width: int) -> Group:
    """Short columns in one line per row, and below each line the columns that don't fit into it."""
    short, long = _split(columns, width)
    head = Text((" " * GAP).join(_aligned(column, column.name) for column in short).rstrip(), "bold")
    return Group(
        head, Text(("─" if _is_unicode() else "-") * min(width, _line_width(short))), *_rows(short, long, width)
    )


def _is_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


def _split(columns: Sequence[Column], width: int) -> tuple[list[Column], list[Column]]:
    """The columns that stay in the line, and those that move below it: prose, MOVED_FIRST, then from the right."""
    short = [column for column in columns if not column.is_prose]
    for name in MOVED_FIRST:
        if _line_width(short) > width:
            short = [column for column in short if column.name != name]
    while len(short) > 1 and _line_width(short) > width:
        del short[-1]
    return short, [column for column in columns if column not in short]


def _line_width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _rows(short: Sequence[Column], long: Sequence[Column], width: int) -> Iterator[RenderableType]:
    for index in range(len((short or long)[0].cells)):
        if short:
            pieces = [_aligned_cell(column, column.cells[index]) for column in short]
            line = Text(" " * GAP).join(pieces)
            line.rstrip()
            yield line
        notes = [_note(column, column.cells[index]) for column in long if column.cells[index].drawn]
        indent = INDENT if short else 0
        for line in _packed(notes, width - indent):
            yield Padding(line, (0, 0, 0, indent))


def _packed(notes: Sequence[Text], width: int) -> Iterator[Text]:
    """The notes in as few lines as they need. Only one that is longer than a line is broken."""
    joiner, line = Text(" · " if _is_unicode() else " - "), Text()
    for note in notes:
        joined = Text.assemble(line, joiner, note) if line else note
        if line and cell_len(joined.plain) > width:
            yield line
            joined = note
        line = joined
    if line:
        yield line


def _note(column: Column, cell: Cell) -> Text:
    """A cell for the line below its row, with the name of its column unless it is prose."""
    return _text(cell) if column.is_prose else Text.assemble(f"{column.name} ", _text(cell))


def _aligned(column: Column, text: str) -> str:
    blanks = " " * (column.width - cell_len(text))
    return blanks + text if column.is_number else text + blanks


def _aligned_cell(column: Column, cell: Cell) -> Text:
    return Text(_aligned(column, cell.drawn), STYLES[cell.tone])
