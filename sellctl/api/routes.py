"""The routes of the control API. Each makes one call to Control and returns one document."""

import asyncio
import datetime as dt
import json
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPBearer

from sellctl.api import documents, manual_documents, manual_schemas, schemas, trade_schemas
from sellctl.api.events import EventHub, Inbox, TooManyStreamsError, frames
from sellctl.api.guarded import CLAIMS_KEY, GuardedRoute, caller_of, control_of, subject_of
from sellctl.api.lifespan import running
from sellctl.api.manual_exits import ExitRequest
from sellctl.api.manual_overrides import SetRequest
from sellctl.core.manual.verb import Verb
from sellctl.core.structures.names import name_or_symbol
from sellctl.core.until import end_of
from sellctl.service.names import exempted_text
from sellctl.service.rule_changes import RuleTexts
from sellctl.ui.documents import Document
from sellctl.ui.exit_documents import exits_document
from sellctl.ui.formatting import sanitize
from sellctl.ui.trades import trades_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from sellctl.core.config.schema import Config
    from sellctl.journal.location import JournalLocation
    from sellctl.service.recorded_exits import ExitsAsked

Found = TypeVar("Found")

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": schemas.Problem, "description": "The token is missing or invalid."},
    403: {"model": schemas.Problem, "description": "The address or the role may not call this route."},
    422: {"model": schemas.Problem, "description": "A parameter or the body is invalid; `detail` names the field."},
    429: {"model": schemas.Problem, "description": "Too many requests, forged tokens or event streams."},
    503: {"model": schemas.Problem, "description": "sellctl isn't running, or the journal can't be written."},
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    409: {"model": schemas.Problem, "description": "Not possible now; `detail` has the reason."},
    502: {"model": schemas.Problem, "description": "The broker could not be reached or failed."},
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {
    400: {"model": schemas.Problem, "description": "No such position; `detail` says which one may be meant."},
}
_UNRECORDED: dict[int | str, dict[str, Any]] = {
    400: {"model": schemas.Problem, "description": "The journal knows none of that name; `detail` may say which one."},
}
_FORGOTTEN: dict[int | str, dict[str, Any]] = {
    404: {"model": schemas.Problem, "description": "No such exits are known (any more)."},
}
_BAD_BODY: dict[int | str, dict[str, Any]] = {
    400: {"model": schemas.Problem, "description": "The request body can't be read."},
    408: {"model": schemas.Problem, "description": "The request body took too long to arrive."},
    413: {"model": schemas.Problem, "description": "The request body is too large."},
}

sell_router = APIRouter(
    prefix="/sell",
    route_class=GuardedRoute,
    dependencies=[Depends(HTTPBearer(auto_error=False, bearerFormat="JWT"))],  # for OpenAPI; GuardedRoute checks
    responses=_PROBLEMS,
    lifespan=running,
)


def _json(document: Document) -> Response:
    return Response(json.dumps(document), media_type="application/json")


@sell_router.get("/status", response_model=schemas.Status)
async def status(request: Request) -> Response:
    """The state of the watcher and of each account."""
    return _json(documents.status_document(control_of(request)))


@sell_router.get("/config", response_model=schemas.ConfigShown)
async def config(request: Request) -> Response:
    """The configuration with masked secrets, and where each value comes from."""
    return _json(documents.config_document(control_of(request)))


@sell_router.get("/positions", response_model=schemas.Positions)
async def positions(request: Request) -> Response:
    """All positions with gain, triggers and state, and the open orders, as of the last check."""
    return _json(documents.positions_with_orders(control_of(request)))


@sell_router.get("/plan", response_model=schemas.Plans)
async def plan(request: Request) -> Response:
    """The decisions of the last check."""
    return _json(documents.plans_document(control_of(request)))


@sell_router.get("/explain", response_model=manual_schemas.Explanations, responses=_UNKNOWN)
async def explain(request: Request, query: Annotated[manual_schemas.ExplainQuery, Query()]) -> Response:
    """Everything about one position or structure: the decision, each rule, the orders, and its price so far."""
    return _json(control_of(request).explain(query.symbol, query.account))


@sell_router.get("/history", response_model=schemas.History)
async def history(request: Request, query: Annotated[schemas.HistoryQuery, Query()]) -> Response:
    """Decisions, orders, rejections and fills, newest first."""
    from sellctl.journal.queries import Filters  # noqa: PLC0415  the journal is an adapter
    from sellctl.journal.queries import history as page  # noqa: PLC0415  the journal is an adapter

    filters = Filters(
        symbol=name_or_symbol(query.symbol),
        account=query.account,
        reason=query.reason,
        day=query.day.isoformat() if query.day else "",
        only_open=query.only_open,
        before=query.before,
        limit=query.limit,
    )
    rows = await asyncio.to_thread(page, control_of(request).runtime.state.journal, filters)
    return _json(documents.history_document(rows, query.limit))


