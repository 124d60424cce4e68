"""Exits that the user asks for by hand: what each would bring, whether it can be sent now, and what became of it. Pure.

Every surface that closes positions by hand shows a ProposedExit before it asks, and an ExitOutcome at the end.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from sellctl.core.decision.engine import decide
from sellctl.core.decision.policy import Policy
from sellctl.core.decision.pricing import tick_of, to_tick
from sellctl.core.decision.sizing import STEP
from sellctl.core.errors import ConfigError
from sellctl.core.exit_codes import ExitCode
from sellctl.core.model.exit_record import ExitsSince
from sellctl.core.model.gain import market_value, open_pnl
from sellctl.core.model.order import ZERO
from sellctl.core.model.plan import DecisionState, Plan, PositionDecision, Reason
from sellctl.core.model.position import Direction, Holding
from sellctl.core.model.snapshot import Snapshot
from sellctl.core.model.view import AccountListing, ShownStructure
from sellctl.core.text import as_dollars, as_percent, did_you_mean
from sellctl.core.watching.manual_requests import ALL, ExitTerms, Patience

# A limit that is further from the price one could get now is confirmed.
FAR_FROM_THE_MARKET = Decimal("0.15")
_QTY = re.compile(r"(?P<number>[+-]?\d{1,12}(?:\.\d{1,9})?)(?P<percent>%?)", re.ASCII)
_PRICE = re.compile(r"\$?(?P<number>[+-]?\d{1,8}(?:\.\d{1,6})?)", re.ASCII)
_HUNDRED = Decimal(100)


# --- what the user asks for -------------------------------------------------------------------------------------------


class QtyOrShare(Struct, frozen=True):
    """How much to close: a quantity, or a share of what is held (0.5 is half of it)."""

    qty: Decimal | None = None
    share: Decimal | None = None


def qty_or_share(text: str) -> QtyOrShare:
    """How much a text says: "2", or "50%". ConfigError when it is no such number."""
    found = _QTY.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{_shown(text)} is no quantity.", hint="Write a number such as 2, or a share such as 50%.")
    number = Decimal(found["number"])
    if number <= 0:
        raise ConfigError(f"A quantity of {_shown(text)} closes nothing.", hint="Write a number above zero.")
    if not found["percent"]:
        return QtyOrShare(qty=number)
    if number > _HUNDRED:
        raise ConfigError(f"{_shown(text)} is more than all of it.", hint="Write at most 100%.")
    return QtyOrShare(share=number / _HUNDRED)


def limit_of(text: str) -> Decimal:
    """The limit that a text says, in dollars. ConfigError when it is no price above zero."""
    found = _PRICE.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"{_shown(text)} is no price.", hint="Write dollars per share or contract, such as 2.40.")
    price = Decimal(found["number"])
    if price <= 0:
        raise ConfigError(f"A limit of {_shown(text)} is no price.", hint="Write a price above zero, such as 2.40.")
    return price


def patience_of(text: str) -> Patience:
    """The patience with this name. ConfigError with the one that may have been meant when there is none."""
    known = [each.value for each in Patience]
    if text.strip().lower() not in known:
        hint = f"{did_you_mean(text.strip().lower(), known)} There are: {', '.join(known)}.".lstrip()
        raise ConfigError(f"{_shown(text)} is no patience.", hint=hint)
    return Patience(text.strip().lower())


def _shown(text: str) -> str:
    """A text of the user's, short and on one line."""
    return repr(text[:32])


def terms_for(
    account: AccountListing, name: str, wanted: QtyOrShare | None, limit: Decimal | None, patience: Patience
) -> ExitTerms:
    """What is asked for as terms for what an account holds under this name; a share is rounded down to whole ones.

    ConfigError when it is more than is held, or not whole where only whole contracts or units can be closed.
    """
    if wanted is None:
        return ExitTerms(None, limit, patience)
    held, step, one = _held(account, name)
    if wanted.share is not None:
        qty = (held * wanted.share / step).to_integral_value(ROUND_FLOOR) * step
        if qty <= 0:
            share = as_percent(wanted.share).removeprefix("+")
            raise ConfigError(f"{share} of {held:f} {name} is less than one {one}.", hint="Write a number instead.")
        return ExitTerms(_shortest(qty), limit, patience)
    qty = wanted.qty or ZERO
    if qty % step:
        raise ConfigError(f"{qty:f} of {name} is not whole: no part of a {one} can be closed.", hint="Write a number.")
    if qty > held:
        hint = "Leave the quantity out to close all of it."
        raise ConfigError(f"{account.account} holds {held:f} of {name}, and {qty:f} is more.", hint=hint)
    return ExitTerms(_shortest(qty), limit, patience)


