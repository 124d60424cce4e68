"""What a command can ask of a running watcher. A module of its own, because help and completion load it."""

from enum import StrEnum


class Verb(StrEnum):
    """What a command can request of a running watcher. A halt needs no request: its flag is read before every order."""

    CLOSE = "close"
    SET = "set"
    PANIC = "panic"
