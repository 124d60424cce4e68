"""Shared by the commands that take a name: whether it is held, by one poll of the accounts."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sellctl.commands.session import listings
from sellctl.service import names
from sellctl.service.options import Options

if TYPE_CHECKING:
    from sellctl.bootstrap import Runtime


def own_legs(options: Options, name: str) -> tuple[str, ...]:
    """The legs of the structure that the configuration calls so; empty when it calls none so."""
    from sellctl.bootstrap import load

    return names.own_legs(load(options).config, name)


def held_name(runtime: "Runtime", name: str, otherwise: str, known: Iterable[str] = ()) -> str:
    """The name of what is held in a dry run; ConfigError when it isn't, with what to do `otherwise`."""
    return names.held_name(name, listings(runtime), otherwise, known)
