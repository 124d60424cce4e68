"""Loads a user-defined strategy: found by file.py:Class or by entry point, constructed from the keys of its entry.

The fields of the class are its YAML keys, and their type hints define how each is written: Decimal, int, bool, str, or
a type of the schema such as `Gain` or `Minutes`. This runs the user's code, and therefore only in the strategy's own
process (worker.py).
"""

import difflib
import importlib.util
import stat
import sys
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from sellctl.core.config.keys import Key, Shape, keys_of
from sellctl.core.config.schema import StrategyConfig
from sellctl.core.config.units import UnitError, format_of, quoted
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.errors import ConfigError
from sellctl.core.sell_strategies.base_strategy import BaseStrategy

GROUP = "sellctl.strategies"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def name_of(entry: StrategyConfig) -> str:
    """The name of a user-defined strategy."""
    return entry.name or (entry.use or "").rpartition(":")[2]


@dataclass(frozen=True, slots=True)
class SourceLocations:
    """The folder to which paths are relative, and the file and line of each key of one entry."""

    folder: str
    default: str
    origins: Mapping[str, str]

    @classmethod
    def of_entry(cls, loaded: LoadedConfig, index: int) -> "SourceLocations":
        """The locations of the entry with this index."""
        prefix = f"sell_module.strategies[{index}]."
        origins = {key.removeprefix(prefix): at for key, at in loaded.origins.items() if key.startswith(prefix)}
        folder = (loaded.path or Path()).absolute().parent
        return cls(str(folder), str(loaded.path or "configuration"), origins)

    def of(self, key: str) -> str:
        """The prefix of an error message about a key, such as `config.yml:7: `."""
        return f"{self.origins.get(key, self.default)}: "


def load(entry: StrategyConfig, locations: SourceLocations) -> BaseStrategy:
    """The strategy of an entry with `use`. This runs the user's code. ConfigError has file, line and a hint."""
    use = entry.use or ""
    where = locations.of("use")
    kind = _class_of(use, Path(locations.folder), where)
    if hasattr(kind, "takes"):
        raise ConfigError(f"{where}{kind.__name__} defines `takes`.", hint="Rename it to `accepts`.")
    keys = {key.name: key for key in keys_of(cast("Any", kind)) if key.name != "name" and not key.name.startswith("_")}
    values: dict[str, Any] = {"name": name_of(entry)}
    for name, text in entry.parameters:
        if name not in keys:
            sentence = f"{locations.of(name)}{quoted(name)} isn't a field of {kind.__name__}."
            raise ConfigError(sentence, hint=_did_you_mean(name, list(keys)))
        values[name] = _value(keys[name], text, locations.of(name))
    for field in fields(kind):
        if field.name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{where}{kind.__name__} needs {field.name}.", hint=f"Add {field.name}: to the entry.")
    try:
        return kind(**values)
    except Exception as error:  # noqa: BLE001  the user's constructor may raise anything
        raise ConfigError(
            f"{where}{kind.__name__} can't be constructed: {error}.", hint="Check the values of the entry's keys."
        ) from None


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]}?" if close else f"Its fields are: {', '.join(known) or 'none'}."


def _value(key: Key, text: str, where: str) -> Any:
    try:
        read = format_of(key.kind, key.value_format).read
        return tuple(read(part.strip()) for part in text.split(",")) if key.shape is Shape.LIST else read(text)
    except UnitError as error:
        raise ConfigError(f"{where}{key.name}: {error.sentence}", hint=error.hint) from None
    except KeyError:
        hint = "Use Decimal, int, bool, str, or a type of sellctl.core.config.schema such as Gain or Minutes."
        raise ConfigError(f"{where}{key.name} has a type that YAML can't express.", hint=hint) from None


def _class_of(use: str, folder: Path, where: str) -> type[BaseStrategy]:
    found = _from_file(use, folder, where) if ".py:" in use else _from_entry_point(use, where)
    if not (isinstance(found, type) and issubclass(found, BaseStrategy)):
        hint = "Derive it from sellctl.core.sell_strategies.base_strategy.BaseStrategy, as a frozen dataclass."
        raise ConfigError(f"{where}{use} isn't a strategy.", hint=hint)
    return found


def _from_entry_point(use: str, where: str) -> object:
    known = {point.name: point for point in entry_points(group=GROUP)}
    if use not in known:
        installed = ", ".join(sorted(known)) or "none"
        hint = f"Write ./file.py:Class, or install a package that provides it. Installed: {installed}."
        raise ConfigError(f"{where}There is no strategy {quoted(use)}.", hint=hint)
    return known[use].load()


def _from_file(use: str, folder: Path, where: str) -> object:
    file, _, name = use.rpartition(":")
    path = (folder / file).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"{where}There is no file {path}.", hint="A relative path starts at the configuration file's folder."
        )
    if path.stat().st_mode & _OTHERS_MAY_WRITE:
        raise ConfigError(
            f"{where}Others can write to {path}, which would be executed.", hint=f"Run: chmod go-w {path}"
        )
    found = getattr(_module(path, where), name, None)
    if found is None:
        raise ConfigError(f"{where}{path} has no class {quoted(name)}.", hint="Check its spelling.")
    return found


def _module(path: Path, where: str) -> ModuleType:
    name = f"sellctl_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{where}{path} isn't a Python file.", hint="Name it something.py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # the dataclass decorator looks up the module of its class there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's file may raise anything
        raise ConfigError(f"{where}{path} can't be loaded: {type(error).__name__}: {error}.") from error
    return module
