"""The strategies that a configuration names: the entries of `sell_module.strategies` with `use`.

A strategy receives values and returns signals; it has no access to the broker, and it runs in a process of its own.
"""

from collections.abc import Mapping

from sellctl.core.config_manager import LoadedConfig
from sellctl.core.sell_strategies.base_strategy import BaseStrategy


def own_strategies(loaded: LoadedConfig) -> Mapping[int, BaseStrategy]:
    """The strategy of each entry with `use`, by its index in the list. ConfigError has file, line and a hint."""
    entries = {index: entry for index, entry in enumerate(loaded.config.sell_module.strategies) if entry.use}
    if not entries:
        return {}
    from sellctl.user_strategies.isolated import start_isolated  # noqa: PLC0415  most configurations have no such entry
    from sellctl.user_strategies.loading import SourceLocations  # noqa: PLC0415  likewise

    wanted = [(entry, SourceLocations.of_entry(loaded, index)) for index, entry in entries.items()]
    return dict(zip(entries, start_isolated(wanted), strict=True))
