import asyncio
import datetime as dt
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from api_stage import (
    CALL,
    CANARY,
    HELD,
    PREFIX,
    SECRET,
    TARGET,
    Api,
    Play,
    a_scope,
    a_token,
    answered,
    until,
    whole,
)
from builders import replace
from fastapi import FastAPI
from served import write_config

from sellctl.api import schemas, sell_router, trade_schemas
from sellctl.api.application import CONTENT_POLICY, PAGE, SCRIPTS
from sellctl.api.audit import OTHERS, ApiCall, Audit
from sellctl.api.control import State
from sellctl.api.events import (
    MAX_STREAMS,
    MAX_STREAMS_PER_SUBJECT,
    MAX_WAITING,
    RECENT_EVENTS,
    EventHub,
    TooManyStreamsError,
    frames,
)
from sellctl.api.guarded import MAX_BODY_BYTES
from sellctl.core.config.schema import ApiConfig, SellModuleConfig
from sellctl.core.errors import JournalError
from sellctl.service.halt_flag import HaltOrigin
from sellctl.sim.scenario.reader import parse_scenario
from sellctl.sim.server import SimServer

WATCHING = ApiConfig(requests_a_second=10_000)
STOPPED_OUT = HELD.replace("bid: 1.00, ask: 1.02", "bid: 0.40, ask: 0.44")
ANSWERS = {
    "/status": schemas.Status,
    "/config": schemas.ConfigShown,
    "/positions": schemas.Positions,
    "/plan": schemas.Plans,
    "/history": schemas.History,
    "/trades": trade_schemas.Trades,
}


@pytest.mark.parametrize("scenario", [HELD, TARGET])
@pytest.mark.parametrize("path", ANSWERS)
def test_an_answer_conforms_to_its_schema(play: Play, path: str, scenario: str) -> None:
    async def test(api: Api) -> None:
        ANSWERS[path].model_validate_json((await api.get(path)).body)  # before the first check
        await api.post("/run-once")
        ANSWERS[path].model_validate_json((await api.get(path)).body)

    play(test, scenario)


def test_a_watch_is_started_and_stopped(play: Play) -> None:
    async def test(api: Api) -> None:
        assert (await api.get("/status")).document["state"] == "stopped"
        started = (await api.post("/start")).document
        assert (started["state"], started["changed"]) == ("watching", True)
        assert (await api.post("/start")).document["changed"] is False
        await until(lambda: api.control.polls)
        status = (await api.get("/status")).document
        assert status["accounts"][0]["holdings"] == 1
        assert status["market"]["is_open"]
        stopped = (await api.post("/stop")).document
        assert (stopped["state"], stopped["changed"]) == ("stopped", True)
        looks = api.control.polls
        assert (await api.post("/stop")).document["changed"] is False
        await asyncio.sleep(0.1)
        assert api.control.polls == looks
        assert (await api.post("/start")).document["changed"] is True
        await until(lambda: api.control.polls > looks)

    play(test)


def test_stop_leaves_a_protective_order_at_the_broker_and_reports_it(play: Play) -> None:
    async def test(api: Api) -> None:
        api.server.exchange.inject("O05", times=None)  # the broker takes the order and does nothing with it
        await api.post("/start")
        await until(lambda: any(line.startswith("POST /v2/orders") for line in api.sent()))
        stopped = (await api.post("/stop")).document
        assert stopped["state"] == "stopped"
        assert [(order["symbol"], order["by"]) for order in stopped["working"]] == [(CALL, "sellctl")]
        assert f"1 order of sellctl still working at the broker: {CALL}." in stopped["sentence"]
        schemas.Stopped.model_validate(stopped)
        open_orders = [o for o in api.server.exchange.accounts["main"].orders.values() if o.is_open]
        assert len(open_orders) == 1

    play(test, STOPPED_OUT)


