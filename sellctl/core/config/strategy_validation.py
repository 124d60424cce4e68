"""Checks of the strategies in a Config: a contradiction is an error, a doubtful rule is a warning."""

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import pairwise

from sellctl.core.config.findings import Finding, Findings
from sellctl.core.config.schema import (
    AccountGuardConfig,
    AssetKind,
    Config,
    MatchConfig,
    RulesConfig,
    SideKind,
    StrategyConfig,
    TrailingStopConfig,
)
from sellctl.core.config.units import gain_text, quoted, value_text
from sellctl.core.model.gain import AmountUnit
from sellctl.core.model.instrument import StructureKind

_WHOLE = Decimal(1)
_SESSION = dt.timedelta(hours=6, minutes=30)
_RESERVED = "strategy_one"


def strategies(config: Config) -> Findings:
    """The checks of every strategy, and of the list as a whole."""
    entries = config.sell_module.strategies
    for index, entry in enumerate(entries):
        path = f"sell_module.strategies[{index}]"
        yield from _entry(entry, path)
        for check in RULE_CHECKS:
            yield from check(entry.rules, f"{path}.rules")
        for name in entry.match.account:
            if config.accounts and name not in config.accounts:
                sentence = f"{path}.match.account names {quoted(name)}, which isn't in accounts."
                yield Finding(f"{path}.match.account", sentence, f"Known: {', '.join(config.accounts)}.")
    yield from _names(entries)
    yield from _unreachable(entries)
    yield from _account_guard(config.sell_module.account_guard)
    yield from _backstop(config)


def _entry(entry: StrategyConfig, path: str) -> Findings:
    if entry.use and entry.rules != RulesConfig():
        yield Finding(
            f"{path}.rules", f"{path} has both use and rules.", "The class has its own rules; delete one of the two."
        )
    elif not entry.use and entry.rules == RulesConfig():
        yield Finding(path, f"{path} has no rules.", "Add rules, or use: ./file.py:Class.")
    stop = entry.rules.stop_loss
    if stop and stop.unit is AmountUnit.GAIN and stop.value >= _WHOLE and not _matches_shorts(entry.match):
        sentence = f"stop_loss: {value_text(stop)} is the whole price: a long position can never lose that."
        yield Finding(f"{path}.rules.stop_loss", sentence, "Write less, or match side: short or a structure.")


def _matches_shorts(match: MatchConfig) -> bool:
    """Whether it matches positions sold to open, which can lose more than 100%: a stop at twice the credit is usual."""
    if match.side is not None:
        return match.side is SideKind.SHORT
    return bool(match.structure) and match.structure != (StructureKind.SINGLE,)


def _names(entries: tuple[StrategyConfig, ...]) -> Findings:
    seen = {_RESERVED}
    for index, entry in enumerate(entries):
        if entry.name and entry.name in seen:
            key = f"sell_module.strategies[{index}].name"
            yield Finding(key, f"{key}: {quoted(entry.name)} is taken.", "Give it another name.")
        seen.add(entry.name or "")


def _unreachable(entries: tuple[StrategyConfig, ...]) -> Findings:
    """A strategy listed after one that matches everything manages no position."""
    for index, entry in enumerate(entries[:-1]):
        if entry.match == MatchConfig() and not entry.use:
            key = f"sell_module.strategies[{index}]"
            sentence = f"{key} has no match: it manages every position, and the strategies after it none."
            yield Finding(key, sentence, "Add a match, or put it last.", warning=True)
            return


def _fires_when_armed(rules: RulesConfig, path: str) -> Findings:
    """A stop that would fire as soon as it is armed."""
    for name, keep, at in _kept(rules):
        if keep >= at:
            sentence = f"{name} exits at {gain_text(keep)} and is armed at {gain_text(at)}: it would fire at once."
            yield Finding(f"{path}.{name}", sentence, "Lock in less than the gain that arms it.")


