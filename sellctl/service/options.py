"""The global options of the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sellctl.service.log_format import LogFormat

if TYPE_CHECKING:
    from pathlib import Path

    import typer


@dataclass(frozen=True, slots=True)
class Options:
    """The global options, as stored in `typer.Context.obj`.

    `config` and `state_dir` are those of the command line; None means the environment's value or the default.
    """

    config: "Path | None"
    state_dir: "Path | None"
    live: bool
    debug: bool
    log_file: "Path | None"
    log_format: LogFormat = LogFormat.TEXT

    def command(self, *words: str) -> str:
        """A command line of sellctl with the configuration and the state folder that this one was given."""
        import shlex  # noqa: PLC0415  only for messages

        given = (("--config", self.config), ("--state-dir", self.state_dir))
        return shlex.join(["sellctl", *(part for name, path in given if path for part in (name, str(path))), *words])


def given_path(root: "typer.Context", option: str, path: "Path | None") -> "Path | None":
    """The path of a global option (`config`, `state_dir`) if it was given on the command line.

    None if the environment names it: `core.config_manager` reads those variables itself.
    """
    source = root.get_parameter_source(option)
    return None if source is not None and source.name == "ENVIRONMENT" else path


FLAGS = frozenset({"--live", "--debug"})
VALUED = frozenset({"--config", "-c", "--state-dir", "--log-file", "--log-format"})


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
