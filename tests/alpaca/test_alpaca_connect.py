import pytest
from alpaca.common.enums import BaseURL
from alpaca_stand_in import (
    a_config,
)

from sellctl.alpaca.connect import DATA_URL, LIVE_TRADING_URL, PAPER_TRADING_URL, connect
from sellctl.core.errors import ConfigError


def test_disabled_accounts_are_left_out_and_half_a_key_pair_is_refused() -> None:
    config = a_config("http://127.0.0.1:1", "http://127.0.0.1:1")
    object.__setattr__(config.accounts["a"], "enabled", False)
    adapters = connect(config)
    adapters.close()
    assert list(adapters.brokers) == ["b"]
    object.__setattr__(config.accounts["b"], "secret_key", "")
    with pytest.raises(ConfigError, match="key pair of account b is incomplete"):
        connect(config)
    with pytest.raises(ConfigError, match="not a valid address"):
        connect(a_config("http://[bad"))
    with pytest.raises(ConfigError, match="No enabled account"):
        connect(a_config())


def test_the_addresses_are_the_official_ones() -> None:
    assert (PAPER_TRADING_URL, LIVE_TRADING_URL, DATA_URL) == (
        BaseURL.TRADING_PAPER,
        BaseURL.TRADING_LIVE,
        BaseURL.DATA,
    )


@pytest.mark.parametrize(("paper", "host"), [(True, "paper-api.alpaca.markets"), (False, "api.alpaca.markets")])
def test_without_endpoints_the_official_ones_are_used(paper: bool, host: str) -> None:
    config = a_config("", paper=paper)
    adapters = connect(config)
    adapters.close()
    assert [client.host for client in adapters._clients.values()] == [host, "data.alpaca.markets"]  # noqa: SLF001  nothing is sent
