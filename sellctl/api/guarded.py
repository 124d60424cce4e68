"""The guard of each route: address, token, rate, role and body size are checked before the body is read, and audited.

The checks belong to the route class, so that they hold in any application that includes the router, and for every new
route. Reading needs the role viewer, what OPERATED names the role operator, everything else the role admin.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import Headers

from sellctl.api.access import Access, AccessError
from sellctl.api.audit import ApiCall, Audit
from sellctl.api.invalid import sentence_of
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

ADDRESS_KEY = "sellctl.address"  # key in the scope: the address of the caller, once checked
CLAIMS_KEY = "sellctl.claims"  # key in the scope: the claims of the token, once verified
CLAIMS_ERROR_KEY = "sellctl.unverified"  # key in the scope: the error of the token, when there are no claims
MAX_BODY_BYTES = 4096  # enough for the longest reason, name and numbers of a request
READ_METHODS = frozenset({"GET", "HEAD"})
# The routes of an operator, by their last word.
OPERATED = frozenset({"set", "close", "exempt", "manage", "halt", "confirm"})
_BEARER = {"WWW-Authenticate": 'Bearer realm="sellctl"'}

# The HTTP status of each error; the first match applies.
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
    """The checks that a call has to pass.

    Calls with a valid token are rate-limited per subject, all others per address, so that a caller at a shared address
    cannot exhaust another's limit.
    """

    access: Access
    addresses: Throttle
    subjects: Throttle
    audit: Audit
    secret: str
    body_seconds: float = 10.0  # the longest that the body of a request may take to arrive

    def check_address(self, scope: "Scope") -> str:
        """The address of the caller, stored in the scope. HTTPException when it is not allowed."""
        if ADDRESS_KEY in scope:
            return str(scope[ADDRESS_KEY])
        peer = scope["client"][0] if scope.get("client") else None
        forwarded = [text.decode("latin-1") for name, text in scope["headers"] if name == b"x-forwarded-for"]
        try:
            address = scope[ADDRESS_KEY] = str(self.access.caller(peer, forwarded))
        except AccessError as error:
            self.audit.count(ApiCall("", "", _shortened(peer), "any"), 403)
            raise HTTPException(403, str(error)) from None
        return address

    def check_call(self, scope: "Scope") -> str:
        """Check the address, the token and the rate limit of the caller; once per call. Returns the address.

        Stores the claims in the scope, or the token's error. HTTPException when the call is refused.
        """
        address = self.check_address(scope)
        if CLAIMS_KEY in scope or CLAIMS_ERROR_KEY in scope:
            return address
        try:
            claims = scope[CLAIMS_KEY] = read_token(self.secret, _token_of(scope))
        except TokenError as error:
            scope[CLAIMS_ERROR_KEY] = error.sentence
            lockout = self.addresses.wait_after_forgery(address) if error.counts_towards_lockout else 0
            wait = lockout or self.addresses.wait(address)
        else:
            wait = self.subjects.wait(claims.subject)
        if wait:
            self.audit.count(_with_caller(scope, ApiCall("", "", address, "any")), 429)
            raise HTTPException(429, "Too many requests.", headers={"Retry-After": str(math.ceil(wait))})
        return address

    def require_claims(self, scope: "Scope") -> Claims:
        """The claims of the caller's token. HTTPException when it is missing or invalid."""
        self.check_call(scope)
        if CLAIMS_KEY not in scope:
            raise HTTPException(401, scope[CLAIMS_ERROR_KEY], headers=_BEARER)
        claims: Claims = scope[CLAIMS_KEY]
        return claims


