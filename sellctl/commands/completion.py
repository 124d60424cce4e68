"""Shell completion of accounts, positions, structures and reasons, from the configuration and the state folder.

Sends no request and loads no heavy package. What can't be read has no completions, and no error disturbs the line that
is being typed.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import typer

from sellctl.service.options import given_path

if TYPE_CHECKING:
    from sellctl.core.config.yaml_nodes import Table
    from sellctl.core.config_manager import ConfigManager
    from sellctl.service.state_folder import StateFolder

# Anything else could end the word in a shell or run a command: zsh evaluates what is offered, bash inserts it as it is.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./:@+-]*", re.ASCII)

_Completion = Callable[[typer.Context, str], list[str]]


def _quiet(names: Callable[[typer.Context, str], Iterable[str]]) -> _Completion:
    """A completion with the names that could be read before the first error, and that are one plain word."""

    def completed(context: typer.Context, incomplete: str) -> list[str]:
        found: set[str] = set()
        # Any error: its traceback would be printed into the line that is being typed.
        with suppress(Exception):
            for each in names(context, incomplete):
                if each.startswith(incomplete) and _WORD.fullmatch(each):
                    found.add(each)
        return sorted(found)

    return completed


@_quiet
def account_names(context: typer.Context, _incomplete: str) -> Iterable[str]:
    """The accounts of the configuration."""
    return _configured_accounts(_config(context))


@_quiet
def recorded_accounts(context: typer.Context, _incomplete: str) -> Iterable[str]:
    """The accounts of the configuration and of the journal."""
    from sellctl.journal import names

    yield from _configured_accounts(_config(context))
    yield from names.accounts(_state(context).journal)


@_quiet
def held_names(context: typer.Context, incomplete: str) -> Iterable[str]:
    """The positions that were held when sellctl last checked, and the structures that the user names."""
    return _as_typed(_held(context), incomplete)


@_quiet
def held_underlyings(context: typer.Context, incomplete: str) -> Iterable[str]:
    """The same, and the underlyings of the options among them."""
    from sellctl.core.model.instrument import underlying_of

    every = (name for held in _held(context) for name in (held, underlying_of(held)))
    return _as_typed(every, incomplete)


@_quiet
def exempt_names(context: typer.Context, incomplete: str) -> Iterable[str]:
    """What is exempt, and the positions whose rules are suspended."""
    from sellctl.journal import names

    state = _state(context)
    yield from _as_typed(state.exempt(), incomplete)
    yield from _as_typed(names.suspended(state.journal), incomplete)


@_quiet
def recorded_names(context: typer.Context, incomplete: str) -> Iterable[str]:
    """The symbols and structures of the journal, and the structures that the user names."""
    from sellctl.journal import names

    yield from _as_typed(_named_structures(_config(context).unchecked()), incomplete)
    yield from _as_typed(names.symbols(_state(context).journal, incomplete.upper()), incomplete)


@_quiet
def reasons(_context: typer.Context, _incomplete: str) -> Iterable[str]:
    """The reasons of exits."""
    from sellctl.core.model.plan import Reason

    return [reason.value for reason in Reason]


@_quiet
def preset_names(_context: typer.Context, _incomplete: str) -> Iterable[str]:
    """The presets of `init`."""
    from sellctl.setup.presets import PRESET_NAMES

    return PRESET_NAMES


def _as_typed(names: Iterable[str], incomplete: str) -> Iterator[str]:
    """Names of positions and structures, in lower case if they are typed so: a shell compares letter by letter."""
    return (each.lower() if incomplete.islower() else each for each in names)


def _held(context: typer.Context) -> Iterator[str]:
    from sellctl.journal import names

    yield from _named_structures(_config(context).unchecked())
    yield from names.held(_state(context).journal)


def _config(context: typer.Context) -> "ConfigManager":
    from sellctl.core.config_manager import ConfigManager

    return ConfigManager(context.find_root().params.get("config"))


def _state(context: typer.Context) -> "StateFolder":
    from sellctl.core.config_manager import state_dir
    from sellctl.service.state_folder import StateFolder

    root = cast("typer.Context", context.find_root())
    given = given_path(root, "state_dir", root.params.get("state_dir"))
    return StateFolder(state_dir(given, simulator=_config(context).is_simulated()))


def _configured_accounts(config: "ConfigManager") -> Iterator[str]:
    """The accounts of the file as it is written; without any, the one whose keys are in the environment."""
    from sellctl.core.config.secrets import key_pair
    from sellctl.core.config.yaml_nodes import Table

    tree = config.unchecked()
    entry = tree.entries.get("accounts") if tree else None
    if entry is None and key_pair(os.environ):
        yield "main"
    elif entry and isinstance(entry.node, Table):
        yield from entry.node.entries


def _named_structures(tree: "Table | None") -> Iterator[str]:
    """The names below sell_module.structures."""
    from sellctl.core.config.yaml_nodes import Items, Scalar, Table

    module = tree.entries.get("sell_module") if tree else None
    entry = module.node.entries.get("structures") if module and isinstance(module.node, Table) else None
    for each in entry.node.nodes if entry and isinstance(entry.node, Items) else ():
        name = each.entries.get("name") if isinstance(each, Table) else None
        if name and isinstance(name.node, Scalar):
            yield name.node.text
