"""Closing, exempting and explaining over the API: nothing is sent without its confirmation."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from api_stage import CALL, HELD, TARGET, Answer, Api, Play, a_token, until
from builders import replace

from sellctl.api import manual_schemas
from sellctl.api.confirmations import VALID_SECONDS
from sellctl.api.guarded import MAX_BODY_BYTES
from sellctl.core.config.schema import ApiConfig
from sellctl.service.halt_flag import HaltOrigin

WATCHING = ApiConfig(requests_a_second=10_000)
OTHER = "AAPL261218C00300000"  # it is not held
CONTRACT = "AAPL 18 Dec 26 200 C"
TWO = HELD.replace("entry: 1.00}]", "entry: 1.00}, {symbol: AAPL261218C00210000, qty: 2, entry: 2.00}]").replace(
    "prices:", "prices:\n  AAPL261218C00210000: [{fixed: {bid: 2.00, ask: 2.02}}]"
)
VERTICAL = """
start: "2026-11-24 12:00"
accounts:
  main:
    key: k
    secret: s
    number: PA1
    positions:
      - {symbol: AAPL261218C00210000, qty: 2, entry: 3.00}
      - {symbol: AAPL261218C00220000, qty: -2, entry: 1.00}
prices:
  AAPL261218C00210000: [{fixed: {bid: 3.38, ask: 3.42}}]
  AAPL261218C00220000: [{fixed: {bid: 0.98, ask: 1.02}}]
