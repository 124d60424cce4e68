"""The global options of the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import typer


@dataclass(frozen=True, slots=True)
class Options:
    """The global options, as stored in `typer.Context.obj`. None means the environment's value or the default."""

    config: "Path | None"
    state_dir: "Path | None"
    live: bool
    debug: bool
    log_file: "Path | None"


def given_state_dir(root: "typer.Context", folder: "Path | None") -> "Path | None":
    """The folder of --state-dir if it was given on the command line; None if the environment names it.

    `core.config_manager.state_dir` reads that variable itself, and adds a folder for simulated accounts.
    """
    source = root.get_parameter_source("state_dir")
    return None if source is not None and source.name == "ENVIRONMENT" else folder


FLAGS = frozenset({"--live", "--debug"})
VALUED = frozenset({"--config", "-c", "--state-dir", "--log-file"})


def global_options_first(args: Sequence[str]) -> list[str]:
    """The arguments with the global options moved before the command. Arguments after `--` stay where they are."""
    moved: list[str] = []
    others: list[str] = []
    rest = iter(args)
    for arg in rest:
        if arg == "--":
            others += [arg, *rest]
        elif arg in FLAGS or arg.partition("=")[0] in VALUED - {arg, "-c"}:
            moved.append(arg)
        elif arg in VALUED:
            moved += [arg, *[value for value in [next(rest, None)] if value is not None]]
        else:
            others.append(arg)
    return [*moved, *others]
