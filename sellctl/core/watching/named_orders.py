"""The legs of structures that the user names by their opening order, looked up once."""

import datetime as dt
from collections.abc import Iterable

from msgspec.structs import replace

from sellctl.core.errors import BrokerError, NotFoundError
from sellctl.core.model.order import Order
from sellctl.core.ports import Broker, Clock
from sellctl.core.structures.named import NamedStructure, Numbered, legs_per_unit

TRY_AGAIN_SECONDS = 60.0
_FEWEST_LEGS = 2
_SHORTLY_BEFORE = dt.timedelta(seconds=1)  # lists begin after their start


class NamedOrders:
    """The orders of one account that structures are named by."""

    def __init__(self, broker: Broker, clock: Clock) -> None:
        self._broker = broker
        self._clock = clock
        self._legs: dict[str, tuple[Numbered, ...]] = {}  # by client order id; none when the order is of no use
        self._problems: dict[str, str] = {}
        self._try_again_at = 0.0  # monotonic seconds

    async def load(self, named: Iterable[NamedStructure]) -> None:
        """Look up the orders that aren't known yet. What can't be read now is tried again after a while."""
        unknown = [each for each in named if each.order and each.order not in self._legs]
        if not unknown or self._clock.monotonic() < self._try_again_at:
            return
        for structure in unknown:
            try:
                self._take(structure, await self._read(structure.order))
            except NotFoundError:
                self._give_up(structure, "this account has no order with that client order id")
            except BrokerError:
                self._try_again_at = self._clock.monotonic() + TRY_AGAIN_SECONDS
                self._problems[structure.order] = f"structure {structure.title}: its order can't be read yet"
                return

    async def _read(self, client_order_id: str) -> Order:
        """The order with its legs, which a list of orders has and the look-up of one may lack."""
        order = await self._broker.order_by_client_id(client_order_id)
        if order.legs or order.submitted_at is None:
            return order
        since = await self._broker.orders_since(order.submitted_at - _SHORTLY_BEFORE, None, for_order=False)
        return next((each for each in since.rows if each.id == order.id), order)

    def known(self, named: Iterable[NamedStructure]) -> tuple[NamedStructure, ...]:
        """The structures with the legs of their orders; those whose order isn't known have none."""
        return tuple(replace(each, legs=self._legs.get(each.order, ())) if each.order else each for each in named)

    def problems(self, named: Iterable[NamedStructure]) -> tuple[str, ...]:
        """What is wrong with their orders, one sentence each."""
        return tuple(self._problems[each.order] for each in named if each.order in self._problems)

    def _take(self, structure: NamedStructure, order: Order) -> None:
        legs = legs_per_unit(order.legs)
        if len(legs) < _FEWEST_LEGS:
            self._give_up(structure, "the broker shows no legs of its order: name them with legs")
            return
        self._legs[structure.order] = legs
        self._problems.pop(structure.order, None)

    def _give_up(self, structure: NamedStructure, why: str) -> None:
        self._legs[structure.order] = ()
        self._problems[structure.order] = f"structure {structure.title}: {why}"
