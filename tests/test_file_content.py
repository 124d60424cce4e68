"""A file that a user names is read completely, also where it is a pipe."""

import os
import threading
from pathlib import Path

import pytest

from sellctl import file_content
from sellctl.core.config_manager import ConfigManager
from sellctl.core.errors import ConfigError

SIMULATED = b"simulator: true\n"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """A FIFO in the place of a configuration."""
    path = tmp_path / "config.yml"
    os.mkfifo(path, 0o600)
    return path


def test_what_one_writes_to_a_pipe_is_the_same_configuration_for_each_reader(pipe: Path) -> None:
    writer = threading.Thread(target=pipe.write_bytes, args=(SIMULATED,))
    writer.start()
    assert ConfigManager(pipe).is_simulated()
    writer.join()
    assert ConfigManager(pipe).is_simulated()


def test_a_pipe_to_which_nobody_writes_is_an_error_and_not_waited_for(
    pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_content, "PIPE_SECONDS", 0.05)
    with pytest.raises(ConfigError, match="can't be read: nothing is written to this pipe"):
        ConfigManager(pipe).is_simulated()


def test_no_more_of_a_file_is_read_than_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "config.yml"
    path.write_bytes(SIMULATED * 10)
    assert file_content.read_content(path, 5)[1] == SIMULATED[:5]
