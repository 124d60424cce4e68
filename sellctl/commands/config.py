"""`sellctl config`: show, write and check the configuration, and print its JSON schema."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import Command, FormatOption, options_of
from sellctl.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sellctl.core.config_manager import LoadedConfig
    from sellctl.service.options import Options

DEFAULT = Path("config.yml")
_COLUMNS = ("key", "value", "origin")
_PROFILE = "profile "
_INDENT = "  "
_ENVIRONMENT = "environment "

config_app = typer.Typer(no_args_is_help=True, help="Show, write and check the configuration.")


@config_app.command(cls=Command)
def show(
    context: typer.Context,
    output: FormatOption = None,
) -> None:
    """Print every value and where it came from.

    Secrets are masked.
    """
    from sellctl.core.config_manager import ConfigManager
    from sellctl.ui.render import JSON_VERSION, emit, is_drawn

    loaded = ConfigManager(options_of(context).config).load()
    rows = [(row.key, row.value, row.origin) for row in loaded.show()]
    values = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
    document = {"version": JSON_VERSION, "file": str(loaded.path) if loaded.path else None, "values": values}
    if is_drawn(output):
        title = f"Configuration {loaded.path}" if loaded.path else "Configuration"
        emit(_COLUMNS, list(_as_tree(rows)), output, title=title)
    else:
        emit(_COLUMNS, rows, output, document=document)


def _as_tree(rows: "Iterable[tuple[str, str, str]]") -> "Iterator[tuple[str | None, ...]]":
    """The rows as in the file, each section's name once and its keys below it: so a drawn table stays narrow."""
    before: list[str] = []
    for key, value, origin in rows:
        *sections, last = key.split(".")
        for depth, section in enumerate(sections):
            if sections[: depth + 1] != before[: depth + 1]:
                yield f"{_INDENT * depth}{section}", None, None
        yield f"{_INDENT * len(sections)}{last}", value, _short_origin(origin)
        before = sections


def _short_origin(origin: str) -> str:
    """Where a value came from: line 7 of the file that the title names, $ALPACA_API_KEY, profile paper, default."""
    source = origin.rpartition(", ")[2]
    if source.startswith(_PROFILE):
        return source.partition(" (")[0]
    if source.startswith(_ENVIRONMENT):
        return f"${source.removeprefix(_ENVIRONMENT)}"
    file, _, line = source.rpartition(":")
    return f"line {line}" if file and line.isdecimal() else source


@config_app.command(cls=Command)
def example(
    context: typer.Context,
    path: Annotated[
        Path | None, typer.Argument(help="Where to write it; ./config.yml when left out.", show_default=False)
    ] = None,
) -> None:
    """Write an example with every key and its default.

    Nothing is overwritten. `sellctl init` writes a short file for your account instead.
    """
    from sellctl.core.config.reference import example_text

    options = options_of(context)
    target = path or options.config or DEFAULT
    _write_new(target, example_text())
    named = options if target in {DEFAULT, options.config} else replace(options, config=target)
    command = named.command("config", "check")
    typer.echo(f"Wrote {target}. Export ALPACA_API_KEY and ALPACA_SECRET_KEY, then run: {command}")


config_app.command("init", hidden=True)(example)  # its name until `sellctl init` came


def _write_new(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} already exists.", hint="Choose another path, or delete the file first.") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.", hint="Choose another path.") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)


@config_app.command(cls=Command)
def check(context: typer.Context) -> None:
    """Print a summary, or every mistake with its line.

    Reads the configuration as a run would. Exit status 2 when something is wrong.
    """
    from sellctl.core.config_manager import ConfigManager
    from sellctl.service.notifier import check_recipients
    from sellctl.ui.render import write
    from sellctl.ui.sentences import for_terminal
    from sellctl.user_strategies.entries import own_strategies

    options = options_of(context)
    loaded = ConfigManager(options.config).load()
    own_strategies(loaded)
    check_recipients(loaded.config)
    first = f"ok: {loaded.path or 'key pair from the environment'}"
    lines = (first, *loaded.summary(), *(f"warning: {text}" for text in loaded.warnings), *_outdated(options, loaded))
    write("".join(f"{for_terminal(line, sys.stdout)}\n" for line in lines))


def _outdated(options: "Options", loaded: "LoadedConfig") -> "Iterator[str]":
    """One line per running process that still uses the file as it was before it was changed."""
    from sellctl.bootstrap import state_of
    from sellctl.service.config_in_use import outdated

    for each in outdated(state_of(options, loaded), loaded):
        yield f"warning: {each.sentence}"


@config_app.command(cls=Command)
def schema() -> None:
    """Print a JSON schema of the configuration, for your editor."""
    import json

    from sellctl.core.config.reference import json_schema
    from sellctl.ui.render import write

    write(json.dumps(json_schema(), indent=2) + "\n")
