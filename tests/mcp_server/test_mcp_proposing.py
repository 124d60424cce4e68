"""The proposing tools: they return a plan and a code and do nothing; a person confirms the code at a terminal."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from assistant import call, in_process, over_stdio, refusal
from stage import CALL, Play, Stage, end_of, three_calls
from terminal import Terminal

from sellctl.core.model.instrument import contract_text
from sellctl.journal.queries import Filters, history

OPTIONS = "sell_module: {check_interval: 1s}\n"


def proposed(stage: Stage, tool: str, **arguments: Any) -> dict[str, Any]:
    """The answer of a proposing tool."""
    answers: list[dict[str, Any]] = []

    async def talk() -> None:
        async with in_process(stage, may_propose=True) as client:
            answers.append(await call(client, tool, **arguments))

    asyncio.run(talk())
    return answers[0]


@contextmanager
def confirming(stage: Stage, code: str, *options: str) -> Iterator[Terminal]:
    with Terminal(tuple(stage.arguments(*options, "confirm", code)), stage.folder, columns=200) as terminal:
        yield terminal


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_by_default_no_tool_proposes_anything(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)

    async def talk() -> None:
        async with in_process(stage) as client:
            assert all(tool.annotations.read_only_hint for tool in (await client.list_tools()).tools)  # type: ignore[union-attr]
            assert "no such tool" in (await refusal(client, "close", name=CALL))["sentence"]

    asyncio.run(talk())


def test_proposing_tools_are_marked_as_destructive_and_none_lifts_a_halt_or_sets_the_configuration(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)

    async def talk() -> None:
        async with over_stdio(stage, "--allow", "act") as client:
            tools = (await client.list_tools()).tools
            proposing = {tool.name for tool in tools if tool.annotations and not tool.annotations.read_only_hint}
            assert proposing == {"close", "exempt", "halt"}
            assert all(tool.annotations.destructive_hint for tool in tools if tool.name in proposing)  # type: ignore[union-attr]
            assert (await call(client, "close", name=CALL))["done"] is False

    asyncio.run(talk())


def test_close_returns_account_mode_quantity_and_estimates_and_sends_nothing(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    answer = proposed(stage, "close", name=CALL)
    [leaving] = answer["plan"]["exits"]
    shown = {key: leaving[key] for key in ("account", "mode", "symbol", "qty", "proceeds", "pnl")}
    assert shown == {"account": "main", "mode": "paper", "symbol": CALL, "qty": "3", "proceeds": "300", "pnl": "0"}
    assert answer["confirm_with"].endswith(f"confirm {answer['code']}")
    assert (answer["done"], stage.sent(), stage.held(CALL)) == (False, [], 3)


def test_a_part_is_proposed_as_that_many_of_what_is_held(play: Play) -> None:
    answer = proposed(play(three_calls(), OPTIONS), "close", name=CALL, qty="50%", limit="1.00")
    [leaving] = answer["plan"]["exits"]
    assert (leaving["qty"], answer["plan"]["proceeds"]) == ("1", "100")


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("close", {"name": CALL, "qty": "4"}, "holds 3"),
        ("close", {"name": CALL, "qty": 0}, "closes nothing"),
        ("close", {"name": CALL, "qty": "1.5"}, "is not whole"),
        ("close", {"name": CALL, "limit": "-1"}, "is no price"),
        ("close", {"name": CALL, "patience": "profti"}, "is no patience"),
        ("close", {"name": "TSLA"}, "TSLA is not held"),
        ("close", {"name": CALL, "account": "other"}, "No account is called"),
        ("exempt", {"name": "TSLA"}, "TSLA is not held"),
        ("halt", {}, "missing required field"),
        ("halt", {"reason": ""}, "length >= 1"),
    ],
)
def test_a_mistake_is_one_sentence_and_makes_no_code(
    play: Play, tool: str, arguments: dict[str, Any], sentence: str
) -> None:
    stage = play(three_calls(), OPTIONS)

    async def talk() -> None:
        async with in_process(stage, may_propose=True) as client:
            assert sentence in (await refusal(client, tool, **arguments))["sentence"]

    asyncio.run(talk())
    assert not stage.state.exists()


def test_a_close_that_a_person_confirms_is_carried_out_once(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    code = proposed(stage, "close", name=CALL)["code"]
    with confirming(stage, code) as terminal:
        shown = terminal.wait_for("[y/N]")
        assert f"close 3 {contract_text(CALL)} of main (PAPER)" in shown
        assert stage.held(CALL) == 3
        terminal.answer("y\n")
        assert terminal.end() == 0
    assert (stage.held(CALL), len(stage.orders())) == (0, 1)
    [row] = history(stage.state / "journal.sqlite", Filters(kind="confirm"))
    assert (row.body["action"], row.body["symbol"]) == ("close", CALL)
    assert row.body["proposed_by"]
    with confirming(stage, code) as terminal:
        assert terminal.end() == 5
        assert "This code has been used already: each works once." in terminal.shown


def test_a_part_is_closed_by_the_running_watcher_and_the_rest_stays(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    process = stage.spawn("watch")
    try:
        until(lambda: bool(list(stage.state.glob("*.holder"))))
        code = proposed(stage, "close", name=CALL, qty="2")["code"]
        with confirming(stage, code) as terminal:
            terminal.wait_for("[y/N]")
            terminal.answer("y\n")
            assert terminal.end() == 0
            assert "passed to the running watcher" in terminal.shown
    finally:
        process.send_signal(signal.SIGTERM)
        assert end_of(process).status == 0
    assert (stage.held(CALL), len(stage.orders())) == (1, 1)


def test_a_no_does_nothing_and_uses_up_the_code(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    code = proposed(stage, "halt", reason="earnings")["code"]
    with confirming(stage, code) as terminal:
        terminal.wait_for("[y/N]")
        terminal.answer("n\n")
        assert terminal.end() == 5
        assert "Nothing was done." in terminal.shown
    assert "used already" in stage.run("confirm", code).err
    assert stage.run("positions").status == 0
    assert "HALTED" not in stage.run("positions").err


def test_a_halt_and_an_exemption_are_made_when_they_are_confirmed(play: Play) -> None:
    stage = play(three_calls("1.20", "1.22"), OPTIONS)
    exempted = proposed(stage, "exempt", name=CALL)
    assert [each["symbol"] for each in exempted["plan"]["positions"]] == [CALL]
    halted = proposed(stage, "halt", reason="earnings tonight")
    assert halted["plan"]["positions"] == 1
    assert not (stage.state / "halted").exists()
    for code in (exempted["code"], halted["code"]):
        with confirming(stage, code) as terminal:
            terminal.wait_for("[y/N]")
            terminal.answer("y\n")
            assert terminal.end() == 0
    assert "earnings tonight" in stage.run("run-once").err
    assert CALL in (stage.state / "exempt.json").read_text()
    assert stage.sent() == []


def test_without_a_terminal_a_code_is_refused_and_stays_valid(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    code = proposed(stage, "close", name=CALL)["code"]
    for _ in range(2):
        result = stage.run("confirm", code)
        assert result.status == 5
        assert "A proposal is confirmed at a terminal." in result.err
    assert (stage.held(CALL), stage.sent()) == (3, [])


def test_real_money_needs_the_option_live_and_the_command_has_it(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    stage.write(stage.config.read_text().replace("    endpoints:", "    paper: false\n    endpoints:"))
    answer = proposed(stage, "close", name=CALL)
    assert answer["plan"]["exits"][0]["mode"] == "live"
    assert f"--live confirm {answer['code']}" in answer["confirm_with"]


def test_under_a_halt_nothing_is_proposed_that_could_not_be_sent(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    assert stage.run("halt", "--reason", "earnings").status == 0

    async def talk() -> None:
        async with in_process(stage, may_propose=True) as client:
            assert "earnings" in (await refusal(client, "close", name=CALL))["sentence"]
            assert "halted already" in (await refusal(client, "halt", reason="again"))["sentence"]
            assert (await call(client, "positions"))["halted"] == "earnings"

    asyncio.run(talk())
