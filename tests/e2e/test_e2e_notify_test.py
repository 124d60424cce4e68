"""`notify test` sends one marked notification to each recipient and says whether it arrived."""

from collections.abc import Iterator

import pytest
from inbox import Inbox, an_inbox
from stage import Play, three_calls

pytest.importorskip("apprise")
TEXT = "TEST: `sellctl notify test` sent this. Nothing has happened, and there is nothing to do."


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    with an_inbox() as box:
        yield box


def recipients(*ports: int) -> str:
    kinds = ("filled", "alert", "halted")
    entries = [
        f'{{url: "json://me:canary-word@127.0.0.1:{port}/canary-path", kinds: [{kind}]}}'
        for port, kind in zip(ports, kinds, strict=False)
    ]
    return f'notify: [{", ".join(entries)}]\nwatch: {{heartbeat: "http://127.0.0.1:{ports[0]}/canary-beat"}}\n'


def test_every_recipient_gets_one_marked_notification_and_none_the_heartbeat(
    play: Play, inbox: tuple[Inbox, int]
) -> None:
    box, port = inbox
    result = play(three_calls(), recipients(port, port)).run("notify", "test")
    assert (result.status, box.wait_for(2)) == (0, [f"sellctl: test | {TEXT}"] * 2)
    assert [line.split() for line in result.out.splitlines()] == [
        ["recipient", "service", "kinds", "result"],
        ["notify[0]", "json", "filled", "arrived"],
        ["notify[1]", "json", "alert", "arrived"],
    ]


def test_the_heartbeat_is_tried_when_asked_for(play: Play, inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    result = play(three_calls(), recipients(port)).run("notify", "test", "--heartbeat", "--format", "json")
    assert (result.status, sorted(box.wait_for(2))) == (0, ["heartbeat", f"sellctl: test | {TEXT}"])
    assert [(each["recipient"], each["arrived"]) for each in result.document["recipients"]] == [
        ("notify[0]", True),
        ("watch.heartbeat", True),
    ]


def test_a_kind_is_sent_to_its_recipients_only(play: Play, inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    stage = play(three_calls(), recipients(port, port))
    result = stage.run("notify", "test", "--kind", "alert")
    assert (result.status, box.wait_for(1)) == (0, [f"sellctl: test of alert | {TEXT}"])
    assert "notify[0]" not in result.out


def test_what_does_not_arrive_is_said_without_a_secret_and_the_others_are_still_sent(
    play: Play, inbox: tuple[Inbox, int]
) -> None:
    box, port = inbox
    result = play(three_calls(), recipients(9, port)).run("notify", "test", "--heartbeat")
    assert (result.status, len(box.wait_for(1))) == (1, 1)
    assert result.out.count("did not arrive") == 2
    assert "canary" not in result.out + result.err


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_recipient_that_answers_with_an_error_has_not_got_it(
    play: Play, inbox: tuple[Inbox, int], status: int
) -> None:
    box, port = inbox
    box.status = status
    result = play(three_calls(), recipients(port)).run("notify", "test", "--heartbeat")
    assert (result.status, result.out.count("did not arrive")) == (1, 2)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "No recipient of notifications is configured."),
        (["--heartbeat"], "watch.heartbeat is not configured."),
        (["--kind", "fills"], "--kind fills is no kind of notification. Did you mean filled?"),
    ],
)
def test_what_is_not_configured_is_one_sentence(play: Play, words: list[str], sentence: str) -> None:
    result = play(three_calls()).run("notify", "test", *words)
    assert (result.status, result.out) == (2, "")
    assert sentence in result.err


def test_a_kind_without_a_recipient_sends_nothing(play: Play, inbox: tuple[Inbox, int]) -> None:
    box, port = inbox
    result = play(three_calls(), recipients(port)).run("notify", "test", "--kind", "summary")
    assert (result.status, box.arrived) == (2, [])
    assert "No recipient gets notifications of the kind summary." in result.err
