import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from api_stage import PREFIX, SECRET, Api, Play, a_token

from sellctl.api.guarded import GuardedRoute
from sellctl.api.routes import sell_router
from sellctl.api.throttle import BAD_TOKENS, LOCKED_OUT
from sellctl.api.tokens import Role, TokenError, check_secret, fresh_secret, make_token, read_token
from sellctl.core.errors import ConfigError, SafetyRefusalError

ROUTES = [route for route in sell_router.routes if isinstance(route, GuardedRoute)]
MUTATING = [route for route in ROUTES if route.may_change]
OF_ADMINS = [route for route in MUTATING if route.role is Role.ADMIN]
READING = [route for route in ROUTES if route.role is Role.VIEWER and not route.path.endswith("/events")]
INCOMPLETE = {"/sell/explain": 422, "/sell/close/{exits_id}": 404}  # the answer to a call without a name
NOW = 1_800_000_000


def claims(**other: Any) -> dict[str, Any]:
    now = int(dt.datetime.now(dt.UTC).timestamp())
    words = {"sub": "me", "role": "admin", "aud": "sellctl", "iat": now, "exp": now + 600, **other}
    return {name: value for name, value in words.items() if value is not None}


def signed(words: dict[str, Any], *, secret: str = SECRET, algorithm: str = "HS256", **head: Any) -> str:
    return jwt.encode(words, secret, algorithm=algorithm, headers=head or None)


