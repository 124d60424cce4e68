from typing import TYPE_CHECKING

import pytest
from alpaca_stand_in import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stand_in() -> "Iterator[StandIn]":
    with StandIn() as server:
        yield server
