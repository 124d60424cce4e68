"""A file that is changed beside a running watcher: what shows its rules says that they aren't in force yet, and how."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from stage import CALL, Play, Stage, three_calls
from test_e2e_set import until

from sellctl.service.state_folder import StateFolder

RULES = "sell_module: {{strategies: [{{name: calls, match: {{asset: option}}, rules: {{stop_loss: {stop}}}}}]}}\n"
SHOWING = [
    ("config", "check"),
    ("strategies",),
    ("positions",),
    ("explain", CALL),
    ("set", CALL, "--stop", "60%", "--dry-run"),
    ("doctor",),
]


@contextmanager
def a_watcher(stage: Stage) -> Iterator[int]:
    """The number of a process that watches, until the block ends."""
    with stage.spawn("watch", "--format", "log", stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: bool(StateFolder(stage.state).running()))
            yield process.pid
        finally:
            process.terminate()
            process.communicate()


def said(stage: Stage, *command: str) -> str:
    """All that a command prints, in one line."""
    result = stage.run(*command)
    return " ".join(f"{result.out} {result.err}".split())


@pytest.mark.parametrize("command", SHOWING, ids=lambda command: command[0])
def test_what_shows_rules_names_the_watcher_that_does_not_use_them_yet(command: tuple[str, ...], play: Play) -> None:
    stage = play(three_calls("1.90", "1.92"), RULES.format(stop="30%"))
    with a_watcher(stage) as watcher:
        in_use = "still uses the configuration as it was on"
        assert in_use not in said(stage, *command)
        stage.configure(f"# a comment\n{RULES.format(stop='30%')}")
        assert in_use not in said(stage, *command)
        stage.configure(RULES.format(stop="12%"))
        changed = said(stage, *command)
        assert f"(process {watcher}) {in_use}" in changed
        assert f"kill -HUP {watcher}" in changed
        os.kill(watcher, signal.SIGHUP)
        until(lambda: in_use not in said(stage, *command))
    stage.configure(RULES.format(stop="20%"))
    assert in_use not in said(stage, *command)


def test_what_a_reload_does_not_take_up_is_said_until_the_watcher_is_started_again(play: Play) -> None:
    stage = play(three_calls("1.90", "1.92"), RULES.format(stop="30%"))
    with a_watcher(stage) as watcher:
        stage.configure(f"{RULES.format(stop='12%')}notify: [{{url: json://127.0.0.1:9}}]\n")
        assert f"kill -HUP {watcher}" in said(stage, "config", "check")
        os.kill(watcher, signal.SIGHUP)
        of_start = f"(process {watcher}) still uses the accounts, recipients and addresses of its start"
        until(lambda: of_start in said(stage, "config", "check"))
        assert "start it again" in said(stage, "config", "check")
        assert f"start process {watcher} again" in said(stage, "doctor")
        assert of_start in said(stage, "notify", "test")


def test_a_watcher_with_another_file_is_not_named(play: Play) -> None:
    stage = play(three_calls("1.90", "1.92"), RULES.format(stop="30%"))
    with a_watcher(stage):
        other = stage.folder / "other.yml"
        other.write_text(stage.config.read_text().replace("30%", "12%"))
        other.chmod(0o600)
        result = stage.shell("--config", str(other), "positions")
        assert "still uses" not in result.out + result.err
