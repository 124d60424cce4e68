"""The output formats. A module of its own because `--help` needs only these names."""

from enum import StrEnum


class OutputFormat(StrEnum):
    """How a command prints its data."""

    TABLE = "table"
    PLAIN = "plain"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
