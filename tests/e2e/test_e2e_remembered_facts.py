"""What the next process remembers: it asks for less, and a fact that is wrong by now costs no order and no grid."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from stage import CALL, Play, Stage, three_calls

NICKELS = "ZM261218C00080000"  # not in the penny programme
TODAY, YESTERDAY = dt.date(2026, 11, 24), dt.date(2026, 11, 23)
# Between these prices a walk has steps that are no multiple of a nickel, and a cent's increment would send them.
WIDE = three_calls("1.10", "1.25").replace(CALL, NICKELS)


def remembered(stage: Stage) -> dict[str, Any]:
    return dict(json.loads((stage.state / "remembered.json").read_text()))


def remember(stage: Stage, **facts: object) -> None:
    stage.state.mkdir(mode=0o700, exist_ok=True)
    file = stage.state / "remembered.json"
    file.write_text(json.dumps({"format": 1, **facts}))
    file.chmod(0o600)


def asked(stage: Stage, path: str) -> list[str]:
    return [request.query for request in stage.server.requests if request.path.startswith(path)]


def limits(stage: Stage) -> set[Decimal]:
    return {order.limit_price for order in stage.orders() if order.limit_price is not None}


def refused(stage: Stage) -> int:
    """How many orders were refused: each was a request, and no order."""
    return len([what for what in stage.sent() if what == "POST /v2/orders"]) - len(stage.orders())


def test_the_second_run_asks_for_the_granted_feed_at_once_and_for_no_calendar_or_increment(play: Play) -> None:
    stage = play(three_calls())
    for _ in range(2):
        assert stage.run("run-once").status == 0
    assert ["opra" in query for query in asked(stage, "/v1beta1/options/quotes")] == [True, False, False]
    assert len(asked(stage, "/v2/calendar")) == 1
    assert len(asked(stage, "/v2/options/contracts")) == 1
    facts = remembered(stage)
    assert [feed["feed"] for feed in facts["feeds"].values()] == ["indicative"]
    assert facts["penny"] == {"AAPL": {"is_penny": True, "day": str(TODAY), "is_refused": False}}
    assert facts["calendar"]["asked_on"] == str(TODAY)


def test_no_order_waits_for_its_increment(play: Play) -> None:
    stage = play(three_calls("1.10", "1.12"))
    assert stage.run("run-once").status == 0
    paths = [f"{request.method} {request.path}" for request in stage.server.requests]
    assert paths.index("POST /v2/orders") < paths.index(f"GET /v2/options/contracts/{CALL}")


def test_the_file_holds_no_secret(play: Play) -> None:
    stage = play(three_calls().replace("key: k", "key: CANARYKEY12").replace("secret: s", "secret: CANARYSECRET34"))
    stage.run("run-once")
    assert "CANARY" not in (stage.state / "remembered.json").read_text()


def test_a_dry_run_reads_and_writes_no_facts(play: Play) -> None:
    stage = play(three_calls())
    stage.run("run-once", "--dry-run")
    assert not (stage.state / "remembered.json").exists()
    stage.run("run-once")
    written = (stage.state / "remembered.json").read_bytes()
    before = len(asked(stage, "/v2/calendar"))
    stage.run("run-once", "--dry-run")
    assert len(asked(stage, "/v2/calendar")) == before + 1
    assert (stage.state / "remembered.json").read_bytes() == written


@pytest.mark.parametrize("day", [YESTERDAY, TODAY])
def test_no_order_is_off_the_grid_for_long_after_the_penny_programme_changed(play: Play, day: dt.date) -> None:
    stage = play(WIDE)
    remember(stage, penny={"ZM": {"is_penny": True, "day": str(day)}})
    stage.run("run-once")
    assert limits(stage)
    assert {price % Decimal("0.05") for price in limits(stage)} == {0}
    assert refused(stage) == (day == TODAY)  # a wrong fact of today is noticed by one refusal
    fact = remembered(stage)["penny"]["ZM"]
    assert fact == {"is_penny": False, "day": str(TODAY), "is_refused": day == TODAY}


def test_a_feed_that_was_revoked_over_night_costs_one_request(play: Play) -> None:
    stage = play(three_calls("1.10", "1.12"))
    stage.run("run-once", "--dry-run")
    mark = "0" * 16
    remember(stage, feeds={f"{mark} option": {"feed": "opra", "at": "2026-11-23T21:00:00Z"}})
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0


def test_a_remembered_holiday_that_is_none_pauses_no_exit(play: Play) -> None:
    stage = play(three_calls("1.10", "1.12"))
    calendar = {"since": "2025-11-24", "closed": [str(TODAY)], "odd": []}
    remember(stage, calendar={"calendar": calendar, "until": "2026-12-04", "asked_on": str(TODAY)})
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0
    assert remembered(stage)["calendar"]["calendar"]["closed"] != [str(TODAY)]


def test_a_damaged_file_is_as_good_as_none(play: Play) -> None:
    stage = play(three_calls("1.10", "1.12"))
    stage.state.mkdir(mode=0o700)
    (stage.state / "remembered.json").write_bytes(b"\x00 not ours")
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0
    assert remembered(stage)["format"] == 1