@sell_router.get("/trades", response_model=trade_schemas.Trades, responses=_UNRECORDED)
async def trades(request: Request, query: Annotated[trade_schemas.ExitsQuery, Query()]) -> Response:
    """The closed exits, oldest first, with totals per mode: the document of `sellctl trades`."""
    from sellctl.service.recorded_exits import recorded_trades  # noqa: PLC0415  the journal is an adapter

    return _json(trades_document(await _recorded(request, query, recorded_trades)))


@sell_router.get("/report", response_model=trade_schemas.Report, responses=_UNRECORDED)
async def report(request: Request, query: Annotated[trade_schemas.ExitsQuery, Query()]) -> Response:
    """Profit, slippage and duration of exits, each and per day, strategy and reason: what `sellctl report` prints."""
    from sellctl.service.recorded_exits import recorded_exits  # noqa: PLC0415  the journal is an adapter

    return _json(exits_document(*await _recorded(request, query, recorded_exits)))


async def _recorded(
    request: Request, query: trade_schemas.ExitsQuery, read: "Callable[[JournalLocation, Config, ExitsAsked], Found]"
) -> "Found":
    """What the journal has on the exits that are asked for, read in a thread beside the watchers."""
    from sellctl.service.recorded_exits import ExitsAsked  # noqa: PLC0415  the journal is an adapter

    day, since = (date.isoformat() if date else "" for date in (query.day, query.since))
    asked = ExitsAsked(query.symbol, query.account, query.reason, day, since)
    runtime = control_of(request).runtime
    return await asyncio.to_thread(read, runtime.state.journal, runtime.loaded.config, asked)


@sell_router.get(
    "/events",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Server-sent events, until the token expires."}
    },
)
async def events(request: Request) -> Response:
    """A live stream of events: `event` for each event, and `look` after each check."""
    hub, claims = control_of(request).hub, request.scope[CLAIMS_KEY]
    try:
        inbox = hub.join(claims.subject, _last_seen(request))
    except TooManyStreamsError as error:
        status = 429 if error.by_subject else 503
        raise HTTPException(status, str(error), headers={"Retry-After": "30"}) from None
    left = claims.expires - dt.datetime.now(dt.UTC)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = frames(inbox, left.total_seconds())
    return _EventStream(hub, inbox, stream, media_type="text/event-stream", headers=headers)


