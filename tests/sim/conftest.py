"""A served simulator with the scenario of `sim_clients`, and a REST client of its first account."""

from collections.abc import Iterator

import pytest
from sim_clients import Rest, a_client, a_server

from sellctl.sim.server import SimServer


@pytest.fixture
def server() -> Iterator[SimServer]:
    with a_server() as running:
        yield running


@pytest.fixture
def client(server: SimServer) -> Iterator[Rest]:
    with a_client(server) as rest:
        yield rest
