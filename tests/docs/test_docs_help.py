"""The help: each command has a one-line summary and an example that parses."""

import inspect
import itertools
import re
import shlex

import pytest
from typer.testing import CliRunner

from sellctl.app import app

ROOM = 62  # what the list of commands leaves for a summary on 80 columns
TOP = {str(each.name): each for each in app.registered_commands}
GROUPS = {str(each.name): each.typer_instance for each in app.registered_groups}


def summary(callback: object) -> str:
    return inspect.cleandoc(getattr(callback, "__doc__", "") or "").split("\n\n")[0].replace("\n", " ")


@pytest.mark.parametrize("name", TOP)
def test_a_commands_summary_is_one_sentence_on_one_line(name: str) -> None:
    assert summary(TOP[name].callback).endswith(".")
    assert len(summary(TOP[name].callback)) <= ROOM


@pytest.mark.parametrize("group", GROUPS)
def test_so_are_those_of_a_group(group: str) -> None:
    for command in GROUPS[group].registered_commands if GROUPS[group] else ():
        assert len(summary(command.callback)) <= ROOM, command.name


@pytest.mark.parametrize("name", TOP)
def test_a_commands_example_is_one_that_sellctl_knows(name: str) -> None:
    epilog = TOP[name].epilog or ""
    example = epilog[epilog.index("sellctl ") :].rstrip(")")
    said = CliRunner().invoke(app, [*shlex.split(example)[1:], "--help"])
    assert said.exit_code == 0, said.output


def test_help_lists_every_command_on_one_line() -> None:
    said = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    assert said.exit_code == 0
    assert all(name in said.output for name in (*TOP, *GROUPS))


@pytest.mark.parametrize("name", TOP)
def test_on_80_columns_help_cuts_no_value_of_an_option_and_wraps_its_paragraphs_at_the_width(name: str) -> None:
    said = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    lines = said.output.splitlines()
    assert not [line for line in lines if re.search(r"<[^>\s]*\|[^>\s]*\s", line)]
    text = [line.strip() for line in lines[: next(i for i, line in enumerate(lines) if "╭" in line)]]
    for line, below in itertools.pairwise(text[3:]):
        first = below.split(" ", 1)[0]
        assert not (line and first) or len(line) + len(first) >= 78, line
