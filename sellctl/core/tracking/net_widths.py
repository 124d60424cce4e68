"""How long the net spread of each structure has been wide, as seen at each check of the account."""

import datetime as dt
from collections.abc import Iterable

from sellctl.core.model.market import Market
from sellctl.core.structures.held import HeldStructure
from sellctl.core.tracking.peaks import newest_prices

_NO_TIME = dt.timedelta(0)


class NetWidths:
    """Since when the structures of one account are wide; `now` is monotonic seconds."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def see(self, structures: Iterable[HeldStructure], market: Market, now: float) -> None:
        """Take the newest quotes of the structures that are held now. Outside of the session none is wide."""
        wide = [each.name for each in structures if _is_wide(each, market)] if market.is_open else []
        self._since = {name: self._since.get(name, now) for name in wide}

    def wide_for(self, name: str, now: float) -> dt.timedelta:
        """How long a structure has been wide without a break."""
        return dt.timedelta(seconds=now - self._since[name]) if name in self._since else _NO_TIME


def _is_wide(structure: HeldStructure, market: Market) -> bool:
    whole = structure.at(lambda leg: newest_prices(leg, market))
    return whole is not None and whole.prices.wide
