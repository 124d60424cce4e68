"""Shared by the commands that take a name: whether it is held, by one poll of the accounts."""

from collections.abc import Iterable

from sellctl.commands.session import listings, run
from sellctl.service import names
from sellctl.service.options import Options


def own_legs(options: Options, name: str) -> tuple[str, ...]:
    """The legs of the structure that the configuration calls so; empty when it calls none so."""
    from sellctl.bootstrap import load

    return names.own_legs(load(options).config, name)


def held_name(options: Options, name: str, otherwise: str, known: Iterable[str] = ()) -> str:
    """The name of what is held by a poll of all accounts; ConfigError when it isn't, with what to do `otherwise`."""
    from sellctl.bootstrap import RunOptions
    from sellctl.core.model.account_state import RunMode

    runtime = run(options, RunOptions("exempt", RunMode.DRY_RUN))
    return names.held_name(name, listings(runtime), otherwise, known)