def _kept(rules: RulesConfig) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Each stop that a gain arms: its name, the gain that it keeps, and the gain that arms it."""
    if rules.breakeven:
        yield "breakeven", rules.breakeven.keep, rules.breakeven.activation
    for step in rules.profit_lock:
        yield "profit_lock", step.keep, step.at
    if rules.trailing_stop and rules.trailing_stop.floor is not None:
        yield "trailing_stop", rules.trailing_stop.floor, rules.trailing_stop.activation


def _never_armed(rules: RulesConfig, path: str) -> Findings:
    """A rule that is armed by a gain above the target, which closes the position first."""
    target = rules.take_profit
    if target is None or target.unit is not AmountUnit.GAIN:
        return
    for name, at in _activations(rules):
        if at >= target.value:
            sentence = f"{name} is armed at {gain_text(at)}, and take_profit exits at {gain_text(target.value)}."
            yield Finding(f"{path}.{name}", sentence, "It would never act: arm it earlier, or raise the target.")


def _activations(rules: RulesConfig) -> Iterator[tuple[str, Decimal]]:
    if rules.trailing_stop:
        yield "trailing_stop", rules.trailing_stop.activation
    if rules.breakeven:
        yield "breakeven", rules.breakeven.activation
    yield from (("profit_lock", step.at) for step in rules.profit_lock)
    yield from (("scale_out", step.at) for step in rules.scale_out)


def _trailing(rules: RulesConfig, path: str) -> Findings:
    trail = rules.trailing_stop
    if trail is None:
        return
    key = f"{path}.trailing_stop"
    if trail.activation < 0:
        yield Finding(key, f"trailing_stop is armed at {gain_text(trail.activation)}, a loss.", "Write 0 or more.")
    if trail.trail.of_price and trail.trail.value >= _WHOLE:
        yield Finding(key, f"trail: {value_text(trail.trail)} is the whole price.", "Write less than 100%.")
    if _is_wider_than_activation(trail):
        sentence = f"trail {value_text(trail.trail)} is wider than its activation at {gain_text(trail.activation)}"
        yield Finding(key, f"{sentence}: it may exit at a loss.", "Narrow it, or give it a floor.", warning=True)
    sentence = "trailing_stop uses only the prices at sellctl's own checks: with run-once, one price per run."
    yield Finding(key, sentence, "Use watch, or run often.", warning=True)


def _is_wider_than_activation(trail: TrailingStopConfig) -> bool:
    if trail.floor is not None and trail.floor >= 0:
        return False
    pullback = trail.trail
    fall = pullback.value * (1 + trail.activation) if pullback.of_price else pullback.value
    return fall > trail.activation


def _scale_out(rules: RulesConfig, path: str) -> Findings:
    key, steps = f"{path}.scale_out", sorted(rules.scale_out, key=lambda step: step.at)
    for step in steps:
        if step.at <= 0 or not 0 < step.sell <= 1:
            sentence = f"scale_out: {gain_text(step.sell)} at {gain_text(step.at)} isn't possible."
            yield Finding(key, sentence, "Sell above 0% and at most 100%, at a gain above 0%.")
    if any(one.at == other.at for one, other in pairwise(steps)):
        yield Finding(key, "scale_out: two partial exits at the same gain.", "Combine them.")
    total = sum((step.sell for step in steps), Decimal(0))
    if total > _WHOLE:
        yield Finding(key, f"scale_out: the partial exits sell {gain_text(total)} in all.", "Sell at most 100% in all.")


def _roi_table(rules: RulesConfig, path: str) -> Findings:
    key = f"{path}.roi_table"
    if any(later.gain > earlier.gain for earlier, later in pairwise(rules.roi_table)):
        sentence = "roi_table: the target rises with time held."
        yield Finding(key, sentence, "It usually falls; check the values.", warning=True)


def _times(rules: RulesConfig, path: str) -> Findings:
    if rules.max_hold is not None and rules.max_hold <= dt.timedelta(0):
        yield Finding(f"{path}.max_hold", "max_hold: 0 would exit at once.", "Write it like 45m, 6h or 2d.")
    if rules.before_close is not None and not dt.timedelta(0) < rules.before_close < _SESSION:
        sentence = f"before_close: {value_text(rules.before_close)} isn't within a session of 6h30m."
        yield Finding(f"{path}.before_close", sentence, "Write it like 10m.")
    if rules.exit_at is not None and not dt.time(9, 30) < rules.exit_at < dt.time(16):
        sentence = f"exit_at: {value_text(rules.exit_at)} isn't between 09:30 and 16:00."
        yield Finding(f"{path}.exit_at", sentence, 'Write it like "15:30", New York time.')
    if rules.in_the_money is not None and rules.in_the_money < 0:
        yield Finding(f"{path}.in_the_money", "in_the_money is below 0.", "Write 0 or more dollars.")


def _underlying(rules: RulesConfig, path: str) -> Findings:
    touch = rules.underlying
    if touch is None:
        return
    if touch.above is None and touch.below is None:
        yield Finding(f"{path}.underlying", "underlying has no price.", "Add above or below.")
    elif touch.above is not None and touch.below is not None and touch.above <= touch.below:
        sentence = f"underlying: every price is above {touch.below} or below {touch.above}."
        yield Finding(f"{path}.underlying", sentence, "above must be higher than below.")


def _account_guard(guard: AccountGuardConfig) -> Findings:
    for name, limit in (("loss", guard.loss), ("profit", guard.profit)):
        if limit is not None and limit.unit not in {AmountUnit.GAIN, AmountUnit.POSITION}:
            key = f"sell_module.account_guard.{name}"
            yield Finding(
                key, f"{key}: {value_text(limit)} isn't a limit for a whole account.", "Write 5% or $1000/position."
            )


def _backstop(config: Config) -> Findings:
    """A backstop must be wider than every stop of a strategy, so that the strategy's own stop fires first."""
    backstop = config.execution.backstop
    if backstop.stop is None and backstop.trail is None:
        return
    key, distances = "execution.backstop", {"stop": backstop.stop, "trail": backstop.trail}
    for name, distance in distances.items():
        if distance is None:
            continue
        if not 0 < distance < _WHOLE:
            sentence = f"{key}.{name}: {gain_text(distance)} isn't between 0% and 100%."
            yield Finding(f"{key}.{name}", sentence, "50% is usual.")
            continue
        for where, own in _stop_distances(config):
            if distance <= own:
                sentence = f"{key}.{name}: {gain_text(distance)} isn't wider than {where} at {gain_text(own)}."
                yield Finding(f"{key}.{name}", sentence, "The strategy's own stop has to fire first: write more.")
    if backstop.trail is not None and AssetKind.STOCK not in backstop.assets:
        yield Finding(f"{key}.trail", f"{key}.trail is for stocks, and assets has none.", "Add stock, or delete trail.")
    for where in _incomparable_stops(config):
        sentence = f"{where} isn't a percentage: whether {key} is wider can't be checked."
        yield Finding(key, sentence, "Make sure that it is.", warning=True)


