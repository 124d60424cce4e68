"""Strategies of the user's own: found by file.py:Class or by their entry point, and made with the keys of their entry.

A class's fields are its YAML keys; their type hints say how each is written, with the same words as everywhere else
(`Gain`, `Minutes`, `TimeOfDay` ...). It gets values and returns a signal: nothing here hands it a broker.
"""

import difflib
import importlib.util
import stat
import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from sellctl.core.config.keys import Key, Shape, keys_of
from sellctl.core.config.schema import StrategyConfig
from sellctl.core.config.units import UnitError, quoted, way_of
from sellctl.core.config_manager import LoadedConfig
from sellctl.core.errors import ConfigError
from sellctl.core.sell_strategies.base_strategy import BaseStrategy

GROUP = "sellctl.strategies"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def own_strategies(loaded: LoadedConfig) -> Mapping[int, BaseStrategy]:
    """The strategies of every entry with `use`, by its place in the list. ConfigError names file, line and remedy."""
    folder = (loaded.path or Path()).absolute().parent
    return {
        place: _made(entry, folder, lambda key, place=place: _place_of(loaded, place, key))  # type: ignore[misc]
        for place, entry in enumerate(loaded.config.sell_module.strategies)
        if entry.use
    }


def _place_of(loaded: LoadedConfig, place: int, key: str) -> str:
    dotted = f"sell_module.strategies[{place}].{key}"
    return f"{loaded.origins.get(dotted, loaded.path or 'configuration')}: "


def _made(entry: StrategyConfig, folder: Path, place_of: Callable[[str], str]) -> BaseStrategy:
    use = entry.use or ""
    kind = _class_of(use, folder, place_of("use"))
    keys = {key.name: key for key in keys_of(cast("Any", kind)) if key.name != "name" and not key.name.startswith("_")}
    values: dict[str, Any] = {"name": entry.name or use.rpartition(":")[2]}
    for name, text in entry.options:
        if name not in keys:
            raise ConfigError(
                f"{place_of(name)}{quoted(name)} isn't a field of {kind.__name__}.", hint=_near(name, keys)
            )
        values[name] = _read(keys[name], text, place_of(name))
    missing = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    for name in missing:
        if name not in values:
            raise ConfigError(f"{place_of('use')}{kind.__name__} needs {name}.", hint=f"Add {name}: to the entry.")
    try:
        return kind(**values)
    except Exception as error:  # noqa: BLE001  a foreign constructor may raise anything; its author hears it
        raise ConfigError(f"{place_of('use')}{kind.__name__} can't be made: {error}.", hint="Check its keys.") from None


def _near(name: str, keys: Mapping[str, Key]) -> str:
    close = difflib.get_close_matches(name, keys, n=1)
    return f"Did you mean {close[0]}?" if close else f"It has: {', '.join(keys) or 'no fields'}."


def _read(key: Key, text: str, where: str) -> Any:
    try:
        way = way_of(key.kind, key.unit)
        if key.shape is Shape.LIST:
            return tuple(way.read(key.name, part.strip()) for part in text.split(","))
        return way.read(key.name, text)
    except UnitError as error:
        raise ConfigError(f"{where}{error.sentence}", hint=error.hint) from None
    except KeyError:
        hint = "Use Decimal, int, bool, str, or a type of sellctl.core.config.schema such as Gain or Minutes."
        raise ConfigError(f"{where}{key.name} has a type that YAML can't say.", hint=hint) from None


def _class_of(use: str, folder: Path, where: str) -> type[BaseStrategy]:
    found = _from_file(use, folder, where) if ".py:" in use else _from_entry_point(use, where)
    if not (isinstance(found, type) and issubclass(found, BaseStrategy)):
        hint = "Derive it from sellctl.core.sell_strategies.base_strategy.BaseStrategy, as a frozen dataclass."
        raise ConfigError(f"{where}{use} is no strategy.", hint=hint)
    return found


def _from_entry_point(use: str, where: str) -> object:
    known = {point.name: point for point in entry_points(group=GROUP)}
    if use not in known:
        hint = f"Write ./file.py:Class, or install a package with it. Installed: {', '.join(sorted(known)) or 'none'}."
        raise ConfigError(f"{where}No strategy is called {quoted(use)}.", hint=hint)
    return known[use].load()


def _from_file(use: str, folder: Path, where: str) -> object:
    file, _, name = use.rpartition(":")
    path = (folder / file).expanduser()
    if not path.is_file():
        raise ConfigError(f"{where}There is no file {path}.", hint="The path counts from the configuration file.")
    if path.stat().st_mode & _OTHERS_MAY_WRITE:
        raise ConfigError(f"{where}Others can change {path}, and it would run.", hint=f"Run: chmod go-w {path}")
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
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a foreign file may raise anything
        raise ConfigError(f"{where}{path} can't be loaded: {type(error).__name__}: {error}.") from error
    return module
