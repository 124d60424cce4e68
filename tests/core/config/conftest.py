"""A clean environment and a private file to write a configuration into."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sellctl.core.config_manager import ConfigManager, LoadedConfig
from sellctl.core.errors import ConfigError

Write = Callable[..., Path]
Load = Callable[[str], LoadedConfig]
Refuse = Callable[[str], ConfigError]

MAIN = "accounts:\n  main:\n    api_key: ${KEY}\n    secret_key: ${SECRET}\n"


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "APCA_API_KEY_ID", "APCA_API_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("SELLCTL_CONFIG", "SELLCTL_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("KEY", "PKTESTTESTTESTTESTTE")
    monkeypatch.setenv("SECRET", "canary-secret-from-the-environment")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes config.yml, readable by its owner only unless told otherwise."""

    def written(text: str, mode: int = 0o600, name: str = "config.yml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    return written


@pytest.fixture
def load(write: Write) -> Load:
    """Loads a text as config.yml."""

    def loaded(text: str) -> LoadedConfig:
        write(text)
        return ConfigManager().load()

    return loaded


@pytest.fixture
def refuse(load: Load) -> Refuse:
    """The error that a text ends in."""

    def refused(text: str) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            load(text)
        return caught.value

    return refused


@pytest.fixture
def main_account() -> str:
    """A valid accounts block of five lines, to put something after."""
    return MAIN


@pytest.fixture
def rules(main_account: str) -> Callable[[str], str]:
    """A file with one line under sell_module, on line 6."""
    return lambda line: f"{main_account}sell_module:\n  {line}\n"
