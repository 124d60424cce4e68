"""`sellctl explain`: why a position or structure stays or closes, rule by rule."""

from typing import Annotated

import typer

from sellctl.commands.completion import held_names
from sellctl.commands.position_page import show_named
from sellctl.commands.session import AccountOption, FormatOption, options_of
from sellctl.service.names import name_of


def explain(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            help="A symbol, contract or structure, as `sellctl positions` shows it.", autocompletion=held_names
        ),
    ],
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Explain why a position stays or closes, rule by rule.

    Changes nothing. It has the position with its quote, its orders, the strategy that manages it and the state of each
    of its rules. With an underlying whose options are held: the only one of them, or else the list.
    """
    show_named(options_of(context), name_of(name), account, output, explains=True)
