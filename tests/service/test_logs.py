"""What is logged, and what is redacted."""

import logging
import os
import re
import select
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from sellctl.core.errors import ConfigError
from sellctl.service import logs

CANARY = "canary/Zx81+secret"


class _Terminal:
    """A stream that claims to be a terminal and keeps what it is given."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """There is nothing to flush."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logger.remove()
    logger.configure(patcher=lambda _record: None)
    root.handlers[:] = handlers
    root.setLevel(level)


def fail() -> None:
    raise ValueError(f"refused: {CANARY}\n2025-08-26 22:30:02 | INFO | forged")


def test_an_event_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logger.info("3 positions")
    logger.debug("not shown")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| INFO \| 3 positions\n", capsys.readouterr().err)


def test_debug_shows_more(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(debug=True)
    logger.debug("shown")
    assert "| DEBUG | shown" in capsys.readouterr().err


@pytest.mark.parametrize("debug", [False, True])
def test_a_secret_is_redacted_in_messages_exceptions_and_addresses(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, debug: bool
) -> None:
    logs.configure(debug, tmp_path / "log", [CANARY, "canary", " "])
    logger.bind(key=CANARY).info("key={} url=https://host/?k=canary%2FZx81%2Bsecret", CANARY)
    try:
        fail()
    except ValueError:
        logger.exception("no luck")
    logging.getLogger("library").warning("header %s", CANARY)
    for text in (capsys.readouterr().err, (tmp_path / "log").read_text(encoding="utf-8")):
        assert text.count("[redacted]") >= 4
        assert "canary" not in text
        assert "Zx81" not in text


def test_a_value_can_not_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logger.info("symbol {}", "X\r\n2025-08-26 22:30:02 | INFO | forged\x1b[31m\u2028<red>")
    try:
        fail()
    except ValueError:
        logger.exception("no luck")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert r"X\r\n2025" in lines[0]
    assert r"\x1b[31m\u2028<red>" in lines[0]
    assert r"no luck (ValueError: refused: canary/Zx81+secret\n2025" in lines[1]


def test_a_traceback_is_logged_only_with_debug_and_cannot_forge_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(debug=True)
    try:
        fail()
    except ValueError:
        logger.exception("no luck")
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith("| ERROR | no luck")
    assert all(line.startswith("    | ") for line in rest)
    assert any("in fail" in line for line in rest)


def test_records_of_libraries_are_logged_and_redacted_likewise(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("websockets").warning("lost {} %s", "it")
    logging.getLogger("websockets").warning("no place for %d", "words")
    logging.getLogger("websockets").info("not shown")
    error = capsys.readouterr().err
    assert [line.split(" | ", 1)[1] for line in error.splitlines()] == [
        "WARNING | websockets: lost {} it",
        "WARNING | websockets: no place for %d",
    ]


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_is_for_terminals_and_can_be_refused(
    monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    terminal = _Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    logs.configure()
    logger.info("hello")
    logger.remove()
    assert ("\x1b[" in terminal.text) is coloured


def test_the_log_file_is_private_even_when_it_was_not(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "log"
    path.parent.mkdir()
    path.touch(mode=0o644)
    logs.configure(log_file=path)
    logger.info("hello")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text(encoding="utf-8").endswith("| INFO | hello\n")


def test_a_new_folder_for_the_log_is_private(tmp_path: Path) -> None:
    logs.configure(log_file=tmp_path / "new" / "log")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_a_log_file_that_can_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"The log file .* can't be written: Is a directory\. Choose another one\."):
        logs.configure(log_file=tmp_path)


def test_setting_up_twice_writes_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logs.configure()
    logger.info("once")
    assert capsys.readouterr().err.count("once") == 1


# --- readers that stall


def test_a_pipe_in_the_place_of_the_log_file_is_never_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    logs.configure(log_file=path)
    for number in range(6_000):
        logger.info("line {} {}", number, "x" * 300)
    missing = re.compile(rb" \| WARNING \| \d+ lines of the log were dropped here: its reader had stalled\n")
    read = b""
    while not missing.search(read):
        assert select.select([reader], [], [], 10)[0]
        read += os.read(reader, 65_536)
    os.close(reader)
    assert b"| INFO | line 0 x" in read


def test_a_pipe_that_nobody_reads_is_refused_as_a_log_file_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="pipe can't be written: No such device or address"):
        logs.configure(log_file=tmp_path / "pipe")
