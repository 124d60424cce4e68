"""The live table of `watch`: a WatchView in, a rich renderable, a log line or a JSON line out. Nothing fetches here."""

import json

from sellctl.core.model.view import Event, WatchView


def watch_screen(view: WatchView) -> object:
    """The screen for rich.live.Live; it asks the console for its width and height at every refresh."""
    return str(view.now)


def log_line(event: Event) -> str:
    """An event as one line, for a watch without a terminal."""
    return event.text


def json_line(view: WatchView) -> str:
    """The view as one versioned JSON object on one line, for `watch --format json`."""
    return json.dumps({"version": 1, "at": view.now.isoformat()})
