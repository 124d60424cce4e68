"""The strategy and the configuration in docs/strategies.md run as they are."""

import re
import textwrap
from pathlib import Path

from stage import Play

PAGE = Path(__file__).parents[2] / "docs" / "strategies.md"
CALL = "AAPL261218C00200000"
DAY = f"""
    start: "2026-11-24 12:00"
    accounts:
      main: {{key: k, secret: s, number: PA1, positions: [{{symbol: {CALL}, qty: 2, entry: 1.00}}]}}
    prices:
      {CALL}: [{{fixed: {{bid: 1.21, ask: 1.23}}}}]
"""


def block(language: str) -> str:
    """The page's indented code block in a language."""
    found = re.search(rf"^   ```{language}\n(.*?)^   ```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    return textwrap.dedent(found[1])


def test_the_strategy_of_the_page_runs_with_the_configuration_of_the_page(play: Play) -> None:
    stage = play(DAY, block("yaml"))
    (stage.folder / "my_exits.py").write_text(block("python"), encoding="utf-8")
    assert "Impatient" in stage.run("strategies").out
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0
    assert "Impatient: 21% is enough" in stage.run("history", CALL, "--format", "json").out
