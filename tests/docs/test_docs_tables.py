"""The tables of the documents are complete: reasons, exit statuses, commands, and the demo's expectations."""

import re

from documents import command_lines, read

from sellctl.app import app
from sellctl.core.exit_codes import ExitCode
from sellctl.core.model.plan import Reason
from sellctl.core.structures.names import is_structure_name
from sellctl.sim.scenario.reader import Expectation, load_scenario
from sellctl.ui.contracts import readable_name

FIRST_STEPS, COMMANDS, RULES = read("docs/first-steps.md"), read("docs/commands.md"), read("docs/rules.md")


def test_the_table_of_rules_has_every_reason_in_its_order() -> None:
    table = RULES[RULES.index("| reason |") : RULES.index("By default `stop_loss`")]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [reason.value for reason in Reason]


def test_the_table_of_exit_statuses_has_every_one() -> None:
    table = COMMANDS[COMMANDS.index("| exit status |") : COMMANDS.index("## Output")]
    assert re.findall(r"^\| (\d+)", table, re.MULTILINE) == [str(int(code)) for code in ExitCode]


def test_the_table_of_commands_has_every_one() -> None:
    shown = {line.split()[1] for line in command_lines(COMMANDS)}
    commands = {str(each.name) for each in (*app.registered_commands, *app.registered_groups) if not each.hidden}
    assert commands - shown == set()


def test_the_demo_shown_has_the_expectations_of_the_demo_played() -> None:
    expectations = load_scenario("demo").expectations
    assert f"{len(expectations)} of {len(expectations)} expectations met." in FIRST_STEPS
    shown = [(account, what, expected, met) for account, what, expected, _, met in rows_of_the_demo()]
    assert shown == [(each.account, what_of(each), each.text, "yes") for each in expectations]


def rows_of_the_demo() -> list[tuple[str, ...]]:
    """The cells of each row that is shown; one whose first cell is empty continues the row before."""
    table = FIRST_STEPS[FIRST_STEPS.index("account  what") : FIRST_STEPS.index("expectations met.")]
    header, _, *lines = table.splitlines()
    starts = [match.start() for match in re.finditer(r"\S+", header)]
    rows: list[tuple[str, ...]] = []
    for line in lines[:-1]:
        cells = tuple(line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True))
        if line.startswith(" "):
            cells = tuple(f"{first} {rest}".strip() for first, rest in zip(rows.pop(), cells, strict=True))
        rows.append(cells)
    return rows


def what_of(expected: Expectation) -> str:
    """A structure by its underlying and kind, a contract as people read it, or the order's id."""
    if is_structure_name(expected.symbol):
        return " ".join(expected.symbol.split("-")[:2]).replace("_", " ")
    return readable_name(expected.symbol) or expected.order
