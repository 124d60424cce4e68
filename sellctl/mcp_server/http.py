"""The transport over streamable HTTP: address, host name, origin and token are checked before anything is read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException
from mcp.server.lowlevel.server import Server
from mcp.server.transport_security import TransportSecuritySettings
from starlette.responses import JSONResponse

from sellctl.api.access import Access, AccessError
from sellctl.api.audit import Audit
from sellctl.api.guarded import CLAIMS_KEY, Gate
from sellctl.api.throttle import Throttle
from sellctl.api.tokens import Claims, Role
from sellctl.mcp_server.tools import Caller

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sellctl.bootstrap import Runtime
    from sellctl.core.config.schema import ApiConfig

PATH = "/mcp"
MOST_BYTES = 65_536  # of a request's body


def application(server: Server[Any], access: Access, gate: Gate | None) -> "ASGIApp":
    """The server as an ASGI application. Without a gate no token is asked for."""
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        max_request_body_size=MOST_BYTES,
        # host names and origins are checked below, by the rules of the control API
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    return _Guarded(app, access, gate)


def gate_of(runtime: "Runtime", api: "ApiConfig") -> Gate:
    """The check of address, token and rate. A dry run has no journal, so that refused calls are only in the log."""
    addresses, subjects = (Throttle(api.requests_a_second, runtime.clock.monotonic) for _ in range(2))
    audit = Audit(runtime.journal)
    return Gate(Access.of(api), addresses, subjects, audit, api.secret)


def caller_of(name: str, request: Any) -> Caller:
    """Who calls: the client's name, with the subject of the token when there is one."""
    claims: Claims | None = request.scope.get(CLAIMS_KEY) if request is not None else None
    if claims is None:
        return Caller(name, may_propose=True)
    return Caller(f"{name} of {claims.subject}", may_propose=claims.may(Role.ADMIN))


@dataclass(frozen=True, slots=True)
class _Guarded:
    """Passes on the requests that may be answered."""

    app: "ASGIApp"
    access: Access
    gate: Gate | None

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, or answer it with the reason why it is refused."""
        if scope["type"] == "http":
            try:
                self._check(scope)
            except HTTPException as error:
                answer = JSONResponse({"detail": error.detail}, error.status_code, dict(error.headers or {}))
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, scope: "Scope") -> None:
        """Raise HTTPException for a refused address, host name, origin or token.

        Another host name may mean DNS rebinding, another origin a page in the user's browser.
        """
        if self.gate is None:
            self._check_address(scope)
        else:
            self.gate.check_address(scope)
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or not self.access.answers_to(hosts[0]):
            raise HTTPException(421, "This server doesn't answer to that host name. Add it to api.names.")
        if any(origin.partition("://")[2] != hosts[0] for origin in origins):
            raise HTTPException(403, "Pages of other sites may not call this server.")
        if self.gate is not None:
            self.gate.require_claims(scope)

    def _check_address(self, scope: "Scope") -> None:
        peer = scope["client"][0] if scope.get("client") else None
        try:
            self.access.caller(peer, _values(scope, b"x-forwarded-for"))
        except AccessError as error:
            raise HTTPException(403, str(error)) from None


def _values(scope: "Scope", name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
