"""The stage as a fixture: a simulated Alpaca, and the real program against it."""

import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Play, Stage

from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer


def pytest_configure() -> None:
    """Ctrl-C reaches what the tests start, also when a shell runs the tests in the background, where it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Put a scenario on stage: play(scenario, rules). Time stands still unless the test moves it."""
    running: list[SimServer] = []

    def on_stage(scenario: str, rules: str = "", speed: float = 0) -> Stage:
        server = SimServer(parse_scenario(textwrap.dedent(scenario)), speed=speed).start()
        running.append(server)
        stage = Stage(tmp_path, server)
        stage.configure(rules)
        return stage

    yield on_stage
    for server in running:
        server.stop()
