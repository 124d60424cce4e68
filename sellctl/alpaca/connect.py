"""From a configuration to open doors: a broker for every enabled account, one source of quotes."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from alpaca.common.enums import BaseURL

from sellctl.alpaca.broker import AlpacaBroker
from sellctl.alpaca.budget import KEPT_FOR_ORDERS, Budget
from sellctl.alpaca.quotes import AlpacaQuotes
from sellctl.alpaca.rest import Key, RestClient
from sellctl.alpaca.transport import DEFAULT_TIMEOUTS, Timeouts
from sellctl.core.config.schema import AccountConfig, Config
from sellctl.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Connected:
    """Everything that talks to Alpaca. `brokers` are by account name."""

    brokers: dict[str, AlpacaBroker]
    quotes: AlpacaQuotes
    _clients: tuple[RestClient, ...] = field(repr=False)

    def close(self) -> None:
        """Close the connections; what is under way ends by its own deadline."""
        for client in self._clients:
            client.close()


def connect(
    config: Config, timeouts: Timeouts = DEFAULT_TIMEOUTS, monotonic: Callable[[], float] = time.monotonic
) -> Connected:
    """Doors to all enabled accounts. Nothing is sent yet. ConfigError when a key pair is not whole.

    Each key has a budget of requests a minute for trading and one for data, counted by `monotonic` (seconds).
    """
    enabled = {name: account for name, account in config.accounts.items() if account.enabled}
    trading = {
        name: _client(name, each, _trading_url(each), timeouts, Budget(monotonic, kept=KEPT_FOR_ORDERS))
        for name, each in enabled.items()
    }
    data = [
        _client(name, enabled[name], _data_url(enabled[name]), timeouts, Budget(monotonic, kept=0))
        for name in _data_names(config, enabled)
    ]
    return Connected(
        brokers={name: AlpacaBroker(trading[name], paper=enabled[name].paper) for name in trading},
        quotes=AlpacaQuotes(data, config.market_data),
        _clients=(*trading.values(), *data),
    )


def _client(name: str, account: AccountConfig, url: str, timeouts: Timeouts, budget: Budget) -> RestClient:
    if not (account.api_key and account.secret_key):
        raise ConfigError(f"Account {name} has no whole key pair.", hint="Give both api_key and secret_key.")
    try:
        return RestClient(url, Key(name, account.api_key, account.secret_key), timeouts=timeouts, budget=budget)
    except ValueError:
        raise ConfigError(f"Account {name} has an endpoint that is no address: {url!r}.") from None


def _trading_url(account: AccountConfig) -> str:
    return account.endpoints.trading or (BaseURL.TRADING_PAPER if account.paper else BaseURL.TRADING_LIVE).value


def _data_url(account: AccountConfig) -> str:
    return account.endpoints.data or BaseURL.DATA.value


def _data_names(config: Config, enabled: dict[str, AccountConfig]) -> list[str]:
    """The accounts whose keys fetch quotes, in order."""
    names = [name for name in config.market_data.accounts or enabled if name in enabled]
    if not names:
        raise ConfigError("No enabled account can fetch quotes.", hint="Check accounts and market_data.accounts.")
    return names