def _shortest(qty: Decimal) -> Decimal:
    """The same quantity without zeros at its end, as it is shown and recorded: 100, not 100.0."""
    return Decimal(f"{qty.normalize():f}")


def _held(account: AccountListing, name: str) -> tuple[Decimal, Decimal, str]:
    """How much an account holds under a name, the smallest part of it that can be closed, and what one of it is."""
    if structure := _structure(account, name):
        return Decimal(structure.units), Decimal(1), "unit"
    holding = (
        next(each.holding for each in account.plan.decisions if each.holding.symbol == name) if account.plan else None
    )
    if holding is None:
        return ZERO, Decimal(1), "contract"
    instrument = holding.position.instrument
    return (
        holding.position.qty,
        STEP.get(instrument.asset_class, Decimal(1)),
        "contract" if instrument.is_option else "share",
    )


def plan_to_close(snapshot: Snapshot, policy: Policy, name: str, terms: ExitTerms) -> tuple[Snapshot, Plan]:
    """The snapshot with this request alone for what has the name, and what would be decided on it now."""
    request = {} if terms == ALL else {name: replace(terms.of(name), since=snapshot.market.now)}
    others = {each: known for each, known in snapshot.close_terms.items() if each != name}
    asked = replace(snapshot, manual_closes=snapshot.manual_closes | {name}, close_terms=others | request)
    return asked, decide(asked, policy)


def about_limit(proposed: "Sequence[ProposedExit]") -> str:
    """What should be confirmed about the limit of exits under one name; "" when nothing should."""
    sentences = (sentence for each in proposed if (sentence := _about_limit(each)))
    return next(sentences, "")


def _about_limit(each: "ProposedExit") -> str:
    limit, structure = each.terms.limit, each.structure
    if limit is None:
        return ""
    subject = structure.decision.holding if structure else each.decision.holding
    holdings = [leg.holding for leg in structure.legs] if structure else [subject]
    tick = min(tick_of(holding, limit) for holding in holdings)
    text = f"{'net ' if structure else ''}limit {as_dollars(limit)}"
    if limit % tick:
        nearest = to_tick(limit, tick, up=subject.position.is_long)
        return f"The {text} is no multiple of the price increment {as_dollars(tick)}: {as_dollars(nearest)} is used."
    now = subject.exit_price
    if now is None or now <= 0:
        return f"The {text} can't be compared with the market: the price now is unknown."
    far = abs(limit - now) / now
    if far <= FAR_FROM_THE_MARKET:
        return ""
    side = "above" if limit > now else "below"
    return f"The {text} is {as_percent(far).removeprefix('+')} {side} the price now, {as_dollars(now)}."


# --- what it would bring ----------------------------------------------------------------------------------------------


class ProposedExit(Struct, frozen=True):
    """One position and what closing it now would bring.

    The estimates are at the price one could get now: the bid for a long, the ask for a short. They are None while that
    price is unknown, and at the limit where that is better. Commissions are not included. `name` is what was asked to
    close, the symbol or a structure, and `terms` how.
    """

    listing: AccountListing
    decision: PositionDecision
    part: Decimal | None = None  # how much of the position is to be closed; None for all of it
    name: str = ""
    terms: ExitTerms = ALL

    @property
    def symbol(self) -> str:
        """The position's symbol."""
        return self.decision.holding.symbol

    @property
    def qty(self) -> Decimal:
        """The quantity to be closed: all that is held, or what belongs to a structure."""
        return self.decision.holding.position.qty if self.part is None else self.part

    @property
    def price(self) -> Decimal | None:
        """The price of one share or contract that the estimates use."""
        return self._holding.exit_price

    @property
    def structure(self) -> ShownStructure | None:
        """The structure that was asked to close, of which this is a leg; None when the position was."""
        return _structure(self.listing, self.name)

    @property
    def proceeds(self) -> Decimal | None:
        """Dollars that closing it brings; negative for a short, which costs them."""
        return market_value(self._holding)

    @property
    def pnl(self) -> Decimal | None:
        """Dollars gained or lost on the entry price; None also while that is unknown."""
        return open_pnl(self._holding)

    @property
    def _holding(self) -> Holding:
        """What is to be closed, at the price that it brings at least."""
        holding, limit = self.decision.holding, self.terms.limit
        if self.part is not None:
            holding = replace(holding, position=replace(holding.position, qty=self.part))
        now = holding.exit_price
        if limit is None or now is None or self.structure:
            return holding
        if holding.position.is_long:
            return replace(holding, prices=replace(holding.prices, bid=max(now, limit)))
        return replace(holding, prices=replace(holding.prices, ask=min(now, limit)))

    @property
    def is_possible(self) -> bool:
        """Whether an order would be sent or is under way; else the decision's sentence says what is in the way."""
        return self.decision.signal is not None and self.decision.state is DecisionState.CLOSING

    @property
    def included_in_panic(self) -> bool:
        """Whether a panic closes it, even if that can't be sent at once."""
        return self.decision.signal is not None and self.decision.signal.reason is Reason.PANIC


