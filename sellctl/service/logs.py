"""Logging through loguru: one line per event on stderr, and optionally in a file. Secrets are redacted by value.

Every record passes one patcher before any handler, so that no message, exception or error of a handler can contain a
secret or a forged line. A reader of stderr, or of a pipe in the place of the file, that stalls delays nothing.

As JSON, each line is one object: `time` (UTC, with its offset), `level` and `message`, and where they are known
`account`, `symbol`, `kind` (of an event) and `error` (the exception, with --debug its traceback).
"""

import datetime as dt
import json
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast
from urllib.parse import quote

from sellctl.core.errors import ConfigError
from sellctl.service.log_format import LogFormat
from sellctl.service.output_stream import may_stall, output_stream

if TYPE_CHECKING:
    from loguru import Record

    from sellctl.core.model.event import Event

REDACTED = "[redacted]"
_MIN_SECRET_LENGTH = 8  # no key is shorter, and redacting a shorter text would garble ordinary words
_PLAIN = "{time:YYYY-MM-DD HH:mm:ss} | {level} | {message}{extra[trace]}\n"
_COLOURED = "<dim>{time:YYYY-MM-DD HH:mm:ss}</dim> | <level>{level}</level> | {message}{extra[trace]}\n"
_ROTATION = "10 MB"
_KEPT_FILES = 10
_CONTINUED = "\n    | "  # sets the lines of a traceback apart from events
_JSON = "{extra[json]}\n"
_ABOUT = ("account", "symbol", "kind")  # what `log_event` binds, and a line of JSON has as keys


def configure(
    debug: bool = False,
    log_file: Path | None = None,
    secrets: Iterable[str] = (),
    log_format: LogFormat = LogFormat.TEXT,
) -> None:
    """Set up the logging of the process. `secrets` are redacted wherever they appear."""
    from loguru import logger  # noqa: PLC0415  help and completion don't need it

    level = "DEBUG" if debug else "INFO"
    redact = redactor(secrets)
    as_json = log_format is LogFormat.JSON
    logger.remove()
    logger.configure(patcher=_patcher(redact, debug, as_json=as_json), extra={"trace": ""})
    coloured = bool(sys.stderr and sys.stderr.isatty() and not os.environ.get("NO_COLOR")) and not as_json
    plain = _JSON if as_json else _PLAIN
    dropped = _dropped_as_json if as_json else _dropped
    common: dict[str, Any] = {"level": level, "diagnose": False, "backtrace": False}
    if sys.stderr:
        if may_stall(sys.stderr):
            # For every other writer too, so that all lines stay in their order.
            sys.stderr = cast("TextIO", output_stream(sys.stderr, dropped))
        text = _COLOURED if coloured else plain
        logger.add(sys.stderr, format=lambda _record: text, colorize=coloured, **common)
    if log_file is not None and _is_stream(log_file):
        logger.add(_stream_at(log_file, dropped), format=lambda _record: plain, colorize=False, **common)
    elif log_file is not None:
        _check_writable(log_file)
        logger.add(
            log_file,
            format=lambda _record: plain,
            colorize=False,
            rotation=_ROTATION,
            retention=_KEPT_FILES,
            encoding="utf-8",
            opener=_private,
            **common,
        )
    logging.basicConfig(handlers=[_LoguruHandler()], level=level if debug else "WARNING", force=True)


def redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that redacts these texts, also where they are URL-encoded."""
    forms = {form for text in secrets if len(text) >= _MIN_SECRET_LENGTH for form in (text, quote(text, safe=""))}
    ordered = sorted(forms, key=len, reverse=True)  # a secret that contains another one is redacted first

    def redact(text: str) -> str:
        for form in ordered:
            text = text.replace(form, REDACTED)
        return text

    return redact


def one_line(text: str) -> str:
    """The text with line breaks and control characters escaped, so that it can't forge a log line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _patcher(redact: Callable[[str], str], debug: bool, *, as_json: bool) -> "Callable[[Record], None]":
    def patch(record: "Record") -> None:
        record["message"] = one_line(redact(record["message"]))
        for name, value in record["extra"].items():
            record["extra"][name] = one_line(redact(str(value)))
        if record["exception"] is not None:
            record["extra"]["trace"] = _trace(record["exception"], redact, debug)
            record["exception"] = None
        if as_json:
            record["extra"]["json"] = _as_json(record)

    return patch


