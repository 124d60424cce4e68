"""Several statements in one round trip, by libpq's pipeline mode.

The driver's own pipeline waits once for each statement and converts each value by its type, which took more processor
time than everything else in an intent. So the statements of the order path go to libpq itself, by the driver's
documented wrapper of it, and are prepared once for each connection.
"""

import select
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

from sellctl.core.errors import SellctlError
from sellctl.journal.postgres.connection import Connection

Row = tuple[Any, ...]

_INTEGERS = frozenset({20, 21, 23})  # the types int8, int2 and int4, by their numbers
_ENDS_THE_SESSION = ("57P", "08", "25P03")  # SQLSTATEs after which the server closes the connection
_DIVISION_BY_ZERO = "22012"
_GOOD = {pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK, pq.ExecStatus.PIPELINE_SYNC}


class Statement(NamedTuple):
    """A statement with $1, $2 ... for its values, which are texts, numbers or None.

    A `refusal` is raised in place of its error when the statement divides by zero.
    """

    text: str
    values: Sequence[Any] = ()
    refusal: SellctlError | None = None


def required(query: str, values: Sequence[Any], refusal: SellctlError) -> Statement:
    """A statement that fails with this error unless a query has a row.

    A row that is only missing would be seen too late: what follows in the same round trip has been executed by then.
    """
    return Statement(f"SELECT 1 / count(*) FROM ({query}) AS found", values, refusal)  # noqa: S608  no user's text


def in_one_trip(connection: Connection, statements: Sequence[Statement]) -> list[list[Row]]:
    """Execute statements one after the other; the rows of each. None runs after one that fails.

    psycopg.Error for the first that fails, or its refusal. OperationalError when the connection breaks or no answer
    comes in time; it is closed then.
    """
    libpq = connection.pgconn
    if libpq.status != pq.ConnStatus.OK:
        raise psycopg.OperationalError("the connection is closed")
    libpq.enter_pipeline_mode()
    is_query: list[bool] = []  # by result: false for that of a preparation
    new = {each.text: b"" for each in statements if each.text not in connection.prepared}
    for text, values, _ in statements:
        name = connection.prepared.get(text) or new[text]
        if not name:
            connection.names += 1  # a name isn't used again, also when the statement could not be prepared
            new[text] = name = b"sellctl_%d" % connection.names
            libpq.send_prepare(name, text.encode())
            is_query.append(False)
        libpq.send_query_prepared(name, [None if value is None else str(value).encode() for value in values])
        is_query.append(True)
    libpq.pipeline_sync()
    try:
        results = list(_results(connection))
        libpq.exit_pipeline_mode()
    except psycopg.OperationalError:
        connection.close()
        raise
    failed = next((number for number, each in enumerate(results) if each.status not in _GOOD), None)
    if failed is not None:
        error = error_from_result(results[failed])
        if (error.sqlstate or "").startswith(_ENDS_THE_SESSION):
            connection.close()
        refusal = statements[is_query[:failed].count(True)].refusal
        raise refusal if refusal is not None and error.sqlstate == _DIVISION_BY_ZERO else error
    connection.prepared |= new
    return [_rows(each) for each, counts in zip(results, is_query, strict=True) if counts]


def _results(connection: Connection) -> Iterator[pq.abc.PGresult]:
    """The result of each statement that was sent, in their order."""
    libpq = connection.pgconn
    poll = select.poll()
    poll.register(libpq.socket, select.POLLIN | select.POLLOUT)
    end = None if connection.limit is None else time.monotonic() + connection.limit
    while libpq.flush():
        _wait(poll, end)
        libpq.consume_input()  # so that neither side waits for the other with full buffers
    poll.modify(libpq.socket, select.POLLIN)
    while True:
        while libpq.is_busy():
            _wait(poll, end)
            libpq.consume_input()
        result = libpq.get_result()
        if result is None:
            continue  # the end of one statement's results
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            return
        yield result


def _wait(poll: select.poll, end: float | None) -> None:
    """Wait until the socket is ready. OperationalError when the time is up."""
    left = None if end is None else max(0.0, end - time.monotonic()) * 1000
    if not poll.poll(left):
        raise psycopg.OperationalError("wait timeout expired")


def _rows(result: pq.abc.PGresult) -> list[Row]:
    columns = range(result.nfields)
    return [tuple(_value(result, row, column) for column in columns) for row in range(result.ntuples)]


def _value(result: pq.abc.PGresult, row: int, column: int) -> object:
    text = result.get_value(row, column)
    if text is None:
        return None
    return int(text) if result.ftype(column) in _INTEGERS else text.decode()