def test_run_once_sells_what_is_due_while_nothing_is_watched(play: Play) -> None:
    async def test(api: Api) -> None:
        answer = (await api.post("/run-once")).document
        assert answer["finished"]
        assert [plan["account"] for plan in answer["plans"]] == ["main"]
        schemas.RunOnce.model_validate(answer)
        assert [line.split()[0] for line in api.sent()] == ["POST"]
        assert (await api.get("/status")).document["state"] == "stopped"

    play(test, TARGET)


def test_run_once_wakes_a_running_watch(play: Play) -> None:
    async def test(api: Api) -> None:
        await until(lambda: api.control.polls)
        looks = api.control.polls
        async with asyncio.timeout(5):  # the next look by itself is an hour away
            answer = (await api.post("/run-once")).document
        assert answer["finished"]
        assert api.control.polls > looks
        assert api.control.state is State.WATCHING

    slow = SellModuleConfig(check_interval=dt.timedelta(hours=1))
    play(test, api=WATCHING, sell=slow)


def test_two_runs_at_once_are_refused(play: Play) -> None:
    async def test(api: Api) -> None:
        first, second = await asyncio.gather(api.post("/run-once"), api.post("/run-once"))
        assert sorted((first.status, second.status)) == [200, 409]

    play(test)


def test_a_disabled_module_is_not_started(play: Play) -> None:
    async def test(api: Api) -> None:
        for path in ("/start", "/run-once"):
            refused = await api.post(path)
            assert refused.status == 409
            assert "enabled is false" in refused.document["detail"]
        assert api.control.state is State.STOPPED

    play(test, api=WATCHING, sell=SellModuleConfig(enabled=False))


def test_a_halt_stops_new_orders_until_it_is_lifted(play: Play) -> None:
    async def test(api: Api) -> None:
        halted = (await api.post("/halt", b'{"reason": "odd fills"}')).document
        assert halted["changed"]
        assert halted["sentence"].endswith("`sellctl resume` on the machine lifts it, or an admin over the API.")
        for path in ("/start", "/run-once", "/stop", "/start"):
            await api.post(path)
            assert api.control.halted() == "odd fills", path
        await until(lambda: api.control.polls)
        assert api.sent() == []
        status = (await api.get("/status")).document
        assert (status["halted"], status["halt_origin"]) == ("odd fills", "api")

    play(test, TARGET)


def test_an_admin_lifts_a_halt_made_over_the_api_with_a_reason_and_the_journal_says_who(play: Play) -> None:
    async def test(api: Api) -> None:
        await api.post("/halt", b'{"reason": "odd fills"}', token=a_token("operator", "olga"))
        assert (await api.post("/resume", b"{}")).status == 422
        assert (await api.post("/resume", b'{"reason": " "}')).status == 422
        assert api.control.halted() == "odd fills"
        resumed = await api.post("/resume", b'{"reason": "a test of the venue"}', token=a_token(subject="ana"))
        assert (resumed.status, resumed.document["changed"], resumed.document["halted"]) == (200, True, "")
        again = (await api.post("/resume", b'{"reason": "again"}')).document
        assert (again["changed"], again["sentence"]) == (False, "Trading was not halted.")
        said = [(row.kind, row.body["by"], row.body["reason"]) for row in api.rows() if row.kind in {"halt", "resume"}]
        assert said == [
            ("halt", "olga over the API", "odd fills"),
            ("resume", "ana over the API", "a test of the venue"),
        ]
        await api.post("/run-once")
        assert [line.split()[0] for line in api.sent()] == ["POST"]

    play(test, TARGET)


