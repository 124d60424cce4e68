"""A sellctl configuration for a running simulator. A file that `sellctl sim` did not write is never overwritten."""

import os
from pathlib import Path

from sellctl.core.errors import ConfigError
from sellctl.sim.venue.accounts import SimAccount

MARK = "# Written by `sellctl sim`; it is written anew at each start. Copy it to keep changes.\n"
STATE = "simulator: true                # its journal, halt and exempt symbols are apart from the real ones\n"
RULES = """\
sell_module:
  enabled: true
  check_interval: 5            # seconds between checks
  order_cancel_minutes: 3      # cancel sell orders older than this
  zero_day_handling: true      # close options that expire today
  strategy_one:
    enabled: true
    profit_rate: 1.1           # price / entry: +10% take profit
    stop_loss_rate: 0.8        # price / entry: -20% stop loss
"""


def config_text(accounts: list[SimAccount], url: str, stream_url: str) -> str:
    """The text of the file. Its API keys are valid in the simulator only."""
    blocks = "".join(_account_block(account, url, stream_url) for account in accounts)
    return f"{MARK}{STATE}accounts:\n{blocks}{RULES}"


def _account_block(account: SimAccount, url: str, stream_url: str) -> str:
    return f"""\
  {account.name}:
    api_key: {account.key}
    secret_key: {account.secret}
    paper: true
    endpoints:
      trading: {url}
      data: {url}
      trading_stream: {stream_url}/stream
      stock_stream: {stream_url}/v2/iex
      option_stream: {stream_url}/v1beta1/indicative
"""


def write_config(path: Path, text: str) -> None:
    """Write the file, readable by its owner only. ConfigError when another file is there."""
    try:
        if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            raise ConfigError(
                f"{path} was not written by sellctl sim and is not overwritten.",
                hint="Choose another path with --config-out.",
            )
        partial = path.with_name(path.name + ".part")
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(
            f"{path} can't be written: {error.strerror}.", hint="Choose another path with --config-out."
        ) from None
