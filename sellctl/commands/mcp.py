"""`sellctl mcp`: the accounts for an assistant, by the Model Context Protocol."""

import importlib.util
from enum import StrEnum
from typing import Annotated

import typer

from sellctl.commands.serve import require_api
from sellctl.commands.session import AccountOption, options_of, print_line
from sellctl.core.errors import ConfigError
from sellctl.installation import missing_extra


class Allowed(StrEnum):
    """What the tools may do."""

    READ = "read"
    ACT = "act"


def mcp(
    context: typer.Context,
    allow: Annotated[
        Allowed,
        typer.Option(help="act: also tools that propose close, set, exempt and halt, for you to confirm."),
    ] = Allowed.READ,
    http: Annotated[
        str | None,
        typer.Option(
            "--http",
            metavar="<host:port>",
            help="Serve streamable HTTP there instead of stdin and stdout. Other machines need a token.",
            show_default=False,
        ),
    ] = None,
    account: AccountOption = None,
) -> None:
    """Let an assistant read your accounts, and propose exits.

    A server of the Model Context Protocol over stdin and stdout, which the assistant's program starts. Nothing is sent
    to the broker but reads; a proposal does nothing until you confirm it with `sellctl confirm CODE`.
    """
    _require_mcp()
    from sellctl.mcp_server.running import over_http, over_stdio

    options, may_propose = options_of(context), allow is Allowed.ACT
    if http is None:
        over_stdio(options, account or (), may_propose=may_propose)
        return
    require_api()
    over_http(options, account or (), _address_of(http), _say_where, may_propose=may_propose)


def _say_where(url: str) -> None:
    print_line(f"sellctl mcp listens on {url}. Press Ctrl-C to stop.")


def _address_of(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`. ConfigError when it is anything else."""
    from sellctl.core.config.hosts import host_of

    host, port = host_of(text), text.rpartition(":")[2]
    if not host or not (port.isascii() and port.isdecimal()):
        raise ConfigError("--http needs a host and a port.", hint="For example: --http 127.0.0.1:8765")
    return host, int(port)


def _require_mcp() -> None:
    """Raise ConfigError when the extra `mcp` isn't installed."""
    if importlib.util.find_spec("mcp") is None:
        sentence, hint = missing_extra("The MCP server", "mcp")
        raise ConfigError(sentence, hint=hint)
