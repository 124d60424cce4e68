"""Builds the adapters that a configuration needs: one broker per enabled account and one source of quotes."""

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sellctl.alpaca.broker import AlpacaBroker
from sellctl.alpaca.budget import KEPT_FOR_ORDERS, Budget
from sellctl.alpaca.quotes import AlpacaQuotes, utc_now
from sellctl.alpaca.rest import Credentials, RestClient
from sellctl.alpaca.transport import DEFAULT_LIMITS, Limits
from sellctl.core.config.schema import AccountConfig, Config
from sellctl.core.errors import ConfigError
from sellctl.core.ports import RequestObserver
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
    _clients: Mapping[tuple[str, str], RestClient] = field(repr=False)  # by account and API: trading or data

    def budgets_left(self) -> dict[tuple[str, str], int]:
        """The requests that each key may still send in this minute, by account and API (trading, data)."""
        return {key: client.budget.left for key, client in self._clients.items()}

    def close(self) -> None:
        """Close the connections. A request that is still under way fails."""
        for client in self._clients.values():
            client.close()


def connect(  # noqa: PLR0913  what the adapters share with the rest of the program
    config: Config,
    limits: Limits = DEFAULT_LIMITS,
    monotonic: Callable[[], float] = time.monotonic,
    *,
    facts: RememberedFacts | None = None,
    now: Callable[[], dt.datetime] = utc_now,
    observe: RequestObserver | None = None,
) -> Connected:
    """Return the adapters of all enabled accounts; nothing is sent yet. ConfigError when a key pair is incomplete.

    Each key has one request budget for trading and one for market data, timed by `monotonic` (seconds). `facts` has the
    feeds that keys were granted before; `now` is the host's time, by which they age. `observe` is told of each request.
    """
    enabled = {name: account for name, account in config.accounts.items() if account.enabled}
    of_trading = _Api(limits, KEPT_FOR_ORDERS, monotonic, observe)
    of_data = _Api(limits, 0, monotonic, observe)
    trading = {name: _client(name, each, _trading_url(each), of_trading) for name, each in enabled.items()}
    data = {
        name: _client(name, enabled[name], _data_url(enabled[name]), of_data) for name in _data_names(config, enabled)
    }
    return Connected(
        brokers={name: AlpacaBroker(trading[name], paper=enabled[name].paper) for name in trading},
        quotes=AlpacaQuotes(list(data.values()), config.market_data, facts=facts, now=now),
        _clients={
            **{(name, "trading"): client for name, client in trading.items()},
            **{(name, "data"): client for name, client in data.items()},
        },
    )


@dataclass(frozen=True, slots=True)
class _Api:
    """What the clients of one API share: limits, the share of each budget kept for orders, its clock, the observer."""

    limits: Limits
    kept: float
    monotonic: Callable[[], float]
    observe: RequestObserver | None


def _client(name: str, account: AccountConfig, url: str, api: _Api) -> RestClient:
    if not (account.api_key and account.secret_key):
        raise ConfigError(f"The key pair of account {name} is incomplete.", hint="Give both api_key and secret_key.")
    try:
        return RestClient(
            url,
            Credentials(name, account.api_key, account.secret_key),
            limits=api.limits,
            budget=Budget(api.monotonic, kept=api.kept),
            observe=api.observe,
        )
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