def _stop_distances(config: Config) -> Iterator[tuple[str, Decimal]]:
    """Every stop of the strategies that is a percentage: its key and its distance."""
    one = config.sell_module.strategy_one
    if one.enabled:
        yield "strategy_one's stop_loss_rate", 1 - one.stop_loss_rate
    for index, entry in enumerate(config.sell_module.strategies):
        path, rules = f"sell_module.strategies[{index}].rules", entry.rules
        if rules.stop_loss and rules.stop_loss.unit is AmountUnit.GAIN:
            yield f"{path}.stop_loss", rules.stop_loss.value
        if rules.trailing_stop:
            yield f"{path}.trailing_stop", rules.trailing_stop.trail.value


def _incomparable_stops(config: Config) -> Iterator[str]:
    """The key of every stop that isn't a percentage."""
    for index, entry in enumerate(config.sell_module.strategies):
        if entry.use:
            yield f"sell_module.strategies[{index}].use"
        elif entry.rules.stop_loss and entry.rules.stop_loss.unit is not AmountUnit.GAIN:
            yield f"sell_module.strategies[{index}].rules.stop_loss"


RULE_CHECKS: tuple[Callable[[RulesConfig, str], Findings], ...] = (
    _fires_when_armed,
    _never_armed,
    _trailing,
    _scale_out,
    _roi_table,
    _times,
    _underlying,
)
