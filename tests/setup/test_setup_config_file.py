"""The configuration is written completely or not at all, and nothing is left behind where it can't be."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sellctl.core.errors import ConfigError
from sellctl.setup.config_file import check_writable, interrupts_held_back, make_folder, write_config


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file can become longer than a few bytes."""
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize(("before", "text"), [("x" * 16, "y" * 17), ("x", "y" * 17)])
def test_on_a_full_disk_the_file_stays_as_it_was_without_a_backup(tmp_path: Path, before: str, text: str) -> None:
    path = tmp_path / "config.yml"
    path.write_text(before, encoding="utf-8")
    with pytest.raises(ConfigError, match="can't be written: File too large"):
        write_config(path, text)
    assert [(each.name, each.read_text(encoding="utf-8")) for each in tmp_path.iterdir()] == [("config.yml", before)]


def test_a_backup_that_does_not_fit_on_the_disk_is_removed(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "config.yml"
    path.write_text("x" * 17, encoding="utf-8")
    request.getfixturevalue("full_disk")
    with pytest.raises(ConfigError, match="can't be written: File too large"):
        write_config(path, "y")
    assert [each.name for each in tmp_path.iterdir()] == ["config.yml"]


@pytest.mark.parametrize("call", [check_writable, lambda path: write_config(path, "x: 1\n")])
def test_a_link_that_leads_to_itself_and_a_name_that_is_too_long_are_one_sentence(
    tmp_path: Path, call: Callable[[Path], object]
) -> None:
    loop = tmp_path / "config.yml"
    loop.symlink_to(loop.name)
    for path in (loop, tmp_path / ("a" * 300)):
        with pytest.raises(ConfigError, match="can't be written: "):
            call(path)
    assert [each.name for each in tmp_path.iterdir()] == ["config.yml"]


def test_a_link_to_what_does_not_exist_yet_stays_a_link(tmp_path: Path) -> None:
    path, target = tmp_path / "config.yml", tmp_path / "synced" / "sellctl.yml"
    path.symlink_to(target)
    check_writable(path)
    make_folder(path)
    assert write_config(path, "x: 1\n") is None
    assert path.is_symlink()
    assert target.read_text(encoding="utf-8") == "x: 1\n"
    assert target.stat().st_mode & 0o777 == 0o600


def test_an_interrupt_takes_effect_once_the_block_is_over() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_held_back():  # noqa: PT012  the second one is under test
        os.kill(os.getpid(), signal.SIGINT)
        done.append("the rest of the block")
    assert done
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
