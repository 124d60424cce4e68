"""Commands with `--log-format json`: every line on stderr is one object, and what is on stdout stays as it is."""

import json

import pytest
from stage import CALL, Play, end_of, three_calls

TARGET = three_calls("1.20", "1.22")
PATIENCE = 120  # seconds, on a machine that is busy with other tests


@pytest.mark.parametrize("words", [["run-once"], ["run-once", "--dry-run"], ["cancel-stale"]])
def test_a_command_that_logs_writes_one_object_per_line(play: Play, words: list[str]) -> None:
    ended = end_of(play(TARGET).spawn("--log-format", "json", *words), PATIENCE)
    assert ended.status == 0, ended.err
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert all({"time", "level", "message"} <= line.keys() for line in lines)


def test_what_is_sold_is_told_with_its_keys(play: Play) -> None:
    ended = end_of(play(TARGET).spawn("run-once", "--log-format", "json", "--format", "json"), PATIENCE)
    [filled] = [line for line in map(json.loads, ended.err.splitlines()) if line.get("kind") == "filled"]
    assert (filled["account"], filled["symbol"], filled["level"]) == ("main", CALL, "INFO")
    assert ended.document["version"]
