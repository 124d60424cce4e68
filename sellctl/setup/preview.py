"""What presets would do with today's positions: the decisions that a dry run makes, on one read of the account."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Final

from sellctl.core.config.schema import Config
from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import Explanation, explain_all, explained
from sellctl.core.decision.policy import compile_policy
from sellctl.core.decision.strategy_results import NOT_MANAGED
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.market import NEW_YORK, Market
from sellctl.core.model.plan import STOPS, DecisionState, PositionDecision
from sellctl.core.model.position import Holding
from sellctl.core.rules.zero_day import why_last_day
from sellctl.core.sell_strategies.strategy_one import StrategyOne
from sellctl.core.sell_watcher import SellWatcher
from sellctl.setup.presets import PRESET_NAMES, PRESETS, Preset
from sellctl.ui.formatting import counted, qty_cell


class Protection(Enum):
    """How far rules protect a position."""

    EXIT = "exit now"
    STOP = "stop"
    NO_STOP = "no stop"  # rules, but none that limits the loss
    NONE = NOT_MANAGED
    EXEMPT = "exempt"


@dataclass(frozen=True, slots=True)
class PositionPreview:
    """One position under one configuration. `stop` is the price of the stop nearest to the market; None without one.

    `by_strategy`: a strategy of the configuration manages it, not strategy one, which is the same in every preset.
    `last_day_close` is when an option that expires today is closed at the latest; None for anything else.
    """

    holding: Holding
    protection: Protection
    why: str
    stop: Decimal | None = None
    by_strategy: bool = False
    last_day_close: dt.datetime | None = None

    @property
    def reason(self) -> str:
        """Why it is so, without the state, which stands in a column of its own."""
        return self.why.removeprefix(f"{NOT_MANAGED}: ")

    @property
    def is_closed_later_today(self) -> bool:
        """Whether it is an option on its last day that isn't closed yet."""
        return self.last_day_close is not None and self.protection not in {Protection.EXIT, Protection.EXEMPT}

    @property
    def text(self) -> str:
        """The protection in a few words; that it is closed today says more than at which price it would be before."""
        if self.is_closed_later_today:
            return "closed today"
        if self.protection is Protection.STOP and self.stop is not None:
            return f"stop ${self.stop:.2f}"
        return self.protection.value


Preview = dict[str, PositionPreview]
Previews = Mapping[str, Preview]  # by the preset's name; that of the defaults is DEFAULTS
DEFAULTS: Final = ""


def preview(watcher: SellWatcher, config: Config, market: Market) -> Preview:
    """Each position of the last read under a configuration, by symbol. Nothing is requested and nothing is sent."""
    policy = compile_policy(config, watcher.name)
    snapshot = watcher.snapshot_under(policy, config.sell_module.price_basis.loss, market)
    if snapshot is None:
        return {}
    explanations = explain_all(snapshot, policy)
    decisions = explained(decide(snapshot, policy), snapshot, policy).decisions
    return {each.holding.symbol: _previewed(each, explanations[each.holding.symbol]) for each in decisions}


def _previewed(decision: PositionDecision, explanation: Explanation) -> PositionPreview:
    strategy = explanation.strategy
    is_declared = strategy is not None and strategy.name != StrategyOne.name
    previewed = _protected(decision, explanation)
    return replace(previewed, by_strategy=is_declared, last_day_close=explanation.last_day_close)


def _protected(decision: PositionDecision, explanation: Explanation) -> PositionPreview:
    signal, strategy = decision.signal, explanation.strategy
    if signal is not None or (decision.state is DecisionState.DENIED and decision.unconfirmed):
        why = signal.sentence if signal else explanation.sentence
        return PositionPreview(decision.holding, Protection.EXIT, why)
    if decision.state is DecisionState.EXEMPT:
        return PositionPreview(decision.holding, Protection.EXEMPT, explanation.sentence)
    if decision.state is DecisionState.NOT_MANAGED:
        return PositionPreview(decision.holding, Protection.NONE, explanation.sentence)
    rules = strategy.rules if strategy else ()
    triggers = [rule.trigger for rule in rules if rule.trigger and rule.trigger.reason in STOPS]
    if not triggers:
        return PositionPreview(decision.holding, Protection.NO_STOP, explanation.sentence)
    nearest = min(triggers, key=lambda trigger: abs(trigger.distance) if trigger.distance is not None else Decimal(0))
    return PositionPreview(decision.holding, Protection.STOP, explanation.sentence, nearest.price)


UNPROTECTED_COLUMNS = ("position", "qty", "state", "presets with a stop", "why")


def unprotected_rows(previews: Previews) -> list[tuple[object, ...]]:
    """Every position that has no stop under the defaults, with the presets under which it has one."""
    return [
        (
            contract_text(symbol),
            qty_cell(each.holding),
            each.protection.value,
            _presets_with_a_stop(previews, symbol),
            each.reason,
        )
        for symbol, each in previews[DEFAULTS].items()
        if not _protects(each)
    ]


def _presets_with_a_stop(previews: Previews, symbol: str) -> str:
    return ", ".join(name for name in PRESET_NAMES if _protects(previews[name][symbol])) or "none"


def _protects(each: PositionPreview) -> bool:
    return each.protection in {Protection.EXIT, Protection.STOP}


def preset_rows(previews: Previews) -> list[tuple[object, ...]]:
    """One row per position: what each preset would do with it."""
    return [
        (contract_text(symbol), *(previews[name][symbol].text for name in PRESET_NAMES))
        for symbol in previews[DEFAULTS]
    ]


CLOSED_COLUMNS = ("position", "closed by", "why")


def closed_rows(previews: Previews) -> list[tuple[object, ...]]:
    """Every position that a preset would close now, and why."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in PRESET_NAMES:
        for symbol, each in previews[name].items():
            if each.protection is Protection.EXIT:
                found.setdefault((symbol, each.why), []).append(name)
    return [(contract_text(symbol), ", ".join(names), why) for (symbol, why), names in found.items()]


LAST_DAY_COLUMNS = ("position", "what happens", "why")


def last_day_rows(previews: Previews) -> list[tuple[object, ...]]:
    """Every option that is closed later today because it is its last day, which no preset changes, and when."""
    return [
        (
            contract_text(symbol),
            f"closed today at {each.last_day_close.astimezone(NEW_YORK):%H:%M} ET",
            why_last_day(each.holding),
        )
        for symbol, each in previews[DEFAULTS].items()
        if each.last_day_close is not None and each.is_closed_later_today
    ]


def suggested(previews: Previews) -> Preset:
    """The preset whose own strategies have a stop for most positions, so that it suits what is held.

    Of those that are equal, the one that has a stop for most at all, exits fewest now, and is first.
    """
    return max(PRESETS, key=lambda preset: _score(previews[preset.name]))


def why_suggested(previews: Previews) -> str:
    """Why the suggested preset is, in half a line: "its own rules have a stop for 4 of 5 positions"."""
    previewed = previews[suggested(previews).name]
    if not previewed:
        return "the first of four: no position is held"
    return f"its own rules have a stop for {_suited(previewed)} of {counted(len(previewed), 'position')}"


def _suited(previewed: Preview) -> int:
    return sum(_protects(each) and each.by_strategy for each in previewed.values())


def _score(previewed: Preview) -> tuple[int, int, int]:
    protected = [each for each in previewed.values() if _protects(each)]
    exits = sum(each.protection is Protection.EXIT for each in protected)
    return _suited(previewed), len(protected), -exits
