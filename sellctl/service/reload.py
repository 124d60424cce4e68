"""A running watcher takes up an edited configuration (SIGHUP): whole or not at all, and what changes is said.

Rules, guards and intervals change at once. What stands for who we are at the broker (accounts, keys, addresses, where
quotes come from) changes with the next start. A stop that would fire later than before is told as an alert.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from sellctl.core.config_manager import ConfigManager, LoadedConfig
from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy, compile_policy
from sellctl.core.errors import SellctlError
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.core.model.plan import STOPS, PositionDecision
from sellctl.core.sell_strategies.plugins import own_strategies
from sellctl.core.text import as_dollars

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sellctl.bootstrap import Runtime
    from sellctl.core.sell_watcher import SellWatcher

_AT_THE_NEXT_START = ("accounts.", "market_data.", "api.", "notify", "watch.")


def reload(
    runtime: "Runtime", config: "Path | None", tell: "Callable[[Event], None]", *, with_api: bool = False
) -> bool:
    """Take the configuration up if it is whole; keep the old one and say why if it isn't. Whether it was taken up."""
    try:
        loaded = ConfigManager(config, with_api=with_api).load()
        own = own_strategies(loaded)
        known = [watcher for watcher in runtime.scheduler.watchers if watcher.name in loaded.config.accounts]
        policies = {watcher.name: compile_policy(loaded.config, watcher.name, own) for watcher in known}
    except SellctlError as error:
        _say(runtime, tell, f"the configuration stays as it was: {error}", Severity.ERROR, EventKind.ALERT)
        return False
    for watcher in known:
        policies[watcher.name] = _same_account(policies[watcher.name], watcher.policy)
        for sentence in _loosened(watcher, policies[watcher.name]):
            event = Event(runtime.clock.now(), sentence, watcher.name, Severity.ERROR, kind=EventKind.ALERT)
            tell(event)
    for sentence in _changes(runtime.loaded, loaded):
        _say(runtime, tell, sentence)
    for watcher in known:
        watcher.policy = policies[watcher.name]
        basis = loaded.config.sell_module.price_basis.loss
        watcher.positions.mind(basis, pairs=watcher.policy.knows_structures)
    runtime.scheduler.interval = loaded.config.sell_module.check_interval
    runtime.scheduler.prices.confirm_after(loaded.config.guards.confirm)
    runtime.loaded = loaded
    runtime.scheduler.wake()
    return True


def _same_account(policy: Policy, before: Policy) -> Policy:
    """Who we are at the broker changes with the next start only."""
    return replace(policy, paper=before.paper, account_number=before.account_number)


def _changes(before: LoadedConfig, after: LoadedConfig) -> Iterator[str]:
    """Every key that reads differently, in one sentence each; secrets are masked."""
    was = {row.key: row.value for row in before.show()}
    now = {row.key: row.value for row in after.show()}
    changed = [key for key in dict.fromkeys((*was, *now)) if was.get(key) != now.get(key)]
    for key in changed:
        later = " (from the next start on)" if key.startswith(_AT_THE_NEXT_START) else ""
        yield f"reloaded: {key} is {now.get(key, 'gone')}, was {was.get(key, 'not set')}{later}"
    if not changed:
        yield "reloaded: nothing changed"


def _loosened(watcher: "SellWatcher", policy: Policy) -> Iterator[str]:
    """Stops that stood and would fire later now, or never."""
    if watcher.plan is None or watcher.last_snapshot is None:
        return
    after = {v.holding.symbol: v for v in decide(watcher.last_snapshot, policy).decisions}
    for decision in watcher.plan.decisions:
        was, now = _stop(decision), _stop(after.get(decision.holding.symbol))
        if was is not None and (now is None or _is_looser(decision, was, now)):
            to = "is gone" if now is None else f"moves from {as_dollars(was)} to {as_dollars(now)}"
            yield f"reloaded: the stop of {decision.holding.symbol} {to}: it is looser than before"


def _is_looser(decision: PositionDecision, was: Decimal, now: Decimal) -> bool:
    return now < was if decision.holding.position.is_long else now > was


def _stop(decision: PositionDecision | None) -> Decimal | None:
    """The price of the first stop that would fire; None without one."""
    prices = [trigger.price for trigger in decision.triggers if trigger.reason in STOPS] if decision else []
    if not prices or decision is None:
        return None
    return max(prices) if decision.holding.position.is_long else min(prices)


def _say(
    runtime: "Runtime",
    tell: "Callable[[Event], None]",
    sentence: str,
    severity: Severity = Severity.INFO,
    kind: EventKind = EventKind.NOTE,
) -> None:
    tell(Event(runtime.clock.now(), sentence, severity=severity, kind=kind))
