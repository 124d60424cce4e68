"""The configuration file that `sellctl init` writes: its text, and writing it completely or not at all."""

import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sellctl.core.config.hosts import is_loopback
from sellctl.core.config.schema import EndpointsConfig
from sellctl.core.errors import ConfigError
from sellctl.private_files import PRIVATE_FOLDER, replace_private
from sellctl.setup.presets import Preset

_HEAD: Final = "# Written by `sellctl init` with the preset {preset}. Edit it: nothing overwrites it without asking.\n"
_SIMULATED: Final = (
    "simulator: true                 # journal, halt and exempt symbols are kept apart from the real ones\n"
)
_PAPER: Final = "paper: true                 # false trades real money, which also needs --live or SELLCTL_LIVE=1"
_LIVE: Final = "paper: false                # REAL MONEY: sends nothing without --live or SELLCTL_LIVE=1"
_MOST_BACKUPS = 1_000
_ELSEWHERE: Final = "Choose another path with --out."
ALPACA: Final = EndpointsConfig()


@dataclass(frozen=True, slots=True)
class Account:
    """What the file says about its account. `key_lines` refer to the keys; none of them is written here."""

    name: str
    key_lines: tuple[str, ...]
    paper: bool = True
    number: str = ""
    endpoints: EndpointsConfig = ALPACA


def simulator_endpoints(url: str) -> EndpointsConfig:
    """The endpoints of a running `sellctl sim`. ConfigError unless it is an address of HTTP on this machine."""
    base = (url if "://" in url else f"http://{url}").rstrip("/")
    try:
        parts = urlsplit(base)
        is_address = parts.scheme in {"http", "https"} and base.isprintable() and (parts.port or True)
        is_here = is_loopback(parts.hostname or "")
    except ValueError:
        is_address = is_here = False
    if not (is_address and is_here):
        sentence = f"{url} isn't the address of a simulator on this machine."
        raise ConfigError(sentence, hint="Write it like http://127.0.0.1:9001.")
    streams = f"ws{base.removeprefix('http')}"
    return EndpointsConfig(
        trading=base,
        data=base,
        trading_stream=f"{streams}/stream",
        stock_stream=f"{streams}/v2/iex",
        option_stream=f"{streams}/v1beta1/indicative",
    )


def config_text(account: Account, preset: Preset) -> str:
    """The text of the file."""
    return f"{_HEAD.format(preset=preset.name)}{accounts_text(account)}{preset.rules}"


def accounts_text(account: Account) -> str:
    """The part of the file about its account; alone, a configuration with the default rules."""
    simulated = _SIMULATED if account.endpoints.trading is not None else ""
    return f"{simulated}accounts:\n{''.join(_account_lines(account))}"


def _account_lines(account: Account) -> Iterable[str]:
    yield f"  {account.name}:\n"
    yield from (f"    {line}\n" for line in account.key_lines)
    yield f"    {_PAPER if account.paper else _LIVE}\n"
    if account.number and account.endpoints.trading is None:
        yield f"    account_number: {account.number}   # a key of any other account is refused\n"
    if account.endpoints.trading is not None:
        yield "    endpoints:                  # of the simulator\n"
        for name in ("trading", "data", "trading_stream", "stock_stream", "option_stream"):
            yield f"      {name}: {getattr(account.endpoints, name)}\n"


def check_writable(path: Path) -> None:
    """ConfigError when no file can be written there, before anything is asked. Creates nothing."""
    try:
        target = _target(path)
        if target.exists() and not target.is_file():
            raise ConfigError(f"{path} is not a file.", hint=_ELSEWHERE)
        folder = next(parent for parent in target.parents if parent.exists())
    except OSError as error:
        raise _unwritable(path, error) from None
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise ConfigError(f"{path} can't be written: {folder} isn't writable.", hint=_ELSEWHERE)


def make_folder(path: Path) -> None:
    """Create the folder of a file, for its owner only. ConfigError when that fails."""
    try:
        _target(path).parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def write_config(path: Path, text: str) -> Path | None:
    """Write the file, readable by its owner only, and return the backup of the one that was there; None without one.

    After a failure, everything is as before.
    """
    backup: Path | None = None
    try:
        target = _target(path)  # a link stays one
        backup = _back_up(target) if target.exists() else None
        replace_private(target, text.encode())
    except OSError as error:
        if backup:
            backup.unlink(missing_ok=True)
        raise _unwritable(path, error) from None
    return backup


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Ctrl-C takes effect only at the end of the block, as KeyboardInterrupt."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def _target(path: Path) -> Path:
    """The file itself, or what a link names, which may not exist. OSError for a link that leads to itself."""
    with suppress(FileNotFoundError, NotADirectoryError):
        path.stat()
    return path.resolve()


def _back_up(path: Path) -> Path:
    content = path.read_bytes()
    names = (path.with_name(f"{path.name}.bak{suffix}") for suffix in ("", *map(str, range(2, _MOST_BACKUPS))))
    for backup in names:
        try:
            descriptor = os.open(backup, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            shutil.copystat(path, backup)
        except OSError:
            backup.unlink(missing_ok=True)
            raise
        return backup
    raise FileExistsError(17, "there are too many backups", str(path))


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{path} can't be written: {error.strerror}.", hint=_ELSEWHERE)
