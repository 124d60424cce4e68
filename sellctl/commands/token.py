"""`sellctl token`: bearer tokens for the control API, and a new secret to sign them with."""

import datetime as dt
from enum import StrEnum
from typing import Annotated

import typer

from sellctl.commands.serve import require_api
from sellctl.commands.session import Command, options_of
from sellctl.core.errors import ConfigError

token_app = typer.Typer(no_args_is_help=True, help="Create tokens for the control API.")


class RoleName(StrEnum):
    """The rights of a token."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@token_app.command(cls=Command)
def create(
    context: typer.Context,
    sub: Annotated[str, typer.Option("--sub", help="Who will use the token; recorded in the audit log.")],
    role: Annotated[
        RoleName,
        typer.Option(
            help="viewer reads; operator also closes, exempts and sets the rules of positions, and halts; "
            "admin also starts, stops, resumes, runs once and closes everything."
        ),
    ] = RoleName.VIEWER,
    ttl: Annotated[str, typer.Option(help="How long the token is valid: 15m, 12h, 7d; at most 30d.")] = "12h",
) -> None:
    """Print a token, signed with api.secret.

    Nothing is stored. A new secret invalidates the tokens signed with the old one.
    """
    require_api()
    from sellctl.api.lifespan import load
    from sellctl.api.tokens import Role, make_token

    secret = load(options_of(context)).config.api.secret
    typer.echo(make_token(secret, sub, Role(role.value), _lifetime(ttl), dt.datetime.now(dt.UTC)))


@token_app.command(cls=Command)
def secret() -> None:
    """Print a new random secret to sign tokens with.

    For example: export SELLCTL_API_SECRET=$(sellctl token secret)
    """
    require_api()
    from sellctl.api.tokens import fresh_secret

    typer.echo(fresh_secret())


def _lifetime(text: str) -> dt.timedelta:
    from sellctl.core.config.units import UnitError, read_seconds

    try:
        return read_seconds(text)
    except UnitError as error:
        raise ConfigError(f"--ttl: {error.sentence}", hint=error.hint) from None
