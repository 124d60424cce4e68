"""The log as JSON lines: one object per line with documented keys, in UTC, with secrets redacted as in text."""

import datetime as dt
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from stage import Program

from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.service import logs
from sellctl.service.log_format import LogFormat

CANARY = "canary/Zx81+secret"
KEYS = {"time", "level", "message", "account", "symbol", "kind", "error"}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logger.remove()
    logger.configure(patcher=lambda _record: None)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines_of(text: str) -> list[dict[str, Any]]:
    """Every line, each of which is one object."""
    return [json.loads(line) for line in text.splitlines()]


def fail() -> None:
    raise ValueError(f'refused: {CANARY}\n{{"level": "INFO", "message": "forged"}}')


def test_an_event_is_one_object_with_its_account_its_symbol_and_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format=LogFormat.JSON)
    at = dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC)
    logs.log_event(Event(at, "3 of 3 at $1.20", "main", Severity.WARNING, "AAPL", EventKind.FILLED))
    [line] = lines_of(capsys.readouterr().err)
    told = dt.datetime.fromisoformat(line.pop("time"))
    assert told.utcoffset() == dt.timedelta(0)
    assert abs(dt.datetime.now(dt.UTC) - told) < dt.timedelta(seconds=30)
    assert line == {
        "level": "WARNING",
        "message": "main AAPL filled: 3 of 3 at $1.20",
        "account": "main",
        "symbol": "AAPL",
        "kind": "filled",
    }


@pytest.mark.parametrize("debug", [False, True])
def test_a_secret_is_redacted_in_messages_keys_and_exceptions(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, debug: bool
) -> None:
    logs.configure(debug, tmp_path / "log", [CANARY], LogFormat.JSON)
    logger.bind(account=CANARY).info("key={} url=https://host/?k=canary%2FZx81%2Bsecret", CANARY)
    try:
        fail()
    except ValueError:
        logger.exception("no luck")
    logging.getLogger("library").warning("header %s", CANARY)
    for text in (capsys.readouterr().err, (tmp_path / "log").read_text(encoding="utf-8")):
        lines = lines_of(text)
        assert [line["level"] for line in lines] == ["INFO", "ERROR", "WARNING"]
        assert all(line.keys() <= KEYS for line in lines)
        assert "ValueError: refused: [redacted]" in lines[1]["error"]
        assert ("Traceback" in lines[1]["error"]) is debug
        assert "canary" not in text
        assert "Zx81" not in text


def test_a_text_of_somebody_else_forges_no_line_and_braces_do_no_harm(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(log_format=LogFormat.JSON)
    logger.info("{}", 'a {name} \n{"level": "ERROR"} \x1b[31m "quoted" <red>')
    [line] = lines_of(capsys.readouterr().err)
    assert line["message"] == 'a {name} \\n{"level": "ERROR"} \\x1b[31m "quoted" <red>'
    assert line["level"] == "INFO"


def test_an_error_of_a_command_is_an_object_too(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.write("accounts: {main: {api_key: k}}\n")
    ended = program.shell("--log-format", "json", "watch")
    assert ended.status == 2
    [line] = lines_of(ended.err)
    assert line["level"] == "ERROR"
    assert "secret_key" in line["message"]


def test_lines_that_nobody_has_read_in_time_are_counted_by_an_object() -> None:
    [line] = lines_of(logs._dropped_as_json(7))  # noqa: SLF001  the text in the place of dropped ones
    assert line["message"] == "7 lines of the log were dropped here: its reader had stalled"
    assert line["level"] == "WARNING"
