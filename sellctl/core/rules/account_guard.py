"""Account guard: the day's profit or loss of the whole account, equity against the day before's."""

from decimal import Decimal

from sellctl.core.config.schema import AccountGuardConfig
from sellctl.core.model.gain import Amount, Per
from sellctl.core.model.snapshot import AccountFacts
from sellctl.core.text import as_dollars, as_percent


def reached_limit(guard: AccountGuardConfig, facts: AccountFacts) -> str:
    """Which limit is reached, with its numbers; "" when none is, or when the equity is unknown."""
    equity, before = facts.equity, facts.last_equity
    if equity is None or before is None or before <= 0:
        return ""
    change = equity - before
    for word, limit, amount in (("lost", guard.loss, -change), ("gained", guard.profit, change)):
        if limit is not None and amount >= _dollars(limit, before):
            return f"the account {word} {as_dollars(amount)} today ({as_percent(change / before)})"
    return ""


def _dollars(limit: Amount, before: Decimal) -> Decimal:
    return limit.value * before if limit.per is Per.GAIN else limit.value
