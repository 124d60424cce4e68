"""Reloading the configuration of a running watcher (SIGHUP): all of it or nothing, and every change is published.

Rules, guards and intervals change at once. Accounts, keys, addresses and the source of quotes change at the next
start. A stop that would fire later than before is published as an alert.
"""

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from sellctl.core.config_manager import AT_THE_NEXT_START, ConfigManager, LoadedConfig
from sellctl.core.decision.policy import Policy, compile_policy
from sellctl.core.errors import SellctlError
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.core.text import as_dollars
from sellctl.core.watching.trigger_prices import stops
from sellctl.user_strategies.entries import own_strategies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sellctl.bootstrap import Runtime
    from sellctl.core.model.position import Holding
    from sellctl.core.sell_watcher import SellWatcher


async def reload(
    runtime: "Runtime",
    config: "Path | None",
    listener: "Callable[[Event], None]",
    *,
    with_api: bool = False,
    notifies: bool = True,
) -> bool:
    """Apply the configuration if it is valid; else keep the old one and publish the error. Whether it was applied.

    The secrets of recipients and of the chat are looked up where the process `notifies`.
    """
    now = runtime.clock.now()
    try:
        loaded = ConfigManager(config, with_api=with_api, with_notify=notifies, with_chat=notifies).load()
        own = await asyncio.to_thread(own_strategies, loaded)  # a user's code may take its time to load
        known = [watcher for watcher in runtime.scheduler.watchers if watcher.name in loaded.config.accounts]
        policies = [_same_account(compile_policy(loaded.config, w.name, own), w.policy) for w in known]
    except SellctlError as error:
        listener(Event(now, f"configuration not reloaded: {error}", severity=Severity.ERROR, kind=EventKind.ALERT))
        return False
    for watcher, policy in zip(known, policies, strict=True):
        for sentence in _loosened(watcher, policy):
            listener(Event(now, sentence, watcher.name, Severity.ERROR, kind=EventKind.ALERT))
    for sentence in _changes(runtime.loaded, loaded):
        listener(Event(now, sentence))
    for watcher, policy in zip(known, policies, strict=True):
        watcher.take_policy(policy, loaded.config.sell_module.price_basis.loss)
    runtime.take_config(loaded)
    return True


def _same_account(policy: Policy, before: Policy) -> Policy:
    """The policy with what doesn't change before the next start: account number, mode, and how sellctl was called."""
    return replace(policy, paper=before.paper, account_number=before.account_number, program=before.program)


def _changes(before: LoadedConfig, after: LoadedConfig) -> Iterator[str]:
    """One sentence per changed key; secrets are masked."""
    was = {row.key: row.value for row in before.show()}
    now = {row.key: row.value for row in after.show()}
    changed = [key for key in dict.fromkeys((*was, *now)) if was.get(key) != now.get(key)]
    # An empty list is shown by its own name, and a full one by those of its items, which say it all.
    lists = {key for key in changed if any(each.startswith((f"{key}.", f"{key}[")) for each in changed)}
    changed = [key for key in changed if key not in lists]
    for key in changed:
        later = " (from the next start on)" if key.startswith(AT_THE_NEXT_START) else ""
        yield f"reloaded: {key} is {now.get(key, 'not set')}, was {was.get(key, 'not set')}{later}"
    if not changed:
        yield "reloaded: nothing changed"


def _loosened(watcher: "SellWatcher", policy: Policy) -> Iterator[str]:
    """One sentence per stop that would now fire later than before, or never."""
    snapshot = watcher.state.snapshot
    if snapshot is None:
        return
    before, after = (stops(snapshot, each) for each in (watcher.policy, policy))
    for holding in snapshot.holdings:
        was, now = before.get(holding.symbol), after.get(holding.symbol)
        if was is not None and now is None:
            yield f"reloaded: the stop of {holding.symbol} is removed"
        elif was is not None and now is not None and _is_looser(holding, was, now):
            change = f"moves from {as_dollars(was)} to {as_dollars(now)}"
            yield f"reloaded: the stop of {holding.symbol} {change}, which is looser than before"


def _is_looser(holding: "Holding", was: Decimal, now: Decimal) -> bool:
    return now < was if holding.position.is_long else now > was
