"""The proposing tools: they return a plan and a code and do nothing; a person confirms the code at a terminal."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from assistant import call, in_process, over_stdio, refusal
from stage import CALL, Play, Stage, end_of, three_calls
from terminal import Terminal

from sellctl.core.model.instrument import contract_text
from sellctl.journal.queries import Filters, history
from sellctl.sim.market.price_paths import TwoSidedQuote

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
            assert proposing == {"close", "set", "exempt", "halt"}
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


def test_the_answer_names_the_other_places_that_are_configured(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SELLCTL_API_SECRET", raising=False)
    stage = play(three_calls(), OPTIONS)
    assert proposed(stage, "halt", reason="earnings")["confirm_elsewhere"] == []
    for chats, says in (
        ("{42: operator}", ["Write /confirm {} to the Telegram bot of sellctl."]),
        ("{42: viewer}", []),
    ):
        stage.configure(f"{OPTIONS}telegram: {{token: '123456789:AAEcanary-canary_canary-canary', chats: {chats}}}\n")
        answer = proposed(stage, "halt", reason="earnings")
        assert answer["confirm_elsewhere"] == [each.format(answer["code"]) for each in says]
    monkeypatch.setenv("SELLCTL_API_SECRET", "0r5q1mWc9vTz4YkJb7LxNs2uHd8fGp3eAiRoQwXy")
    answer = proposed(stage, "halt", reason="earnings")
    page = f"Enter {answer['code']} on the control page of sellctl serve, under Confirm a code."
    assert answer["confirm_elsewhere"] == [page]


def test_the_token_of_the_bot_is_not_needed_for_the_tools(play: Play) -> None:
    stage = play(three_calls(), OPTIONS + "telegram: {token: '${NO_SUCH_VARIABLE}', chats: {42: operator}}\n")

    async def talk() -> None:
        async with over_stdio(stage, "--allow", "act") as client:
            assert "Telegram" in (await call(client, "halt", reason="earnings"))["confirm_elsewhere"][0]

    asyncio.run(talk())


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
        ("set", {"name": CALL}, "Nothing is to be set."),
        ("set", {"name": CALL, "stop": "25"}, "stop: '25' has no unit."),
        ("set", {"name": CALL, "stop": "25%", "breakeven": True}, "breakeven and stop both set the stop."),
        ("set", {"name": CALL, "stop": "25%", "until": "1999-01-01"}, "has passed"),
        ("set", {"name": CALL, "clear": True}, "Nothing is set for"),
        ("set", {"name": "TSLA", "stop": "25%"}, "TSLA is not held"),
        ("exempt", {"name": "TSLA"}, "TSLA is not held"),
        ("exempt", {"name": CALL, "until": "yesterday"}, "yesterday isn't a time."),
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


# --- setting rules ----------------------------------------------------------------------------------------------------


def set_by_hand(stage: Stage) -> str | None:
    """What `positions` says is set by hand."""
    (position,) = stage.run("positions", CALL, "--format", "json").document["positions"]
    text: str | None = position["set_by_hand"]
    return text


def evidence(stage: Stage, kind: str) -> list[dict[str, Any]]:
    return [dict(row.body) for row in history(stage.state / "journal.sqlite", Filters(kind=kind))]


def test_set_returns_the_prices_before_and_after_with_its_warnings_and_sets_nothing(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    answer = proposed(stage, "set", name=CALL, stop="40%", until="friday")
    [override] = answer["plan"]["overrides"]
    assert (override["account"], override["mode"], override["before"]) == ("main", "paper", None)
    for key, price in (("triggers_before", "0.8"), ("triggers", "0.6")):
        assert {each["reason"]: each["price"] for each in override[key]}["stop_loss"] == price
    assert "$60.00 more can be lost" in override["warnings"][0]
    assert answer["plan"]["change"] == "stop 40% until Fri 27 Nov 2026 13:00 ET"
    assert answer["done"] is False
    assert set_by_hand(stage) is None


def test_rules_that_a_person_confirms_are_set_here_and_the_journal_names_both(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    code = proposed(stage, "set", name=CALL, stop="10%", until="friday")["code"]
    with confirming(stage, code) as terminal:
        shown = terminal.wait_for("Set it? [y/N]")  # asked although nothing is loosened
        assert f"set stop 10% until Fri 27 Nov 2026 13:00 ET for {contract_text(CALL)} of main (PAPER)" in shown
        assert shown.count("from $0.80 (-20.8%) to $0.90") == 2  # as proposed, and as it is by now
        assert set_by_hand(stage) is None
        terminal.answer("y\n")
        assert terminal.end() == 0
    text = set_by_hand(stage) or ""
    assert text.startswith("stop 10% until Fri 27 Nov 2026 13:00 ET, set by ")
    assert text.endswith("at the command line, as mcp proposed")
    [confirmed] = evidence(stage, "confirm")
    assert (confirmed["action"], confirmed["symbol"], confirmed["proposed_by"]) == ("set", CALL, "mcp")
    assert text.startswith(f"stop 10% until Fri 27 Nov 2026 13:00 ET, set by {confirmed['confirmed_by']} at the")
    [override] = evidence(stage, "override")
    assert override["by"] == f"{confirmed['confirmed_by']} at the command line, as mcp proposed"
    with confirming(stage, code) as terminal:
        assert terminal.end() == 5


def test_rules_are_set_by_the_running_watcher_and_the_server_sees_what_is_set_beside_it(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)

    async def set_in_server() -> str | None:
        [position] = (await call(client, "positions"))["accounts"][0]["holdings"]
        text: str | None = position["set_by_hand"]
        return text

    async def talk() -> None:
        nonlocal client
        async with over_stdio(stage, "--allow", "act") as client:
            assert await set_in_server() is None
            for change, begins in (({"stop": "10%"}, "stop 10%, set by "), ({"clear": True}, None)):
                code = (await call(client, "set", name=CALL, **change))["code"]
                await asyncio.to_thread(confirm_at_a_terminal, code)
                ends = time.monotonic() + 60
                while ((text := await set_in_server()) or "").startswith(begins or "stop") is (begins is None):
                    assert time.monotonic() < ends, text
                    await asyncio.sleep(0.05)

    def confirm_at_a_terminal(code: str) -> None:
        with confirming(stage, code) as terminal:
            terminal.wait_for("Set it? [y/N]")
            terminal.answer("y\n")
            assert terminal.end() == 0, terminal.shown

    client: Any = None
    process = stage.spawn("watch")
    try:
        until(lambda: bool(list(stage.state.glob("*.holder"))))
        asyncio.run(talk())
    finally:
        process.send_signal(signal.SIGTERM)
        assert end_of(process).status == 0
    assert [each["what"] for each in evidence(stage, "override")] in (["stop 10%", "cleared"], ["cleared", "stop 10%"])


@pytest.mark.parametrize("change", ["rules", "price"])
def test_what_does_something_else_by_now_is_refused_at_its_confirmation(play: Play, change: str) -> None:
    stage = play(three_calls(), OPTIONS)
    code = proposed(stage, "set", name=CALL, stop="10%")["code"]
    if change == "rules":
        assert stage.run("set", CALL, "--target", "80%").status == 0
    else:
        with stage.server.hold() as exchange:
            exchange.market.put(CALL, TwoSidedQuote(Decimal("0.86"), Decimal("0.88")), exchange.now)
    before = set_by_hand(stage)
    with confirming(stage, code) as terminal:
        assert terminal.end() == 5
        assert "What it does has changed since it was proposed. Ask for a new proposal." in terminal.shown
    assert set_by_hand(stage) == before
    assert "used already" in stage.run("confirm", code).err


def test_rules_of_a_position_of_real_money_need_the_option_live(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    stage.write(stage.config.read_text().replace("    endpoints:", "    paper: false\n    endpoints:"))
    answer = proposed(stage, "set", name=CALL, stop="10%")
    assert answer["plan"]["overrides"][0]["mode"] == "live"
    assert f"--live confirm {answer['code']}" in answer["confirm_with"]
    with confirming(stage, answer["code"]) as terminal:
        assert terminal.end() == 5
        assert "--live" in terminal.shown
        assert "Set it?" not in terminal.shown


def test_an_exemption_until_a_time_is_made_when_it_is_confirmed_and_ends_then(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    answer = proposed(stage, "exempt", name=CALL, until="15:30")
    assert "until Tue 24 Nov 2026 15:30 ET or `sellctl manage`" in answer["plan"]["consequence"]
    with confirming(stage, answer["code"]) as terminal:
        assert "until Tue 24 Nov 2026 15:30 ET: no order" in terminal.wait_for("[y/N]")
        assert not (stage.state / "exempt.json").exists()
        terminal.answer("y\n")
        assert terminal.end() == 0
    [row] = evidence(stage, "exempt")
    assert row["until"] == "2026-11-24T20:30:00+00:00"
    assert evidence(stage, "confirm")[0]["options"] == {"until": "2026-11-24T20:30:00+00:00"}
    (position,) = stage.run("positions", CALL, "--format", "json").document["positions"]
    assert position["state"] == "exempt"


def test_what_was_exempted_since_it_was_proposed_is_not_shortened(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)
    code = proposed(stage, "exempt", name=CALL, until="15:30")["code"]
    assert stage.run("exempt", CALL).status == 0
    with confirming(stage, code) as terminal:
        assert terminal.end() == 5
        assert f"{CALL} is exempt already." in terminal.shown