@pytest.mark.parametrize("origin", [HaltOrigin.MACHINE, HaltOrigin.GUARD])
def test_no_call_lifts_a_halt_made_at_the_machine_or_by_the_account_guard(play: Play, origin: HaltOrigin) -> None:
    async def test(api: Api) -> None:
        api.control.runtime.state.halt("fed day", "somebody", origin)
        halted = (await api.post("/halt", b'{"reason": "later"}')).document
        assert (halted["changed"], halted["halted"]) == (False, "fed day")
        assert halted["sentence"] == "It was halted already. `sellctl resume` on the machine lifts it."
        refused = await api.post("/resume", b'{"reason": "it is over"}')
        assert refused.status == 409
        assert "only the machine lifts it: fed day" in refused.document["detail"]
        assert api.control.halted() == "fed day"
        assert api.rows("resume") == []
        assert (await api.get("/status")).document["halt_origin"] == origin.value

    play(test, TARGET)


def test_a_halt_works_without_a_body_and_without_a_journal(play: Play) -> None:
    class FullDisk:
        def note(self, *_args: object) -> None:
            raise JournalError("The disk is full.")

    async def test(api: Api) -> None:
        audit = Audit(FullDisk())  # type: ignore[arg-type]  it needs nothing else of a journal
        api.app.state.sellctl_gate = replace(api.services.gate, audit=audit)
        assert (await api.post("/start")).status == 503
        assert api.control.state is State.STOPPED
        assert (await api.post("/halt")).status == 200
        assert api.control.halted() == "halted through the control API"

    play(test)


def test_nothing_that_is_called_changes_the_configuration(play: Play) -> None:
    async def test(api: Api) -> None:
        loaded, shown = api.control.runtime.loaded, (await api.get("/config")).document
        run_options = (
            b'{"live": true, "paper": false, "api_key": "x", "profit_rate": 9, "account": "other", "resume": true}'
        )
        for route in ("/start", "/stop", "/run-once", "/halt", "/start"):
            await api.post(f"{route}?live=true&paper=false&resume=true&state_dir=/tmp", run_options)
        for method in ("PUT", "PATCH", "DELETE", "POST"):
            assert (await api.call(method, f"{PREFIX}/config", body=run_options)).status == 405
        assert api.control.runtime.loaded is loaded
        assert (await api.get("/config")).document == shown

    play(test)


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"reason": ""}', b'{"reason": 1}', b'{"resume": true}', b'"x"', b"\xff\xfe"]
)
def test_a_malformed_halt_is_refused_and_halts_nothing(play: Play, body: bytes) -> None:
    async def test(api: Api) -> None:
        assert (await api.post("/halt", body)).status in {400, 422}
        assert not api.control.halted()

    play(test)


def test_a_reason_cannot_forge_a_line_of_the_log(play: Play) -> None:
    async def test(api: Api) -> None:
        await api.post(
            "/halt", json.dumps({"reason": "x\n2026-01-01 00:00:00 | INFO | forged \u202e\x1b[31m"}).encode()
        )
        assert "\n" not in api.control.halted()
        assert "\x1b" not in api.control.halted()

    play(test)


# --- the audit --------------------------------------------------------------------------------------------------------


def test_every_call_that_changes_something_is_written_down_before_it_does(play: Play) -> None:
    async def test(api: Api) -> None:
        await api.post("/start", token=a_token(subject="ops@example"))
        rows = [row.body for row in api.rows("api")]
        told = {"who": "ops@example", "role": "admin", "from": "127.0.0.1", "route": "POST /sell/start"}
        assert {**rows[0], **told} == rows[0]

    play(test)


def test_reads_and_refusals_are_counted_and_written_together(play: Play) -> None:
    async def test(api: Api) -> None:
        for _ in range(50):
            await api.get("/status", token=a_token("viewer", "phone"))
        await api.post("/stop", token=None)
        await api.post("/stop", token=a_token("viewer", "phone"))
        await api.get("/status", peer="203.0.113.1")
        before = len(api.rows("api"))
        api.services.gate.audit.flush()
        api.services.gate.audit.flush()
        rows = api.rows("api")
        assert len(rows) == before + 1
        counted = {(c["who"], c["from"], c["route"], c["status"]): c["count"] for c in rows[-1].body["calls"]}
        assert counted["phone", "127.0.0.1", "GET /sell/status", 200] == 50
        assert counted["", "127.0.0.1", "POST /sell/stop", 401] == 1
        assert counted["phone", "127.0.0.1", "POST /sell/stop", 403] == 1
        assert counted["", "203.0.113.1", "any", 403] == 1

    play(test)


