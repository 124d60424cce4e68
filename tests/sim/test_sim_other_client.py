"""A session of an Alpaca client that isn't the SDK: alpacafarmer, over httpx, on its own models."""

import asyncio
from decimal import Decimal

import pytest
from sim_clients import CALL, SCENARIO, a_server

farmer = pytest.importorskip("alpacafarmer", reason="the dev group's second Alpaca client isn't installed")
auth = pytest.importorskip("alpacafarmer.auth")
models = pytest.importorskip("alpacafarmer.models")


async def a_session(url: str) -> list[str]:
    """Look, sell a part, replace, cancel, close."""

    class LocalAuth(auth.AlpacaAuth):  # type: ignore[name-defined,misc]
        """The address is a method of the client's own auth object."""

        def get_base_url(self, api_type: str = "trading") -> str:
            return {"trading": url, "data": url}[api_type]

    key = LocalAuth("sim-main", "sim-secret")
    told = []
    async with farmer.TraderClient(key) as client:
        told.append((await client.get_account()).account_number)
        told += [position.symbol for position in await client.list_positions()]
        request = models.OrderRequest(
            symbol=CALL, qty=Decimal(1), side="sell", type="limit", limit_price=Decimal("3.00"), time_in_force="day"
        )
        order = await client.create_order(request)
        newer = await client.replace_order(order.id, models.OrderUpdate(limit_price=Decimal("2.50")))
        told.append(str(newer.limit_price))
        await client.cancel_order(newer.id)
        told.append(str((await client.get_order(newer.id)).status))
        told.append(str((await client.close_position(CALL, qty=Decimal(4))).side))
        with pytest.raises(farmer.AlpacaError):
            await client.get_position(CALL)
    async with farmer.MarketDataClient(key) as data:
        told.append(str((await data.get_latest_quotes(["F"]))["F"].bp))
    return told


def test_another_client_runs_a_session() -> None:
    # its account model still requires the day-trading fields that Alpaca ended in July 2026
    with a_server(SCENARIO.replace("rate_limit: 0", "rate_limit: 0, day_trading_fields: true")) as server:
        told = asyncio.run(a_session(server.url))
    assert told == ["PASIM0001", "F", CALL, "2.5", "canceled", "sell", "12"]
