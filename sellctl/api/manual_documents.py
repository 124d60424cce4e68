"""The JSON documents of closing by hand: what would be sent, with its question, and what became of it."""

from typing import TYPE_CHECKING

from sellctl.api.confirmations import VALID_SECONDS
from sellctl.core.manual.verb import Verb
from sellctl.core.text import as_dollars
from sellctl.core.watching.manual_exits import Result, about_limit, total
from sellctl.service.confirming import lines_of, question_of
from sellctl.service.verbs import why_not
from sellctl.ui.contracts import readable_name
from sellctl.ui.documents import Document, outcome_part, proposed_part
from sellctl.ui.formatting import counted, number, profit
from sellctl.ui.override_rows import override_document
from sellctl.ui.render import JSON_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from sellctl.api.confirmed_proposals import Followed
    from sellctl.api.control import Control
    from sellctl.api.manual_exits import Outcomes, Proposed
    from sellctl.api.manual_overrides import SetOverrides, ShownOverrides
    from sellctl.core.model.view import AccountListing
    from sellctl.core.watching.manual_exits import ExitOutcome, ProposedExit
    from sellctl.service.confirming import ShownProposal


def proposal_document(proposed: "Proposed", control: "Control") -> Document:
    """What would be sent, as a question with the code that confirms it, or why nothing can be."""
    possible = [each for each in proposed.exits if each.is_possible]
    warning = about_limit(proposed.exits)
    return {
        "version": JSON_VERSION,
        "sentence": _question(proposed, possible) if possible else _refusal(proposed.exits),
        "confirm": proposed.code or None,
        "valid_seconds": int(VALID_SECONDS),
        "halted": control.halted(),
        "warnings": [warning] if warning else [],
        "exits": [_proposed_part(each) for each in proposed.exits],
    }


def _question(proposed: "Proposed", possible: "Sequence[ProposedExit]") -> str:
    """What is to be confirmed: account, paper or live, quantity, and what it is estimated to bring."""
    if proposed.request.verb is Verb.PANIC:
        what = f"{counted(len(possible), 'position')} of {_accounts_text(possible)} at any price"
        return _question_about(what, possible)
    return _close_question(possible)


def _close_question(possible: "Sequence[ProposedExit]") -> str:
    by_account = {each.listing.account: each for each in possible}.values()
    quantities = " and ".join(_quantity_text(each) for each in by_account)
    limit = possible[0].terms.limit
    at_worst = "" if limit is None else f" with limit {as_dollars(limit)}"
    what = f"{quantities} {readable_name(possible[0].name)} of {_accounts_text(possible)}{at_worst}"
    return _question_about(what, possible)


def _question_about(what: str, possible: "Sequence[ProposedExit]") -> str:
    proceeds, pnl = total(each.proceeds for each in possible), total(each.pnl for each in possible)
    return f"Close {what}? Estimated proceeds {_amount(proceeds).lstrip('+')}, P&L {_amount(pnl)}."


def _refusal(exits: "Sequence[ProposedExit]") -> str:
    why = why_not(exits) if exits else "no managed position is held"
    return f"Nothing can be sent: {why}."


def _quantity_text(each: "ProposedExit") -> str:
    """How much of what is held: contracts, shares, or units of a structure."""
    if each.structure is None:
        return f"{number(each.qty)} of {number(each.decision.holding.position.qty)}"
    units = each.structure.units
    return f"{units if each.terms.qty is None else number(each.terms.qty)} of {units}"


def _accounts_text(exits: "Iterable[ProposedExit]") -> str:
    named = dict.fromkeys(f"{each.listing.account} ({each.listing.mode.value.upper()})" for each in exits)
    return " and ".join(named)


def _amount(dollars: "Decimal | None") -> str:
    return "unknown" if dollars is None else profit(dollars)


def _proposed_part(each: "ProposedExit") -> Document:
    held = number(each.decision.holding.position.qty)
    return {**proposed_part(each), "held": held, "is_possible": each.is_possible}


