"""The README: its commands parse, its configuration loads, its tables are complete."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sellctl.app import app
from sellctl.core.config_manager import ConfigManager
from sellctl.core.exit_codes import ExitCode
from sellctl.core.model.plan import Reason
from sellctl.core.structures.names import is_structure_name
from sellctl.sim.scenario.reader import Expectation, load_scenario

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KEYS = {"ALPACA_API_KEY": "key", "ALPACA_SECRET_KEY": "secret"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every sellctl command line, including those in the prose."""
    shown = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("sellctl ")]
    named = [text for text in re.findall(r"`(sellctl [^`]+)`", README) if "SYMBOL" not in text]
    from_cron = [line[line.index("sellctl run-once") :] for block in blocks("cron") for line in block.splitlines()]
    return sorted({*shown, *named, *from_cron})


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_readme_is_one_that_sellctl_knows(line: str) -> None:
    said = CliRunner().invoke(app, [*shlex.split(line)[1:], "--help"])
    assert said.exit_code == 0, said.output


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_configuration_of_the_readme_loads_without_a_warning(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(text)
    assert ConfigManager(file, environ=KEYS).load().warnings == ()


def test_the_table_of_rules_has_every_reason_in_its_order() -> None:
    table = README[README.index("| reason |") : README.index("By default `stop_loss`")]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [reason.value for reason in Reason]


def test_the_table_of_exit_statuses_has_every_one() -> None:
    table = README[README.index("| exit status |") : README.index("Data goes to stdout")]
    assert re.findall(r"^\| (\d+)", table, re.MULTILINE) == [str(int(code)) for code in ExitCode]


def test_the_demo_shown_has_the_expectations_of_the_demo_played() -> None:
    expectations = load_scenario("demo").expectations
    assert f"{len(expectations)} of {len(expectations)} expectations met." in README
    shown = [(account, what, expected, met) for account, what, expected, _, met in rows_of_the_demo()]
    assert shown == [(each.account, what_of(each), each.text, "yes") for each in expectations]


def rows_of_the_demo() -> list[tuple[str, ...]]:
    """The cells of each row that the README shows; one whose first cell is empty continues the row before."""
    table = README[README.index("account  what") : README.index("expectations met.")]
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
    """A structure by its underlying and kind, any other symbol as it is, or the order's id."""
    if is_structure_name(expected.symbol):
        return " ".join(expected.symbol.split("-")[:2]).replace("_", " ")
    return expected.symbol or expected.order


def test_what_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []
