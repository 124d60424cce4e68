"""Bearer tokens: checking the secret, creating and verifying tokens. HS256 only."""

import datetime as dt
import itertools
import re
import secrets
import zlib
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from math import log2

import jwt

from sellctl.api.placeholders import PUBLISHED, without_placeholders
from sellctl.core.errors import ConfigError, SafetyRefusalError

ALGORITHM = "HS256"
AUDIENCE = "sellctl"
REQUIRED = ("exp", "iat", "sub", "aud", "role")
MAX_LIFETIME = dt.timedelta(days=30)
LEEWAY = dt.timedelta(seconds=5)
MAX_TOKEN_LENGTH = 2_000  # characters; tokens of sellctl have about 200

_MIN_BYTES = 32
_MIN_BITS = 80  # minimum entropy in bits, of the characters and of the steps between them; 32 hex digits have about 110
_MIN_PACKED = 24  # bytes after compression: a word repeated four times has 13
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_NEW_SECRET_HINT = "Make one: export SELLCTL_API_SECRET=$(sellctl token secret)"  # noqa: S105  a command, not a secret


class Role(StrEnum):
    """The rights of a token, from the fewest to the most; each has those of the ones before it."""

    VIEWER = "viewer"  # reads
    OPERATOR = "operator"  # closes, exempts and sets the rules of single positions, and halts
    ADMIN = "admin"  # starts, stops, resumes, runs once and closes everything


@dataclass(frozen=True, slots=True)
class Claims:
    """The verified content of a token."""

    subject: str
    role: Role
    expires: dt.datetime

    def may(self, role: Role) -> bool:
        """Whether this token has that role, or a higher one."""
        ranks = list(Role)
        return ranks.index(self.role) >= ranks.index(role)


class TokenError(Exception):
    """The token is invalid. `counts_towards_lockout` is false for an expired or a missing token."""

    def __init__(self, sentence: str, *, counts_towards_lockout: bool) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.counts_towards_lockout = counts_towards_lockout


def check_secret(secret: str) -> None:
    """Raise SafetyRefusalError unless the secret is long and random enough to sign tokens (P6).

    Placeholder words are removed first, so that your-256-bit-secret is refused at any length.
    """
    if len(secret.encode()) < _MIN_BYTES:
        raise SafetyRefusalError(f"api.secret is shorter than {_MIN_BYTES} bytes.", hint=_NEW_SECRET_HINT)
    if secret in PUBLISHED or _is_guessable(without_placeholders(secret)):
        raise SafetyRefusalError("api.secret is not random enough: it can be guessed.", hint=_NEW_SECRET_HINT)


def _is_guessable(secret: str) -> bool:
    """Whether a text has little entropy: few characters, regular steps such as abcd, or a repeated word."""
    steps = [ord(after) - ord(before) for before, after in itertools.pairwise(secret)]
    few_characters = _entropy(list(secret)) < _MIN_BITS
    regular_steps = _entropy(steps) < _MIN_BITS
    return few_characters or regular_steps or len(zlib.compress(secret.encode(), 9, -zlib.MAX_WBITS)) < _MIN_PACKED


def _entropy(symbols: "list[str] | list[int]") -> float:
    """The Shannon entropy of the whole sequence, in bits."""
    counts = Counter[str | int](symbols).values()
    return -sum(count * log2(count / len(symbols)) for count in counts)


def fresh_secret() -> str:
    """A new random secret."""
    return secrets.token_urlsafe(48)


def make_token(secret: str, subject: str, role: Role, lifetime: dt.timedelta, now: dt.datetime) -> str:
    """A signed token for `subject`. ConfigError when subject or lifetime isn't allowed."""
    if not _SUBJECT.fullmatch(subject):
        raise ConfigError(f"--sub {subject!r} isn't allowed.", hint="Use up to 64 letters, digits and . _ @ + -")
    if not dt.timedelta(seconds=1) <= lifetime <= MAX_LIFETIME:
        raise ConfigError("--ttl must be between 1s and 30d.", hint="12h is usual.")
    claims = {"sub": subject, "role": role.value, "aud": AUDIENCE, "iat": now, "exp": now + lifetime}
    return jwt.encode(claims, secret, algorithm=ALGORITHM)


def read_token(secret: str, token: str) -> Claims:
    """The claims of a token. TokenError when it is invalid, expired, valid for too long, or for another audience."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise TokenError("The token is too long.", counts_towards_lockout=True)
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            leeway=LEEWAY,
            options={"require": list(REQUIRED), "strict_aud": True},
        )
    except jwt.ExpiredSignatureError:
        raise TokenError("The token has expired.", counts_towards_lockout=False) from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise TokenError("The token isn't valid.", counts_towards_lockout=True) from None
    return _checked(claims)


def _checked(claims: dict[str, object]) -> Claims:
    subject, role, issued, expires = (claims[name] for name in ("sub", "role", "iat", "exp"))
    if not (isinstance(subject, str) and _SUBJECT.fullmatch(subject) and isinstance(role, str) and role in set(Role)):
        raise TokenError("The token has no valid subject and role.", counts_towards_lockout=True)
    if not isinstance(issued, int | float) or not isinstance(expires, int | float):
        raise TokenError("The times of the token aren't numbers.", counts_towards_lockout=True)
    if not 0 < expires - issued <= MAX_LIFETIME.total_seconds():
        raise TokenError("The token is valid for more than 30 days.", counts_towards_lockout=True)
    return Claims(subject, Role(role), dt.datetime.fromtimestamp(expires, dt.UTC))
