"""The formats of the output contract. A module of its own, because `--help` names them and needs nothing else of it."""

from enum import StrEnum


class OutputFormat(StrEnum):
    """How a command prints its data."""

    TABLE = "table"
    PLAIN = "plain"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
