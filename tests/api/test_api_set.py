"""Setting the rules of one position over the API: nothing is set without its confirmation."""

import json
from decimal import Decimal
from typing import Any

from api_stage import CALL, Answer, Api, Play, a_token, until

from sellctl.api import manual_schemas
from sellctl.core.config.schema import ApiConfig
from sellctl.sim.market.price_paths import TwoSidedQuote

WATCHING = ApiConfig(requests_a_second=10_000)


async def asked(api: Api, _token: str = "", **body: Any) -> Answer:
    """One call with a JSON body, once the accounts have been read."""
    await until(lambda: api.control.polls)
    return await api.post("/set", json.dumps(body).encode(), token=_token)


def set_by_hand(api: Api) -> str | None:
    """What is set for the position, as of the last check."""
    plan = api.control.runtime.scheduler.watchers[0].state.plan
    assert plan
    (decision,) = [each for each in plan.decisions if each.holding.symbol == CALL]
    override = decision.holding.state.override
    return override.text if override else None


def price_of(api: Api) -> Decimal | None:
    """The bid of the position as of the last check."""
    plan = api.control.runtime.scheduler.watchers[0].state.plan
    return plan.decisions[0].holding.prices.bid if plan else None


def test_a_stop_is_shown_then_confirmed_and_in_force(play: Play) -> None:
    async def test(api: Api) -> None:
        shown = await asked(api, symbol=CALL, stop="40%", dry_run=True)
        assert shown.status == 200, shown.body
        manual_schemas.SetProposal.model_validate(shown.document)
        (change,) = shown.document["overrides"]
        assert "more can be lost" in change["warnings"][0]
        assert set_by_hand(api) is None
        done = await asked(api, a_token(subject="tester"), confirm=shown.document["confirm"])
        assert done.status == 200, done.body
        manual_schemas.SetDone.model_validate(done.document)
        assert (done.document["is_set"], done.document["is_pending"], done.document["problems"]) == (True, False, [])
        assert set_by_hand(api) == "stop 40%, set by tester over the API"

    play(test, api=WATCHING)


def test_a_code_of_somebody_else_and_one_that_is_used_set_nothing(play: Play) -> None:
    async def test(api: Api) -> None:
        code = (await asked(api, symbol=CALL, stop="10%", dry_run=True)).document["confirm"]
        assert (await asked(api, a_token(subject="other"), confirm=code)).status == 409
        assert (await asked(api, confirm=code)).status == 200
        assert (await asked(api, confirm=code)).status == 409
        assert (await asked(api, confirm="guessed")).status == 409

    play(test, api=WATCHING)


def test_a_code_confirms_only_what_was_shown(play: Play) -> None:
    async def test(api: Api) -> None:
        first, second = [
            (await asked(api, symbol=CALL, stop=stop, dry_run=True)).document["confirm"] for stop in ("10%", "15%")
        ]
        assert (await asked(api, confirm=first)).status == 200
        refused = await asked(api, confirm=second)
        assert refused.status == 409
        assert "has changed since it was shown" in refused.document["detail"]

    play(test, api=WATCHING)


def test_what_cannot_be_set_is_one_sentence_and_sets_nothing(play: Play) -> None:
    async def test(api: Api) -> None:
        for body, status, says in (
            ({"symbol": CALL, "stop": "25"}, 400, "has no unit"),
            ({"symbol": CALL}, 400, "Nothing is to be set."),
            ({"symbol": CALL, "stop": "10%", "breakeven": True}, 400, "both set the stop"),
            ({"symbol": CALL, "stop": "10%", "until": "yesterday"}, 400, "isn't a time"),
            ({"symbol": "MSFT", "stop": "10%"}, 400, "is not held"),
            ({"stop": "10%"}, 422, "symbol"),
            ({"symbol": "A" * 4096, "stop": "10%"}, 413, ""),
        ):
            answer = await asked(api, dry_run=True, **body)
            assert answer.status == status, (body, answer.body)
            assert says in str(answer.document)
        assert (await asked(api, symbol=CALL, stop="10%")).status == 422
        assert set_by_hand(api) is None

    play(test, api=WATCHING)


def test_a_stop_that_would_close_at_once_by_now_is_not_set_by_a_code_that_was_shown_without_that(play: Play) -> None:
    async def test(api: Api) -> None:
        shown = await asked(api, symbol=CALL, stop="10%", dry_run=True)
        assert shown.document["overrides"][0]["warnings"] == []
        with api.server.hold() as exchange:
            level = TwoSidedQuote(Decimal("0.88"), Decimal("0.90"))
            exchange.market.put(CALL, level, exchange.now)
        await until(lambda: price_of(api) == Decimal("0.88"))
        refused = await asked(api, confirm=shown.document["confirm"])
        assert refused.status == 409
        assert "has changed since it was shown" in refused.document["detail"]
        assert set_by_hand(api) is None

    play(test, api=WATCHING)
