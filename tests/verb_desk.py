"""The verbs on the watchers of one runtime whose outside world are fakes."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from builders import CALL, a_position
from shell_fakes import World

from sellctl.bootstrap import Runtime
from sellctl.core.config_manager import ConfigManager
from sellctl.service.state_folder import StateFolder
from sellctl.service.verbs import Verbs


@dataclass
class Desk:
    """The verbs on one account with five contracts, after one poll."""

    folder: Path

    def __post_init__(self) -> None:
        config = self.folder / "config.yml"
        config.write_text("accounts: {main: {api_key: k, secret_key: s}}\n")
        config.chmod(0o600)
        self.world = World()
        self.world.broker.held = (a_position(CALL, "5"),)
        state = StateFolder(self.folder / "state")
        state.make()
        loaded = ConfigManager(config).load()
        self.runtime = Runtime(loaded, self.world.a_scheduler(), self.world.clock, state, "sellctl", self.world.journal)
        self.verbs = Verbs(self.runtime)

    def poll(self) -> None:
        self.world.quoted("1.00", "1.02")
        asyncio.run(self.world.poll())
