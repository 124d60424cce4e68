"""The demo on a terminal, ended by the person who looks at it."""

from pathlib import Path

import pytest
from terminal import CTRL_C, Terminal


@pytest.mark.parametrize("when", ["the real watcher against", "SIMULATED"], ids=["before its screen", "on its screen"])
def test_ctrl_c_ends_the_demo_with_one_sentence(when: str, tmp_path: Path) -> None:
    with Terminal(("demo",), tmp_path) as terminal:
        terminal.wait_for(when)
        assert terminal.end_by(CTRL_C) == 130
        said = " ".join(terminal.shown.split())
        assert said.endswith(
            "sellctl demo: interrupted. Nothing is left of it: its market and its files were for this run only."
        )
        assert "Traceback" not in terminal.shown
    assert not list(tmp_path.rglob("*.sqlite*"))
