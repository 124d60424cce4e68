"""The main settings of a configuration in a few lines, for `config check`."""

from sellctl.core.config.schema import AccountConfig, Config, SellModuleConfig, StrategyOneConfig
from sellctl.core.config.units import gain_text, value_text


def summary_lines(config: Config) -> list[str]:
    """One line each on the accounts, the interval, strategy one, zero-day options and execution."""
    rules = config.sell_module
    accounts = ", ".join(f"{name} ({_kind(account, config)})" for name, account in config.accounts.items())
    return [
        f"accounts: {accounts}",
        f"check interval: {value_text(rules.check_interval)}",
        f"strategy one: {_strategy_one(rules.strategy_one)}",
        f"zero-day options: {_zero_day(rules)}",
        f"execution: {config.execution.style.value}",
    ]


def _kind(account: AccountConfig, config: Config) -> str:
    if not account.enabled:
        return "off"
    return "simulated" if config.simulator else "paper" if account.paper else "real money"


def _strategy_one(one: StrategyOneConfig) -> str:
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
