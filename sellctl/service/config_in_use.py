"""Which configuration a running process uses: it goes on with the one that it has read while its file is changed."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from sellctl.core.config_manager import LoadedConfig
from sellctl.core.model.market import until_text
from sellctl.service.state_folder import ConfigInUse, RunningProcess, StateFolder


@dataclass(frozen=True, slots=True)
class Outdated:
    """A process that has read a file before it was changed. `is_at_the_start`: a reload doesn't take up the change."""

    process: RunningProcess
    read_at: dt.datetime
    is_at_the_start: bool

    @property
    def finding(self) -> str:
        """What it uses."""
        if self.is_at_the_start:
            return f"{self.process.text} still uses the accounts, recipients and addresses of its start"
        return f"{self.process.text} still uses the configuration as it was on {until_text(self.read_at)}"

    @property
    def remedy(self) -> str:
        """What makes it use the file as it is now."""
        return f"start process {self.process.pid} again" if self.is_at_the_start else f"kill -HUP {self.process.pid}"

    @property
    def sentence(self) -> str:
        """Both, for a person."""
        if self.is_at_the_start:
            return f"{self.finding}: start it again to use the file as it is now."
        return f"{self.finding}: `{self.remedy}` makes it use the file as it is now."


def in_use(loaded: LoadedConfig, read_at: dt.datetime) -> ConfigInUse:
    """What other processes are told of a configuration that is used from now on."""
    fingerprints = (loaded.fingerprint(of_start=of_start) for of_start in (False, True))
    return ConfigInUse(_file_of(loaded), read_at, *fingerprints)


def outdated(state: StateFolder, loaded: LoadedConfig) -> Iterator[Outdated]:
    """The running processes that have read this file before it was changed, and go on with what it said then."""
    now = in_use(loaded, dt.datetime.now(dt.UTC))
    for process in state.running():
        config = process.config
        if config is None or not config.file or config.file != now.file:
            continue
        if config.fingerprint != now.fingerprint:
            yield Outdated(process, config.read_at, is_at_the_start=False)
        elif config.of_start != now.of_start:
            yield Outdated(process, config.read_at, is_at_the_start=True)


def _file_of(loaded: LoadedConfig) -> str:
    return str(loaded.path.absolute()) if loaded.path else ""
