"""The check of the structures that the user names, made when a process begins: one never held whole is a mistake."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from sellctl.core.config.findings import Finding
from sellctl.core.errors import ConfigError
from sellctl.core.model.instrument import AssetClass
from sellctl.core.orders.claims import is_live
from sellctl.core.structures.named import FoundAccount, NamedStructure, never_whole
from sellctl.core.tracking.episodes import Episodes
from sellctl.core.watching.account_observer import AccountObservation

StartCheck = Callable[[Sequence[FoundAccount]], None]  # ConfigError when the process must not go on

_HINT = "Correct its legs, or delete the entry until all of them are held."


def start_check(named: Sequence[NamedStructure], error_about: Callable[[Iterable[Finding]], ConfigError]) -> StartCheck:
    """The check of these structures, in the order of the configuration."""

    def check(accounts: Sequence[FoundAccount]) -> None:
        lacks = [(index, each, never_whole(each, accounts)) for index, each in enumerate(named)]
        findings = [
            Finding(f"sell_module.structures[{index}]", f"structure {each.title}: {lack}.", _HINT)
            for index, each, lack in lacks
            if lack
        ]
        if findings:
            raise error_about(findings)

    return check


def found_account(name: str, seen: AccountObservation, episodes: Episodes) -> FoundAccount:
    """What the first read of an account has shown, and what an earlier process stored about it."""
    rows = seen.positions.rows
    times = Counter(position.symbol for position in rows)
    odd = {each.symbol for each in rows if times[each.symbol] > 1 or not (each.qty.is_finite() and each.qty > 0)}
    unknown = {each.symbol for each in rows if each.instrument.asset_class is AssetClass.OTHER}
    invalid = {row.symbol for row in seen.positions.invalid}
    orders = {symbol for order in seen.orders if is_live(order) for symbol in order.symbols}
    return FoundAccount(
        name,
        tuple(rows),
        uncertain=frozenset(odd | unknown | invalid),
        ordered=frozenset(orders | {row.symbol for row in seen.unreadable_orders}),
        whole=episodes.whole,
    )
