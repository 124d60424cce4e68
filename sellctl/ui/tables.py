"""A table on a terminal: what fits stands in columns, long texts fold, and when even that is too wide they go beneath.

The only module besides `screen` that knows rich; `render` imports it when a table is asked for, so that start-up is
quick. No symbol and no number is ever cut or folded.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
# A column with longer texts than this, of several words, may fold, down to the width below.
PROSE_FROM = 18
PROSE_LEAST = 28


@dataclass(frozen=True, slots=True)
class Column:
    """One column with its cells and how wide they are at most."""

    name: str
    cells: tuple[Cell, ...]

    @property
    def width(self) -> int:
        """The width at which nothing in it is cut."""
        return max(cell_len(text) for text in (self.name, *(cell.text for cell in self.cells)))

    @property
    def is_prose(self) -> bool:
        """Whether it holds texts of several words."""
        return any(" " in cell.text and cell_len(cell.text) > PROSE_FROM for cell in self.cells)

    @property
    def is_number(self) -> bool:
        """Whether it is set flush right."""
        return are_numbers(self.cells)


def drawn(columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str) -> str:
    """The table as the terminal on stdout shows it."""
    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(table(columns, rows, title, console.width))
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], title: str, width: int) -> RenderableType:
    """The table for a terminal of `width` columns."""
    parts: list[RenderableType] = [Text(title, "bold")] if title else []
    if rows:
        made = [Column(name, tuple(row[place] for row in rows)) for place, name in enumerate(columns)]
        parts.append(_in_columns(made) if _fits(made, width) else _beneath(made, width))
    else:
        parts.append(Text("none", "dim"))
    return Group(*parts)


def _fits(columns: Sequence[Column], width: int) -> bool:
    """Whether the table stands in columns, its long texts folded no narrower than is readable."""
    least = sum(min(column.width, PROSE_LEAST) if column.is_prose else column.width for column in columns)
    return least + GAP * (len(columns) - 1) <= width


def _in_columns(columns: Sequence[Column]) -> Table:
    drawing = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for column in columns:
        drawing.add_column(
            Text(column.name),
            justify="right" if column.is_number else "left",
            no_wrap=not column.is_prose,
            overflow="fold",
            min_width=min(column.width, PROSE_LEAST) if column.is_prose else column.width,
        )
    for cells in zip(*(column.cells for column in columns), strict=True):
        drawing.add_row(*(_text(cell) for cell in cells))
    return drawing


def _text(cell: Cell) -> Text:
    return Text(cell.text, STYLES[cell.tone])


# --- too wide for columns ---------------------------------------------------------------------------------------------


def _beneath(columns: Sequence[Column], width: int) -> Group:
    """Short columns in a line, and under each line what doesn't fit into it."""
    short, long = _split(columns, width)
    head = Text((" " * GAP).join(_flush(column, column.name) for column in short).rstrip(), "bold")
    return Group(head, Text(("─" if _is_unicode() else "-") * min(width, _line_width(short))), *_rows(short, long))


def _is_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")


def _split(columns: Sequence[Column], width: int) -> tuple[list[Column], list[Column]]:
    """The columns that stay in the line, and those that go beneath it: prose first, then from the right."""
    short = [column for column in columns if not column.is_prose]
    while len(short) > 1 and _line_width(short) > width:
        del short[-1]
    return short, [column for column in columns if column not in short]


def _line_width(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _rows(short: Sequence[Column], long: Sequence[Column]) -> Iterator[RenderableType]:
    for place in range(len((short or long)[0].cells)):
        if short:
            pieces = [_flush_cell(column, column.cells[place]) for column in short]
            line = Text(" " * GAP).join(pieces)
            line.rstrip()
            yield line
        notes = [_note(column, column.cells[place]) for column in long if column.cells[place].text]
        if notes:
            yield Padding(Text(" · " if _is_unicode() else " - ").join(notes), (0, 0, 0, INDENT if short else 0))


def _note(column: Column, cell: Cell) -> Text:
    """A cell beneath its line: a sentence speaks for itself, a short value needs its column's name."""
    return _text(cell) if column.is_prose else Text.assemble(f"{column.name} ", _text(cell))


def _flush(column: Column, text: str) -> str:
    blanks = " " * (column.width - cell_len(text))
    return blanks + text if column.is_number else text + blanks


def _flush_cell(column: Column, cell: Cell) -> Text:
    return Text(_flush(column, cell.text), STYLES[cell.tone])
