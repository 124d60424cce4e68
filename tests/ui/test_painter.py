"""What is written to a terminal for a picture, and the alarm of an event loop that doesn't answer."""

import threading
from io import StringIO

import pytest
from rich.console import ConsoleDimensions

from sellctl.service.output_stream import OutputStream
from sellctl.ui.frame import STALE
from sellctl.ui.painter import Painter, Watchdog

FIRST = ([("title", "bold")], [("one", "")], [("two", "green")])


@pytest.fixture
def painted() -> tuple[Painter, StringIO]:
    out = StringIO()
    return Painter(OutputStream(out)), out


def written(out: StringIO) -> str:
    """What was written since the last time."""
    text = out.getvalue()
    out.seek(0)
    out.truncate()
    return text


def test_only_lines_that_have_changed_are_written(painted: tuple[Painter, StringIO]) -> None:
    painter, out = painted
    painter.paint(FIRST)
    assert written(out) == "\x1b[2J\x1b[1;1H\x1b[2Ktitle\x1b[2;1H\x1b[2Kone\x1b[3;1H\x1b[2Ktwo"
    painter.paint((FIRST[0], [("other", "")], FIRST[2]))
    assert written(out) == "\x1b[2;1H\x1b[2Kother"
    painter.paint(FIRST[:1])
    assert written(out) == "\x1b[2;1H\x1b[J"
    painter.paint(FIRST[:1])
    assert written(out) == ""
    painter.forget()
    painter.paint(FIRST[:1])
    assert written(out) == "\x1b[2J\x1b[1;1H\x1b[2Ktitle"


def test_a_terminal_of_another_size_is_painted_wholly_also_while_the_program_doesnt_answer(
    painted: tuple[Painter, StringIO],
) -> None:
    painter, out = painted
    painter.console.size = ConsoleDimensions(80, 24)
    painter.paint(tuple([(f"line {number}", "")] for number in range(24)))
    written(out)
    painter.console.size = ConsoleDimensions(40, 10)
    painter.paint_frozen(4.2)
    text = written(out)
    assert text.startswith(f"\x1b[2J\x1b[1;1H\x1b[2K {STALE}")
    assert text.endswith("\x1b[10;1H\x1b[2Kline 23")


def test_markup_and_emoji_codes_are_shown_as_they_are(painted: tuple[Painter, StringIO]) -> None:
    painter, out = painted
    painter.paint(([("[red]boo[/red] [link=x]y[/link] :warning:", "")],))
    assert written(out).endswith("[red]boo[/red] [link=x]y[/link] :warning:")


def test_the_last_picture_becomes_a_stale_one_and_then_a_new_one(painted: tuple[Painter, StringIO]) -> None:
    painter, out = painted
    painter.paint(FIRST)
    written(out)
    painter.paint_frozen(4.0)
    assert f"{STALE}: sellctl has not answered for 4 s" in written(out)
    painter.paint(FIRST)
    assert "title" in written(out)


def test_the_alarm_is_raised_once_the_event_loop_gives_no_sign_of_life_and_not_before() -> None:
    raised = threading.Event()
    silences: list[float] = []

    def alarm(silent: float) -> None:
        silences.append(silent)
        raised.set()

    watchdog = Watchdog(alarm, blocked=0.05, every=0.01)
    watchdog.start()
    assert raised.wait(10)
    watchdog.stop()
    assert min(silences) > 0.05
    quiet = Watchdog(alarm, blocked=1000.0, every=0.0)
    silences.clear()
    quiet.start()
    quiet.stop()
    assert silences == []