class _EventStream(StreamingResponse):
    """A stream that leaves the hub however it ends, also when the caller hangs up before its first byte."""

    def __init__(self, hub: EventHub, inbox: Inbox, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._hub, self._inbox = hub, inbox

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Send the stream to its end."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._inbox)


def _last_seen(request: Request) -> int:
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0  # noqa: PLR2004  digits


@sell_router.post("/start", response_model=schemas.Done, responses=_REFUSED)
async def start(request: Request) -> Response:
    """Start watching."""
    control = control_of(request)
    changed = control.start()
    sentence = "Started watching." if changed else "It is watching already."
    return _json(documents.done_document(control, sentence, changed=changed))


@sell_router.post("/stop", response_model=schemas.Stopped, responses=_REFUSED)
async def stop(request: Request) -> Response:
    """Stop watching. Orders at the broker stay, protective ones included; the answer lists those of sellctl."""
    control = control_of(request)
    changed = await control.stop()
    return _json(documents.stopped_document(control, await control.left_at_broker(), changed=changed))


@sell_router.post("/run-once", response_model=schemas.RunOnce, responses=_REFUSED)
async def run_once(request: Request) -> Response:
    """Check all accounts now and close what is due. While stopped, this is the command `run-once`: up to 50 s."""
    control = control_of(request)
    finished = await control.run_once()
    return _json({**documents.plans_document(control), "finished": finished, "halted": control.halted()})


@sell_router.post(
    "/close", response_model=manual_schemas.Proposal | manual_schemas.Outcome, responses=_REFUSED | _BAD_BODY
)
async def close(request: Request, order: manual_schemas.CloseOrder) -> Response:
    """Close a position or structure, or a part of it: first with `dry_run`, then with the code that this returned."""
    wanted = ExitRequest(Verb.CLOSE, order.account, order.symbol, order.qty, order.limit, order.patience)
    return await _close(request, order, wanted)


@sell_router.post(
    "/panic", response_model=manual_schemas.Proposal | manual_schemas.Outcome, responses=_REFUSED | _BAD_BODY
)
async def panic(request: Request, order: manual_schemas.PanicOrder) -> Response:
    """Close every managed position at any price, even during a halt, in the same two steps as a close."""
    return await _close(request, order, ExitRequest(Verb.PANIC, order.account))


async def _close(request: Request, order: manual_schemas.Confirmable, wanted: ExitRequest) -> Response:
    """Show what would be sent, or carry out what a code confirms."""
    exits, subject = control_of(request).exits, subject_of(request)
    if order.confirm:
        found = await exits.confirm(order.confirm, wanted.verb, subject, caller_of(request))
        return _json(manual_documents.outcomes_document(found))
    return _json(manual_documents.proposal_document(exits.propose(wanted, subject), control_of(request)))


@sell_router.get("/close/{exits_id}", response_model=manual_schemas.Outcome, responses=_FORGOTTEN)
async def outcome(request: Request, exits_id: Annotated[str, Path(max_length=64)]) -> Response:
    """What became of a close or panic by now."""
    found = control_of(request).exits.outcome_of(exits_id)
    if found is None:
        raise HTTPException(404, "No such exits are known: they were asked for before the start, or too long ago.")
    return _json(manual_documents.outcomes_document(found))


@sell_router.post(
    "/set", response_model=manual_schemas.SetProposal | manual_schemas.SetDone, responses=_REFUSED | _BAD_BODY
)
async def set_rules(request: Request, order: manual_schemas.SetOrder) -> Response:
    """Set the rules of one position by hand: first with `dry_run`, then with the code that this returned."""
    control, subject, by = control_of(request), subject_of(request), caller_of(request)
    if order.confirm:
        found = await control.overrides.confirm(order.confirm, subject, by)
        return _json(manual_documents.set_document(found, control))
    rules = RuleTexts(order.stop, order.target, order.trail, order.breakeven, order.until, order.clear)
    shown = control.overrides.propose(SetRequest(order.symbol, order.account, rules), subject, by)
    return _json(manual_documents.shown_overrides_document(shown, control))


@sell_router.post(
    "/confirm",
    response_model=manual_schemas.ShownProposal | manual_schemas.ConfirmedProposal,
    responses=_REFUSED | _BAD_BODY,
)
async def confirm(request: Request, order: manual_schemas.ConfirmOrder) -> Response:
    """Confirm what an assistant has proposed: first with its code, then with the code that this returned."""
    control, subject = control_of(request), subject_of(request)
    if order.confirm:
        followed = await control.proposals.confirm(order.confirm, subject)
        return _json(manual_documents.confirmed_document(followed, control))
    shown, code = control.proposals.show(order.code, subject)
    return _json(manual_documents.shown_proposal_document(shown, code, control))


@sell_router.post("/exempt", response_model=schemas.Done, responses=_REFUSED | _BAD_BODY)
async def exempt(request: Request, order: manual_schemas.ExemptOrder) -> Response:
    """Leave a position, an underlying or a structure alone from the next check on, in all accounts."""
    control = control_of(request)
    end = end_of(order.until or None, control.runtime.scheduler.market)
    name = control.verbs.exempt(order.symbol, caller_of(request), until=end)
    return _json(documents.done_document(control, exempted_text(name, end), changed=True))


@sell_router.post("/manage", response_model=schemas.Done, responses=_REFUSED | _BAD_BODY)
async def manage(request: Request, order: manual_schemas.NamedPosition) -> Response:
    """Manage a position again: its exemption ends, and its suspended rules resume."""
    control = control_of(request)
    name = control.verbs.manage(order.symbol, caller_of(request))
    return _json(documents.done_document(control, f"{name} is managed from the next check.", changed=True))


@sell_router.post("/halt", response_model=schemas.Done, responses=_REFUSED | _BAD_BODY)
async def halt(request: Request, order: schemas.HaltOrder | None = None) -> Response:
    """Stop all new orders of every sellctl process on this state folder, at once and without a confirmation."""
    control = control_of(request)
    changed, untold = control.halt(sanitize((order or schemas.HaltOrder()).reason), caller_of(request))
    return _json(documents.halted_document(control, untold, changed=changed))


@sell_router.post("/resume", response_model=schemas.Done, responses=_REFUSED | _BAD_BODY)
async def resume(request: Request, order: schemas.ResumeOrder) -> Response:
    """Lift a halt that was made over the API or by chat. Any other halt is lifted at the machine only."""
    control = control_of(request)
    changed = control.resume(sanitize(order.reason), caller_of(request))
    sentence = "Resumed: exit orders are sent again." if changed else "Trading was not halted."
    return _json(documents.done_document(control, sentence, changed=changed))
