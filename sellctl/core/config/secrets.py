"""Looks up secrets: ${ENV}, file:/path, keyring:service/name, a key pair. No error message contains what was read."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sellctl.core.errors import ConfigError
from sellctl.installation import missing_extra

KEY_PAIRS = (("ALPACA_API_KEY", "ALPACA_SECRET_KEY"), ("APCA_API_KEY_ID", "APCA_API_SECRET_KEY"))
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_BARE_REFERENCE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MAX_BYTES = 4096
_HOW_TO_MAKE = {"SELLCTL_API_SECRET": "$(sellctl token secret)"}  # the variables that sellctl can fill
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SecretError(ValueError):
    """A reference can't be looked up, or its value isn't usable."""

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value and where it came from; "" for a text that is the value itself."""

    value: str
    source: str


def key_pair(environ: Mapping[str, str], pairs: Sequence[tuple[str, str]] = KEY_PAIRS) -> tuple[str, str] | None:
    """The names of the two variables that hold a key pair; None without any. Raises ConfigError for half a pair."""
    for names in pairs:
        missing = [name for name in names if not environ.get(name, "").strip()]
        if len(missing) == 1:
            present = next(name for name in names if name not in missing)
            raise ConfigError(f"{present} is set and {missing[0]} isn't.", hint=f"Run: export {missing[0]}=...")
        if not missing:
            return names
    return None


def key_fingerprint(api_key: str) -> str:
    """A hash that stands for an API key in files; the key can't be recovered from it."""
    return hashlib.sha256(api_key.encode()).hexdigest()[:16]


def is_literal(text: str) -> bool:
    """Whether the text is the value itself, and not a reference."""
    return "${" not in text and not text.startswith(tuple(_FETCHERS))


def password_in(url: str) -> str:
    """The password in a URL; "" without one, or when the text is no URL."""
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""


def readable_by_others(mode: int) -> bool:
    """Whether anyone but the owner can read, write or execute a file of this mode; always false except on POSIX."""
    return os.name == "posix" and bool(mode & OTHERS)


def with_environment(text: str, environ: Mapping[str, str]) -> Resolved:
    """The text with every ${NAME} replaced."""
    names: list[str] = []

    def value_of(match: re.Match[str]) -> str:
        name = match[1]
        if not _ENV_NAME.fullmatch(name):
            raise SecretError("Only the name of a variable can be between ${ and }.", "Write ${NAME}.")
        if not environ.get(name, "").strip():
            state = "is empty" if name in environ else "isn't set"
            value = _HOW_TO_MAKE.get(name, "...")
            raise SecretError(f"The environment variable {name} {state}.", f"Run: export {name}={value}")
        names.append(name)
        return environ[name].strip()

    value = _REFERENCE.sub(value_of, text)
    if "${" in _REFERENCE.sub("", text):
        raise SecretError("A ${ isn't closed.", "Write ${NAME}.")
    return Resolved(value, ", ".join(f"environment {name}" for name in names))


def secret(text: str, environ: Mapping[str, str], folder: Path) -> Resolved:
    """The secret that a text refers to; relative paths start at `folder`, the configuration file's."""
    if _BARE_REFERENCE.fullmatch(text):
        raise SecretError("A variable's name needs braces.", "Write ${NAME}.")
    named = with_environment(text, environ)
    found = next(
        (
            fetch(named.value.removeprefix(prefix), folder)
            for prefix, fetch in _FETCHERS.items()
            if text.startswith(prefix)
        ),
        named,
    )
    return Resolved(usable_secret(found.value), found.source)


def usable_secret(value: str) -> str:
    """A secret without the space around it. SecretError unless a header can carry it."""
    value = value.strip()
    if not value:
        raise SecretError("The secret is empty.", "Write it there; Alpaca's keys are in its dashboard.")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise SecretError(
            "The secret has a space or a character that isn't printable ASCII.", "Copy it again from its source."
        )
    return value


def _from_file(place: str, folder: Path) -> Resolved:
    try:
        path = folder / Path(place).expanduser()
    except RuntimeError:
        raise SecretError("The path names a user that doesn't exist.", "Write the full path.") from None
    try:
        if not path.is_file():
            raise SecretError(f"There is no file {path}.", "Create it with the secret as its only line; chmod 600 it.")
        with path.open("rb") as file:
            mode, content = os.fstat(file.fileno()).st_mode, file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SecretError(
            f"The file {path} can't be read: {error.strerror}.", "Make it readable for your user."
        ) from None
    if readable_by_others(mode):
        raise SecretError(f"Others can read the file {path}.", f"Run: chmod 600 {path}")
    if len(content) > _MAX_BYTES:
        raise SecretError(
            f"The file {path} is too long for a secret.", "It should contain the secret and nothing else."
        )
    return Resolved(content.decode("utf-8", "replace"), f"file {path}")


def _from_keyring(place: str, _folder: Path) -> Resolved:
    service, slash, name = place.rpartition("/")
    if not (service and slash and name):
        raise SecretError("keyring: needs a service and a name.", "Write keyring:service/name.")
    try:
        import keyring  # noqa: PLC0415  an optional extra
    except ImportError:
        raise SecretError(*missing_extra("keyring:service/name", "keyring")) from None
    try:
        value = keyring.get_password(service, name)
    except keyring.errors.KeyringError as error:
        raise SecretError(f"The keyring can't be read ({type(error).__name__}).", "Unlock it, or use ${ENV}.") from None
    if value is None:
        raise SecretError(f"The keyring has no {service}/{name}.", f"Run: keyring set {service} {name}")
    return Resolved(value, f"keyring {service}/{name}")


_FETCHERS: dict[str, Callable[[str, Path], Resolved]] = {"file:": _from_file, "keyring:": _from_keyring}
