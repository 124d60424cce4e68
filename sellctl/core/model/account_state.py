"""What is known of one account, as one immutable value that the screen, the API and the commands read."""

from enum import StrEnum


class RunMode(StrEnum):
    """How far a poll goes."""

    ACT = "act"
    DRY_RUN = "dry run"  # decide and send nothing
    STALE_ONLY = "stale only"  # cancel stale orders and nothing else