"""


async def asked(api: Api, path: str, _token: str = "", **body: Any) -> Answer:
    """One call with a JSON body, once the accounts have been read."""
    await until(lambda: api.control.polls)
    return await api.post(path, json.dumps(body).encode(), token=_token)


async def shown(api: Api, _token: str = "", **body: Any) -> Any:
    """The proposal of a close."""
    answer = await asked(api, "/close", _token, **{"symbol": CALL, "dry_run": True, **body})
    assert answer.status == 200, answer.body
    manual_schemas.Proposal.model_validate(answer.document)
    return answer.document


def orders(api: Api) -> list[str]:
    return [line for line in api.sent() if line.startswith("POST /v2/orders")]


def held(api: Api, symbol: str = CALL) -> Decimal:
    return api.server.exchange.accounts["main"].qty_of(symbol)


# --- the two steps ----------------------------------------------------------------------------------------------------


def test_a_close_is_shown_then_confirmed_and_the_answer_and_the_journal_say_what_became_of_it(play: Play) -> None:
    async def test(api: Api) -> None:
        proposal = await shown(api)
        assert proposal["sentence"] == (
            f"Close 3 of 3 {CONTRACT} of main (PAPER)? Estimated proceeds $300.00, P&L $0.00."
        )
        assert proposal["valid_seconds"] == VALID_SECONDS
        [exit_] = proposal["exits"]
        assert (exit_["account"], exit_["mode"], exit_["qty"], exit_["held"]) == ("main", "paper", "3", "3")
        assert orders(api) == []
        done = await asked(api, "/close", a_token(subject="tester"), confirm=proposal["confirm"])
        assert done.status == 200, done.body
        manual_schemas.Outcome.model_validate(done.document)
        assert (done.document["is_done"], done.document["is_pending"]) == (True, False)
        assert done.document["exits"][0]["sentence"] == "3 of 3 filled at $1.00."
        assert held(api) == 0
        assert len(orders(api)) == 1
        assert [row.body["by"] for row in api.rows("request")] == ["tester over the API"]
        later = (await api.get(f"/close/{done.document['id']}", token=a_token("viewer"))).document
        assert (later["is_done"], later["by"]) == (True, "tester over the API")

    play(test, api=WATCHING)


@pytest.mark.parametrize(("qty", "closed"), [("1", 1), ("2", 2), ("50%", 1), ("100%", 3)])
def test_a_part_is_closed_and_no_more(play: Play, qty: str, closed: int) -> None:
    async def test(api: Api) -> None:
        proposal = await shown(api, qty=qty)
        assert proposal["sentence"].startswith(f"Close {closed} of 3 {CONTRACT} of main (PAPER)?")
        done = (await asked(api, "/close", confirm=proposal["confirm"])).document
        assert done["is_done"], done
        polls = api.control.polls
        await api.post("/run-once")
        await until(lambda: api.control.polls > polls + 1)
        assert held(api) == 3 - closed

    play(test, api=WATCHING)


def test_a_code_confirms_once(play: Play) -> None:
    async def test(api: Api) -> None:
        code = (await shown(api, qty="1"))["confirm"]
        assert (await asked(api, "/close", confirm=code)).status == 200
        again = await asked(api, "/close", confirm=code)
        assert again.status == 409
        assert "used already" in again.document["detail"]
        assert held(api) == 2

    play(test, api=WATCHING)


def test_two_confirmations_at_once_of_one_code_close_once(play: Play) -> None:
    async def test(api: Api) -> None:
        code = (await shown(api, qty="1"))["confirm"]
        answers = await asyncio.gather(*(asked(api, "/close", confirm=code) for _ in range(5)))
        assert sorted(each.status for each in answers) == [200, 409, 409, 409, 409]
        assert held(api) == 2

    play(test, api=WATCHING)


def test_a_code_of_somebody_else_an_old_one_and_a_guess_confirm_nothing(play: Play) -> None:
    async def test(api: Api) -> None:
        code = (await shown(api))["confirm"]
        foreign = await asked(api, "/close", a_token(subject="ben"), confirm=code)
        guess = await asked(api, "/close", confirm="A" * 22)
        api.control.exits._codes.monotonic = lambda: api.control.runtime.clock.monotonic() + VALID_SECONDS + 1  # noqa: SLF001  it moves only the codes' time
        old = await asked(api, "/close", confirm=code)
        assert [each.status for each in (foreign, guess, old)] == [409, 409, 409]
        assert foreign.document == guess.document
        assert "older than 60 seconds" in old.document["detail"]
        assert orders(api) == []

    play(test, api=WATCHING)


def test_a_code_confirms_only_what_was_shown_and_only_as_long_as_as_much_is_held(play: Play) -> None:
    async def test(api: Api) -> None:
        code = (await shown(api))["confirm"]
        other = await asked(api, "/panic", confirm=code)
        assert other.status == 409
        assert "This code confirms a close." in other.document["detail"]
        code = (await shown(api))["confirm"]
        positions = api.server.exchange.accounts["main"].positions
        positions[CALL] = replace(positions[CALL], qty=Decimal(2))
        polls = api.control.polls
        await until(lambda: api.control.polls > polls + 1)
        changed = await asked(api, "/close", confirm=code)
        assert changed.status == 409
        assert "has changed since it was shown" in changed.document["detail"]
        assert orders(api) == []

    play(test, api=WATCHING)


def test_what_works_at_the_broker_is_pending_and_can_be_asked_for_later(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sellctl.api.manual_exits.WAIT_SECONDS", 1.5)

    async def test(api: Api) -> None:
        api.server.exchange.inject("O05", times=None)  # the broker takes the order and does nothing with it
        done = (await asked(api, "/close", confirm=(await shown(api))["confirm"])).document
        assert (done["is_done"], done["is_pending"]) == (False, True)
        assert done["exits"][0]["result"] == "working"
        later = await api.get(f"/close/{done['id']}")
        manual_schemas.Outcome.model_validate(later.document)
        assert later.document["is_pending"]
        assert (await api.get("/close/unknown")).status == 404

    play(test, api=WATCHING)


def test_two_people_at_once_are_both_in_the_journal_and_no_more_than_was_held_is_closed(play: Play) -> None:
    async def test(api: Api) -> None:
        ana, ben = a_token("operator", "ana"), a_token("operator", "ben")
        codes = [(await shown(api, token, qty=qty))["confirm"] for token, qty in ((ana, "1"), (ben, "2"))]
        answers = await asyncio.gather(
            *(asked(api, "/close", token, confirm=code) for token, code in zip((ana, ben), codes, strict=True))
        )
        assert 200 in [each.status for each in answers]
        calls = {row.body["who"] for row in api.rows("api") if row.body.get("route") == "POST /sell/close"}
        assert calls == {"ana", "ben"}
        assert 0 <= held(api) < 3

    play(test, api=WATCHING)


# --- what can't be closed ---------------------------------------------------------------------------------------------

BAD: dict[str, tuple[dict[str, Any], int]] = {
    "a quantity of zero": ({"qty": "0"}, 400),
    "a negative quantity": ({"qty": "-1"}, 400),
    "more than is held": ({"qty": "4"}, 400),
    "half a contract": ({"qty": "1.5"}, 400),
    "more than all": ({"qty": "101%"}, 400),
    "a share of less than one": ({"qty": "1%"}, 400),
    "no number": ({"qty": "two"}, 400),
    "a number": ({"qty": 2}, 422),
    "a limit of zero": ({"limit": "0"}, 400),
    "a negative limit": ({"limit": "-2"}, 400),
    "a limit that is no number": ({"limit": "NaN"}, 400),
    "an unknown patience": ({"patience": "none"}, 422),
    "an unknown account": ({"account": "other"}, 400),
    "a symbol that isn't held": ({"symbol": OTHER}, 400),
    "markup": ({"symbol": "<script>alert(1)</script>"}, 400),
    "a line break": ({"symbol": "AAPL\nMSFT"}, 422),
    "an empty symbol": ({"symbol": ""}, 422),
    "a long symbol": ({"symbol": "A" * 81}, 422),
    "a very long symbol": ({"symbol": "A" * MAX_BODY_BYTES}, 413),
    "no dry run and no code": ({"dry_run": False}, 422),
    "a code with more": ({"confirm": "A" * 22}, 422),
    "an unknown key": ({"live": True}, 422),
}


@pytest.mark.parametrize(("body", "status"), BAD.values(), ids=BAD)
def test_bad_input_is_one_sentence_and_never_an_order(play: Play, body: dict[str, Any], status: int) -> None:
    async def test(api: Api) -> None:
        answer = await asked(api, "/close", **{"symbol": CALL, "dry_run": True, **body})
        assert answer.status == status, answer.body
        assert "Traceback" not in answer.body.decode()
        assert answer.document["detail"]
        if status == 400:
            assert len(answer.document["detail"]) < 300
        assert orders(api) == []
        assert held(api) == 3

    play(test, api=WATCHING)


def test_an_unknown_symbol_is_answered_with_the_one_that_may_be_meant(play: Play) -> None:
    async def test(api: Api) -> None:
        for path in ("/close", "/exempt", "/manage"):
            more: dict[str, Any] = {"dry_run": True} if path == "/close" else {}
            answer = await asked(api, path, symbol=OTHER, **more)
            assert answer.status == 400, path
            assert answer.document["detail"].startswith(f"{OTHER} is not held in any account. Did you mean {CALL}?")
        assert f"Did you mean {CALL}?" in (await api.get(f"/explain?symbol={OTHER}")).document["detail"]

    play(test, api=WATCHING)


def test_while_halted_a_close_shows_why_and_gives_no_code(play: Play) -> None:
    async def test(api: Api) -> None:
        api.control.halt("earnings", "tester")
        proposal = await shown(api)
        assert proposal["confirm"] is None
        assert proposal["halted"] == "earnings"
        assert proposal["sentence"].startswith("Nothing can be sent: ")
        assert "earnings" in proposal["sentence"]
        assert not proposal["exits"][0]["is_possible"]

    play(test, api=WATCHING)


def test_while_nothing_is_watched_nothing_is_closed(play: Play) -> None:
    async def test(api: Api) -> None:
        code = (await shown(api))["confirm"]
        await api.post("/stop")
        for body in ({"symbol": CALL, "dry_run": True}, {"confirm": code}):
            refused = await asked(api, "/close", **body)
            assert refused.status == 409
            assert "Nothing is watched here (stopped)" in refused.document["detail"]
        assert orders(api) == []

    play(test, api=WATCHING)


def test_a_limit_far_from_the_market_is_a_warning_of_what_is_shown(play: Play) -> None:
    async def test(api: Api) -> None:
        proposal = await shown(api, limit="2.00")
        assert "with limit $2.00" in proposal["sentence"]
        assert "above the price now, $1.00" in proposal["warnings"][0]

    play(test, api=WATCHING)


# --- panic ------------------------------------------------------------------------------------------------------------


def test_a_panic_closes_everything_that_is_managed_even_during_a_halt(play: Play) -> None:
    async def test(api: Api) -> None:
        await until(lambda: api.control.polls)
        api.control.runtime.state.halt("fed day", "somebody", HaltOrigin.MACHINE)
        proposal = (await asked(api, "/panic", dry_run=True)).document
        manual_schemas.Proposal.model_validate(proposal)
        assert proposal["sentence"].startswith("Close 2 positions of main (PAPER) at any price? Estimated proceeds $")
        assert orders(api) == []
        assert (await asked(api, "/panic", a_token("operator"), confirm=proposal["confirm"])).status == 403
        done = (await asked(api, "/panic", confirm=proposal["confirm"])).document
        assert done["is_done"], done
        assert {held(api), held(api, "AAPL261218C00210000")} == {Decimal(0)}
        assert [row.body["verb"] for row in api.rows("request")] == ["panic"]
        assert api.control.halted() == "fed day"

    play(test, TWO, api=WATCHING)


# --- exempt, manage, explain ------------------------------------------------------------------------------------------


def test_a_position_is_left_alone_and_managed_again_and_the_journal_says_by_whom(play: Play) -> None:
    async def test(api: Api) -> None:
        operator = a_token("operator", "olga")
        exempted = (await asked(api, "/exempt", operator, symbol="aapl 18 dec 26 200 c")).document
        assert exempted["sentence"].startswith(f"{CALL} is exempt from the next check.")
        assert api.control.runtime.state.exempt() == {CALL}
        await api.post("/run-once")
        [holding] = (await api.get("/positions")).document["accounts"][0]["holdings"]
        assert holding["state"] == "exempt"
        managed = (await asked(api, "/manage", operator, symbol=CALL)).document
        assert managed["sentence"] == f"{CALL} is managed from the next check."
        assert api.control.runtime.state.exempt() == frozenset()
        said = [(row.kind, row.body["by"]) for row in api.rows() if row.kind in {"exempt", "manage"}]
        assert said == [("exempt", "olga over the API"), ("manage", "olga over the API")]

    play(test, api=WATCHING)


def test_a_position_is_left_alone_until_a_time_and_a_text_that_is_none_leaves_it_managed(play: Play) -> None:
    async def test(api: Api) -> None:
        refused = await asked(api, "/exempt", symbol=CALL, until="yesterday")
        assert (refused.status, "until: yesterday isn't a time." in refused.document["detail"]) == (400, True)
        assert api.control.runtime.state.exempt() == frozenset()
        exempted = (await asked(api, "/exempt", symbol=CALL, until="friday")).document
        assert exempted["sentence"].startswith(f"{CALL} is exempt from the next check until Fri 27 Nov 2026 13:00 ET.")
        assert api.control.runtime.state.exemptions()[CALL] is not None
        assert [row.body["until"] for row in api.rows("exempt")] == ["2026-11-27T18:00:00+00:00"]

    play(test, api=WATCHING)


@pytest.mark.parametrize(
    ("scenario", "name", "title"),
    [(HELD, CALL, CONTRACT), (VERTICAL, "AAPL-vertical-261218-210-220C", "AAPL vertical")],
)
def test_a_position_and_a_structure_are_explained(play: Play, scenario: str, name: str, title: str) -> None:
    async def test(api: Api) -> None:
        await until(lambda: api.control.polls)
        answer = await api.get(f"/explain?symbol={name}", token=a_token("viewer"))
        assert answer.status == 200, answer.body
        manual_schemas.Explanations.model_validate(answer.document)
        [explained] = answer.document["positions"]
        assert (explained["account"], explained["mode"], explained["title"]) == ("main", "paper", title)
        assert explained["levels"][0]["name"] == "entry"
        assert explained["prices_note"] == "Too little for a chart: one price is known since this process started."
        assert (await api.get(f"/explain?symbol={name}&account=other")).status == 400

    play(test, scenario, api=WATCHING)


def test_the_rules_and_the_levels_of_a_position_are_those_that_close_it(play: Play) -> None:
    async def test(api: Api) -> None:
        await until(lambda: api.control.polls)
        [explained] = (await api.get(f"/explain?symbol={CALL}")).document["positions"]
        assert explained["rules"][0].startswith("strategy: strategy_one (")
        assert [(each["name"], Decimal(each["price"])) for each in explained["levels"]] == [
            ("entry", Decimal("1.00")),
            ("stop_loss", Decimal("0.80")),
            ("take_profit", Decimal("1.10")),
        ]

    play(test, api=WATCHING)


def test_the_prices_since_the_start_are_those_that_were_seen(play: Play) -> None:
    async def test(api: Api) -> None:
        await until(lambda: api.control.polls)
        at = api.control.plans[0].made_at.timestamp()
        for seconds, price in ((10, "1.02"), (20, None), (30, "1.04")):
            api.control.prices.add("main", at + seconds, {CALL: None if price is None else Decimal(price)})
        [explained] = (await api.get(f"/explain?symbol={CALL}")).document["positions"]
        assert [each["price"] for each in explained["prices"]] == ["1", "1.02", None, "1.04"]
        assert explained["prices_note"] == ""

    play(test, api=WATCHING)


def test_markup_in_a_client_order_id_stays_text(play: Play) -> None:
    async def test(api: Api) -> None:
        account = api.server.exchange.accounts["main"]
        body = {"symbol": CALL, "qty": "1", "side": "sell", "type": "limit", "limit_price": "9.00"}
        more = {"time_in_force": "day", "client_order_id": "<img src=x onerror=alert(1)>"}
        api.server.exchange.submit(account, body | more)
        polls = api.control.polls
        await until(lambda: api.control.polls > polls + 1)
        [explained] = (await api.get(f"/explain?symbol={CALL}")).document["positions"]
        assert [order["client_order_id"] for order in explained["orders"]] == ["<img src=x onerror=alert(1)>"]
        assert (await api.get(f"/explain?symbol={CALL}")).headers["content-type"] == "application/json"

    play(test, api=WATCHING)


def test_the_profit_of_the_day_is_in_the_status(play: Play) -> None:
    async def test(api: Api) -> None:
        await until(lambda: held(api) == 0)
        await until(lambda: api.rows("fill"))
        [account] = (await api.get("/status")).document["accounts"]
        assert account["realised_today"] == "60"

    play(test, TARGET, api=WATCHING)