def outcomes_document(found: "Outcomes") -> Document:
    """What became of exits by now."""
    return {
        "version": JSON_VERSION,
        "id": found.started.id,
        "by": found.started.by,
        "is_done": found.is_done,
        "is_pending": found.is_pending,
        "sentence": _summary(found),
        "exits": [
            {**_proposed_part(each.proposed), **outcome_part(each), "sentence": _outcome_text(each, found)}
            for each in found.exits
        ],
    }


def _outcome_text(each: "ExitOutcome", found: "Outcomes") -> str:
    """What became of one position, as a sentence."""
    at = "" if each.price is None else f" at {as_dollars(each.price)}"
    filled = f"{number(each.filled)} of {number(each.proposed.qty)} filled{at}"
    if each.is_done:
        return f"{filled}." if each.result is Result.FILLED else "The position is gone."
    if each.proposed.listing.account in found.undecided:
        known = f"{filled} so far" if each.filled else "Asked for"
        return f"{known}; what becomes of it isn't known yet."
    state = filled if each.filled else each.result.value.capitalize()
    return f"{state}: {each.why}."


def _summary(found: "Outcomes") -> str:
    if found.is_done:
        return "Closed."
    done = sum(each.is_done for each in found.exits)
    state = "under way" if found.is_pending else "nothing more is sent for the rest"
    return f"{done} of {counted(len(found.exits), 'position')} closed; {state}."


def shown_overrides_document(shown: "ShownOverrides", control: "Control") -> Document:
    """What would be set, with the code that confirms it."""
    changed = override_document(shown.overrides, _by_account(control))
    return {**changed, "confirm": shown.code, "valid_seconds": int(VALID_SECONDS)}


def set_document(found: "SetOverrides", control: "Control") -> Document:
    """What was set."""
    changed = override_document(found.overrides, _by_account(control))
    is_set = not found.problems and not found.is_pending
    return {**changed, "is_set": is_set, "is_pending": found.is_pending, "problems": list(found.problems)}


def shown_proposal_document(shown: "ShownProposal", code: str, control: "Control") -> Document:
    """What an assistant has proposed, with what it does by now and the code that confirms it."""
    possible = [each for each in shown.exits if each.is_possible]
    limit = about_limit(shown.exits)
    return {
        "version": JSON_VERSION,
        "action": shown.proposal.action.value,
        "proposed": lines_of(shown.proposal),
        "sentence": _proposal_sentence(shown, possible),
        "confirm": code or None,
        "valid_seconds": int(VALID_SECONDS),
        "halted": control.halted(),
        "warnings": [*([limit] if limit else []), *(text for each in shown.overrides for text in each.warnings)],
        "exits": [_proposed_part(each) for each in shown.exits],
        "overrides": override_document(shown.overrides, _by_account(control))["overrides"],
    }


def _proposal_sentence(shown: "ShownProposal", possible: "Sequence[ProposedExit]") -> str:
    if not shown.is_possible:
        return _refusal(shown.exits)
    return _close_question(possible) if possible else question_of(shown)


def confirmed_document(followed: "Followed", control: "Control") -> Document:
    """What became of a proposal that was confirmed."""
    exits = outcomes_document(followed.exits) if followed.exits else None
    rules = set_document(followed.rules, control) if followed.rules else None
    return {
        "version": JSON_VERSION,
        "action": followed.done.shown.proposal.action.value,
        "sentence": exits["sentence"] if exits else _set_sentence(rules) if rules else followed.done.sentence,
        "close": exits,
        "set": rules,
    }


def _set_sentence(rules: Document) -> str:
    if rules["is_set"]:
        now = (f"{each['account']}: {each['after'] or 'nothing is set by hand'}." for each in rules["overrides"])
        return f"Set. {' '.join(now)}"
    return " ".join(["Not set.", *rules["problems"]]) if rules["problems"] else "The watcher has not answered yet."


def _by_account(control: "Control") -> "dict[str, AccountListing]":
    return {each.account: each for each in control.verbs.listings()}
