"""How the log is written: a global option, which what commands say beside the log follows too."""

from contextvars import ContextVar
from enum import StrEnum


class LogFormat(StrEnum):
    """How the log is written."""

    TEXT = "text"  # a line per event, for people
    JSON = "json"  # an object per line, for programs


# That of the running command.
LOG_FORMAT: ContextVar[LogFormat] = ContextVar("log_format", default=LogFormat.TEXT)
