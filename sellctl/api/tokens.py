"""Bearer tokens: which secrets may sign them, how one is made, and what a token that arrives is worth. HS256 only."""

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

from sellctl.core.errors import ConfigError, SafetyRefusalError

ALGORITHM = "HS256"
AUDIENCE = "sellctl"
REQUIRED = ("exp", "iat", "sub", "aud", "role")
LONGEST = dt.timedelta(days=30)
LEEWAY = dt.timedelta(seconds=5)
LONGEST_TOKEN = 2_000  # characters; ours have about 200

_LEAST_BYTES = 32
_LEAST_BITS = 80  # of surprise in its letters and in its steps: 32 random hex digits have about 110
_LEAST_PACKED = 24  # bytes, compressed: a word written four times has 13
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", re.ASCII)
_FRESH = "Make one: export SELLCTL_API_SECRET=$(sellctl token secret)"


class Role(StrEnum):
    """What a token is good for."""

    VIEWER = "viewer"  # reads
    ADMIN = "admin"  # reads, starts, stops, runs once and halts


@dataclass(frozen=True, slots=True)
class Claims:
    """Who calls."""

    subject: str
    role: Role
    expires: dt.datetime

    def may(self, role: Role) -> bool:
        """Whether this caller has that role, or a higher one."""
        return role is Role.VIEWER or self.role is Role.ADMIN


class TokenError(Exception):
    """A token isn't worth anything. `forged` when nobody who knows the secret made it: that counts as an attack."""

    def __init__(self, sentence: str, *, forged: bool) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.forged = forged


def check_secret(secret: str) -> None:
    """SafetyRefusalError unless a secret is long and random enough to sign tokens (P6)."""
    if len(secret.encode()) < _LEAST_BYTES:
        raise SafetyRefusalError(f"api.secret is shorter than {_LEAST_BYTES} bytes.", hint=_FRESH)
    if _is_guessable(secret):
        raise SafetyRefusalError("api.secret repeats itself: it can be guessed.", hint=_FRESH)


def _is_guessable(secret: str) -> bool:
    """Whether a text says little for its length: few letters, even steps such as abcd, or a word again and again."""
    steps = [ord(after) - ord(before) for before, after in itertools.pairwise(secret)]
    few_letters = _surprise(list(secret)) < _LEAST_BITS
    even_steps = _surprise(steps) < _LEAST_BITS
    return few_letters or even_steps or len(zlib.compress(secret.encode(), 9, -zlib.MAX_WBITS)) < _LEAST_PACKED


def _surprise(signs: "list[str] | list[int]") -> float:
    counts = Counter[str | int](signs).values()
    return -sum(count * log2(count / len(signs)) for count in counts)


def fresh_secret() -> str:
    """A secret nobody can guess."""
    return secrets.token_urlsafe(48)


def make_token(secret: str, subject: str, role: Role, lifetime: dt.timedelta, now: dt.datetime) -> str:
    """A token for `subject`. ConfigError when its name or lifetime can't be used."""
    if not _SUBJECT.fullmatch(subject):
        raise ConfigError(f"--sub {subject!r} can't be used.", hint="Up to 64 letters, digits and . _ @ + -")
    if not dt.timedelta(seconds=1) <= lifetime <= LONGEST:
        raise ConfigError("--ttl isn't between 1s and 30d.", hint="12h is usual.")
    words = {"sub": subject, "role": role.value, "aud": AUDIENCE, "iat": now, "exp": now + lifetime}
    return jwt.encode(words, secret, algorithm=ALGORITHM)


def read_token(secret: str, token: str) -> Claims:
    """Who made this call. TokenError when the token is forged, expired, too long-lived, or made for something else."""
    if len(token) > LONGEST_TOKEN:
        raise TokenError("The token is too long.", forged=True)
    try:
        words = jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            leeway=LEEWAY,
            options={"require": list(REQUIRED), "strict_aud": True},
        )
    except jwt.ExpiredSignatureError:
        raise TokenError("The token has expired.", forged=False) from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise TokenError("The token isn't valid.", forged=True) from None
    return _claims(words)


def _claims(words: dict[str, object]) -> Claims:
    subject, role, issued, expires = (words[name] for name in ("sub", "role", "iat", "exp"))
    if not (isinstance(subject, str) and _SUBJECT.fullmatch(subject) and isinstance(role, str) and role in set(Role)):
        raise TokenError("The token names no caller and role known here.", forged=True)
    if not isinstance(issued, int | float) or not isinstance(expires, int | float):
        raise TokenError("The token's times aren't numbers.", forged=True)
    if not 0 < expires - issued <= LONGEST.total_seconds():
        raise TokenError("The token lives longer than 30 days.", forged=True)
    return Claims(subject, Role(role), dt.datetime.fromtimestamp(expires, dt.UTC))
