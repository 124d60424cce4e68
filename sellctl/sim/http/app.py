"""The ASGI application: each request is logged, authenticated, counted, answered, and changed by the active faults."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import parse_qsl

from sellctl.sim import rejections
from sellctl.sim.faults.http_faults import AFTER, BEFORE, FAULT_NAMES, HttpConnection, corrupt_response
from sellctl.sim.faults.registry import Fault
from sellctl.sim.host import SimHost
from sellctl.sim.http.asgi import Receive, Scope, Send, encoded, read_body, send_bytes
from sellctl.sim.http.closing import add_closing_routes
from sellctl.sim.http.control import add_control_routes
from sellctl.sim.http.key_headers import KEY, SECRET
from sellctl.sim.http.market_data import add_data_routes
from sellctl.sim.http.markets import add_market_routes
from sellctl.sim.http.messages import NO_CONTENT, LoggedRequest, SimRequest, SimResponse
from sellctl.sim.http.rate_limits import RateLimits
from sellctl.sim.http.routing import Routes
from sellctl.sim.http.trading import add_trading_routes
from sellctl.sim.venue.accounts import SimAccount

WebSockets = Callable[[Scope, Receive, Send], Awaitable[None]]
CONTROL = "/sim"


class SimulatorApp:
    """Alpaca's REST APIs and the control endpoint over one exchange; WebSockets go to `websockets` when given."""

    def __init__(self, host: SimHost, websockets: WebSockets | None = None) -> None:
        self.host = host
        self.log: list[LoggedRequest] = []
        self._websockets = websockets
        self._limits = RateLimits()
        self._routes = Routes()
        for add_routes in (add_trading_routes, add_closing_routes, add_market_routes, add_data_routes):
            add_routes(self._routes)
        self._control = Routes()
        add_control_routes(self._control, host, self.log)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "websocket" and self._websockets is not None:
            await self._websockets(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        body = await read_body(receive)
        entry = self._entry(scope, body)
        if entry.path.startswith(CONTROL):
            await _respond(send, self._answer_control(entry, body))
            return
        self.log.append(entry)
        account = self._authenticate(scope)
        entry.account = account.name if isinstance(account, SimAccount) else ""
        fault = self._fault(entry)
        connection = HttpConnection(self.host, scope, receive, send)
        if fault and (instead := BEFORE.get(fault.name)) and await instead(connection, fault):
            entry.fault = fault.name
            return
        response = self._answer(entry, account, body)
        entry.status, entry.took = response.status, time.perf_counter() - started
        if fault:
            entry.fault = fault.name
            response = corrupt_response(response, fault, entry.path)
            if (transmit := AFTER.get(fault.name)) and await transmit(connection, response, fault):
                return
        await _respond(send, response)

    def _entry(self, scope: Scope, body: bytes) -> LoggedRequest:
        return LoggedRequest(
            seq=len(self.log) + 1,
            at=self.host.time.now().isoformat(),
            account="",
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            body=body.decode("utf-8", "replace"),
        )

    def _authenticate(self, scope: Scope) -> SimAccount | rejections.RejectionError:
        headers = dict(scope["headers"])
        key, secret = (headers.get(name, b"").decode("latin-1") for name in (KEY, SECRET))
        try:
            return self.host.exchange.account_of(key, secret)
        except rejections.RejectionError as rejection:
            return rejection

    def _fault(self, entry: LoggedRequest) -> Fault | None:
        faults = self.host.exchange.faults
        if not faults.active:
            return None
        return faults.trigger(*FAULT_NAMES, account=entry.account, path=entry.path, method=entry.method)

    def _answer(
        self, entry: LoggedRequest, account: SimAccount | rejections.RejectionError, body: bytes
    ) -> SimResponse:
        with self.host.lock:
            self.host.catch_up()
            if isinstance(account, rejections.RejectionError):
                return SimResponse(account.status, account.body)
            limited, headers = self._limits.count(account.key, entry.path, self.host.exchange)
            if limited:
                return SimResponse(limited.status, limited.body, headers)
            response = _dispatch(self._routes, self._request(entry, account, body))
            response = response or SimResponse(404, {"message": "endpoint not found."})
            response.headers.update(headers)
            return response

    def _answer_control(self, entry: LoggedRequest, body: bytes) -> SimResponse:
        no_account = SimAccount(name="", key="", secret="", number="")
        with self.host.lock:
            self.host.catch_up()
            response = _dispatch(self._control, self._request(entry, no_account, body))
            return response or SimResponse(404, {"message": "no such control"})

    def _request(self, entry: LoggedRequest, account: SimAccount, body: bytes) -> SimRequest:
        query = dict(parse_qsl(entry.query, keep_blank_values=True))
        return SimRequest(self.host.exchange, account, entry.method, entry.path, query, body)


def _dispatch(routes: Routes, request: SimRequest) -> SimResponse | None:
    """The response of the endpoint; None when no endpoint has this method and path."""
    found = routes.find(request.method, request.path)
    if found is None:
        return None
    handler, args = found
    try:
        return handler(replace(request, args=args))
    except rejections.RejectionError as rejection:
        return SimResponse(rejection.status, dict(rejection.body))


async def _respond(send: Send, response: SimResponse) -> None:
    if response.status == NO_CONTENT:
        await send({"type": "http.response.start", "status": NO_CONTENT, "headers": encoded(response.headers)})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send_bytes(send, response.status, response.encoded(), headers=response.headers)
