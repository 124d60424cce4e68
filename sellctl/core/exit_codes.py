"""Exit statuses. docs/commands.md and `sellctl --help` have the same table."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of every command."""

    OK = 0
    FAILED = 1  # runtime or broker
    USAGE = 2  # usage or configuration
    AUTH = 3  # the broker refused a key
    PARTLY = 4  # some accounts or orders worked, some did not
    REFUSED = 5  # a safety rule refused the command
    BUSY = 6  # another instance has locked the account
    EXITS_DUE = 10  # only with --detailed-exitcode
    INTERRUPTED = 130  # Ctrl-C, except in commands that it ends normally
