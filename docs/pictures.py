"""Renew what the documentation shows: pictures of the watch screen, and the demo's table in docs/first-steps.md.

The pictures are taken while the real watcher plays the demo scenario. The pictures of the control page come from
tests/api/test_api_browser.py, which saves them to the folder that SELLCTL_PICTURES names.
"""

import os
import re
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.terminal_theme import MONOKAI

from sellctl.commands.demo import play
from sellctl.core.model.market import NEW_YORK
from sellctl.core.model.plan import DecisionState
from sellctl.service.logs import configure
from sellctl.sim.scenario.reader import load_scenario
from sellctl.sim.server import SimServer
from sellctl.ui.displays import ExplainedPlans, LogOnly, view_of
from sellctl.ui.screen import WatchScreen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.event import Event

FIRST_STEPS = Path(__file__).parent / "first-steps.md"
IMAGES = Path(__file__).parent / "images"
NOT_BEFORE = "14:38"
SLOWER = 3  # than the demo, so that a busy machine takes the same pictures
SIZES = ((80, 50), (200, 40))
# rich refers to a font on the web, which an embedded picture may not load; the reader's monospace font is used instead.
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
_TABLE = re.compile(r"(?<=make pictures` updates it\. -->\n```text\n).*?(?=```)", re.DOTALL)


class Camera(LogOnly):
    """Saves the screen at each size as soon as an exit order is working."""

    def __init__(self, runtime: "Runtime", events: "Sequence[Event]") -> None:
        self.runtime, self.events, self.done = runtime, events, False
        self.plans = ExplainedPlans()

    def update(self, wait: float) -> bool:
        """Save the pictures after the first suitable check."""
        view = view_of(self.runtime, self.events, wait, self.plans)
        plans = [account.plan for account in view.accounts if account.plan]
        at_work = any(decision.step for plan in plans for decision in plan.of(DecisionState.CLOSING))
        if not self.done and at_work and f"{view.now.astimezone(NEW_YORK):%H:%M}" >= NOT_BEFORE:
            self.done = True
            for width, height in SIZES:
                console = Console(record=True, width=width, height=height, file=StringIO(), force_terminal=True)
                console.print(WatchScreen(view))
                picture = console.export_svg(title="sellctl watch", theme=MONOKAI, unique_id=f"watch-{width}")
                (IMAGES / f"watch-{width}.svg").write_text(_FONTS.sub("", picture))
        return True


def take_pictures() -> None:
    """Play the demo once and save the pictures."""
    configure(debug=False)
    scenario = load_scenario("demo")
    speed = float(scenario.speed) / SLOWER
    with tempfile.TemporaryDirectory() as folder, SimServer(scenario, speed=speed) as server:
        play(server, Path(folder), speed, Camera)


def update_table() -> None:
    """Put the table that the demo prints at 80 columns into the first steps."""
    command = [sys.executable, "-c", "from sellctl.app import main; main()", "demo", "--format", "table"]
    demo = subprocess.run(  # noqa: S603  our own program
        command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    )
    table = demo.stdout + demo.stderr.splitlines(keepends=True)[-1]
    FIRST_STEPS.write_text(_TABLE.sub(lambda _: table, FIRST_STEPS.read_text(encoding="utf-8")), encoding="utf-8")


def main() -> None:
    """Renew everything."""
    take_pictures()
    update_table()
    sys.stdout.write("".join(f"docs/images/watch-{width}.svg\n" for width, _ in SIZES) + "docs/first-steps.md\n")


if __name__ == "__main__":
    main()
