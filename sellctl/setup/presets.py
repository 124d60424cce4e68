"""The four presets of `sellctl init`: a style of trading each, as the rules of a commented configuration."""

from dataclasses import dataclass
from typing import Final

_COMMON: Final = """\
sell_module:
  enabled: true
  check_interval: 5s            # between checks; quotes are streamed besides
  order_cancel_minutes: 3       # cancel closing orders older than this; order_cancel_scope: own spares yours
  zero_day_handling: true       # close options on their last day, from 65 minutes before the close
"""
_STRATEGY_ONE: Final = """\
  strategy_one:                 # what no strategy above matches
    enabled: true
    profit_rate: 1.1            # price / entry: target +10%
    stop_loss_rate: 0.8         # price / entry: stop -20%
    applies_to: [option]        # [option, stock] covers stocks too
"""
_MORE: Final = """\

# Every other key has its default: docs/configuration.md describes them, `sellctl config example` writes them all.
# `sellctl config check` reads this file, `sellctl run-once --dry-run` shows what it would do now.
"""
_LONG_OPTIONS: Final = """\
  strategies:
    - name: long-options
      match: {asset: option, side: long}
      rules:
        take_profit: 50%        # of the premium that was paid
        stop_loss: 30%
        trailing_stop:
          activation: 25%       # from this gain on
          trail: 15pt           # exit 15 points of return below the best one
"""
_DAY_TRADER: Final = """\
  strategies:
    - name: day-trader
      match: {asset: option, side: long}
      rules:
        take_profit: 30%        # of the premium that was paid
        stop_loss: 20%
        trailing_stop:
          activation: 15%       # from this gain on
          trail: 10pt           # exit 10 points of return below the best one
        before_close: 15m       # nothing is held overnight; zero-day options are closed before that
"""
_PREMIUM_SELLER: Final = """\
  short_positions:
    action: close_uncovered     # naked shorts are bought back at once; ignore leaves them to the rules below
    cash_secured_puts: keep     # close buys them back as naked shorts
  strategies:
    - name: credit-structures   # each is judged, and closed, as one position on its net price
      match: {structure: [vertical, iron_condor, iron_butterfly], side: short}
      rules:
        take_profit: 50%        # of the credit
        stop_loss: 200%         # a loss of twice the credit
        # days_to_expiry: 21    # closes what has 21 days or fewer left
    - name: single-shorts       # covered calls and cash-secured puts
      match: {asset: option, side: short}
      rules:
        take_profit: 50%
        stop_loss: 200%
"""
_STOCK_SWING: Final = """\
  strategies:
    - name: stock-swing
      match: {asset: stock, side: long}
      rules:
        take_profit: 20%
        stop_loss: 8%
        trailing_stop:
          activation: 8%        # from this gain on
          trail: 5%             # exit 5% below the best price
"""


@dataclass(frozen=True, slots=True)
class Preset:
    """A style of trading: its name, one sentence on its rules, and the strategies that they are."""

    name: str
    summary: str
    strategies: str

    @property
    def rules(self) -> str:
        """The configuration without its accounts, as commented YAML."""
        return f"{_COMMON}{self.strategies}{_STRATEGY_ONE}{_MORE}"


LONG_OPTIONS: Final = Preset(
    "long-options",
    "bought options: target +50%, stop -30%, trailing from +25%",
    _LONG_OPTIONS,
)
DAY_TRADER: Final = Preset(
    "day-trader",
    "0DTE: target +30%, stop -20%, flat 15 min before the close",
    _DAY_TRADER,
)
PREMIUM_SELLER: Final = Preset(
    "premium-seller",
    "sold options: half the credit, or a loss of twice the credit",
    _PREMIUM_SELLER,
)
STOCK_SWING: Final = Preset(
    "stock-swing",
    "stocks: target +20%, stop -8%, trailing from +8%",
    _STOCK_SWING,
)
PRESETS: Final = (LONG_OPTIONS, DAY_TRADER, PREMIUM_SELLER, STOCK_SWING)
PRESET_NAMES: Final = tuple(preset.name for preset in PRESETS)
