"""Builders of small scenarios for end-to-end tests: positions, prices and rules."""

from stage import Stage

CALL = "AAPL261218C00200000"
HIGHER = "AAPL261218C00210000"
DAY = """
    start: "{start}"
    accounts:
      main:
        key: k
        secret: s
        number: PA1
        positions: [{positions}]
    prices:
{prices}
"""


def a_day(positions: dict[str, tuple[int, str]], prices: dict[str, str], start: str = "2026-11-24 12:00") -> str:
    """A scenario from symbol -> (quantity, entry) and symbol -> price path in the scenario's notation."""
    held = ", ".join(f"{{symbol: {s}, qty: {qty}, entry: {entry}}}" for s, (qty, entry) in positions.items())
    lines = "\n".join(f"      {symbol}: {path}" for symbol, path in prices.items())
    return DAY.format(start=start, positions=held, prices=lines)


def by_legs(scenario: str) -> str:
    """The day in an account that may not send multi-leg orders."""
    return scenario.replace("number: PA1", "number: PA1\n        options_level: 2")


def at(bid: str, ask: str) -> str:
    return f"[{{fixed: {{bid: {bid}, ask: {ask}}}}}]"


def then(first: tuple[str, str], clock: str, second: tuple[str, str]) -> str:
    one, other = (f"{{bid: {bid}, ask: {ask}}}" for bid, ask in (first, second))
    return f'[{{fixed: {one}}}, {{at: "{clock}", jump: {other}}}]'


def ruled(rules: str, match: str = "{}") -> str:
    return f"sell_module: {{strategies: [{{name: mine, match: {match}, rules: {{{rules}}}}}]}}\n"


def reasons(stage: Stage, symbol: str = CALL) -> set[str]:
    """The reasons of the orders that were sent for a symbol, as printed by `history`."""
    rows = stage.run("history", symbol, "--format", "json").document
    return {row["reason"] for row in rows if row["reason"]}


def all_reasons(stage: Stage) -> set[str]:
    """The reasons of all orders that were sent, whether for one symbol or for several legs."""
    return {row["reason"] for row in stage.run("history", "--format", "json").document if row["reason"]}
