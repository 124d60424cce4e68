import json

from builders import CALL, a_holding, a_market, our_order
from ui_cases import LONGEST, a_decision, a_plan, a_second_account, an_afternoon, under_way

from sellctl.core.model.view import AccountListing, Mode
from sellctl.ui.documents import plan_document, position_document, positions_document
from sellctl.ui.render import JSON_VERSION, json_text


def test_a_plan_survives_json() -> None:
    document = plan_document([an_afternoon(), a_second_account()], "dry run")
    assert json.loads(json_text(document)) == document
    assert (document["version"], document["mode"]) == (JSON_VERSION, "dry run")


def test_an_order_in_the_plan_is_what_will_be_sent() -> None:
    plan = a_plan(a_holding(LONGEST, "1", "2.00", bid="2.25", ask="2.30"))
    sent = plan.submits[0].submit
    assert sent is not None
    part = plan_document([plan], "paper")["plans"][0]["holdings"][0]
    assert part["order"] == {
        "side": "sell",
        "qty": "1",
        "type": "limit",
        "limit_price": "2.25",
        "time_in_force": "day",
        "client_order_id": sent.client_order_id,
        "position_intent": "sell_to_close",
        "legs": [],
    }
    assert (part["state"], part["reason"], part["urgency"], part["gain"]) == (
        "closing",
        "take_profit",
        "profit",
        "0.125",
    )


def test_the_plan_names_what_is_cancelled_and_why() -> None:
    part = plan_document([an_afternoon()], "paper")["plans"][0]
    assert part["acts"]
    assert [(cancel["symbol"], cancel["by"], cancel["why"]) for cancel in part["stale"]] == [
        ("TSLA", "you", "8 min old, 3 min allowed")
    ]


def test_unknown_is_null_and_never_zero() -> None:
    part = positions_document([(a_plan(a_holding(entry=None, bid=None, ask=None, available=None)), ())])["accounts"][0]
    holding = part["holdings"][0]
    assert [holding[key] for key in ("free", "entry", "now", "gain", "quote", "reason", "order")] == [None] * 7


def test_a_reader_of_the_document_finds_no_float() -> None:
    text = json_text(plan_document([an_afternoon()], "paper"))
    floats: list[str] = []
    json.loads(text, parse_float=floats.append)
    assert floats == []


def test_one_holding_comes_with_its_orders() -> None:
    ours = our_order(CALL, qty="1", limit="1.10")
    holding = a_holding(entry="2.00", bid="1.10", ask="1.20", state=under_way())
    document = position_document(
        a_decision(holding, orders=(ours,)), (ours,), a_market(), AccountListing("main", mode=Mode.PAPER)
    )
    assert (document["account"], document["symbol"], document["days_left"]) == ("main", CALL, 24)
    assert document["orders"][0]["limit_price"] == "1.1"
    assert [trigger["reason"] for trigger in document["triggers"]] == ["stop_loss", "take_profit"]
