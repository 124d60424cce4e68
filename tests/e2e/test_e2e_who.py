"""Who gave a command at the command line: the journal says so for each verb, with and without a running watcher."""

import os
import pwd
from typing import Any

import pytest
from an_assistant import ASSISTANT, code_beside
from stage import CALL, Play, Stage, three_calls
from terminal import Terminal
from test_e2e_halt import a_watcher

from sellctl.journal.queries import Filters, history

ME = f"{pwd.getpwuid(os.getuid()).pw_name} at the command line"


def rows_of(stage: Stage, kind: str) -> list[Any]:
    return [row.body for row in history(stage.state / "journal.sqlite", Filters(kind=kind))]


@pytest.mark.parametrize("watched", [False, True], ids=["here", "by a watcher"])
def test_a_close_and_a_panic_are_on_record_with_who_asked_for_what(play: Play, *, watched: bool) -> None:
    stage = play(three_calls())

    def ask(*arguments: str) -> None:
        assert stage.run(*arguments, "--yes").status == 0

    def ask_both() -> None:
        ask("close", CALL, "--qty", "2")
        ask("panic")

    if watched:
        with a_watcher(stage):
            ask_both()
    else:
        ask_both()
    assert stage.held(CALL) == 0
    panic, close = rows_of(stage, "request")
    assert close == {"symbol": CALL, "verb": "close", "by": ME, "qty": "2"}
    assert panic == {"symbol": "", "verb": "panic", "by": ME}
    assert {row.account for row in history(stage.state / "journal.sqlite", Filters(kind="request"))} == {"main"}


def test_a_request_is_on_record_before_its_order_is(play: Play) -> None:
    stage = play(three_calls())
    assert stage.run("close", CALL, "--yes").status == 0
    kinds = [row.kind for row in reversed(history(stage.state / "journal.sqlite", Filters()))]
    assert kinds.index("request") < kinds.index("intent")


def test_a_close_that_is_not_confirmed_leaves_no_request_on_record(play: Play) -> None:
    stage = play(three_calls())
    assert stage.run("run-once").status == 0
    assert stage.run("close", CALL).status == 5
    assert stage.run("panic").status == 5
    assert rows_of(stage, "request") == []


def test_what_is_managed_and_a_halt_are_on_record_with_who_changed_it(play: Play) -> None:
    stage = play(three_calls())
    for arguments in (
        ("exempt", CALL),
        ("manage", CALL),
        ("halt", "--reason", "earnings"),
        ("resume", "--reason", "over"),
    ):
        assert stage.run(*arguments).status == 0
        (row,) = rows_of(stage, arguments[0])
        assert row["by"] == ME, arguments


def test_a_run_is_on_record_with_its_command_and_who_started_it(play: Play) -> None:
    stage = play(three_calls())
    assert stage.run("run-once").status == 0
    (row,) = rows_of(stage, "start")
    assert (row["command"], row["by"]) == ("run-once", ME)


def test_who_it_was_is_not_taken_from_the_environment(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    stage = play(three_calls())
    assert stage.run("set", CALL, "--stop", "15%").status == 0
    assert [row["by"] for row in rows_of(stage, "override")] == [ME]


def test_what_an_assistant_proposed_is_on_record_with_who_confirmed_it_and_that_it_was_at_the_terminal(
    play: Play,
) -> None:
    stage, me = play(three_calls()), ME.removesuffix(" at the command line")
    code = code_beside(stage.config, stage.state, "exempt", name=CALL)
    with Terminal(tuple(stage.arguments("confirm", code)), stage.folder, columns=200) as terminal:
        terminal.wait_for("[y/N]")
        terminal.answer("y\n")
        assert terminal.end() == 0
    (row,) = rows_of(stage, "confirm")
    assert (row["proposed_by"], row["confirmed_by"], row["surface"]) == (ASSISTANT, me, "terminal")
    assert [row["by"] for row in rows_of(stage, "exempt")] == [ME]
