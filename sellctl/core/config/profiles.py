"""Reads the profiles of Alpaca's own command line, which are never written: their key pairs, and whether for paper.

The folder is ALPACA_CONFIG_DIR, else ~/.config/alpaca. `config.yaml` in it names the default profile, and each
`profiles/NAME.yaml` holds one. A key pair in the environment wins over a profile as a pair and is never mixed with it.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sellctl.core.config.hosts import is_live
from sellctl.core.config.secrets import (
    KEY_PAIRS,
    SecretError,
    key_fingerprint,
    key_pair,
    readable_by_others,
    usable_secret,
)
from sellctl.core.config.units import quoted
from sellctl.core.config.yaml_nodes import Location, Scalar, Table, parse
from sellctl.core.errors import ConfigError

PROFILE_VARIABLE: Final = "ALPACA_PROFILE"
PAPER_VARIABLE: Final = "ALPACA_PAPER_TRADE"
_CONFIG_DIR = "ALPACA_CONFIG_DIR"
_SUFFIX = ".yaml"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_MAX_BYTES = 65_536
_BOOLEANS = {"true": True, "false": False}
_ENVIRONMENTS = {"paper": True, "live": False}
_KEYS_HINT = "Make a key pair on Alpaca's dashboard and put it into a profile, or into the environment."


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: its key pair, and whether it is for a paper account."""

    name: str
    path: Path
    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    paper: bool


@dataclass(frozen=True, slots=True)
class ProfileKeys:
    """The key pair that an account with a profile uses, and where it came from.

    `paper` is None when nothing says whether it is for paper or live, and `kind_source` names what says so. `warning`
    is "" when there is nothing to warn about.
    """

    api_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    source: str
    paper: bool | None
    kind_source: str = ""
    warning: str = ""


def profiles_folder(environ: Mapping[str, str]) -> Path:
    """The folder with the profiles; it may not exist."""
    return _alpaca_folder(environ) / "profiles"


def _alpaca_folder(environ: Mapping[str, str]) -> Path:
    named = environ.get(_CONFIG_DIR, "").strip()
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    if not named:
        return home / ".config" / "alpaca"
    try:
        return Path(named).expanduser()
    except RuntimeError:  # no such user
        return Path(named)


def profile_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the profiles that exist, sorted; empty when the folder can't be read."""
    try:
        found = [path for path in profiles_folder(environ).iterdir() if path.suffix == _SUFFIX]
    except OSError:
        return ()
    return tuple(sorted(path.stem for path in found if _NAME.fullmatch(path.stem)))


def default_profile(environ: Mapping[str, str]) -> str | None:
    """The profile that ALPACA_PROFILE names, else the default one of config.yaml; None when neither names one."""
    named = environ.get(PROFILE_VARIABLE, "").strip()
    if named:
        return named
    try:
        values = _scalars(_alpaca_folder(environ) / "config.yaml")
    except SecretError:
        return None
    default = values.get("default_profile")
    return default.text.strip() or None if default else None


def paper_variable(environ: Mapping[str, str]) -> bool | None:
    """What ALPACA_PAPER_TRADE says: `true` is paper and anything else live; None when it isn't set."""
    text = environ.get(PAPER_VARIABLE, "").strip()
    return text.lower() == "true" if text else None


def read_profile(name: str, environ: Mapping[str, str]) -> Profile:
    """The profile of this name. SecretError when it can't be used; no message contains what was read."""
    folder = profiles_folder(environ)
    if not _NAME.fullmatch(name):
        raise SecretError(f"{quoted(name)} can't be the name of a profile.", _known(environ))
    path = folder / f"{name}{_SUFFIX}"
    _check_folder(name, folder, environ)
    if not _is_file(path):
        raise SecretError(f"There is no profile {name} in {folder}.", _known(environ))
    values = _scalars(path, private=True)
    _check_keys(name, path, values)
    api_key, secret_key = (usable_secret(values[key].text) for key in ("api_key", "secret_key"))
    return Profile(name, path, api_key, secret_key, _is_paper(path, values))


def keys_of_profile(name: str, environ: Mapping[str, str]) -> ProfileKeys:
    """The key pair for an account with this profile: the environment's pair if there is one, else the profile's.

    SecretError when neither can be used, or when ALPACA_PAPER_TRADE contradicts the profile.
    """
    pair = environment_pair(environ)
    return _of_profile(name, environ) if pair is None else _of_environment(pair, name, environ)


