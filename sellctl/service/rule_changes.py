"""Rules that a person sets for one position, as every surface takes them: texts, and whether they were set."""

from msgspec import Struct

from sellctl.core.errors import ConfigError
from sellctl.core.manual.proposed_overrides import check_change
from sellctl.core.model.market import Market
from sellctl.core.model.position import AT_ENTRY, OverrideChange
from sellctl.core.until import end_of
from sellctl.journal.location import JournalLocation


class RuleTexts(Struct, frozen=True):
    """What a person gives to set: amounts as in the configuration, and an end as `--until` takes it; "" for none."""

    stop: str = ""
    target: str = ""
    trail: str = ""
    breakeven: bool = False
    until: str = ""
    clear: bool = False


def change_of(given: RuleTexts, market: Market | None, prefix: str = "") -> OverrideChange:
    """The change that these texts mean, its end by the broker's clock.

    `prefix` is what the surface writes before the name of an option, such as "--". ConfigError when they contradict
    each other, set nothing or can't be read; BrokerError when there is an end and the clock is unknown.
    """
    if given.breakeven and given.stop:
        sentence = f"{prefix}breakeven and {prefix}stop both set the stop."
        raise ConfigError(sentence, hint="Give one of them.")
    end = end_of(given.until or None, market, f"{prefix}until")
    stop = AT_ENTRY if given.breakeven else given.stop
    change = OverrideChange(stop, given.target, given.trail, end, clear=given.clear)
    check_change(change)
    return change


def why_not_set(journal: JournalLocation, account: str, request: str, row: int) -> str | None:
    """Why a request to set rules, recorded after this row, changed nothing; "" when it is set.

    None while neither is on record, and so on disk.
    """
    from sellctl.journal.notes_since import notes_since  # noqa: PLC0415  loads SQLAlchemy

    notes = notes_since(journal, account, "override", row)
    return next((str(note.get("problem", "")) for note in notes if note.get("id") == request), None)