def test_an_audit_that_cannot_be_written_keeps_its_counts_and_stays_small() -> None:
    class Broken:
        written: list[Any] = []  # noqa: RUF012  one test's

        def note(self, _account: str, _kind: str, detail: Any) -> None:
            if not self.written:
                self.written.append(None)
                raise JournalError("The disk is full.")
            self.written.append(detail)

    journal = Broken()
    audit = Audit(journal)  # type: ignore[arg-type]
    for number in range(2_000):
        audit.count(ApiCall("", "", f"203.0.113.{number}", "any"), 200)
    audit.flush()
    audit.flush()
    (_, detail) = journal.written
    assert sum(call["count"] for call in detail["calls"]) == 2_000
    assert detail["calls"][-1]["who"] == OTHERS.who
    assert len(detail["calls"]) == 501


# --- bodies, bugs and secrets -----------------------------------------------------------------------------------------


def drip(seconds: float) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(seconds)
        return {"type": "http.request", "body": b" ", "more_body": True}

    return receive


def flood() -> Callable[[], Awaitable[dict[str, Any]]]:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b" " * 1024, "more_body": True}

    return receive


def test_a_huge_body_is_refused_by_its_length_and_while_it_arrives(play: Play) -> None:
    async def test(api: Api) -> None:
        assert (await api.post("/halt", b" " * (MAX_BODY_BYTES + 1))).status == 413
        for content_length in ("99999999999999999999", "-1", "nonsense", str(MAX_BODY_BYTES + 1)):
            assert (await api.post("/halt", b"{}", headers={"content-length": content_length})).status == 413, (
                content_length
            )
        kind = {"content-type": "application/json"}
        assert (await api.post("/halt", headers=kind, receive=flood())).status == 413
        assert not api.control.halted()

    play(test)


def test_a_body_that_arrives_too_slowly_is_refused(play: Play) -> None:
    async def test(api: Api) -> None:
        kind = {"content-type": "application/json"}
        assert (await api.post("/halt", headers=kind, receive=drip(0.02))).status == 408
        assert not api.control.halted()

    play(test, body_seconds=0.1)


def test_no_body_is_read_of_a_caller_without_a_token(play: Play) -> None:
    async def never() -> dict[str, Any]:
        raise AssertionError("the body was read")

    async def test(api: Api) -> None:
        assert (await api.post("/halt", token=None, receive=never)).status == 401

    play(test)


def test_no_secret_is_in_an_answer_a_log_or_the_journal(play: Play, capsys: pytest.CaptureFixture[str]) -> None:
    async def test(api: Api) -> None:
        said = [(await api.get(path)).body for path in (*ANSWERS, "/history?limit=500")]
        said += [(await api.post(path)).body for path in ("/run-once", "/start", "/stop", "/halt")]
        said += [(await api.get("/status", token=token)).body for token in (None, "garbage", f"{SECRET}")]
        said += [(await api.call("GET", path)).body for path in (*PAGE, f"{PREFIX[:7]}/openapi.json", "/nothing")]
        api.services.gate.audit.flush()
        everything = b"".join(said).decode() + "".join(str(row) for row in api.rows()) + "".join(capsys.readouterr())
        for secret in (CANARY, SECRET, api.token):
            assert secret not in everything

    play(test, TARGET)


class BrokenHub(EventHub):
    """An event hub with a bug that ends the watcher after its first check."""

    def announce(self, *_args: object) -> None:
        raise RuntimeError(f"a bug that knows {CANARY}")


