"""Black-Scholes greeks and implied volatility for snapshots. Floats, since they are estimates for display."""

import math
from dataclasses import dataclass

RATE = 0.04  # a flat interest rate
_LOW, _HIGH, _STEPS = 0.01, 5.0, 60
_DAYS = 365.0


@dataclass(frozen=True, slots=True)
class Greeks:
    """Sensitivities per share: theta per day, vega and rho per percentage point."""

    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float
    volatility: float


def greeks_of(price: float, spot: float, strike: float, years: float, *, call: bool) -> Greeks | None:
    """The greeks at the implied volatility; None when there is none, as for a price below intrinsic value."""
    if min(price, spot, strike, years) <= 0:
        return None
    volatility = _implied(price, spot, strike, years, call=call)
    if volatility is None:
        return None
    root = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (RATE + volatility**2 / 2) * years) / root
    d2 = d1 - root
    density = math.exp(-(d1**2) / 2) / math.sqrt(2 * math.pi)
    discount = strike * math.exp(-RATE * years)
    sign = 1 if call else -1
    theta = -spot * density * volatility / (2 * math.sqrt(years)) - sign * RATE * discount * _normal(sign * d2)
    return Greeks(
        delta=sign * _normal(sign * d1),
        gamma=density / (spot * root),
        theta=theta / _DAYS,
        vega=spot * density * math.sqrt(years) / 100,
        rho=sign * discount * years * _normal(sign * d2) / 100,
        volatility=volatility,
    )


def _implied(price: float, spot: float, strike: float, years: float, *, call: bool) -> float | None:
    """The implied volatility by bisection, since the value grows with it; None outside the bounds."""
    low, high = _LOW, _HIGH
    if not _value(spot, strike, years, low, call=call) <= price <= _value(spot, strike, years, high, call=call):
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _value(spot, strike, years, middle, call=call) < price else (low, middle)
    return (low + high) / 2


def _value(spot: float, strike: float, years: float, volatility: float, *, call: bool) -> float:
    root = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (RATE + volatility**2 / 2) * years) / root
    sign = 1 if call else -1
    return sign * (spot * _normal(sign * d1) - strike * math.exp(-RATE * years) * _normal(sign * (d1 - root)))


def _normal(x: float) -> float:
    return (1 + math.erf(x / math.sqrt(2))) / 2
