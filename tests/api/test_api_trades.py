"""Trades and report over the API: the documents of these commands, filtered, for a viewer and without a request."""

from decimal import Decimal

from api_stage import CALL, TARGET, Api, Play, a_token, until

from sellctl.api import trade_schemas
from sellctl.api.tokens import Role
from sellctl.core.config.schema import Config
from sellctl.service.recorded_exits import ExitsAsked, recorded_exits
from sellctl.ui.exit_documents import exits_document


async def traded(api: Api) -> None:
    """Close what is due, and wait until its fill is on record."""
    await api.post("/run-once")
    await until(lambda: api.rows("fill"))


def test_trades_are_empty_before_anything_was_closed(play: Play) -> None:
    async def test(api: Api) -> None:
        answer = await api.get("/trades")
        assert (answer.status, answer.document) == (200, {"version": 2, "trades": [], "totals": []})

    play(test, TARGET)


def test_a_closed_exit_is_a_trade_with_totals_and_costs_no_request(play: Play) -> None:
    async def test(api: Api) -> None:
        await traded(api)
        before = len(api.server.requests)
        answer = await api.get("/trades", token=a_token(role=Role.VIEWER))
        assert answer.status == 200, answer.body
        trade_schemas.Trades.model_validate(answer.document)
        (trade,) = answer.document["trades"]
        assert (trade["symbol"], trade["reason"], trade["account"]) == (CALL, "take_profit", "main")
        (totals,) = answer.document["totals"]
        assert (totals["trades"], totals["won"], totals["pnl"]["dollars"]) == (1, 1, trade["pnl"])
        assert len(api.server.requests) == before

    play(test, TARGET)


def test_the_filters_are_those_of_the_command(play: Play) -> None:
    async def test(api: Api) -> None:
        await traded(api)
        day = (await api.get("/trades")).document["trades"][0]["closed"][:10]
        for query, count in (
            ("symbol=AAPL", 1),
            (f"symbol={CALL.lower()}", 1),
            ("symbol=AAPL%2018%20Dec%2026%20200%20C", 1),
            ("account=main&reason=take_profit", 1),
            ("reason=stop_loss", 0),
            (f"day={day}&since={day}", 1),
            ("since=2099-01-01", 0),
        ):
            answer = await api.get(f"/trades?{query}")
            assert answer.status == 200, (query, answer.body)
            assert len(answer.document["trades"]) == count, query

    play(test, TARGET)


def test_a_filter_that_names_nothing_is_one_sentence(play: Play) -> None:
    async def test(api: Api) -> None:
        await traded(api)
        for query, status, says in (
            ("symbol=TSLA", 400, "TSLA is not in the journal."),
            ("account=mian", 400, "Did you mean main?"),
            ("reason=stop_los", 400, "Did you mean stop_loss?"),
            ("day=yesterday", 422, ""),
            ("symbol=" + "A" * 4096, 422, ""),
            ("unknown=1", 422, ""),
        ):
            answer = await api.get(f"/trades?{query}")
            assert answer.status == status, (query, answer.body)
            assert says in str(answer.document["detail"])

    play(test, TARGET)


def test_nobody_reads_trades_without_a_token(play: Play) -> None:
    async def test(api: Api) -> None:
        assert (await api.get("/trades", token=None)).status == 401

    play(test, TARGET)


# --- the report -------------------------------------------------------------------------------------------------------


def test_a_report_is_empty_before_anything_was_closed(play: Play) -> None:
    async def test(api: Api) -> None:
        answer = await api.get("/report")
        assert (answer.status, answer.document) == (200, {"version": 2, "exits": [], "groups": []})

    play(test, TARGET)


def test_a_closed_exit_is_in_the_report_with_its_orders_and_sums_as_the_command_prints_it(play: Play) -> None:
    async def test(api: Api) -> None:
        await traded(api)
        before = len(api.server.requests)
        answer = await api.get("/report?symbol=AAPL&reason=take_profit", token=a_token(role=Role.VIEWER))
        assert answer.status == 200, answer.body
        trade_schemas.Report.model_validate(answer.document)
        (one,) = answer.document["exits"]
        assert (one["symbol"], one["reason"], one["mode"], one["filled"]) == (CALL, "take_profit", "paper", "3")
        assert (len(one["orders"]), len(one["fills"])) == (1, 1)
        (group,) = answer.document["groups"]
        assert (group["exits"], group["filled"], Decimal(group["pl"])) == (1, 1, Decimal(one["pnl"]))
        assert len(api.server.requests) == before
        found, mode_at = recorded_exits(api.control.runtime.state.journal, Config(), ExitsAsked())
        assert answer.document == exits_document(found, mode_at)
        assert (await api.get("/report?reason=stop_loss")).document["exits"] == []

    play(test, TARGET)


def test_what_a_report_cannot_be_about_is_one_sentence(play: Play) -> None:
    async def test(api: Api) -> None:
        await traded(api)
        for query, status, says in (
            ("symbol=TSLA", 400, "TSLA is not in the journal."),
            ("reason=stop_los", 400, "Did you mean stop_loss?"),
            ("day=yesterday", 422, ""),
        ):
            answer = await api.get(f"/report?{query}")
            assert (answer.status, says in str(answer.document["detail"])) == (status, True), (query, answer.body)
        assert (await api.get("/report", token=None)).status == 401

    play(test, TARGET)
