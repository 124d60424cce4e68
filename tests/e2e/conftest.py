"""A fixture with a simulated Alpaca and the real program connected to it."""

import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Play, Stage

from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer


def pytest_configure() -> None:
    """Restore SIGINT, which a shell ignores in background jobs, so that child processes receive Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Start a scenario: play(scenario, rules). The simulated clock is stopped unless the test moves it."""
    running: list[SimServer] = []

    def start(scenario: str, rules: str = "", speed: float = 0) -> Stage:
        server = SimServer(parse_scenario(textwrap.dedent(scenario)), speed=speed).start()
        running.append(server)
        stage = Stage(tmp_path, server)
        stage.configure(rules)
        return stage

    yield start
    for server in running:
        server.stop()