def proposals(
    accounts: Iterable[AccountListing], name: str = "", terms: Mapping[str, ExitTerms] | None = None
) -> list[ProposedExit]:
    """Every position of the accounts, or only those with this symbol, or the legs of the structure with this name.

    `terms` are by account; without them all of it is to be closed.
    """
    of_account = terms or {}
    return [each for account in accounts for each in _proposals_of(account, name, of_account.get(account.account, ALL))]


def _proposals_of(account: AccountListing, name: str, terms: ExitTerms) -> Iterator[ProposedExit]:
    decisions = account.plan.decisions if account.plan else ()
    structure = _structure(account, name)
    if structure is None:
        found = (each for each in decisions if name in {"", each.holding.symbol})
        yield from (ProposedExit(account, each, terms.qty, name, terms) for each in found)
        return
    by_symbol = {decision.holding.symbol: decision for decision in decisions}
    units = Decimal(structure.units)
    for symbol, qty in structure.quantities.items():
        part = qty if terms.qty is None else qty * terms.qty / units
        yield ProposedExit(account, by_symbol[symbol], part, structure.name, terms)


def _structure(account: AccountListing, name: str) -> ShownStructure | None:
    """The structure with this name that an account holds."""
    return next((each for each in account.structures if name and each.is_called(name)), None)


Quantities = frozenset[tuple[str, str, Decimal, Decimal, Direction]]


def quantities_of(proposed: Iterable[ProposedExit]) -> Quantities:
    """What a confirmation is bound to: of each position what is to be closed, what is held, and long or short."""
    held = ((each, each.decision.holding.position) for each in proposed)
    return frozenset((each.listing.account, each.symbol, each.qty, its.qty, its.direction) for each, its in held)


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None when one of the amounts is unknown."""
    known = list(amounts)
    return None if None in known else sum((each for each in known if each is not None), ZERO)


class Result(StrEnum):
    """What became of an exit."""

    FILLED = "filled"
    GONE = "closed"  # the position is gone without a fill of sellctl's that covers it
    WORKING = "working"
    REFUSED = "refused"  # by the broker
    NOT_SENT = "not sent"
    UNKNOWN = "unknown"  # the account can't be read


class ExitOutcome(Struct, frozen=True):
    """What became of one exit. `why` says what it waits for, or what is in the way; "" when it is done."""

    proposed: ProposedExit
    result: Result
    filled: Decimal = ZERO
    price: Decimal | None = None  # the average price of the fills
    why: str = ""
    net: Decimal | None = None  # that of the multi-leg orders that closed it with others, below zero a credit

    @property
    def is_done(self) -> bool:
        """Whether the position is closed."""
        return self.result in {Result.FILLED, Result.GONE}


def outcome_of(proposed: ProposedExit, recorded: Mapping[str, ExitsSince], afterwards: AccountListing) -> ExitOutcome:
    """The outcome by what the journal recorded since the request, and the account as it was read afterwards.

    A recorded fill counts even while the broker still lists the position.
    """
    record = recorded.get(proposed.symbol, ExitsSince())
    return replace(_outcome_of(proposed, record, afterwards), net=record.net)


def _outcome_of(proposed: ProposedExit, record: ExitsSince, afterwards: AccountListing) -> ExitOutcome:
    filled, price = record.filled, record.price
    if filled >= proposed.qty:
        return ExitOutcome(proposed, Result.FILLED, filled, price)
    if afterwards.plan is None:
        return ExitOutcome(proposed, Result.UNKNOWN, filled, price, afterwards.problem)
    decision = next((d for d in afterwards.plan.decisions if d.holding.symbol == proposed.symbol), None)
    if decision is None:
        return ExitOutcome(proposed, Result.GONE, filled, price)
    if record.refusal:
        return ExitOutcome(proposed, Result.REFUSED, filled, price, f"the broker refused: {record.refusal}")
    result = Result.WORKING if decision.state is DecisionState.CLOSING else Result.NOT_SENT
    return ExitOutcome(proposed, result, filled, price, decision.sentence)


def status_of(outcomes: Iterable[ExitOutcome]) -> ExitCode:
    """OK when every position is closed; REFUSED when sellctl sent nothing for any of them; else PARTLY."""
    ends = list(outcomes)
    if all(end.is_done for end in ends):
        return ExitCode.OK
    refused = all(end.result is Result.NOT_SENT and not end.filled for end in ends)
    return ExitCode.REFUSED if refused else ExitCode.PARTLY
