"""`sellctl strategies`: the configured strategies with their rules, and the precedence of exit reasons."""

from typing import TYPE_CHECKING, Annotated

import typer

from sellctl.commands.session import AccountOption, FormatOption, options_of, print_outdated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sellctl.core.decision.policy import Policy
    from sellctl.core.model.plan import Urgency
    from sellctl.ui.formatting import Cell

TABLE_COLUMNS = ("order", "reason", "class", "means")
STRATEGY_COLUMNS = ("account", "mode", "place", "strategy", "takes", "rules")


def strategies(
    context: typer.Context,
    table: Annotated[bool, typer.Option("--precedence", help="Only the table of exit reasons.")] = False,
    account: AccountOption = None,
    output: FormatOption = None,
) -> None:
    """Show the strategies in force and their rules.

    The first strategy that matches a position manages it. Sends no request.
    """
    from sellctl.bootstrap import load, policies, state_of
    from sellctl.ui.render import emit

    if table:
        emit(TABLE_COLUMNS, precedence_rows(), output, title="Precedence: the first true reason names the exit")
    else:
        options = options_of(context)
        loaded = load(options)
        rows = _strategy_rows(policies(loaded, options, account or ()), simulated=loaded.config.simulator)
        emit(STRATEGY_COLUMNS, list(rows), output, title="Strategies")
        print_outdated(state_of(options, loaded), loaded)


def _strategy_rows(policies: "Sequence[Policy]", *, simulated: bool) -> "Iterator[tuple[object, ...]]":
    from sellctl.core.decision.rule_states import managed_text
    from sellctl.core.model.view import mode_of
    from sellctl.ui.formatting import mode_cell

    for policy in policies:
        mode = mode_cell(mode_of(paper=policy.paper, simulated=simulated))
        for place, strategy in enumerate(policy.strategies, start=1):
            rules = "; ".join(strategy.rule_texts()) or "its own"
            yield policy.account, mode, place, strategy.name, managed_text(strategy), rules


def precedence_rows() -> list[tuple[object, ...]]:
    """The table of exit reasons, in its order."""
    from sellctl.core.model.plan import REASONS

    return [(row.order, reason.value, _class_cell(row.classes), row.means) for reason, row in REASONS.items()]


def _class_cell(classes: "Iterable[Urgency]") -> "Cell":
    """The urgency classes, in a drawn table without their numbers, so that it fits 80 columns."""
    from sellctl.ui.formatting import Cell

    names = {each: each.name.lower() for each in classes}
    numbered = " / ".join(f"{each.value} {name}" for each, name in names.items())
    return Cell(numbered, numbered, short=" / ".join(names.values()))
