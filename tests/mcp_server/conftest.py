"""A fixture with a simulated Alpaca and the real program connected to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from stage import Play, playing


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    """Start a scenario: play(scenario, rules). The simulated clock is stopped unless the test moves it."""
    with playing(tmp_path) as play:
        yield play
