"""Random and hostile calls of all tools: no order, no rule set, no secret, no halt lifted, and each answer valid.

TEST_MCP_CALLS is the number of calls, for longer runs.
"""

import asyncio
import os

import pytest
from assistant import tools_of
from fuzz import Fuzz
from stage import CALL, Play, three_calls

from sellctl.service.proposals import Proposals

CALLS = int(os.environ.get("TEST_MCP_CALLS", "300"))
KEY, SECRET = "canary-4Zk9qTgXr2mWv8Lp-key", "canary-4Zk9qTgXr2mWv8Lp-secret"
TOKEN, API_SECRET = "123456789:AAEcanary-canary_canary-canary", "canary0r5q1mWc9vTz4YkJb7LxNs2uHd8fGp3eAiRoQ"
RULES = f"""\
sell_module: {{check_interval: 1s}}
telegram: {{token: "{TOKEN}", chats: {{42: operator}}}}
api: {{secret: {API_SECRET}}}
"""
HELD = (
    three_calls("1.20", "1.22")
    .replace("key: k", f"key: {KEY}")
    .replace("secret: s", f"secret: {SECRET}")
    .replace("positions: [", "positions: [{symbol: MSFT, qty: 10, entry: 400}, ")
)


@pytest.mark.parametrize("halted", [False, True], ids=["trading", "halted"])
def test_no_call_sends_an_order_sets_a_rule_shows_a_secret_lifts_a_halt_or_breaks_a_tool(
    play: Play, *, halted: bool
) -> None:
    stage = play(HELD, RULES)
    if halted:
        assert stage.run("halt", "--reason", f"a person halted, and wrote {KEY}").status == 0

    async def run() -> Fuzz:
        async with tools_of(stage, may_propose=True) as box:
            minutes = iter(range(10**9))
            later = Proposals(box.proposals.state, lambda: 1_700_000_000.0 + 60 * next(minutes))
            box.proposals = later  # where no proposal waits for long
            fuzz = Fuzz(stage, box, (KEY, SECRET, TOKEN, API_SECRET))
            await fuzz.run(CALLS)
            return fuzz

    fuzz = asyncio.run(run())
    assert (stage.sent(), stage.held(CALL)) == ([], 3)
    assert fuzz.answered > CALLS / 5
    assert fuzz.refused > CALLS / 5
    assert fuzz.places == {"Enter", "Write"}
    assert set(fuzz.proposed) >= ({"set"} if halted else {"close", "set", "exempt"})
    assert (stage.state / "halted").exists() is halted
    assert not (stage.state / "exempt.json").exists()
    (position,) = stage.run("positions", CALL, "--format", "json").document["positions"]
    assert position["set_by_hand"] is None
