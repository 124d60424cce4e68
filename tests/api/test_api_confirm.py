"""Confirming over the API what an assistant has proposed: its code shows it, and a second code carries it out."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from an_assistant import ASSISTANT, code_for
from api_stage import CALL, Answer, Api, Play, a_token, until

from sellctl.api import manual_schemas
from sellctl.api.confirmations import VALID_SECONDS
from sellctl.core.config.schema import ApiConfig
from sellctl.service.halt_flag import HaltOrigin
from sellctl.service.proposals import MOST_WRONG_CODES, Proposals
from sellctl.service.proposals import VALID_SECONDS as PROPOSAL_SECONDS

WATCHING = ApiConfig(requests_a_second=10_000)
BY = f"ann over the API, as {ASSISTANT} proposed"
ANN = a_token("operator", "ann")
PROPOSED: list[tuple[str, dict[str, Any]]] = [
    ("close", {"name": CALL, "qty": "2"}),
    ("set", {"name": CALL, "stop": "40%"}),
    ("exempt", {"name": CALL, "until": "friday"}),
    ("halt", {"reason": "earnings"}),
]


async def proposed(api: Api, tool: str, **arguments: Any) -> str:
    """The code of a proposal about the accounts as they are now."""
    await until(lambda: api.control.polls)
    return await code_for(api.control.runtime, tool, **arguments)


async def asked(api: Api, _token: str = ANN, **body: Any) -> Answer:
    return await api.post("/confirm", json.dumps(body).encode(), token=_token)


async def shown(api: Api, code: str) -> Any:
    """What a proposal does by now."""
    answer = await asked(api, code=code)
    assert answer.status == 200, answer.body
    manual_schemas.ShownProposal.model_validate(answer.document)
    return answer.document


async def refusal(api: Api, _token: str = ANN, **body: Any) -> str:
    """Why a call is refused as not possible now."""
    answer = await asked(api, _token, **body)
    assert answer.status == 409, answer.body
    return str(answer.document["detail"])


def held(api: Api) -> Decimal:
    return api.server.exchange.accounts["main"].qty_of(CALL)


def is_untouched(api: Api) -> bool:
    """Whether nothing was sent, set, exempted or halted."""
    watcher = api.control.runtime.scheduler.watchers[0]
    verbs = api.control.verbs
    is_set = watcher.positions.episodes.has_overrides
    return not (api.sent() or is_set or verbs.exempt_names() or verbs.halted())


@pytest.mark.parametrize(("tool", "arguments"), PROPOSED, ids=[tool for tool, _ in PROPOSED])
def test_each_proposal_is_shown_then_confirmed_and_the_journal_says_who_proposed_and_who_confirmed_it(
    play: Play, tool: str, arguments: dict[str, Any]
) -> None:
    async def test(api: Api) -> None:
        document = await shown(api, await proposed(api, tool, **arguments))
        assert document["action"] == tool
        assert document["proposed"][0].startswith(f"{ASSISTANT} proposed ")
        assert "main (PAPER)" in document["proposed"][1]
        assert document["valid_seconds"] == VALID_SECONDS
        assert is_untouched(api)
        done = await asked(api, confirm=document["confirm"])
        assert done.status == 200, done.body
        manual_schemas.ConfirmedProposal.model_validate(done.document)
        [row] = [row.body for row in api.rows("confirm")]
        assert (row["proposed_by"], row["confirmed_by"], row["surface"], row["by"]) == (ASSISTANT, "ann", "API", BY)
        kind = {"close": "request", "set": "override"}.get(tool, tool)
        assert [row.body["by"] for row in api.rows(kind)] == [BY]
        check_done(api, document, done.document)

    play(test, api=WATCHING)


def check_done(api: Api, document: Any, done: Any) -> None:
    """What was proposed is done, and the documents say so."""
    if done["action"] == "close":
        question = "Close 2 of 3 AAPL 18 Dec 26 200 C of main (PAPER)? Estimated proceeds $200.00, P&L $0.00."
        assert (document["sentence"], held(api)) == (question, 1)
        assert (done["close"]["is_done"], done["sentence"]) == (True, "Closed.")
    elif done["action"] == "set":
        assert "more can be lost" in document["warnings"][0]
        assert done["set"]["is_set"]
        assert done["sentence"] == f"Set. main: stop 40%, set by {BY}."
    elif done["action"] == "exempt":
        assert done["sentence"].startswith(f"{CALL} is exempt from the next check until Fri 27 Nov 2026 13:00 ET.")
        assert api.control.runtime.state.exemptions()[CALL] is not None
    else:
        assert document["sentence"] == "Halt all new orders?"
        halt = api.control.current_halt
        assert halt
        assert (halt.reason, halt.by, halt.origin) == ("earnings", BY, HaltOrigin.API)


def test_a_code_shows_a_proposal_once_and_what_it_returns_confirms_once(play: Play) -> None:
    async def test(api: Api) -> None:
        code = await proposed(api, "close", name=CALL, qty="1")
        confirm = (await shown(api, code))["confirm"]
        assert "used already" in await refusal(api, code=code)
        answers = await asyncio.gather(*(asked(api, confirm=confirm) for _ in range(5)))
        assert sorted(each.status for each in answers) == [200, 409, 409, 409, 409]
        assert "Ask for a new proposal." in await refusal(api, confirm=confirm)
        assert held(api) == 2

    play(test, api=WATCHING)


def test_a_code_that_has_expired_or_was_taken_at_the_terminal_meanwhile_shows_nothing(play: Play) -> None:
    async def test(api: Api) -> None:
        expired, taken = [await proposed(api, "close", name=CALL) for _ in range(2)]
        at_the_terminal = Proposals(api.state)
        at_the_terminal.take(taken)
        assert "used already" in await refusal(api, code=taken)
        codes = api.control.proposals.confirming.proposals
        now = codes.now
        codes.now = lambda: now() + PROPOSAL_SECONDS + 1
        assert "expired" in await refusal(api, code=expired)
        assert is_untouched(api)

    play(test, api=WATCHING)


def test_what_has_changed_since_it_was_proposed_or_shown_is_not_done(play: Play) -> None:
    async def test(api: Api) -> None:
        rules, position = await proposed(api, "set", name=CALL, stop="10%"), await proposed(api, "close", name=CALL)
        confirm = (await shown(api, position))["confirm"]
        first = (await shown(api, await proposed(api, "close", name=CALL, qty="1")))["confirm"]
        assert (await asked(api, confirm=first)).status == 200
        await api.post("/run-once", token=a_token())
        assert "has changed since it was shown" in await refusal(api, confirm=confirm)
        assert "has changed since it was proposed" in await refusal(api, code=rules)
        assert held(api) == 2

    play(test, api=WATCHING)


def test_a_viewer_confirms_nothing_and_what_somebody_was_shown_confirms_nothing_for_others(play: Play) -> None:
    async def test(api: Api) -> None:
        code = await proposed(api, "halt", reason="earnings")
        assert (await asked(api, a_token("viewer"), code=code)).status == 403
        confirm = (await shown(api, code))["confirm"]
        assert (await asked(api, a_token("viewer"), confirm=confirm)).status == 403
        assert "not yours" in await refusal(api, a_token("admin", "ben"), confirm=confirm)
        assert is_untouched(api)

    play(test, api=WATCHING)


def test_a_flood_of_wrong_codes_is_refused_here_and_locks_no_terminal_out(play: Play) -> None:
    async def test(api: Api) -> None:
        code = await proposed(api, "halt", reason="earnings")
        for _ in range(MOST_WRONG_CODES):
            assert "No proposal has this code." in await refusal(api, code="0000-0000-0000")
        assert "wrong codes were tried" in await refusal(api, code=code)
        assert Proposals(api.state).find(code).reason == "earnings"

    play(test, api=WATCHING)


def test_while_nothing_is_watched_a_close_stays_unconfirmed_and_its_code_valid(play: Play) -> None:
    async def test(api: Api) -> None:
        code = await proposed(api, "close", name=CALL)
        await api.post("/stop", token=a_token())
        assert "Nothing is watched now (stopped)" in await refusal(api, code=code)
        assert Proposals(api.state).find(code).name == CALL

    play(test, api=WATCHING)


def test_what_can_not_be_sent_now_is_said_and_has_no_code(play: Play) -> None:
    async def test(api: Api) -> None:
        code = await proposed(api, "close", name=CALL)
        await api.post("/halt", b'{"reason": "fed day"}', token=ANN)
        document = await shown(api, code)
        assert document["confirm"] is None
        assert document["sentence"].startswith("Nothing can be sent: ")
        assert "fed day" in document["sentence"]

    play(test, api=WATCHING)


@pytest.mark.parametrize("body", [{}, {"code": "a", "confirm": "b"}, {"code": "a" * 65}, {"code": "a", "account": "x"}])
def test_a_call_that_neither_shows_nor_confirms_is_invalid(play: Play, body: dict[str, str]) -> None:
    async def test(api: Api) -> None:
        assert (await asked(api, **body)).status == 422

    play(test)
