"""The pages for tasks are played, and every command and configuration of the documentation is one that works."""

import re
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from documents import DOCUMENTS, ROOT, arguments, blocks, command_lines
from page_player import PLAYED, fits, played, save_profile
from typer.testing import CliRunner

from sellctl.app import app

OTHER_PROGRAMS = {
    *("cd", "chmod", "cp", "docker", "export", "journalctl", "kill", "kubectl", "make", "mkdir", "pip", "pipx"),
    *("curl", "python", "sellctl", "sudo", "systemctl", "uv"),
}
LINES = sorted({line for path in DOCUMENTS if path.name != "CHANGELOG.md" for line in command_lines(path.read_text())})
CONFIGURATIONS = [
    pytest.param(text, id=f"{page.stem}-{index}")
    for page in [*PLAYED, ROOT / "docs" / "safety.md"]
    for index, text in enumerate(blocks(page.read_text(), "yaml"))
]


@pytest.mark.parametrize("page", PLAYED, ids=lambda page: page.stem)
def test_a_page_shows_what_its_commands_print(page: Path) -> None:
    """A page is played in real time, and on a busy machine a line can be missing: it may be played a second time."""
    text = page.read_text(encoding="utf-8")
    with suppress(subprocess.TimeoutExpired):
        if played(page) == text:
            return
    assert played(page) == text


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_every_configuration_of_a_page_passes_the_check(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in re.findall(r"\$\{(\w+)\}", text):
        monkeypatch.setenv(name, "mailto://you:password@example.com" if name.endswith("_URL") else f"value-of-{name}")
    monkeypatch.setenv("HOME", str(tmp_path))
    if "profile:" in text:
        save_profile(tmp_path, "key", "secret")
    else:
        monkeypatch.setenv("ALPACA_API_KEY", "key")
        monkeypatch.setenv("ALPACA_SECRET_KEY", "secret")
    (tmp_path / "config.yml").write_text(text)
    (tmp_path / "config.yml").chmod(0o600)
    (tmp_path / "my_exits.py").write_text("\n".join(blocks((ROOT / "docs/tasks/own-rules.md").read_text(), "python")))
    said = CliRunner().invoke(app, ["--config", str(tmp_path / "config.yml"), "config", "check"])
    assert said.exit_code == 0, f"{said.output}{said.exception}"


@pytest.mark.parametrize("line", LINES)
def test_every_command_of_the_documents_is_one_that_sellctl_knows(line: str) -> None:
    said = CliRunner().invoke(app, [*arguments(line), "--help"])
    assert said.exit_code == 0, said.output


def test_other_programs_are_few_and_known() -> None:
    lines = [line for path in DOCUMENTS for block in blocks(path.read_text(), "sh") for line in block.splitlines()]
    assert {line.split()[0] for line in lines if line and not line.startswith("#")} <= OTHER_PROGRAMS


def test_every_page_for_a_task_says_what_for_how_to_check_it_and_what_it_does_not_do() -> None:
    for page in PLAYED[1:]:
        text = page.read_text(encoding="utf-8")
        assert "**Goal:**" in text, page.name
        assert "## What it does not do" in text, page.name
        assert "## How to check it" in text or page.stem == "why-not-sold", page.name


def test_an_output_that_differs_in_a_word_is_not_the_one_shown() -> None:
    assert fits("ok: config.yml\n...\nlast\n", "ok: config.yml\nand\nmore\nlast\n")
    assert not fits("ok: config.yml\n", "ok: config.yaml\n")
    assert not fits("ok\n...\nlast\n", "ok\nmore\n")