def environment_pair(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The names of the two variables that win over a profile, when they are set. SecretError for half a pair."""
    try:
        return key_pair(environ, KEY_PAIRS[:1])
    except ConfigError as error:
        raise SecretError(error.sentence, error.hint) from None


def _of_profile(name: str, environ: Mapping[str, str]) -> ProfileKeys:
    profile, wanted = read_profile(name, environ), paper_variable(environ)
    if wanted is not None and wanted is not profile.paper:
        said, is_for = (kind_text(paper=paper) for paper in (wanted, profile.paper))
        sentence = f"{PAPER_VARIABLE} says {said}, and profile {name} is for {is_for}."
        raise SecretError(sentence, f"Unset {PAPER_VARIABLE}, or name another profile.")
    source = f"profile {name} ({profile.path})"
    return ProfileKeys(profile.api_key, profile.secret_key, source, profile.paper, f"profile {name}")


def _of_environment(pair: tuple[str, str], name: str, environ: Mapping[str, str]) -> ProfileKeys:
    api_key, secret_key = (usable_secret(environ[variable]) for variable in pair)
    warning = ""
    if differs_from_profile(api_key, name, environ):
        warning = f"{pair[0]} holds another key than profile {name}, and wins."
    source = f"environment {' and '.join(pair)}"
    return ProfileKeys(api_key, secret_key, source, paper_variable(environ), PAPER_VARIABLE, warning)


def differs_from_profile(api_key: str, name: str, environ: Mapping[str, str]) -> bool:
    """Whether a profile holds another key than this one; true when the profile can't be read."""
    try:
        profile = read_profile(name, environ)
    except SecretError:
        return True
    return key_fingerprint(profile.api_key) != key_fingerprint(api_key)


def kind_text(*, paper: bool) -> str:
    """Paper or live, as it is written in sentences."""
    return "paper" if paper else "live"


def _known(environ: Mapping[str, str]) -> str:
    names = profile_names(environ)
    return f"There are: {', '.join(names)}." if names else f"There are none. {_KEYS_HINT}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _check_folder(name: str, folder: Path, environ: Mapping[str, str]) -> None:
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        raise SecretError(f"There is no profile {name}: {folder} doesn't exist.", _known(environ)) from None
    except OSError as error:
        raise _unreadable(folder, error) from None
    if readable_by_others(mode):
        raise SecretError(f"Others can read the folder {folder}.", f"Run: chmod 700 {folder}")


def _unreadable(path: Path, error: OSError) -> SecretError:
    return SecretError(f"{path} can't be read: {error.strerror}.", "Make it readable for your user.")


def _scalars(path: Path, *, private: bool = False) -> dict[str, Scalar]:
    """The single values at the top of a YAML file, by key. With `private`, a file that others can read is refused."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # a FIFO is empty
            mode, content = os.fstat(file.fileno()).st_mode, file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    if private and readable_by_others(mode):
        raise SecretError(f"Others can read the file {path}.", f"Run: chmod 600 {path}")
    if len(content) > _MAX_BYTES:
        raise SecretError(f"{path} is too long for a profile.", "Name another one.")
    node, problems = parse(content.decode("utf-8-sig", "replace"))
    if problems:
        first = problems[0]
        raise SecretError(f"{_at(path, first.location)}: {first.sentence}", first.hint)
    entries = node.entries if isinstance(node, Table) else {}
    return {key: entry.node for key, entry in entries.items() if isinstance(entry.node, Scalar)}


def _at(path: Path, location: Location | None) -> str:
    return f"{path}:{location.line}:{location.column}" if location else str(path)


def _check_keys(name: str, path: Path, values: Mapping[str, Scalar]) -> None:
    def has(key: str) -> bool:
        return key in values and not values[key].is_null and bool(values[key].text.strip())

    missing = [key for key in ("api_key", "secret_key") if not has(key)]
    if len(missing) == 1:
        raise SecretError(f"Profile {name} ({path}) has no {missing[0]}.", _KEYS_HINT)
    if missing and has("access_token"):
        raise SecretError(f"Profile {name} has only a token (OAuth), and sellctl needs a key pair.", _KEYS_HINT)
    if missing:
        raise SecretError(f"Profile {name} ({path}) has no api_key and no secret_key.", _KEYS_HINT)


def _is_paper(path: Path, values: Mapping[str, Scalar]) -> bool:
    """Whether it is for paper: by `paper_trade`, in older files by `environment` or by the host of `base_url`."""
    for key, meanings in (("paper_trade", _BOOLEANS), ("environment", _ENVIRONMENTS)):
        value = values.get(key)
        if value is None or value.is_null or not value.text.strip():
            continue
        meaning = meanings.get(value.text.strip().lower())
        if meaning is None:
            sentence = f"{_at(path, value.location)}: {key} is neither {' nor '.join(meanings)}."
            raise SecretError(sentence, "Correct the profile.")
        return meaning
    return not is_live(values["base_url"].text) if "base_url" in values else True
