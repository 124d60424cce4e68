"""The key pair that `sellctl init` sets up: from the environment, from a profile, or entered and then stored."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from sellctl.core.config.profiles import (
    PAPER_VARIABLE,
    default_profile,
    kind_text,
    paper_variable,
    profile_names,
    read_profile,
)
from sellctl.core.config.secrets import KEY_PAIRS, SecretError, key_pair, usable_secret
from sellctl.core.errors import ConfigError

_KEYRING_SERVICE = "sellctl"


@dataclass(frozen=True, slots=True)
class KeySource:
    """A key pair, and the lines of an account in the configuration that refer to it.

    `paper` is what says whether the pair is for paper or live, with `kind_source` as its name; None when nothing does.
    """

    text: str
    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    lines: tuple[str, ...] = ()
    paper: bool | None = None
    kind_source: str = ""


def of_environment(environ: Mapping[str, str]) -> KeySource | None:
    """The pair in the environment; None without one. ConfigError for half a pair, or two pairs that differ."""
    names = key_pair(environ)
    if names is None:
        return None
    _refuse_two_pairs(environ)
    try:
        api_key, secret_key = (usable_secret(environ[name]) for name in names)
    except SecretError as error:
        raise ConfigError(f"{names[0]} or {names[1]}: {error.sentence}", hint=error.hint) from None
    lines = (f"api_key: ${{{names[0]}}}", f"secret_key: ${{{names[1]}}}")
    paper = paper_variable(environ)
    return KeySource(f"the environment ({names[0]})", api_key, secret_key, lines, paper, PAPER_VARIABLE)


def _refuse_two_pairs(environ: Mapping[str, str]) -> None:
    values = [tuple(environ.get(name, "").strip() for name in names) for names in KEY_PAIRS]
    if all(map(all, values)) and len(set(values)) > 1:
        names = " and ".join(pair[0] for pair in KEY_PAIRS)
        raise ConfigError(f"{names} hold different keys.", hint="Unset one of the two pairs.")


def of_profile(name: str, environ: Mapping[str, str]) -> KeySource:
    """The pair of a profile. ConfigError when it can't be used, or when the environment contradicts it."""
    try:
        profile = read_profile(name, environ)
    except SecretError as error:
        raise ConfigError(error.sentence, hint=error.hint) from None
    in_environment = key_pair(environ, KEY_PAIRS[:1])
    if in_environment and environ[in_environment[0]].strip() != profile.api_key:
        sentence = f"{in_environment[0]} holds another key than profile {name}, and would win over it."
        raise ConfigError(sentence, hint=f"Unset {' and '.join(in_environment)}, or leave out the profile.")
    said = paper_variable(environ)
    if said is not None and said is not profile.paper:
        kinds = [kind_text(paper=paper) for paper in (said, profile.paper)]
        sentence = f"{PAPER_VARIABLE} says {kinds[0]}, and profile {name} is for {kinds[1]}."
        raise ConfigError(sentence, hint=f"Unset {PAPER_VARIABLE}, or name another profile.")
    lines = (f"profile: {name}",)
    return KeySource(f"profile {name}", profile.api_key, profile.secret_key, lines, profile.paper, f"profile {name}")


def profile_to_use(environ: Mapping[str, str]) -> str | None:
    """The profile that is meant where none is named: the default one, else the only one; None when that is open."""
    names = profile_names(environ)
    default = default_profile(environ)
    return default or (names[0] if len(names) == 1 else None)


class KeyStore(StrEnum):
    """Where an entered key pair is stored; `auto` takes the keyring if there is one."""

    AUTO = "auto"
    KEYRING = "keyring"
    FILE = "file"


@dataclass(slots=True)
class StoredKeys:
    """An entered key pair that is being stored. `undo` removes what was stored."""

    account: str
    folder: Path
    _files: list[Path] = field(default_factory=list)
    _in_keyring: list[str] = field(default_factory=list)

    def store(self, api_key: str, secret_key: str, where: KeyStore) -> tuple[str, ...]:
        """Store both and return the lines of the account that refer to them. ConfigError when that fails."""
        values = {"api_key": api_key, "secret_key": secret_key}
        if where is not KeyStore.FILE:
            try:
                return self._store_in_keyring(values)
            except ConfigError:
                self.undo()
                if where is KeyStore.KEYRING:
                    raise
        return self._store_in_files(values)

    def undo(self) -> None:
        """Remove what was stored."""
        while self._files:
            self._files.pop().unlink(missing_ok=True)
        while self._in_keyring:
            import keyring  # noqa: PLC0415  an optional extra, which was there a moment ago

            with suppress(keyring.errors.KeyringError):
                keyring.delete_password(_KEYRING_SERVICE, self._in_keyring.pop())

    def _store_in_keyring(self, values: Mapping[str, str]) -> tuple[str, ...]:
        try:
            import keyring  # noqa: PLC0415  an optional extra
        except ImportError:
            hint = "Run: pip install 'sellctl[keyring]', or use --store file."
            raise ConfigError("The keyring extra isn't installed.", hint=hint) from None
        names = {key: f"{self.account}-{key}" for key in values}
        for key, value in values.items():
            try:
                before = keyring.get_password(_KEYRING_SERVICE, names[key])
                if before is None:
                    keyring.set_password(_KEYRING_SERVICE, names[key], value)
                    self._in_keyring.append(names[key])
            except keyring.errors.KeyringError as error:
                sentence = f"The keyring can't be used ({type(error).__name__})."
                raise ConfigError(sentence, hint="Unlock it, or use --store file.") from None
            if before not in {None, value}:
                sentence = f"The keyring holds another {_KEYRING_SERVICE}/{names[key]}."
                raise ConfigError(sentence, hint=f"Run: keyring del {_KEYRING_SERVICE} {names[key]}")
        return tuple(f"{key}: keyring:{_KEYRING_SERVICE}/{name}" for key, name in names.items())

    def _store_in_files(self, values: Mapping[str, str]) -> tuple[str, ...]:
        lines = []
        for key, value in values.items():
            path = self._new_file(key)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                self._files.append(path)
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(f"{value}\n")
            except OSError as error:
                sentence = f"{path} can't be written: {error.strerror}."
                raise ConfigError(sentence, hint="Choose another folder with --out.") from None
            lines.append(f"{key}: file:{path.name}")
        return tuple(lines)

    def _new_file(self, key: str) -> Path:
        """A name that no file has: a key that another configuration refers to is never overwritten."""
        names = (self.folder / f"{self.account}{suffix}.{key}" for suffix in ("", *(f"-{n}" for n in range(2, 100))))
        return next(path for path in names if not path.exists())
