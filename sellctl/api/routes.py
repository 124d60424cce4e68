"""The routes of the control API. Each is a few lines: one call into Control, one document out."""

import asyncio
import datetime as dt
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPBearer

from sellctl.api import documents, schemas
from sellctl.api.events import MOST_STREAMS, Hub, frames
from sellctl.api.guarded import CLAIMS, GuardedRoute, control_of
from sellctl.api.lifespan import running
from sellctl.ui.formatting import sanitize
from sellctl.ui.render import Document

_PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": schemas.Problem, "description": "No token, or one that is worth nothing."},
    403: {"model": schemas.Problem, "description": "The address or the role may not call this."},
    429: {"model": schemas.Problem, "description": "Too many requests, or locked out after bad tokens."},
    503: {"model": schemas.Problem, "description": "Not running, or the journal can't be written."},
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    409: {"model": schemas.Problem, "description": "Not now: the sentence says why."},
    502: {"model": schemas.Problem, "description": "The broker failed."},
}
_BAD_BODY: dict[int | str, dict[str, Any]] = {
    400: {"model": schemas.Problem, "description": "The body can't be read."},
    408: {"model": schemas.Problem, "description": "The body took too long."},
    413: {"model": schemas.Problem, "description": "The body is too large."},
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
    """What the watcher is doing, account by account."""
    return _json(documents.status_document(control_of(request)))


@sell_router.get("/config", response_model=schemas.ConfigShown)
async def config(request: Request) -> Response:
    """The configuration, secrets masked, and where each value came from."""
    return _json(documents.config_document(control_of(request)))


@sell_router.get("/positions", response_model=schemas.Positions)
async def positions(request: Request) -> Response:
    """Every holding with its gain, triggers and state, and the open orders, as of the last look."""
    return _json(documents.positions_with_orders(control_of(request)))


@sell_router.get("/plan", response_model=schemas.Plans)
async def plan(request: Request) -> Response:
    """What was decided at the last look."""
    return _json(documents.plans_document(control_of(request)))


@sell_router.get("/history", response_model=schemas.History)
async def history(request: Request, asked: Annotated[schemas.HistoryQuery, Query()]) -> Response:
    """What was decided, sent, refused and filled, newest first."""
    from sellctl.journal.queries import Filters  # noqa: PLC0415  the journal is an adapter
    from sellctl.journal.queries import history as page  # noqa: PLC0415  likewise

    wanted = Filters(
        symbol=asked.symbol.upper(),
        account=asked.account,
        reason=asked.reason,
        day=asked.day.isoformat() if asked.day else "",
        only_open=asked.only_open,
        before=asked.before,
        limit=asked.limit,
    )
    rows = await asyncio.to_thread(page, control_of(request).runtime.state.journal, wanted)
    return _json(documents.history_document(rows, asked.limit))


@sell_router.get(
    "/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Server-sent events, until the token ends."}},
)
async def events(request: Request) -> Response:
    """What happens, as it happens: `event` messages, and `look` after each look."""
    hub: Hub = control_of(request).hub
    if hub.streams >= MOST_STREAMS:
        raise HTTPException(503, f"{MOST_STREAMS} streams are open already.", headers={"Retry-After": "30"})
    left = request.scope[CLAIMS].expires - dt.datetime.now(dt.UTC)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = frames(hub, _last_seen(request), left.total_seconds())
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def _last_seen(request: Request) -> int:
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0  # noqa: PLR2004  digits enough


@sell_router.post("/start", response_model=schemas.Done, responses=_REFUSED)
async def start(request: Request) -> Response:
    """Watch from now on."""
    control = control_of(request)
    changed = control.start()
    sentence = "Watching from now on." if changed else "It is watching already."
    return _json(documents.done_document(control, sentence, changed=changed))


@sell_router.post("/stop", response_model=schemas.Stopped, responses=_REFUSED)
async def stop(request: Request) -> Response:
    """Stop watching. Orders at the broker stay, protective ones too; the answer names those of ours."""
    control = control_of(request)
    changed = await control.stop()
    return _json(documents.stopped_document(control, await control.left_at_broker(), changed=changed))


@sell_router.post("/run-once", response_model=schemas.RunOnce, responses=_REFUSED)
async def run_once(request: Request) -> Response:
    """Look at every account now and sell what is due; while stopped this is the command `run-once`, up to 50 s."""
    control = control_of(request)
    finished = await control.run_once()
    return _json({**documents.plans_document(control), "finished": finished, "halted": control.halted()})


@sell_router.post("/halt", response_model=schemas.Done, responses=_REFUSED | _BAD_BODY)
async def halt(request: Request, order: schemas.HaltOrder | None = None) -> Response:
    """Stop all new orders of every sellctl on this state folder. Only `sellctl resume` lifts it."""
    control = control_of(request)
    reason = sanitize((order or schemas.HaltOrder()).reason)
    control.halt(reason, f"{request.scope[CLAIMS].subject} over the API")
    return _json(documents.done_document(control, "Halted. `sellctl resume` lifts it.", changed=True))
