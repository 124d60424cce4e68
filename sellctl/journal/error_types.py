"""The kinds of JournalError that the journal itself tells apart."""

from sellctl.core.errors import JournalError


class JournalHeadError(JournalError):
    """The rows are on disk, but the head that names the last of them can't be written."""


class JournalConnectionError(JournalError):
    """The connection to the database failed: every other write would fail as this one did."""