def by_hand(head: dict[str, Any], words: dict[str, Any], secret: str = SECRET) -> str:
    """A token that no library would create."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, words)]
    mark = hmac.new(secret.encode(), b".".join(parts), hashlib.sha256).digest()
    return b".".join([*parts, base64.urlsafe_b64encode(mark).rstrip(b"=")]).decode()


GARBAGE = "garbage"
BAD_TOKENS_OF: dict[str, Callable[[], str | None]] = {
    "no token": lambda: None,
    "garbage": lambda: GARBAGE,
    "three dots": lambda: "..",
    "expired": lambda: signed(claims(iat=NOW - 900_000_000, exp=NOW - 899_999_000)),
    "wrong audience": lambda: signed(claims(aud="another")),
    "list of audiences": lambda: signed(claims(aud=["sellctl", "another"])),
    "no audience": lambda: signed(claims(aud=None)),
    "no expiry": lambda: signed(claims(exp=None)),
    "no issue time": lambda: signed(claims(iat=None)),
    "no subject": lambda: signed(claims(sub=None)),
    "no role": lambda: signed(claims(role=None)),
    "unknown role": lambda: signed(claims(role="owner")),
    "role as list": lambda: signed(claims(role=["admin"])),
    "subject with a line break": lambda: signed(claims(sub="me\n2026-01-01 | INFO | forged")),
    "issued in the future": lambda: signed(claims(iat=NOW * 2, exp=NOW * 2 + 60)),
    "not yet": lambda: signed(claims(nbf=NOW * 2)),
    "lives for a year": lambda: signed(claims(exp=claims()["iat"] + 366 * 86_400)),
    "expires before it is issued": lambda: signed(claims(iat=claims()["iat"] + 3, exp=claims()["iat"] + 2)),
    "infinite expiry": lambda: by_hand({"alg": "HS256"}, claims(exp=float("inf"))),
    "expiry as text": lambda: by_hand({"alg": "HS256"}, claims(exp="never")),
    "alg none": lambda: jwt.encode(claims(), None, algorithm="none"),
    "alg none by hand": lambda: by_hand({"alg": "none"}, claims()).rsplit(".", 1)[0] + ".",
    "another algorithm": lambda: signed(claims(), secret=SECRET * 2, algorithm="HS512"),
    "asymmetric claim": lambda: by_hand({"alg": "RS256"}, claims()),
    "critical header": lambda: by_hand({"alg": "HS256", "crit": ["b64"], "b64": False}, claims()),
    "key in the header": lambda: by_hand({"alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}}, claims(), "\0"),
    "short key": lambda: by_hand({"alg": "HS256"}, claims(), "x"),
    "empty key": lambda: by_hand({"alg": "HS256"}, claims(), ""),
    "another secret": lambda: signed(claims(), secret=SECRET[::-1]),
    "too long": lambda: signed(claims(pad="x" * 5_000)),
    "no object": lambda: by_hand({"alg": "HS256"}, ["admin"]),  # type: ignore[arg-type]
}


def marks(api: Api) -> tuple[Any, ...]:
    """Everything a call could change."""
    kinds = [row.kind for row in api.rows() if row.kind != "api"]
    return api.control.state, api.control.halted(), api.sent(), kinds, api.control.polls


@pytest.mark.parametrize("route", MUTATING, ids=lambda route: route.path)
def test_a_bad_token_changes_nothing(play: Play, route: GuardedRoute) -> None:
    async def test(api: Api) -> None:
        before = marks(api)
        for number, (name, make) in enumerate(BAD_TOKENS_OF.items()):
            answer = await api.call(
                "POST", "/api/v1" + route.path, token=make(), peer=f"127.0.0.{number + 2}", body=b'{"reason": "x"}'
            )
            assert answer.status == 401, name
            assert answer.headers["www-authenticate"].startswith("Bearer"), name
        assert marks(api) == before

    play(test)


@pytest.mark.parametrize("route", MUTATING, ids=lambda route: route.path)
def test_a_viewer_changes_nothing(play: Play, route: GuardedRoute) -> None:
    async def test(api: Api) -> None:
        before = marks(api)
        answer = await api.call("POST", "/api/v1" + route.path, token=a_token("viewer"))
        assert answer.status == 403
        assert answer.document["detail"] == f"This call requires a token with the role {route.role}."
        assert marks(api) == before

    play(test)


@pytest.mark.parametrize("route", OF_ADMINS, ids=lambda route: route.path)
def test_an_operator_changes_nothing_that_is_an_admins(play: Play, route: GuardedRoute) -> None:
    async def test(api: Api) -> None:
        before = marks(api)
        answer = await api.call("POST", "/api/v1" + route.path, token=a_token("operator"))
        assert answer.status == 403
        assert "role admin" in answer.document["detail"]
        assert marks(api) == before

    play(test)


def test_every_route_that_is_not_a_get_needs_an_operator_or_an_admin() -> None:
    assert {route.path for route in OF_ADMINS} == {
        f"/sell/{word}" for word in ("start", "stop", "resume", "run-once", "panic")
    }
    of_operators = {route.path for route in MUTATING if route not in OF_ADMINS}
    assert of_operators == {f"/sell/{word}" for word in ("set", "close", "exempt", "manage", "halt", "confirm")}
    assert all(route.methods == {"GET"} for route in ROUTES if route.role is Role.VIEWER)
    assert len(ROUTES) == len(sell_router.routes), "every route of the router stands behind the gate"


def test_reading_needs_at_least_a_viewer_token(play: Play) -> None:
    async def test(api: Api) -> None:
        for number, route in enumerate(READING):
            path = "/api/v1" + route.path
            assert (await api.call("GET", path, token=a_token("viewer"))).status == INCOMPLETE.get(route.path, 200), (
                path
            )
            assert (await api.call("GET", path, token=None)).status == 401, path
            assert (await api.call("GET", path, token=GARBAGE, peer=f"127.0.1.{number}")).status == 401, path
        assert (await api.get("/events", token=None)).status == 401

    play(test)


def test_after_some_forged_tokens_further_ones_of_their_address_have_to_wait(play: Play) -> None:
    async def test(api: Api) -> None:
        for _ in range(BAD_TOKENS):
            assert (await api.get("/status", token=GARBAGE)).status == 401
        refused = await api.get("/status", token=GARBAGE)
        assert refused.status == 429
        assert LOCKED_OUT - 5 < int(refused.headers["retry-after"]) <= LOCKED_OUT
        assert (await api.get("/status", token=GARBAGE, peer="127.0.0.9")).status == 401

    play(test)


def test_expired_and_missing_tokens_cause_no_lockout(play: Play) -> None:
    async def test(api: Api) -> None:
        for _ in range(3 * BAD_TOKENS):
            assert (await api.get("/status", token=BAD_TOKENS_OF["expired"]())).status == 401
            assert (await api.get("/status", token=None)).status == 401
        assert (await api.get("/status")).status == 200

    play(test)


def test_the_token_counts_in_the_header_only(play: Play) -> None:
    async def test(api: Api) -> None:
        path = f"{PREFIX}/status?token={api.token}&access_token={api.token}"
        headers = {"cookie": f"token={api.token}; Authorization=Bearer {api.token}"}
        assert (await api.call("GET", path, token=None, headers=headers)).status == 401
        basic = {"authorization": f"Basic {api.token}"}
        assert (await api.call("GET", f"{PREFIX}/status", token=None, headers=basic)).status == 401

    play(test)


def test_a_stream_ends_with_its_token(play: Play) -> None:
    async def test(api: Api) -> None:
        now = dt.datetime.now(dt.UTC)
        brief = make_token(SECRET, "brief", Role.VIEWER, dt.timedelta(seconds=1), now)
        async with asyncio.timeout(5):
            answer = await api.get("/events", token=brief)
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert api.control.hub.streams == 0

    play(test)


def test_a_token_carries_subject_role_and_expiry() -> None:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    made = read_token(SECRET, make_token(SECRET, "ops@example", Role.VIEWER, dt.timedelta(hours=12), now))
    assert (made.subject, made.role, made.expires) == ("ops@example", Role.VIEWER, now + dt.timedelta(hours=12))
    assert not made.may(Role.ADMIN)


def test_only_an_expired_token_is_no_attack() -> None:
    for name, make in BAD_TOKENS_OF.items():
        token = make()
        if token is None:
            continue
        with pytest.raises(TokenError) as caught:
            read_token(SECRET, token)
        assert caught.value.counts_towards_lockout is (name != "expired"), name


@pytest.mark.parametrize(
    "weak",
    [
        "",
        "secret",
        "x" * 31,
        "a" * 64,
        "abcd" * 16,
        "password" * 8,
        "0123456789" * 4,
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "changeme-changeme-changeme-changeme",
        "your-256-bit-secret-your-256-bit-secret",
        "your-256-bit-secret-at-least-32-bytes-long",
        "a-string-secret-at-least-256-bits-long",
        "my_super_secret_jwt_signing_key_2024!",
        "replace-this-with-a-long-random-string",
        "REPLACE_ME_WITH_A_32_BYTE_RANDOM_SECRET",
        "this-is-not-a-secure-secret-please-change-it",
        "<put-your-own-random-secret-value-here>",
        "django-insecure-please-change-this-key-123",
        "thisisasamplesecretkeyfordevelopment1234",
        "SuperSecretKeyThatShouldBeChanged123456",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    ],
)
def test_a_weak_secret_is_refused(weak: str) -> None:
    with pytest.raises(SafetyRefusalError):
        check_secret(weak)


def test_random_secrets_are_accepted() -> None:
    for number in range(500):
        check_secret(fresh_secret())
        digest = hashlib.sha256(str(number).encode()).digest()
        check_secret(digest.hex()[:32])
        check_secret(base64.b32encode(digest).decode()[:32].lower())


@pytest.mark.parametrize(("subject", "hours"), [("", 1), ("a b", 1), ("-x", 1), ("x" * 65, 1), ("me", 0), ("me", 721)])
def test_a_token_with_an_invalid_subject_or_lifetime_is_not_made(subject: str, hours: float) -> None:
    with pytest.raises(ConfigError):
        make_token(SECRET, subject, Role.ADMIN, dt.timedelta(hours=hours), dt.datetime.now(dt.UTC))


def test_forged_tokens_from_an_address_never_lock_out_its_valid_ones(play: Play) -> None:
    async def test(api: Api) -> None:
        for _ in range(3 * BAD_TOKENS):
            await api.get("/status", token=GARBAGE)
        assert (await api.get("/status")).status == 200
        assert (await api.post("/halt")).status == 200
        assert (await api.call("GET", "/healthz", token=None)).status == 200
        assert (await api.call("GET", "/", token=None)).status == 200

    play(test)
