"""The application of `sellctl serve`: the router, the page, the health check, and the middleware around them."""

import asyncio
from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse

from sellctl import __version__
from sellctl.api import schemas
from sellctl.api.audit import ApiCall
from sellctl.api.control import State
from sellctl.api.guarded import GuardedRoute, control_of
from sellctl.api.routes import sell_router

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sellctl.api.lifespan import ApiServices

PREFIX = "/api/v1"
HEALTH = "/healthz"
METRICS = "/metrics"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SCRIPTS = ("page.js", "dialogs.js", "chart.js", "format.js")
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{
        f"/{name}": (name, "text/javascript; charset=utf-8")
        for name in ("page.js", "dialogs.js", "chart.js", "format.js")
    },
}
# Only the files and routes of this server: no inline code, no frames, no forms, no other hosts.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}


def application(services: "ApiServices") -> FastAPI:
    """The application for these services. Its lifespan starts and stops them."""
    app = FastAPI(
        title="sellctl",
        version=__version__,
        description="The control API of the exit manager: it closes what is confirmed and changes no configuration.",
        docs_url=None,  # FastAPI's page loads scripts from another host
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
    )
    app.state.sellctl_services = services
    app.include_router(sell_router, prefix=PREFIX, tags=["sell_module"])
    if services.control.runtime.loaded.config.telemetry.prometheus:
        app.include_router(metrics_router)
    app.add_api_route(HEALTH, healthz, response_model=schemas.Health, tags=["health"], responses=_FAILING)
    for path in PAGE:
        app.add_api_route(path, page, include_in_schema=False)
    app.add_middleware(AccessMiddleware, services=services)
    return app


async def healthz(request: Request) -> Response:
    """The health of the process: 503 when the watcher ended with an error."""
    failing = control_of(request).state is State.FAILED
    return JSONResponse({"status": "failing" if failing else "ok"}, 503 if failing else 200)


_FAILING: "dict[int | str, dict[str, object]]" = {
    503: {"model": schemas.Health, "description": "The watcher ended with an error."}
}


# Guarded as the routes of sell_router are: address, host name, a token with the role viewer, and its rate.
metrics_router = APIRouter(route_class=GuardedRoute)


@metrics_router.get(METRICS, include_in_schema=False)
async def metrics(request: Request) -> Response:
    """The metrics in Prometheus' text format, where telemetry.prometheus is on."""
    telemetry = control_of(request).runtime.telemetry
    text = b"" if telemetry is None else await asyncio.to_thread(telemetry.page)
    return Response(text, media_type=METRICS_TYPE)


async def page(request: Request) -> Response:
    """One of the page's files."""
    name, media_type = PAGE[request.url.path]
    return Response(files("sellctl.api").joinpath("page", name).read_bytes(), media_type=media_type)


class AccessMiddleware:
    """Checks host name and address of each request, and adds the security headers to each response."""

    def __init__(self, app: "ASGIApp", services: "ApiServices") -> None:
        self._app = app
        self._gate = services.gate
        self._headers = {**HEADERS, **(TLS_HEADERS if services.control.runtime.loaded.config.api.tls_cert else {})}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, or answer it with the reason why it is refused."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: "Message") -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        try:
            self._check(scope)
        except HTTPException as error:
            answer = JSONResponse({"detail": error.detail}, error.status_code, dict(error.headers or {}))
            await answer(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)

    def _check(self, scope: "Scope") -> None:
        """Raise HTTPException for a refused address, rate or host name.

        The health check has no rate limit: whoever supervises the process must always be answered. An unknown host name
        may mean DNS rebinding.
        """
        address = self._gate.check_address(scope) if scope["path"] == HEALTH else self._gate.check_call(scope)
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._gate.access.answers_to(hosts[0]):
            self._gate.audit.count(ApiCall("", "", address, "by another host name"), 421)
            raise HTTPException(421, "This server doesn't answer to that host name. Add it to api.names.")
