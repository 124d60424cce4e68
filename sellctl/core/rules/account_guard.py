"""Account guard: limits on the day's result, which is equity less that at the previous close, without transfers."""

from decimal import Decimal

from sellctl.core.config.schema import AccountGuardConfig
from sellctl.core.model.gain import Amount, AmountUnit
from sellctl.core.model.snapshot import AccountFacts
from sellctl.core.text import as_amount, as_percent


def reached_limit(guard: AccountGuardConfig, facts: AccountFacts) -> str:
    """The limit that is reached, as text with its numbers; "" when none is, or when the day's result is unknown."""
    before, change = facts.last_equity, result_of_day(facts)
    if change is None or not before:
        return ""
    for word, limit, amount in (("lost", guard.loss, -change), ("gained", guard.profit, change)):
        if limit is not None and amount >= _dollars(limit, before):
            return f"the account {word} {as_amount(amount)} today ({as_percent(change / before)}){_note(facts)}"
    return ""


def result_of_day(facts: AccountFacts) -> Decimal | None:
    """Dollars gained since the previous close, without what was paid in or out; None when a part of it is unknown."""
    if why_unknown(facts) or facts.equity is None or facts.last_equity is None or facts.transfers is None:
        return None
    return facts.equity - facts.last_equity - facts.transfers


def why_unknown(facts: AccountFacts) -> str:
    """What the broker did not report, so that the day's result is unknown; "" when it is known."""
    if facts.equity is None:
        return "the account's equity"
    if facts.last_equity is None or facts.last_equity <= 0:
        return "its equity at the previous close"
    return "what was paid in or out today" if facts.transfers is None else ""


def _note(facts: AccountFacts) -> str:
    return f", not counting transfers of {as_amount(facts.transfers)}" if facts.transfers else ""


def _dollars(limit: Amount, before: Decimal) -> Decimal:
    return limit.value * before if limit.unit is AmountUnit.GAIN else limit.value
