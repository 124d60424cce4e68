"""Notifications of `run-once`: what happened in its run, once from run to run, and the heartbeat at its end."""

from collections.abc import Iterator

import pytest
from builders import CALL_TEXT
from inbox import Inbox, an_inbox
from stage import CALL, Play, three_calls

pytest.importorskip("apprise")

TARGET = three_calls("1.20", "1.22")
BLOCKED = TARGET.replace(
    "prices:",
    f"    orders: [{{symbol: {CALL}, side: sell, qty: 3, limit_price: 4, position_intent: sell_to_close}}]\nprices:",
)


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    with an_inbox() as box:
        yield box


def recipients(port: int, *kinds: str) -> str:
    return f"""
        notify: [{{url: "json://127.0.0.1:{port}/", kinds: [{", ".join(kinds or ("filled", "blocked"))}]}}]
        watch: {{heartbeat: "http://127.0.0.1:{port}/beat"}}
    """


def test_a_run_sends_its_fills_and_the_heartbeat(play: Play, inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    assert play(TARGET, recipients(port)).run("run-once").status == 0
    assert sorted(box.wait_for(2)) == [
        "heartbeat",
        f"sellctl: filled | main: {CALL_TEXT} filled: 3 of 3 at $1.20, +$60.00: target",
    ]


def test_a_dry_run_sends_nothing(play: Play, inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    assert play(BLOCKED, recipients(port)).run("run-once", "--dry-run").status == 5
    assert box.arrived == []


def test_what_stays_blocked_is_sent_by_the_first_run_only_and_the_heartbeat_by_each(
    play: Play, inbox: tuple[Inbox, int]
) -> None:
    box, port = inbox
    stage = play(BLOCKED, recipients(port))
    for _ in range(2):
        assert stage.run("run-once").status == 5
    arrived = box.wait_for(3)
    assert arrived.count("heartbeat") == 2
    assert [
        line.startswith(f"sellctl: blocked | main: {CALL_TEXT} blocked: ") for line in arrived if line != "heartbeat"
    ] == [True]


def test_an_exit_that_a_halt_keeps_back_is_sent_as_halted_and_logged_so(play: Play, inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    stage = play(TARGET, recipients(port, "halted"))
    stage.run("halt", "--reason", "earnings tonight")
    result = stage.run("run-once")
    assert result.status == 5
    (message,) = (line for line in box.wait_for(2) if line != "heartbeat")
    assert message.startswith(f"sellctl: halted | main: {CALL_TEXT} halted: target +10%")
    assert message.endswith("not sent: halted (earnings tonight)")
    assert f"{CALL_TEXT} halted: target +10%" in result.err
    assert "denied" not in result.err


MISSING = """
    notify: [{url: "${NOT_SET_ANYWHERE}", kinds: [filled]}]
    watch: {heartbeat: "${NOR_IS_THIS}"}
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ("panic", "--yes"),
        ("close", CALL, "--yes"),
        ("run-once", "--dry-run"),
        ("positions",),
        ("exempt", CALL),
        ("cancel-stale", "--dry-run"),
        ("history",),
    ],
)
def test_what_sends_no_notification_works_without_the_variable_of_a_recipient(
    play: Play, arguments: tuple[str, ...]
) -> None:
    result = play(TARGET, MISSING).run(*arguments)
    assert (result.status, "NOT_SET_ANYWHERE" in result.err) == (0, False), result.err


@pytest.mark.parametrize("arguments", [("run-once",), ("watch",), ("doctor",), ("config", "check")])
def test_what_sends_them_names_the_variable_that_is_missing(play: Play, arguments: tuple[str, ...]) -> None:
    result = play(TARGET, MISSING).run(*arguments)
    assert result.status == 2
    assert "NOT_SET_ANYWHERE isn't set" in result.err
    assert "NOR_IS_THIS isn't set" in result.err