class GuardedRoute(APIRoute):
    """A route that handles a call only after the checks of the gate."""

    @property
    def role(self) -> Role:
        """The role that it requires."""
        if not self.may_change:
            return Role.VIEWER
        return Role.OPERATOR if self.path.rsplit("/", 1)[-1] in OPERATED else Role.ADMIN

    @property
    def may_change(self) -> bool:
        """Whether a call may change something."""
        return not (self.methods or set()) <= READ_METHODS

    @property
    def call_name(self) -> str:
        """The name of the route in the audit."""
        return f"{'/'.join(sorted(self.methods or ()))} {self.path}"

    def get_route_handler(self) -> Handler:
        """The handler with the checks before it."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            gate = gate_of(request)
            address = gate.check_call(request.scope)
            call = ApiCall("", "", address, self.call_name)
            try:
                call, response = await self._authorize_and_handle(gate, request, handle)
            except HTTPException as error:
                gate.audit.count(_with_caller(request.scope, call), error.status_code)
                raise
            gate.audit.count(call, response.status_code)
            return response

        return guarded

    async def _authorize_and_handle(self, gate: Gate, request: Request, handle: Handler) -> tuple[ApiCall, Response]:
        claims = gate.require_claims(request.scope)
        call = _with_caller(request.scope, ApiCall("", "", gate.check_address(request.scope), self.call_name))
        if not claims.may(self.role):
            raise HTTPException(403, f"This call requires a token with the role {self.role}.")
        if self.may_change:
            self._record(gate.audit, call)
        with_limits = Request(request.scope, _limited(request.receive, _length_of(request), gate.body_seconds))
        try:
            return call, await handle(with_limits)
        except SellctlError as error:
            raise HTTPException(status_of(error), str(error)) from None
        except RequestValidationError as error:
            raise HTTPException(422, sentence_of(error.errors())) from None

    def _record(self, audit: Audit, call: ApiCall) -> None:
        """Record a call that may change something. HTTPException 503 when that fails, except for a halt."""
        try:
            audit.record_before(call)
        except JournalError as error:
            if not self.path.endswith("/halt"):
                raise HTTPException(503, str(error)) from None


def control_of(request: Request) -> "Control":
    """The control of this application."""
    control: Control = request.app.state.sellctl_control
    return control


def subject_of(request: Request) -> str:
    """The subject of the caller's token."""
    claims: Claims = request.scope[CLAIMS_KEY]
    return claims.subject


def caller_of(request: Request) -> str:
    """Who calls, for the journal and for other users."""
    return f"{subject_of(request)} over the API"


def gate_of(request: Request) -> Gate:
    """The gate of this application."""
    gate: Gate | None = getattr(request.app.state, "sellctl_gate", None)
    if gate is None:
        raise HTTPException(503, "sellctl isn't running in this application: its lifespan has not started.")
    return gate


def status_of(error: SellctlError) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status in STATUS_OF if isinstance(error, kind))


def _token_of(scope: "Scope") -> str:
    """The bearer token of a call. TokenError when there is none."""
    kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise TokenError("A bearer token is required.", counts_towards_lockout=False)
    return token.strip()


def _with_caller(scope: "Scope", call: ApiCall) -> ApiCall:
    """The call with subject and role of its token, once that is verified."""
    claims: Claims | None = scope.get(CLAIMS_KEY)
    return ApiCall(claims.subject, claims.role.value, call.address, call.route) if claims else call


def _shortened(peer: str | None) -> str:
    """A refused address for the audit, limited in length."""
    return (peer or "unknown")[:64]


def _length_of(request: Request) -> int:
    text = request.headers.get("content-length", "0")
    return int(text) if text.isdecimal() and len(text) < len(str(MAX_BODY_BYTES)) + 1 else MAX_BODY_BYTES + 1


def _limited(
    receive: "Callable[[], Awaitable[Message]]", content_length: int, seconds: float
) -> "Callable[[], Awaitable[Message]]":
    """A `receive` with limits on the body's size and time. It raises HTTPException 408 or 413 beyond them."""
    ends_at = asyncio.get_running_loop().time() + seconds
    read = 0

    async def limited() -> "Message":
        nonlocal read
        try:
            async with asyncio.timeout_at(ends_at):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "The request body took too long to arrive.") from None
        read += len(message.get("body", b""))
        if max(read, content_length) > MAX_BODY_BYTES:
            raise HTTPException(413, f"The request body is larger than {MAX_BODY_BYTES} bytes.")
        return message

    return limited
