"""The Typer app: global options, the commands, and the one place where an error becomes an exit status."""

import sys

import typer

from sellctl import __version__
from sellctl.core.errors import SellctlError

app = typer.Typer(
    name="sellctl",
    help="You enter a trade; sellctl gets you out. The exit manager for Alpaca accounts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sellctl {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the program; a SellctlError becomes its sentence on stderr and its exit status."""
    try:
        app()
    except SellctlError as error:
        typer.echo(f"sellctl: {error}", err=True)
        sys.exit(error.exit_code)
