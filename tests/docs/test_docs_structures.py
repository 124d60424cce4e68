"""docs/structures.md is played: its scenarios, configurations and commands give the output that it shows."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from stage import Stage

from sellctl.core.config_manager import ConfigManager
from sellctl.core.model.instrument import StructureKind
from sellctl.core.structures.names import is_structure_name, kind_named
from sellctl.core.structures.recognition import KINDS
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

PAGE = Path(__file__).parents[2] / "docs" / "structures.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(yaml|console)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SCENARIOS = [index for index, (_, body) in enumerate(BLOCKS) if body.startswith("start:")]
ANY = "...\n"
KEYS = {"ALPACA_API_KEY": "key", "ALPACA_SECRET_KEY": "secret"}


@pytest.fixture(params=SCENARIOS, ids=["condor", "covered call"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Stage, list[tuple[str, str]]]]:
    """A scenario of the page on a stage, and the blocks that follow it until the next one."""
    first = request.param
    last = next((index for index in SCENARIOS if index > first), len(BLOCKS))
    server = SimServer(parse_scenario(BLOCKS[first][1]), speed=0).start()
    yield Stage(tmp_path, server), BLOCKS[first + 1 : last]
    server.stop()


def commands(body: str) -> Iterator[tuple[list[str], str]]:
    """Each command of a block with the output that follows it."""
    for part in re.split(r"^\$ sellctl ", body, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield shlex.split(line), output


def later(stage: Stage, arguments: list[str]) -> None:
    """Half an hour passes, then a command runs every minute, as by cron."""
    stage.server.advance(1800)
    for _ in range(3):
        assert stage.run(*arguments).status == 0
        stage.server.advance(60)


def test_the_page_shows_what_its_examples_print(
    scene: tuple[Stage, list[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, blocks = scene
    monkeypatch.setenv("COLUMNS", "80")
    for language, body in blocks:
        if language == "yaml" and body.startswith("sell_module:\n  strategies:"):
            stage.configure(body)
        for arguments, output in commands(body) if language == "console" else ():
            if output == ANY:
                later(stage, arguments)
                continue
            result = stage.run(*arguments)
            shown = result.out or result.err
            assert shown == output, f"{PAGE.name}: {shlex.join(arguments)}\n{textwrap.indent(shown, '    ')}"


@pytest.mark.parametrize("body", [body for _, body in BLOCKS if body.startswith("sell_module:")])
def test_every_configuration_of_the_page_loads_without_a_warning(body: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(body)
    assert yaml.safe_load(body)
    assert ConfigManager(file, environ=KEYS).load().warnings == ()


def test_the_table_has_every_kind_with_a_name_that_is_one() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| `([^`]+)` \|$", TEXT, re.MULTILINE)
    assert {StructureKind(kind) for kind, _ in rows} == set(KINDS)
    assert all(is_structure_name(name) and kind_named(name) == kind for kind, name in rows)
