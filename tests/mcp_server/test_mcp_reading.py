"""The reading tools by the SDK's own client, against the simulator."""

import asyncio

import pytest
from assistant import call, in_process, over_stdio, refusal
from stage import CALL, Play, three_calls

OPTIONS = "sell_module: {check_interval: 1s}\n"
READING = ["positions", "explain", "plan", "history", "trades", "report"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_assistant_reads_positions_with_the_distance_to_each_trigger(play: Play, mode: str) -> None:
    stage = play(three_calls(), OPTIONS)

    async def talk() -> None:
        async with over_stdio(stage, mode=mode) as client:
            tools = (await client.list_tools()).tools
            assert [tool.name for tool in tools] == READING
            hints = [tool.annotations for tool in tools]
            assert all(hint and hint.read_only_hint and not hint.destructive_hint for hint in hints)
            answer = await call(client, "positions")
            [account] = answer["accounts"]
            assert (account["account"], account["mode"], account["problem"]) == ("main", "paper", "")
            [position] = account["holdings"]
            assert (position["symbol"], position["qty"], position["market_value"]) == (CALL, "3", "300")
            distances = {each["reason"]: each["distance"] for each in position["triggers"]}
            assert distances["take_profit"].startswith("0.1")
            assert distances["stop_loss"].startswith("-0.2")
            assert answer["next_offset"] is None

    asyncio.run(talk())
    assert stage.sent() == []
    assert not stage.state.exists()


def test_answers_come_from_memory_without_a_request_to_the_broker(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)

    async def talk() -> None:
        async with in_process(stage) as client:
            await call(client, "positions")
            before = len(stage.server.requests)
            for name in READING:
                await call(client, name, **({"name": CALL} if name == "explain" else {}))
            assert len(stage.server.requests) == before

    asyncio.run(talk())


def test_explain_has_the_state_of_each_rule_and_the_open_orders(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)

    async def talk() -> None:
        async with in_process(stage) as client:
            for name in (CALL, CALL.lower(), "AAPL 18 Dec 26 200 C", "aapl"):
                [position] = (await call(client, "explain", name=name))["positions"]
                assert position["symbol"] == CALL
                assert position["rules"][0].startswith("strategy strategy_one")
                assert len(position["rules"]) > 1

    asyncio.run(talk())


def test_what_is_due_is_in_the_plan_and_nothing_is_sent(play: Play) -> None:
    stage = play(three_calls("1.20", "1.22"), OPTIONS)

    async def talk() -> None:
        async with in_process(stage) as client:
            [account] = (await call(client, "plan"))["accounts"]
            [due] = account["holdings"]
            assert (due["symbol"], due["state"], due["reason"]) == (CALL, "closing", "take_profit")
            assert due["order"]["qty"] == "3"

    asyncio.run(talk())
    assert stage.sent() == []


def test_history_and_report_have_what_a_run_did(play: Play) -> None:
    stage = play(three_calls("1.20", "1.22"), OPTIONS)
    assert stage.run("run-once").status == 0

    async def talk() -> None:
        async with in_process(stage) as client:
            [entry] = (await call(client, "history"))["entries"]
            assert (entry["symbol"], entry["what"], entry["qty"], entry["pnl"]) == (CALL, "closed", "3", "60")
            answer = await call(client, "report", reason="take_profit")
            assert [one["symbol"] for one in answer["exits"]] == [CALL]
            [trade] = (await call(client, "trades", name="AAPL"))["trades"]
            assert (trade["entry"], trade["exit"], trade["pnl"], trade["gain"]) == ("1", "1.2", "60", "0.2")
            assert "TSLA is not in the journal." in (await refusal(client, "history", name="TSLA"))["sentence"]

    asyncio.run(talk())


def test_what_can_not_be_answered_is_one_sentence_with_a_hint(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)

    async def talk() -> None:
        async with in_process(stage) as client:
            unknown = await refusal(client, "explain", name="AAPL261218C00201000")
            assert unknown["sentence"] == "AAPL261218C00201000 is not held in any account."
            assert f"Did you mean {CALL}?" in unknown["hint"]
            assert (await refusal(client, "positions", account="mian"))["hint"] == "Did you mean main?"
            assert (await refusal(client, "history", day="yesterday"))["sentence"] == "The day is not a date."
            assert "There is no such reason" in (await refusal(client, "report", reason="stop_los"))["sentence"]
            assert "The arguments don't fit" in (await refusal(client, "explain"))["sentence"]
            assert "There is no such tool" in (await refusal(client, "halt"))["sentence"]

    asyncio.run(talk())


def test_a_page_of_positions_says_where_the_next_one_begins(play: Play) -> None:
    others = ", ".join(f"{{symbol: ZA26121{day}C00100000, qty: 1, entry: 1.00}}" for day in range(5, 9))
    stage = play(three_calls().replace("positions: [", f"positions: [{others}, "), OPTIONS)

    async def talk() -> None:
        async with in_process(stage) as client:
            seen, offset = [], 0
            while offset is not None:
                answer = await call(client, "positions", limit=2, offset=offset)
                seen += [each["symbol"] for each in answer["accounts"][0]["holdings"]]
                offset = answer["next_offset"]
            assert len(seen) == len(set(seen)) == answer["positions"] == 5

    asyncio.run(talk())


def test_the_log_of_a_session_has_no_traceback(play: Play) -> None:
    stage = play(three_calls(), OPTIONS)

    async def talk() -> None:
        async with over_stdio(stage) as client:
            await call(client, "positions")

    asyncio.run(talk())
    assert "Traceback" not in (stage.folder / "mcp.log").read_text()


def test_without_the_extra_one_sentence_says_how_to_install_it(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    result = play(three_calls()).run("mcp")
    assert result.status == 2
    assert "The MCP server needs the extra mcp, which isn't installed. Run: " in result.err
