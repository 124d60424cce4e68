"""Takes the pictures of the watch screen in docs/images: the real watcher plays the demo's afternoon."""

import re
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
from sellctl.ui.screen import watch_screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.event import Event

IMAGES = Path(__file__).parent / "images"
NOT_BEFORE = "14:38"
SIZES = ((80, 50), (200, 40))
# rich names a font on the web, which a picture inside a page may not fetch; the reader's own monospace serves.
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


class Camera(LogOnly):
    """Draws the screen once an exit is at work in its walk, at each size."""

    def __init__(self, runtime: "Runtime", events: "Sequence[Event]") -> None:
        self.runtime, self.events, self.plans, self.taken = runtime, events, ExplainedPlans(), False

    def update(self, wait: float) -> bool:
        """Take the pictures at the first such look."""
        view = view_of(self.runtime, self.events, wait, self.plans)
        plans = [account.plan for account in view.accounts if account.plan]
        at_work = any(decision.step for plan in plans for decision in plan.of(DecisionState.CLOSING))
        if not self.taken and at_work and f"{view.now.astimezone(NEW_YORK):%H:%M}" >= NOT_BEFORE:
            self.taken = True
            for width, height in SIZES:
                console = Console(record=True, width=width, height=height, file=StringIO(), force_terminal=True)
                console.print(watch_screen(view))
                drawn = console.export_svg(title="sellctl watch", theme=MONOKAI, unique_id=f"watch-{width}")
                (IMAGES / f"watch-{width}.svg").write_text(_FONTS.sub("", drawn))
        return True


def main() -> None:
    """Play the afternoon once, with a camera for a screen."""
    configure(debug=False)
    scenario = load_scenario("demo")
    with tempfile.TemporaryDirectory() as folder, SimServer(scenario, speed=float(scenario.speed)) as server:
        play(server, Path(folder), float(scenario.speed), Camera)
    sys.stdout.write("".join(f"docs/images/watch-{width}.svg\n" for width, _ in SIZES))


if __name__ == "__main__":
    main()
