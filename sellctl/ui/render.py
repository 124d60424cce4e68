"""Output of the listing commands: a table, plain text, JSON, CSV or markdown on stdout.

rich and tabulate are imported only when a table is printed, so that `--help` starts without them.
"""

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from sellctl.core.errors import SellctlError
from sellctl.ui.formats import OutputFormat
from sellctl.ui.formatting import Cell, are_numbers, as_cell, plain_text, sanitize

JSON_VERSION = 2  # of all JSON documents; increased when a key or one of its values changes its meaning or is removed


def emit(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    fmt: OutputFormat | None,
    *,
    title: str = "",
    document: object | None = None,
) -> None:
    """Print rows on stdout. Without a format: a table on a terminal, else plain. JSON prints `document` if given.

    Lines of the title after its first are about all rows. They stand above a table; above rows as text they are printed
    on stderr, so that a program reads rows only; JSON has them in the document. A closed pipe (`| head`) is no error:
    the command keeps its own exit status.
    """
    if fmt is OutputFormat.JSON and document is not None:
        write(json_text(document, indent=2) + "\n")
    else:
        _emit_on(sys.stdout, columns, rows, fmt, title)


def emit_below(lines: Sequence[str], fmt: OutputFormat | None) -> None:
    """Print lines about all rows after them: below a table, on stderr after rows as text, and not at all for JSON."""
    chosen = _chosen(fmt, sys.stdout)
    if chosen is OutputFormat.TABLE:
        from sellctl.ui.tables import lines_text  # noqa: PLC0415  as in _as_table

        write(lines_text([sanitize(line) for line in lines], sys.stdout))
    elif chosen is not OutputFormat.JSON:
        write("".join(f"{sanitize(line)}\n" for line in lines), sys.stderr)


def is_drawn(fmt: OutputFormat | None) -> bool:
    """Whether `emit` draws a table on stdout with this format."""
    return _chosen(fmt, sys.stdout) is OutputFormat.TABLE


def _chosen(fmt: OutputFormat | None, out: TextIO) -> OutputFormat:
    return fmt or (OutputFormat.TABLE if out.isatty() else OutputFormat.PLAIN)


def emit_before_question(columns: Sequence[str], rows: Sequence[Sequence[object]], title: str) -> None:
    """Print rows on stderr, where questions are asked: stdout is for the result. The title too, in every format."""
    if _chosen(None, sys.stderr) is not OutputFormat.TABLE:
        write(f"{title.splitlines()[0]}\n", sys.stderr)
    _emit_on(sys.stderr, columns, rows, None, title)


def _emit_on(
    out: TextIO, columns: Sequence[str], rows: Sequence[Sequence[object]], fmt: OutputFormat | None, title: str
) -> None:
    fmt = _chosen(fmt, out)
    cells = [[as_cell(value) for value in row] for row in rows]
    if fmt is OutputFormat.TABLE:
        write(_as_table(columns, cells, title, out), out)
    else:
        if fmt is not OutputFormat.JSON:
            write("".join(f"{line}\n" for line in title.splitlines()[1:]), sys.stderr)
        write(_AS_TEXT[fmt](columns, cells), out)


def write(text: str, out: TextIO | None = None) -> bool:
    """Write to stdout or another stream, escaping what its encoding lacks; False when the pipe is closed."""
    out = out or sys.stdout
    encoding = out.encoding or "utf-8"
    try:
        out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        out.flush()
    except BrokenPipeError:
        _discard(out)
        return False
    except OSError as error:
        raise SellctlError(f"The output can't be written: {error.strerror}.") from error
    return True


def _discard(out: TextIO) -> None:
    """Redirect a stream to the null device, so that neither later output nor the interpreter's last flush fails."""
    null_fd = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null_fd, out.fileno())
    os.close(null_fd)


def json_text(document: object, *, indent: int | None = None) -> str:
    """A document as JSON: ASCII without control characters, so that it is safe on a terminal; decimals as text."""
    text = json.dumps(document, default=plain_text, indent=indent, allow_nan=False)
    return text.replace("\x7f", "\\u007f")


Cells = Sequence[Sequence[Cell]]
# In a drawn table the cell of a symbol shows its contract, which the column after it would repeat.
_SYMBOL, _CONTRACT = "symbol", "contract"


def _as_table(columns: Sequence[str], cells: Cells, title: str, out: TextIO) -> str:
    from sellctl.ui.tables import table_text  # noqa: PLC0415  rich is slow to import, and only a table needs it

    drawn = [index for index, column in enumerate(columns) if column != _CONTRACT or _SYMBOL not in columns]
    return table_text(
        [columns[index] for index in drawn], [[row[index] for index in drawn] for row in cells], title, out
    )


def _as_plain(columns: Sequence[str], cells: Cells) -> str:
    """Aligned columns without drawn lines, for pipes and screen readers; an empty cell is a dash."""
    return _tabulated(columns, [[cell.text or "-" for cell in row] for row in cells], "plain", cells)


def _as_markdown(columns: Sequence[str], cells: Cells) -> str:
    return _tabulated(columns, [[_MARKUP.sub(r"\\\g<0>", cell.text) for cell in row] for row in cells], "pipe", cells)


_MARKUP = re.compile(r"[\\|<>\[\]*`]")


def _tabulated(columns: Sequence[str], texts: Sequence[Sequence[str]], style: str, cells: Cells) -> str:
    from tabulate import tabulate  # noqa: PLC0415  only these two formats need it

    alignments = ["right" if are_numbers(row[index] for row in cells) else "left" for index in range(len(columns))]
    drawing = tabulate(texts, columns, tablefmt=style, disable_numparse=True, colalign=alignments if cells else None)
    return "".join(f"{line.rstrip()}\n" for line in drawing.splitlines())


def _as_csv(columns: Sequence[str], cells: Cells) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([_key(column) for column in columns])
    writer.writerows([_csv_value(cell) for cell in row] for row in cells)
    return out.getvalue()


def _csv_value(cell: Cell) -> str:
    """A number unchanged; a text that a spreadsheet would read as a formula gets a leading apostrophe."""
    if cell.data is None:
        return ""
    text = as_cell(str(cell.data)).text
    return f"'{text}" if text.lstrip().startswith(_FORMULA_PREFIXES) and not cell.is_number else text


_FORMULA_PREFIXES = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # and their full-width forms


def _as_json(columns: Sequence[str], cells: Cells) -> str:
    keys = [_key(column) for column in columns]
    return json_text([dict(zip(keys, (cell.data for cell in row), strict=True)) for row in cells], indent=2) + "\n"


def _key(column: str) -> str:
    return column.replace(" ", "_")


_AS_TEXT: Mapping[OutputFormat, Callable[[Sequence[str], Cells], str]] = {
    OutputFormat.PLAIN: _as_plain,
    OutputFormat.JSON: _as_json,
    OutputFormat.CSV: _as_csv,
    OutputFormat.MARKDOWN: _as_markdown,
}
