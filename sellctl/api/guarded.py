"""The way in: each route checks address, rate, token, role and body size before its body is read, and is audited.

The checks belong to the route class, so that they hold in whatever application the router is included, and a new route
has them by itself: what only reads needs a viewer, everything else an admin.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from sellctl.api.access import Access, AccessError
from sellctl.api.audit import Audit, Call
from sellctl.api.throttle import Throttle
from sellctl.api.tokens import Claims, Role, TokenError, read_token
from sellctl.core.errors import (
    BrokerError,
    BusyError,
    ConfigError,
    JournalError,
    SafetyRefusalError,
    SellctlError,
)

if TYPE_CHECKING:
    from starlette.types import Message, Scope

    from sellctl.api.control import Control

ADDRESS = "sellctl.address"  # in the scope: the caller's address, once it was let in
CLAIMS = "sellctl.claims"  # in the scope: who calls
MOST_BODY = 4096  # bytes; the largest body any route takes is a halt's reason
BODY_SECONDS = 10.0
READING = frozenset({"GET", "HEAD"})
_BEARER = {"WWW-Authenticate": 'Bearer realm="sellctl"'}

# What an error of ours means over HTTP: the first that fits.
STATUS_OF: tuple[tuple[type[SellctlError], int], ...] = (
    (SafetyRefusalError, 409),
    (BusyError, 409),
    (JournalError, 503),
    (BrokerError, 502),
    (ConfigError, 400),
    (SellctlError, 500),
)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class Gate:
    """Everything a call has to pass."""

    access: Access
    throttle: Throttle
    audit: Audit
    secret: str

    def enter(self, scope: "Scope") -> str:
        """Let an address in and remember it. HTTPException when it may not call, or calls too often."""
        if ADDRESS in scope:
            return str(scope[ADDRESS])
        peer = scope["client"][0] if scope.get("client") else None
        forwarded = [text.decode("latin-1") for name, text in scope["headers"] if name == b"x-forwarded-for"]
        try:
            address = str(self.access.caller(peer, forwarded))
        except AccessError as error:
            self.audit.count(Call("", "", _shown_peer(peer), "any"), 403)
            raise HTTPException(403, str(error)) from None
        wait = self.throttle.wait(address)
        if wait:
            self.audit.count(Call("", "", address, "any"), 429)
            raise HTTPException(429, "Too many requests.", headers={"Retry-After": str(math.ceil(wait))})
        scope[ADDRESS] = address
        return address

    def claims(self, request: Request, address: str) -> Claims:
        """Who calls. HTTPException when the token is missing or worth nothing."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise HTTPException(401, "A bearer token is needed.", headers=_BEARER)
        try:
            return read_token(self.secret, token.strip())
        except TokenError as error:
            if error.forged and self.throttle.bad_token(address):
                self.audit.count(Call("", "", address, "locked out"), 429)
            raise HTTPException(401, error.sentence, headers=_BEARER) from None


class GuardedRoute(APIRoute):
    """A route behind the gate."""

    @property
    def role(self) -> Role:
        """Who may call it."""
        return Role.VIEWER if (self.methods or set()) <= READING else Role.ADMIN

    @property
    def call_name(self) -> str:
        """Its name in the audit."""
        return f"{'/'.join(sorted(self.methods or ()))} {self.path}"

    def get_route_handler(self) -> Handler:
        """The handler behind the gate."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            gate = gate_of(request)
            address = gate.enter(request.scope)
            call = Call("", "", address, self.call_name)
            try:
                call, response = await self._admitted(gate, request, handle)
            except HTTPException as error:
                gate.audit.count(_known(request, call), error.status_code)
                raise
            gate.audit.count(call, response.status_code)
            return response

        return guarded

    async def _admitted(self, gate: Gate, request: Request, handle: Handler) -> tuple[Call, Response]:
        address = str(request.scope[ADDRESS])
        claims = request.scope[CLAIMS] = gate.claims(request, address)
        call = _known(request, Call("", "", address, self.call_name))
        if not claims.may(self.role):
            raise HTTPException(403, f"This needs a token with the role {self.role}.")
        if self.role is Role.ADMIN:
            self._write_down(gate.audit, call)
        with_limits = Request(request.scope, _limited(request.receive, _length_of(request)))
        try:
            return call, await handle(with_limits)
        except SellctlError as error:
            raise HTTPException(status_of(error), str(error)) from None

    def _write_down(self, audit: Audit, call: Call) -> None:
        """Nothing is changed that can't be written down, but for a halt: that needs no database."""
        try:
            audit.before(call)
        except JournalError as error:
            if not self.path.endswith("/halt"):
                raise HTTPException(503, str(error)) from None


def control_of(request: Request) -> "Control":
    """The control behind this application."""
    control: Control = request.app.state.sellctl_control
    return control


def gate_of(request: Request) -> Gate:
    """The gate of this application."""
    gate: Gate | None = getattr(request.app.state, "sellctl_gate", None)
    if gate is None:
        raise HTTPException(503, "sellctl isn't running in this application: its lifespan has not begun.")
    return gate


def status_of(error: SellctlError) -> int:
    """The HTTP status of an error of ours."""
    return next(status for kind, status in STATUS_OF if isinstance(error, kind))


def _known(request: Request, call: Call) -> Call:
    """The call with its caller's name, once a token has told it."""
    claims: Claims | None = request.scope.get(CLAIMS)
    return Call(claims.subject, claims.role.value, call.address, call.route) if claims else call


def _shown_peer(peer: str | None) -> str:
    """An address that was refused, as the audit may show it."""
    return (peer or "unknown")[:64]


def _length_of(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    return int(text) if text.isdecimal() and len(text) < len(str(MOST_BODY)) + 1 else MOST_BODY + 1


def _limited(receive: "Callable[[], Awaitable[Message]]", announced: int) -> "Callable[[], Awaitable[Message]]":
    """The body's messages, as long as they stay small and come in time (X03)."""
    ends_at = asyncio.get_running_loop().time() + BODY_SECONDS
    read = 0

    async def limited() -> "Message":
        nonlocal read
        try:
            async with asyncio.timeout_at(ends_at):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "The body took too long.") from None
        read += len(message.get("body", b""))
        if max(read, announced) > MOST_BODY:
            raise HTTPException(413, f"The body is larger than {MOST_BODY} bytes.")
        return message

    return limited
