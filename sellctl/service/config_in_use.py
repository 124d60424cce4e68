"""Which configuration a running process uses: it goes on with the one that it has read while its file is changed."""

import datetime as dt
from collections.abc import Iterator

from sellctl.core.config_manager import LoadedConfig
from sellctl.core.model.market import until_text
from sellctl.service.state_folder import ConfigInUse, RunningProcess, StateFolder


def in_use(loaded: LoadedConfig, read_at: dt.datetime) -> ConfigInUse:
    """What other processes are told of a configuration that is used from now on."""
    return ConfigInUse(_file_of(loaded), read_at, loaded.fingerprint)


def outdated(state: StateFolder, loaded: LoadedConfig) -> Iterator[RunningProcess]:
    """The running processes that have read this file before it was changed, and go on with what it said then."""
    for process in state.running():
        config = process.config
        if config and config.file and config.file == _file_of(loaded) and config.fingerprint != loaded.fingerprint:
            yield process


def outdated_sentences(state: StateFolder, loaded: LoadedConfig) -> Iterator[str]:
    """One sentence for each of them, with how it takes up the change."""
    for process in outdated(state, loaded):
        yield f"{about(process)}: `{take_up(process)}` makes it use the file as it is now."


def about(process: RunningProcess) -> str:
    """What an outdated process uses, as the start of a sentence."""
    since = f" as it was on {until_text(process.config.read_at)}" if process.config else ""
    return f"{process.text} still uses the configuration{since}"


def take_up(process: RunningProcess) -> str:
    """The command that makes a process read its file again."""
    return f"kill -HUP {process.pid}"


def _file_of(loaded: LoadedConfig) -> str:
    return str(loaded.path.absolute()) if loaded.path else ""
