"""The output formats. In a separate module, so that `--help` needn't import the others."""

from enum import StrEnum


class OutputFormat(StrEnum):
    """The format in which a command prints its data."""

    TABLE = "table"
    PLAIN = "plain"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"
