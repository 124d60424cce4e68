"""The main settings of a configuration in a few lines, for `config check`."""

from collections.abc import Iterator
from dataclasses import fields

from sellctl.core.config.schema import (
    AccountConfig,
    BackstopConfig,
    Config,
    RulesConfig,
    SellModuleConfig,
    StrategyConfig,
    StrategyOneConfig,
    TrailingStopConfig,
)
from sellctl.core.config.units import gain_text, value_text
from sellctl.core.model.gain import Amount, AmountUnit

_NAMED_OR_NO_RULE = {"take_profit", "stop_loss", "trailing_stop", "roi_hours"}
_OTHER_RULES = tuple(each.name for each in fields(RulesConfig) if each.name not in _NAMED_OR_NO_RULE)


def summary_lines(config: Config) -> list[str]:
    """A line on the accounts, the interval, each strategy, zero-day options, execution, and on what else is set."""
    rules = config.sell_module
    accounts = ", ".join(f"{name} ({_kind(account, config)})" for name, account in config.accounts.items())
    return [
        f"accounts: {accounts}",
        f"check interval: {value_text(rules.check_interval)}",
        *(f"strategy {strategy.name or strategy.use}: {_strategy(strategy)}" for strategy in rules.strategies),
        f"strategy one: {strategy_one_text(rules.strategy_one)}",
        f"zero-day options: {_zero_day(rules)}",
        f"execution: {config.execution.style.value}",
        *_optional(config),
    ]


def _optional(config: Config) -> Iterator[str]:
    """A line each on a backstop, notifications, a heartbeat, a bot and telemetry; a recipient's address is a secret."""
    backstop, recipients = config.execution.backstop, len(config.notify)
    if backstop.stop is not None or backstop.trail is not None:
        yield f"backstop: {_backstop(backstop)}"
    if recipients:
        yield f"notify: {recipients} {'recipient' if recipients == 1 else 'recipients'}"
    if config.journal.url:
        yield "journal: on PostgreSQL"
    if config.watch.heartbeat:
        yield "heartbeat: set"
    if config.telegram.token is not None:
        chats = len(config.telegram.chats)
        yield f"telegram: {chats} {'chat' if chats == 1 else 'chats'}"
    if config.telemetry.endpoint is not None:
        yield f"telemetry: to {config.telemetry.endpoint}"
    if config.telemetry.prometheus:
        yield "telemetry: /metrics on serve"


def _backstop(backstop: BackstopConfig) -> str:
    distances = (
        "" if backstop.stop is None else f"stop {gain_text(-backstop.stop)}",
        "" if backstop.trail is None else f"trailing {gain_text(backstop.trail)}",
    )
    return f"{', '.join(filter(None, distances))}; {', '.join(backstop.assets)}"


def _kind(account: AccountConfig, config: Config) -> str:
    if not account.enabled:
        return "off"
    return "simulated" if config.simulator else "paper" if account.paper else "real money"


def _strategy(strategy: StrategyConfig) -> str:
    """Its target, stop and trailing stop, and how many other rules it has; one in Python has rules of its own."""
    if strategy.use:
        return f"the rules of {strategy.use}"
    rules = strategy.rules
    texts = (
        _amount("target", rules.take_profit),
        _amount("stop", rules.stop_loss),
        _trailing(rules.trailing_stop) if rules.trailing_stop else "",
        _others(rules),
    )
    return ", ".join(filter(None, texts))


def _others(rules: RulesConfig) -> str:
    """How many rules it has besides a target, a stop and a trailing stop; "" without any."""
    others = sum(getattr(rules, name) not in (None, ()) for name in _OTHER_RULES)
    return f"{others} other {'rule' if others == 1 else 'rules'}" if others else ""


def _amount(name: str, amount: Amount | None) -> str:
    """A target or stop: "target +60%", "stop -$120/contract", "stop at 1.50"."""
    if amount is None:
        return ""
    if amount.unit is AmountUnit.PRICE:
        return f"{name} at {amount.value:f}"
    return f"{name} {'-' if name == 'stop' else '+'}{value_text(amount)}"


def _trailing(stop: TrailingStopConfig) -> str:
    armed = f" from +{gain_text(stop.activation)}" if stop.activation else ""
    return f"trailing {value_text(stop.trail)}{armed}"


def strategy_one_text(one: StrategyOneConfig) -> str:
    """The target and the stop of strategy one, and what it applies to."""
    if not one.enabled:
        return "off"
    target, stop = (gain_text(rate - 1) for rate in (one.profit_rate, one.stop_loss_rate))
    return f"target +{target}, stop {stop}; {', '.join(one.applies_to)}"


def _zero_day(rules: SellModuleConfig) -> str:
    if not rules.zero_day_handling:
        return "not closed"
    start, final = rules.zero_day.start, value_text(rules.zero_day.final)
    begins = "from the open" if start is None else f"from {value_text(start)} before the close"
    return f"closed {begins}, at any price from {final} before the close"
