"""The page about telemetry shows the trace that the SDK's in-memory exporter has of its example."""

import json
import re
from pathlib import Path

from telemetry_desk import an_example

from sellctl.core.model.event import EventKind

PAGE = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")


def test_the_page_shows_the_trace_of_its_example() -> None:
    shown = re.search(r"<!-- trace: .*?-->\n\n```text\n(.*?)```\n\n<!-- end of trace -->", PAGE, re.DOTALL)
    assert shown is not None
    assert shown[1] == an_example()


def test_the_pages_line_of_the_log_is_an_object_with_the_keys_of_its_table() -> None:
    [line] = re.findall(r"```json\n(.*?)\n```", PAGE)
    assert set(json.loads(line)) <= set(re.findall(r"`([a-z]+)`", PAGE[PAGE.index("| key | what it is |") :]))


def test_the_page_names_every_kind_of_event() -> None:
    [kinds] = [line for line in PAGE.splitlines() if line.startswith("| `account`, `symbol`, `kind`")]
    assert {kind.value for kind in EventKind} <= set(re.findall(r"\w+", kinds))
