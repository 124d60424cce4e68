"""From a configuration to open doors: a broker for every enabled account, one source of quotes, one set of threads."""

import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

from alpaca.common.enums import BaseURL

from sellctl.alpaca.broker import AlpacaBroker
from sellctl.alpaca.budget import KEPT_FOR_ORDERS, Budget
from sellctl.alpaca.quotes import QUOTE_THREADS, AlpacaQuotes
from sellctl.alpaca.rest import DEFAULT_TIMEOUTS, Key, RestClient, Timeouts
from sellctl.core.errors import ConfigError
from sellctl.core.model.config import AccountConfig, Config

_THREADS_AN_ACCOUNT = 4  # an account's reads at once, and an order beside them


@dataclass(frozen=True, slots=True)
class Connected:
    """Everything that talks to Alpaca. `brokers` are by account name."""

    brokers: dict[str, AlpacaBroker]
    quotes: AlpacaQuotes
    _clients: tuple[RestClient, ...] = field(repr=False)
    _threads: Executor = field(repr=False)

    def close(self) -> None:
        """Start nothing more and close the connections; what is under way ends by its own deadline."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for client in self._clients:
            client.close()


def connect(
    config: Config, timeouts: Timeouts = DEFAULT_TIMEOUTS, monotonic: Callable[[], float] = time.monotonic
) -> Connected:
    """Doors to all enabled accounts. Nothing is sent yet. ConfigError when a key pair is not whole.

    Each key has a budget of requests a minute for trading and one for data, counted by `monotonic` (seconds).
    """
    enabled = {name: account for name, account in config.accounts.items() if account.enabled}
    size = _THREADS_AN_ACCOUNT * len(enabled) + QUOTE_THREADS
    threads = ThreadPoolExecutor(size, thread_name_prefix="alpaca")
    trading = {
        name: _client(name, each, _trading_url(each), _Wire(timeouts, size, Budget(monotonic, kept=KEPT_FOR_ORDERS)))
        for name, each in enabled.items()
    }
    data = [
        _client(name, enabled[name], _data_url(enabled[name]), _Wire(timeouts, size, Budget(monotonic, kept=0)))
        for name in _data_names(config, enabled)
    ]
    return Connected(
        brokers={name: AlpacaBroker(trading[name], threads, paper=enabled[name].paper) for name in trading},
        quotes=AlpacaQuotes(data, threads, config.market_data),
        _clients=(*trading.values(), *data),
        _threads=threads,
    )


@dataclass(frozen=True, slots=True)
class _Wire:
    """How a client may use its connection."""

    timeouts: Timeouts
    threads: int
    budget: Budget


def _client(name: str, account: AccountConfig, url: str, wire: _Wire) -> RestClient:
    if not (account.api_key and account.secret_key):
        raise ConfigError(f"Account {name} has no whole key pair.", hint="Give both api_key and secret_key.")
    try:
        key = Key(name, account.api_key, account.secret_key)
        return RestClient(url, key, timeouts=wire.timeouts, threads=wire.threads, budget=wire.budget)
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