def _as_json(record: "Record") -> str:
    """A record, redacted before, as one line of JSON."""
    extra = record["extra"]
    about = {key: extra[key] for key in _ABOUT if extra.get(key)}
    error = extra["trace"].strip().removeprefix("(").removesuffix(")").removeprefix("| ").replace(_CONTINUED, "\n")
    if error:
        about["error"] = error
    return _json_line(record["time"], record["level"].name, record["message"], **about)


def _json_line(at: dt.datetime, level: str, message: str, **more: str) -> str:
    line = {"time": at.astimezone(dt.UTC).isoformat(timespec="milliseconds"), "level": level, "message": message}
    return json.dumps(line | more, ensure_ascii=False)


def _trace(exception: Any, redact: Callable[[str], str], debug: bool) -> str:
    """The text of an exception: its last line, or with --debug the whole traceback, indented."""
    import traceback  # noqa: PLC0415  only needed for an exception

    kind, error, where = exception
    if kind is None:
        return ""
    if not debug:
        return f" ({one_line(redact(f'{kind.__name__}: {error}'))})"
    lines = redact("".join(traceback.format_exception(kind, error, where))).splitlines()
    return "".join(_CONTINUED + one_line(line) for line in lines)


def _dropped(count: int) -> str:
    """The line in the place of lines that nobody has read in time."""
    now = dt.datetime.now().astimezone()
    return f"{now:%Y-%m-%d %H:%M:%S} | WARNING | {_dropped_text(count)}\n"


def _dropped_as_json(count: int) -> str:
    return f"{_json_line(dt.datetime.now(dt.UTC), 'WARNING', _dropped_text(count))}\n"


def _dropped_text(count: int) -> str:
    return f"{count} lines of the log were dropped here: its reader had stalled"


def _is_stream(path: Path) -> bool:
    """Whether something reads what is written there, as a FIFO or a terminal does."""
    return path.exists() and not (path.is_file() or path.is_dir())


@cache
def _stream_at(path: Path, dropped: Callable[[int], str]) -> TextIO:
    with _unwritable(path):
        stream = os.fdopen(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "w", encoding="utf-8")
    return cast("TextIO", output_stream(stream, dropped))


def _check_writable(path: Path) -> None:
    with _unwritable(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(_private(str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND))


@contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    """Raise a ConfigError for a log file that can't be opened."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"The log file {path} can't be written: {error.strerror}.", hint="Choose another one."
        ) from None


def _private(path: str, flags: int) -> int:
    """Open a file and make it readable by its owner only, even when it existed before."""
    handle = os.open(path, flags, 0o600)
    if stat.S_ISREG(os.fstat(handle).st_mode):
        os.fchmod(handle, 0o600)
    return handle


class _LoguruHandler(logging.Handler):
    """Passes records of the standard logging module, which libraries use, on to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one record on."""
        from loguru import logger  # noqa: PLC0415  help and completion don't need it

        known = record.levelname in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}
        level = record.levelname if known else record.levelno
        logger.opt(exception=record.exc_info).log(level, "{}", f"{record.name}: {_message_of(record)}")


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # the arguments don't fit the format string
        return str(record.msg)


def log_event(event: "Event") -> None:
    """Write an event as one line of the log."""
    from loguru import logger  # noqa: PLC0415  help and completion don't need it

    account = f"{event.account} " if event.account else ""
    about = {"account": event.account, "symbol": event.symbol, "kind": event.kind.value}
    logger.bind(**about).log(event.severity.value.upper(), "{}", f"{account}{event.sentence}")


def log_sentence(text: str, level: str = "INFO") -> None:
    """Write a sentence of a command as one line of the log."""
    from loguru import logger  # noqa: PLC0415  help and completion don't need it

    logger.log(level, "{}", text)
