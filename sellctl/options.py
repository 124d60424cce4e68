"""The global options of the command line, as one frozen value in `typer.Context.obj`."""

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
