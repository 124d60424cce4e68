"""The active faults: injecting, triggering, counting and clearing them."""

import random
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sellctl.sim.faults.catalogue import CATALOGUE, FaultKind


@dataclass(slots=True)
class Fault:
    """An active fault. An empty `account`, `symbol`, `path` or `method` matches any; `times` None means until cleared.

    `path` matches every request path that contains it. `fault["name"]` reads a parameter, or its default.
    """

    name: str
    account: str = ""
    symbol: str = ""
    path: str = ""
    method: str = ""
    times: int | None = None
    rate: Decimal = Decimal(1)
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> FaultKind:
        """Its entry in the catalogue."""
        return CATALOGUE[self.name]

    def __getitem__(self, param: str) -> Any:
        return self.params.get(param, self.kind.params.get(param))

    def matches(self, account: str, symbols: tuple[str, ...], path: str, method: str) -> bool:
        """Whether it applies to this request, order or quote, which concerns these symbols."""
        return (
            self.account in {"", account}
            and (not self.symbol or self.symbol in symbols)
            and self.method in {"", method}
            and self.path in path
        )


class FaultRegistry:
    """The active faults. `fired` counts how often each name has triggered; `seed` is that of the chances by `rate`."""

    def __init__(self, seed: int = 1) -> None:
        self._active: list[Fault] = []
        self._rng = random.Random(seed)  # noqa: S311  a simulation's seed, not a secret
        self.fired: Counter[str] = Counter()

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults that may still trigger."""
        return tuple(self._active)

    def inject(self, name: str, **options: Any) -> Fault:
        """Activate a fault. Options are account, symbol, path, method, times, rate and the parameters of its kind.

        KeyError for an unknown name, TypeError for an unknown option.
        """
        kind = CATALOGUE[name]
        scope = {key: options.pop(key) for key in ("account", "symbol", "path", "method") if key in options}
        times = options.pop("times", kind.times)
        rate = Decimal(str(options.pop("rate", 1)))
        if unknown := set(options) - set(kind.params):
            raise TypeError(f"{name} has no parameter {', '.join(sorted(unknown))}")
        fault = Fault(name, **scope, times=times, rate=rate, params=options)
        self._active.append(fault)
        return fault

    def clear(self, name: str = "") -> None:
        """Deactivate one fault, or all of them."""
        self._active = [fault for fault in self._active if name and fault.name != name]

    def trigger(
        self,
        *names: str,
        account: str = "",
        symbol: str | tuple[str, ...] = "",
        path: str = "",
        method: str = "",
    ) -> Fault | None:
        """The first active fault of these names that matches, with the probability `rate`; it is counted.

        A multi-leg order has several symbols, and a fault of any of them matches.
        """
        symbols = (symbol,) if isinstance(symbol, str) else symbol
        for fault in self._active:
            if fault.name in names and fault.matches(account, symbols, path, method) and self._chance(fault):
                self._count(fault)
                return fault
        return None

    def trigger_all(self, family: str, *, symbol: str = "", account: str = "") -> list[Fault]:
        """Every active fault of a family that matches, each with the probability `rate`; each is counted."""
        triggered = [
            fault
            for fault in self._active
            if fault.name.startswith(family) and fault.matches(account, (symbol,), "", "") and self._chance(fault)
        ]
        for fault in triggered:
            self._count(fault)
        return triggered

    def find(self, name: str, *, symbol: str = "", account: str = "") -> Fault | None:
        """An active fault that matches, without counting it."""
        return next((one for one in self._active if one.name == name and one.matches(account, (symbol,), "", "")), None)

    def _chance(self, fault: Fault) -> bool:
        return self._rng.random() < float(fault.rate)

    def _count(self, fault: Fault) -> None:
        self.fired[fault.name] += 1
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._active.remove(fault)
