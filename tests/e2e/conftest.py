"""A fixture with a simulated Alpaca and the real program connected to it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_fixtures import migrated, postgres, server
from stage import Play, playing

__all__ = ["migrated", "postgres", "server"]


def pytest_configure() -> None:
    """Restore SIGINT, which a shell ignores in background jobs, so that child processes receive Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Start a scenario: play(scenario, rules). The simulated clock is stopped unless the test moves it."""
    with playing(tmp_path) as play:
        yield play