def test_a_watcher_that_failed_is_reported_and_can_be_started_again(play: Play) -> None:
    async def test(api: Api) -> None:
        hub, api.control.hub = api.control.hub, BrokenHub()
        await api.post("/start")
        await api.control.failed.wait()
        status = (await api.get("/status")).document
        assert (status["state"], status["fault"]) == ("failed", "internal error RuntimeError")
        assert (await api.call("GET", "/healthz", token=None)).status == 503
        api.control.hub = hub
        assert (await api.post("/start")).document["state"] == "watching"
        assert (await api.call("GET", "/healthz", token=None)).document == {"status": "ok"}

    play(test)


def test_the_answer_to_an_internal_error_reveals_nothing(play: Play) -> None:
    class BrokenControl:
        @property
        def runtime(self) -> None:
            raise RuntimeError(f"a bug that knows {CANARY}")

    async def test(api: Api) -> None:
        api.app.state.sellctl_control = BrokenControl()
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        headers = {"host": "localhost", "authorization": f"Bearer {api.token}"}
        with pytest.raises(RuntimeError):  # for the server's log
            await api.app(a_scope("GET", f"{PREFIX}/status", headers), whole(b""), send)
        assert sent[0]["status"] == 500
        assert sent[1]["body"] == b"Internal Server Error"

    play(test)


# --- the events -------------------------------------------------------------------------------------------------------


async def read(hub: EventHub, after: int, enough: int, subject: str = "viewer") -> list[bytes]:
    found: list[bytes] = []
    inbox = hub.join(subject, after)
    async for frame in frames(inbox, 5):
        found.append(frame)
        if len(found) == enough:
            break
    hub.leave(inbox)
    return found


def test_a_stream_begins_with_what_was_missed_and_goes_on(play: Play) -> None:
    async def test(api: Api) -> None:
        await api.post("/start")
        await api.post("/stop")
        first, second, third = await read(api.control.hub, 0, 3)
        assert first.startswith(b": ")
        assert second.startswith(b"id: 1\nevent: event\ndata: {")
        assert json.loads(third.split(b"data: ")[1])["sentence"].startswith("Stopped")
        assert (await read(api.control.hub, 1, 2))[1] == third

    play(test)


def test_the_stream_of_a_slow_reader_is_ended_without_delaying_others() -> None:
    async def scene() -> None:
        hub = EventHub()
        slow = hub.join("slow")
        for number in range(MAX_WAITING + 10):
            hub.announce("look", {"looks": number})
        assert hub.streams == 0
        assert slow.qsize() == MAX_WAITING + 1
        assert hub.join("fresh").qsize() == 0

    asyncio.run(scene())


def test_streams_are_counted_and_ended() -> None:
    async def scene() -> None:
        hub = EventHub()
        waiting = [asyncio.create_task(read(hub, 0, 10, f"viewer-{number}")) for number in range(MAX_STREAMS)]
        await until(lambda: hub.streams == MAX_STREAMS)
        with pytest.raises(TooManyStreamsError):
            hub.join("another")
        hub.close()
        assert [len(found) for found in await asyncio.gather(*waiting)] == [1] * MAX_STREAMS
        assert hub.streams == 0

    asyncio.run(scene())


def test_too_many_streams_are_refused_over_http(play: Play) -> None:
    async def test(api: Api) -> None:
        tokens = [a_token("viewer", f"viewer-{number}") for number in range(MAX_STREAMS)]
        open_ones = [asyncio.create_task(api.get("/events", token=token)) for token in tokens]
        await until(lambda: api.control.hub.streams == MAX_STREAMS)
        assert (await api.get("/events")).status == 503
        api.control.hub.close()
        assert [answer.status for answer in await asyncio.gather(*open_ones)] == [200] * MAX_STREAMS

    play(test)


