"""Whether the `match` of a strategy fits a position: every given key must fit. The policy applies `account`."""

from sellctl.core.config.schema import AssetKind, IntRange, MatchConfig, SideKind
from sellctl.core.config.units import int_range_text
from sellctl.core.model.holding_time import days_left
from sellctl.core.model.instrument import AssetClass
from sellctl.core.model.market import Market
from sellctl.core.model.position import Holding
from sellctl.core.structures.names import kind_named, underlying_named

ASSET_CLASSES = {AssetKind.OPTION: AssetClass.OPTION, AssetKind.STOCK: AssetClass.STOCK}


def fits(match: MatchConfig, holding: Holding, market: Market) -> bool:
    """Whether every key that was given fits the position."""
    position, instrument = holding.position, holding.position.instrument
    return (
        (not match.symbol or position.symbol in match.symbol)
        and (not match.underlying or instrument.underlying in match.underlying)
        and (not match.asset or any(ASSET_CLASSES[kind] is instrument.asset_class for kind in match.asset))
        and (match.side is None or (match.side is SideKind.LONG) is position.is_long)
        and (match.dte is None or _is_within(days_left(holding, market), match.dte))
        and (match.size is None or position.qty in match.size)
        and (not match.tag or any(holding.state.opening_order_id.startswith(tag) for tag in match.tag if tag))
        and (not match.structure or holding.structure in match.structure)
    )


def may_fit(match: MatchConfig, structure: str) -> bool:
    """Whether a match names the kind of the structure of that name, and no other structure or underlying."""
    return (
        kind_named(structure) in match.structure
        and (not match.symbol or structure in match.symbol)
        and (not match.underlying or underlying_named(structure) in match.underlying)
    )


def _is_within(days: int | None, int_range: IntRange) -> bool:
    return days is not None and days in int_range


def match_text(match: MatchConfig) -> str:
    """A match as one line of text; "everything" when no key is given."""
    words = {
        "account": ", ".join(match.account),
        "symbol": ", ".join(match.symbol),
        "underlying": ", ".join(match.underlying),
        "asset": ", ".join(match.asset),
        "side": match.side or "",
        "dte": int_range_text(match.dte) if match.dte else "",
        "size": int_range_text(match.size) if match.size else "",
        "tag": ", ".join(match.tag),
        "structure": ", ".join(match.structure),
    }
    return "; ".join(f"{key} {value}" for key, value in words.items() if value) or "everything"
