"""Builds the adapters that a configuration needs: one broker per enabled account and one source of quotes."""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sellctl.alpaca.broker import AlpacaBroker
from sellctl.alpaca.budget import KEPT_FOR_ORDERS, Budget
from sellctl.alpaca.quotes import AlpacaQuotes, utc_now
from sellctl.alpaca.rest import Credentials, RestClient
from sellctl.alpaca.transport import DEFAULT_LIMITS, Limits
from sellctl.core.config.schema import AccountConfig, Config
from sellctl.core.errors import ConfigError
from sellctl.core.tracking.remembered_facts import RememberedFacts

# Copied from the SDK's alpaca.common.enums.BaseURL, whose import would load pydantic and requests in every command.
PAPER_TRADING_URL: Final = "https://paper-api.alpaca.markets"
LIVE_TRADING_URL: Final = "https://api.alpaca.markets"
DATA_URL: Final = "https://data.alpaca.markets"


@dataclass(frozen=True, slots=True)
class Connected:
    """Everything that talks to Alpaca's REST API. `brokers` are by account name."""

    brokers: dict[str, AlpacaBroker]
    quotes: AlpacaQuotes
    _clients: tuple[RestClient, ...] = field(repr=False)

    def close(self) -> None:
        """Close the connections. A request that is still under way fails."""
        for client in self._clients:
            client.close()


def connect(
    config: Config,
    limits: Limits = DEFAULT_LIMITS,
    monotonic: Callable[[], float] = time.monotonic,
    *,
    facts: RememberedFacts | None = None,
    now: Callable[[], dt.datetime] = utc_now,
) -> Connected:
    """Return the adapters of all enabled accounts; nothing is sent yet. ConfigError when a key pair is incomplete.

    Each key has one request budget for trading and one for market data, timed by `monotonic` (seconds). `facts` has the
    feeds that keys were granted before; `now` is the host's time, by which they age.
    """
    enabled = {name: account for name, account in config.accounts.items() if account.enabled}
    trading = {
        name: _client(name, each, _trading_url(each), limits, Budget(monotonic, kept=KEPT_FOR_ORDERS))
        for name, each in enabled.items()
    }
    data = [
        _client(name, enabled[name], _data_url(enabled[name]), limits, Budget(monotonic, kept=0))
        for name in _data_names(config, enabled)
    ]
    return Connected(
        brokers={name: AlpacaBroker(trading[name], paper=enabled[name].paper) for name in trading},
        quotes=AlpacaQuotes(data, config.market_data, facts=facts, now=now),
        _clients=(*trading.values(), *data),
    )


def _client(name: str, account: AccountConfig, url: str, limits: Limits, budget: Budget) -> RestClient:
    if not (account.api_key and account.secret_key):
        raise ConfigError(f"The key pair of account {name} is incomplete.", hint="Give both api_key and secret_key.")
    try:
        return RestClient(url, Credentials(name, account.api_key, account.secret_key), limits=limits, budget=budget)
    except ValueError:
        raise ConfigError(f"An endpoint of account {name} is not a valid address: {url!r}.") from None


def _trading_url(account: AccountConfig) -> str:
    return account.endpoints.trading or (PAPER_TRADING_URL if account.paper else LIVE_TRADING_URL)


def _data_url(account: AccountConfig) -> str:
    return account.endpoints.data or DATA_URL


def _data_names(config: Config, enabled: dict[str, AccountConfig]) -> list[str]:
    """The accounts whose keys fetch quotes, in order."""
    names = [name for name in config.market_data.accounts or enabled if name in enabled]
    if not names:
        raise ConfigError("No enabled account can fetch quotes.", hint="Check accounts and market_data.accounts.")
    return names