def test_one_subject_cannot_hold_all_streams(play: Play) -> None:
    async def test(api: Api) -> None:
        greedy, hub = a_token("viewer", "greedy"), api.control.hub
        peers = [f"127.0.0.{number}" for number in range(1, MAX_STREAMS + 1)]
        asked = [asyncio.create_task(api.get("/events", token=greedy, peer=peer)) for peer in peers]
        await until(lambda: sum(task.done() for task in asked) == MAX_STREAMS - MAX_STREAMS_PER_SUBJECT)
        assert {task.result().status for task in asked if task.done()} == {429}
        admin = asyncio.create_task(api.get("/events"))
        await until(lambda: hub.streams == MAX_STREAMS_PER_SUBJECT + 1)
        hub.close()
        assert (await admin).status == 200
        await asyncio.gather(*asked)

    play(test)


def test_a_stream_that_never_began_is_not_counted_any_more(play: Play) -> None:
    async def test(api: Api) -> None:
        async def hung_up() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        await api.get("/events", receive=hung_up)
        assert api.control.hub.streams == 0

    play(test)


def test_events_are_remembered_up_to_a_limit() -> None:
    hub = EventHub()
    assert hub._recent.maxlen == RECENT_EVENTS  # noqa: SLF001  its memory is what is bounded


# --- the page and the application -------------------------------------------------------------------------------------


def test_the_files_of_the_page_are_served_under_a_strict_policy(play: Play) -> None:
    async def test(api: Api) -> None:
        for path, (_, media_type) in PAGE.items():
            answer = await api.call("GET", path, token=None)
            assert answer.status == 200
            assert answer.headers["content-type"] == media_type
            assert answer.headers["content-security-policy"] == CONTENT_POLICY
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert "unsafe" not in CONTENT_POLICY

    play(test)


def test_the_page_holds_no_inline_code_and_nothing_from_elsewhere() -> None:
    folder = Path(__file__).parent.parent.parent / "sellctl" / "api" / "page"
    html, script = (folder / "index.html").read_text(), "".join(each.read_text() for each in folder.glob("*.js"))
    assert {each.name for each in folder.glob("*.js")} == set(SCRIPTS)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", html)
    assert not re.search(r"(src|href)=\"(?!/|#)", html)
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|localStorage|sessionStorage|cookie", script
    )


def test_the_openapi_document_names_every_route_and_its_token(play: Play) -> None:
    async def test(api: Api) -> None:
        document = (await api.call("GET", "/api/v1/openapi.json", token=None)).document
        paths = {path for path in document["paths"] if path.startswith("/api/v1/sell/")}
        assert paths == {f"/api/v1{route.path}" for route in sell_router.routes}  # type: ignore[attr-defined]
        for path in paths:
            for operation in document["paths"][path].values():
                assert operation["security"] == [{"HTTPBearer": []}]
                assert operation["description"]

    play(test)


def test_the_router_works_in_an_application_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SimServer(parse_scenario(TARGET), speed=0) as server:
        write_config(tmp_path, server, f"api: {{secret: {SECRET}}}\n")
        monkeypatch.setenv("SELLCTL_CONFIG", str(tmp_path / "config.yml"))
        monkeypatch.setenv("SELLCTL_STATE_DIR", str(tmp_path / "state"))
        app = FastAPI()
        app.include_router(sell_router, prefix="/api/v1", tags=["sell_module"])

        async def scene() -> None:
            async with app.router.lifespan_context(app):
                headers = {"host": "my.app.example", "authorization": f"Bearer {a_token()}"}
                answer = await answered(app, a_scope("GET", f"{PREFIX}/status", headers), whole(b""))
                assert answer.document["state"] == "watching"
                refused = await answered(app, a_scope("GET", f"{PREFIX}/status", {}), whole(b""))
                assert refused.status == 401

        asyncio.run(scene())


def test_without_its_lifespan_the_router_answers_503() -> None:
    app = FastAPI()
    app.include_router(sell_router, prefix="/api/v1")

    async def scene() -> None:
        answer = await answered(app, a_scope("GET", f"{PREFIX}/status", {}), whole(b""))
        assert answer.status == 503
        assert "lifespan" in answer.document["detail"]

    asyncio.run(scene())
