"""The tools that propose. Each returns a plan and a code; nothing is done until a person confirms the code.

That goes for a halt too: stops don't fire under it, so that whoever tricks an assistant into one could do harm.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sellctl.core.errors import ConfigError, SafetyRefusalError
from sellctl.core.manual.proposed_overrides import shown_of
from sellctl.core.model.market import until_text
from sellctl.core.model.position import OverrideChange
from sellctl.core.model.view import Mode
from sellctl.core.text import as_amount
from sellctl.core.until import end_of
from sellctl.core.watching.manual_exits import about_limit, limit_of, patience_of, qty_or_share, total
from sellctl.core.watching.manual_requests import ALL
from sellctl.mcp_server.arguments import CloseArguments, ExemptArguments, HaltArguments, SetArguments
from sellctl.mcp_server.places import other_places
from sellctl.mcp_server.tools import NOTICE, Caller, Tool, ToolBox
from sellctl.service.names import exempted_as, held_name, name_of
from sellctl.service.proposals import VALID_SECONDS, Action, Proposal
from sellctl.service.rule_changes import RuleTexts, change_of
from sellctl.service.verbs import why_not
from sellctl.ui.contracts import readable_name
from sellctl.ui.documents import holding_part, manual_exits_document
from sellctl.ui.formatting import counted, number_data, sanitize, today_of
from sellctl.ui.override_rows import changes_of, override_document

if TYPE_CHECKING:
    from sellctl.core.manual.proposed_overrides import ProposedOverride
    from sellctl.core.model.view import AccountListing
    from sellctl.core.watching.manual_exits import ProposedExit

Document = dict[str, Any]
_KEPT = ("symbol", "contract", "side", "qty", "now", "market_value", "open_pnl", "triggers")  # of an exempted position


async def _close(box: ToolBox, given: CloseArguments, caller: Caller) -> Document:
    proposed = box.verbs.propose_close(
        given.name,
        account=given.account,
        qty=qty_or_share(str(given.qty)) if given.qty != "" else None,
        limit=limit_of(given.limit) if given.limit else None,
        patience=patience_of(given.patience) if given.patience else ALL.patience,
    )
    if not any(each.is_possible for each in proposed):
        raise SafetyRefusalError(f"It can't be closed now: {why_not(proposed)}.")
    name, warning = proposed[0].name, about_limit(proposed)
    given_options = {"qty": str(given.qty), "limit": given.limit, "patience": given.patience}
    proposal = Proposal(
        Action.CLOSE,
        by=caller.name,
        summary=(*map(_close_line, proposed), *([warning] if warning else [])),
        name=name,
        accounts=tuple(dict.fromkeys(each.listing.account for each in proposed)),
        options={key: value for key, value in given_options.items() if value},
    )
    plan: Document = {
        "action": "close",
        "name": name,
        "exits": manual_exits_document((), proposed, (), "")["exits"],
        "proceeds": number_data(total(each.proceeds for each in proposed)),
        "pnl": number_data(total(each.pnl for each in proposed)),
        "warning": warning or None,
    }
    return _stored(box, proposal, plan, is_live=_is_live(each.listing for each in proposed))


def _close_line(each: "ProposedExit") -> str:
    held = each.decision.holding.position.qty
    qty = f"{each.qty:f}" if each.qty == held else f"{each.qty:f} of {held:f}"
    note = "" if each.is_possible else f" (not now: {each.decision.sentence})"
    estimates = f"proceeds about {as_amount(each.proceeds)}, P&L about {as_amount(each.pnl)}"
    return sanitize(f"close {qty} {readable_name(each.symbol)} of {_account_text(each.listing)}: {estimates}{note}")


async def _set(box: ToolBox, given: SetArguments, caller: Caller) -> Document:
    texts = RuleTexts(given.stop, given.target, given.trail, given.breakeven, given.until, given.clear)
    change = change_of(texts, box.accounts.runtime.scheduler.market)
    proposed = box.verbs.propose_set(given.name, change, caller.name, account=given.account)
    listings = {each.account: each for each in box.verbs.listings()}
    proposal = Proposal(
        Action.SET,
        by=caller.name,
        summary=tuple(sanitize(line) for each in proposed for line in _set_lines(each, change, listings[each.account])),
        name=proposed[0].name,
        accounts=tuple(each.account for each in proposed),
        options=_options_of(change),
        shown=shown_of(proposed, elsewhere=True),
    )
    plan: Document = {
        "action": "set",
        "name": proposal.name,
        "change": change.text,
        "overrides": override_document(proposed, listings)["overrides"],
    }
    return _stored(box, proposal, plan, is_live=_is_live(listings[each.account] for each in proposed))


def _set_lines(each: "ProposedOverride", change: OverrideChange, listing: "AccountListing") -> "Iterable[str]":
    of = f"{readable_name(each.name)} of {_account_text(listing)}"
    yield f"clear what is set by hand for {of}" if change.clear else f"set {change.text} for {of}"
    yield from (f"{rule}: {becomes}" for rule, becomes in changes_of(each))
    yield from (*each.warnings, *each.notes)


def _options_of(change: OverrideChange) -> dict[str, str]:
    """The change as options of a proposal; its end as an instant, which means the same whenever it is confirmed."""
    end = change.until.isoformat() if change.until else ""
    options = {"stop": change.stop, "target": change.target, "trail": change.trail, "until": end}
    return {key: value for key, value in options.items() if value} | ({"clear": "yes"} if change.clear else {})


async def _exempt(box: ToolBox, given: ExemptArguments, caller: Caller) -> Document:
    runtime = box.accounts.runtime
    name, exempted = name_of(given.name), runtime.state.exempt()
    name = exempted_as(lambda: runtime.loaded.config, name, exempted) or name
    if name in exempted:
        raise ConfigError(f"{name} is exempt already.", hint="sellctl manage ends that.")
    name = held_name(name, box.accounts.every_listing(), "")
    held, end = box.accounts.listings_of(name), end_of(given.until or None, runtime.scheduler.market)
    until = f" until {until_text(end)}" if end else ""
    lines = [
        f"exempt {readable_name(symbol)} of {_account_text(listing)}{until}: no order is sent for it, also by no stop"
        for listing, symbols in held
        for symbol in symbols
    ]
    proposal = Proposal(
        Action.EXEMPT,
        by=caller.name,
        summary=tuple(map(sanitize, lines)),
        name=name,
        options={"until": end.isoformat()} if end else {},
    )
    plan: Document = {
        "action": "exempt",
        "name": name,
        "until": end.isoformat() if end else None,
        "positions": [each for listing, symbols in held for each in _positions(listing, symbols)],
        "consequence": "From the next check on, no order is sent for these positions, also by no stop, "
        f"{f'until {until_text(end)} or `sellctl manage`' if end else 'until `sellctl manage`'}. "
        "Orders that are working at the broker stay there.",
    }
    return _stored(box, proposal, plan, is_live=False)


async def _halt(box: ToolBox, given: HaltArguments, caller: Caller) -> Document:
    halted = box.accounts.runtime.halted
    if halted:
        raise SafetyRefusalError("New orders are halted already.", hint=f"The reason: {halted}.")
    reason = sanitize(given.reason.strip()) or "no reason was given"
    accounts = box.accounts.every_listing()
    held = sum(len(each.plan.decisions) for each in accounts if each.plan)
    affected = f"{counted(held, 'position')} of {', '.join(map(_account_text, accounts))}"
    line = sanitize(f"halt all new orders ({reason}): no stop fires for {affected}")
    proposal = Proposal(Action.HALT, by=caller.name, summary=(line,), reason=reason)
    plan: Document = {
        "action": "halt",
        "reason": reason,
        "accounts": [{"account": each.account, "mode": each.mode.value} for each in accounts],
        "positions": held,
        "consequence": "No new order is sent in any account, also by no stop, until a person lifts the halt with "
        "`sellctl resume`. Orders that are working at the broker stay there.",
    }
    return _stored(box, proposal, plan, is_live=False)


def _stored(box: ToolBox, proposal: Proposal, plan: Document, *, is_live: bool) -> Document:
    """Store a proposal. Returns the plan with its code, the command that a person confirms it with, and other ways."""
    code = box.proposals.add(proposal)
    words = "--live confirm" if is_live else "confirm"
    return {
        "plan": plan,
        "done": False,
        "code": code,
        "confirm_with": f"{box.accounts.runtime.program} {words} {code}",
        "confirm_elsewhere": other_places(box.accounts.runtime.loaded.config, code),
        "expires_in_seconds": int(VALID_SECONDS),
    }


def _positions(listing: "AccountListing", symbols: Sequence[str]) -> list[Document]:
    if listing.plan is None:
        return []
    held = [each for each in listing.plan.decisions if each.holding.symbol in symbols]
    parts = [holding_part(each, today_of(listing.plan.made_at)) for each in held]
    account = {"account": listing.account, "mode": listing.mode.value}
    return [{**account, **{key: part[key] for key in _KEPT}} for part in parts]


def _account_text(listing: "AccountListing") -> str:
    return f"{listing.account} ({listing.mode.value.upper()})"


def _is_live(listings: "Iterable[AccountListing]") -> bool:
    return any(each.mode is Mode.LIVE for each in listings)


_CODE = (
    "Nothing is done by this call: it returns a plan and a code, valid for five minutes, that a person confirms at a "
    "terminal with the command in confirm_with, or as confirm_elsewhere says. Show the person the plan and these ways."
)
PROPOSING = (
    Tool(
        "close",
        "Propose to close",
        f"Proposes to close a position or structure, or a part of it. {_CODE} {NOTICE}",
        CloseArguments,
        _close,
        proposes=True,
        destructive=True,
    ),
    Tool(
        "set",
        "Propose rules of one position",
        "Proposes the stop, target or trailing stop of one position or structure, in place of its strategy's, until it "
        f"is closed or until a time; or to clear what was set so. {_CODE} {NOTICE}",
        SetArguments,
        _set,
        proposes=True,
        destructive=True,
    ),
    Tool(
        "exempt",
        "Propose to leave alone",
        "Proposes to stop managing a position, for good or until a time: no order is sent for it, also by no stop. "
        f"{_CODE} {NOTICE}",
        ExemptArguments,
        _exempt,
        proposes=True,
        destructive=True,
    ),
    Tool(
        "halt",
        "Propose to halt",
        "Proposes to stop all new orders of all accounts, also those of stops, until a person lifts the halt. "
        f"{_CODE} {NOTICE}",
        HaltArguments,
        _halt,
        proposes=True,
        destructive=True,
    ),
)
