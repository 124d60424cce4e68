"""The global options of the command line, as one frozen value in `typer.Context.obj`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """What stood before the command. None means that the environment or the default decides."""

    config: "Path | None"
    state_dir: "Path | None"
    live: bool
    debug: bool
    log_file: "Path | None"


FLAGS = frozenset({"--live", "--debug"})
VALUED = frozenset({"--config", "-c", "--state-dir", "--log-file"})


def to_the_front(words: Sequence[str]) -> list[str]:
    """The command line with the global options before the command, wherever they stood; nothing moves behind `--`."""
    moved: list[str] = []
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            kept += [word, *rest]
        elif word in FLAGS or word.partition("=")[0] in VALUED - {word, "-c"}:
            moved.append(word)
        elif word in VALUED:
            moved += [word, *[value for value in [next(rest, None)] if value is not None]]
        else:
            kept.append(word)
    return [*moved, *kept]
