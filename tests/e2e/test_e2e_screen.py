"""The displays of a running watch: the live screen between two checks, and readers that stall."""

import asyncio
import os
from dataclasses import dataclass, field
from io import StringIO
from threading import Thread

from rich.console import Console
from stage import Play, three_calls

from sellctl.bootstrap import RunOptions, assemble
from sellctl.core.config_manager import ConfigManager
from sellctl.core.model.account_state import RunMode
from sellctl.core.model.event import Event
from sellctl.service.host_clock import RealClock
from sellctl.service.options import Options
from sellctl.service.output_stream import OutputStream
from sellctl.ui.displays import JsonLines, Screen


@dataclass(frozen=True, slots=True)
class Ahead(RealClock):
    """A clock with a fixed time that the test sets."""

    at: list[float] = field(default_factory=lambda: [1000.0])

    def monotonic(self) -> float:
        return self.at[0]


def test_the_screen_keeps_updating_between_two_checks(play: Play) -> None:
    stage, clock = play(three_calls()), Ahead()
    options = Options(stage.config, stage.state, live=False, debug=False, log_file=None)
    run_options = RunOptions("watch", RunMode.DRY_RUN)
    runtime = assemble(ConfigManager(stage.config).load(), options, run_options, lambda _event: None, clock)
    out = StringIO()
    terminal = {"TERM": "xterm"}  # whatever the tests run in
    console = Console(file=out, width=80, height=24, force_terminal=True, color_system=None, _environ=terminal)
    screen = Screen(runtime, (), console)
    asyncio.run(runtime.scheduler.run_once())
    screen.update(5.0)
    polled = runtime.scheduler.watchers[0].state.polled_at
    assert polled is not None
    with screen:
        clock.at[0] += 3
        out.truncate(0)
        screen.refresh()
        assert "12:00:03 ET  next check in 2s" in out.getvalue()
        assert "updated 3s ago" in out.getvalue()
        clock.at[0] += 30
        screen.refresh()
        assert "next check in 0s" in out.getvalue()
        assert "updated 33s ago" in out.getvalue()
    runtime.close()


def test_a_reader_of_the_json_lines_that_stalls_is_told_in_the_log_and_so_is_what_it_missed(play: Play) -> None:
    stage, events = play(three_calls()), list[Event]()
    options = Options(stage.config, stage.state, live=False, debug=False, log_file=None)
    run_options = RunOptions("watch", RunMode.DRY_RUN)
    runtime = assemble(ConfigManager(stage.config).load(), options, run_options, events.append)
    asyncio.run(runtime.scheduler.run_once())
    events.clear()
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as end, os.fdopen(writer, "w") as pipe:
        out = OutputStream(pipe, most=10)
        lines = JsonLines(runtime, (), out)
        while out.dropped < 3:
            lines.update(5.0)
        assert [event.text for event in events] == ["nobody reads stdout: its newest lines are dropped"]
        reading = Thread(target=end.read)
        reading.start()
        assert out.drain()
        for _ in range(2):
            lines.update(5.0)
            assert out.drain()
        pipe.close()
        reading.join()
    assert [event.text for event in events[1:]] == [f"stdout is read again: {out.dropped} lines were dropped"]
    runtime.close()
