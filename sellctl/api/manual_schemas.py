"""The schemas of what is changed or closed by hand, and of the explanation of one position."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sellctl.api.schemas import ACCOUNT, CONTRACT, PNL, Holding, Order, Part, Structure, Trigger

NAME = "A symbol, an option as people write it (AAPL 18 Dec 26 230 C), or the name of a structure."
_PRINTABLE = r"^[ -~]{1,80}$"


class NamedPosition(BaseModel):
    """A position or structure."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    symbol: str = Field(pattern=_PRINTABLE, description=NAME)


class ExemptOrder(NamedPosition):
    """What to leave alone, and until when."""

    until: str = Field(
        default="",
        max_length=40,
        description="friday, today, 15:30, a date, or a date and time, New York time; for good when left out.",
    )


class ExplainQuery(NamedPosition):
    """What to explain."""

    account: str = Field(default="", pattern=ACCOUNT, description="Only in this account; every one when left out.")


class Confirmable(BaseModel):
    """A request that is first shown, with `dry_run`, and then confirmed by the code that this returned."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    account: str = Field(default="", pattern=ACCOUNT, description="Only in this account; every one when left out.")
    dry_run: bool = Field(default=False, description="Show what would be sent, with a confirmation code.")
    confirm: str = Field(default="", max_length=64, description="The code of what was shown; nothing else with it.")

    @model_validator(mode="after")
    def _is_one_of_two_steps(self) -> Self:
        """ValueError unless it either shows or confirms."""
        if self.confirm and self.model_fields_set != {"confirm"}:
            raise ValueError("confirm stands alone: the code says what is confirmed")
        if not self.confirm and not self.dry_run:
            raise ValueError("Ask with dry_run true first, then confirm with the code that it returns")
        return self


class CloseOrder(Confirmable):
    """Close a position or structure, or a part of it."""

    symbol: str = Field(default="", pattern=r"^[ -~]{0,80}$", description=NAME)
    qty: str | None = Field(
        default=None,
        max_length=32,
        description="Contracts, shares or units such as 2, or a share of what is held such as 50%; all when left out.",
    )
    limit: str | None = Field(
        default=None, max_length=32, description="The worst price in dollars, such as 2.40: no order goes beyond it."
    )
    patience: Literal["profit", "time", "protective", "forced"] = Field(
        default="protective", description="How long its orders wait for a better price."
    )

    @model_validator(mode="after")
    def _names_a_position(self) -> Self:
        """ValueError when it shows nothing."""
        if not self.confirm and not self.symbol:
            raise ValueError("symbol is missing")
        return self


class SetOrder(Confirmable):
    """Set the stop, target or trailing stop of one position, in place of its strategy's."""

    symbol: str = Field(default="", pattern=r"^[ -~]{0,80}$", description=NAME)
    stop: str = Field(default="", max_length=64, description="25%, $120/contract, $500/position or price 4.20.")
    target: str = Field(default="", max_length=64, description="Written likewise.")
    trail: str = Field(default="", max_length=64, description="10pt (points of return) or 10% below the best price.")
    breakeven: bool = Field(default=False, description="Its stop at the entry price.")
    until: str = Field(
        default="", max_length=40, description="friday, today, 15:30, a date, or a date and time, New York time."
    )
    clear: bool = Field(default=False, description="Back to the rules of the configuration.")

    @model_validator(mode="after")
    def _names_a_position(self) -> Self:
        """ValueError when it shows nothing."""
        if not self.confirm and not self.symbol:
            raise ValueError("symbol is missing")
        return self


class ChangedRules(Part):
    """What a change does to the rules of one position; prices at which they close it, before and after."""

    account: str
    mode: Literal["paper", "simulated", "live"]
    symbol: str
    before: str | None = Field(description="What was set by hand before; null when nothing was.")
    after: str | None
    triggers_before: list[Trigger]
    triggers: list[Trigger]
    warnings: list[str] = Field(description="What loosens a stop, or closes at once.")
    notes: list[str]


class SetProposal(Part):
    """What would be set. Nothing was."""

    version: Literal[2]
    confirm: str = Field(description="The code that confirms it, once and within 60 s.")
    valid_seconds: int
    overrides: list[ChangedRules]


class SetDone(Part):
    """What was set. `is_pending`: the watcher has not answered yet; GET positions shows what is set."""

    version: Literal[2]
    is_set: bool
    is_pending: bool
    problems: list[str]
    overrides: list[ChangedRules]


class ConfirmOrder(BaseModel):
    """Confirm what an assistant has proposed: its code shows it, and the code that this returned carries it out."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)
    code: str = Field(default="", max_length=64, description="The code of the proposal, used up by this.")
    confirm: str = Field(default="", max_length=64, description="The code of what was shown; nothing else with it.")

    @model_validator(mode="after")
    def _is_one_of_two_steps(self) -> Self:
        """ValueError unless it either shows or confirms."""
        if bool(self.code) is bool(self.confirm):
            raise ValueError("Give the code of the proposal first, then confirm with the code that this returns")
        return self


class PanicOrder(Confirmable):
    """Close every managed position, even during a halt."""


class ProposedClose(Part):
    """One position and what closing it now would bring, at the price one could get now and without commissions."""

    account: str
    mode: Literal["paper", "simulated", "live"]
    symbol: str
    contract: str | None = Field(description=CONTRACT)
    qty: str = Field(description="What would be closed.")
    held: str = Field(description="What is held.")
    limit: str | None = Field(description="The worst price that was asked for, in dollars.")
    price: str | None
    proceeds: str | None = Field(description="Dollars that it would bring; null while the price is unknown.")
    pnl: str | None = Field(description=PNL)
    is_possible: bool = Field(description="Whether an order would be sent now; else the sentence says why not.")
    sentence: str


class Proposal(Part):
    """What would be sent. Nothing was."""

    version: Literal[2]
    sentence: str = Field(description="The question to be confirmed, or why nothing can be.")
    confirm: str | None = Field(
        description="The code that confirms it, once and within 60 s; null if nothing can be sent."
    )
    valid_seconds: int
    halted: str
    warnings: list[str]
    exits: list[ProposedClose]


class ClosedPart(ProposedClose):
    """What became of one position."""

    result: Literal["filled", "closed", "working", "refused", "not sent", "unknown"]
    filled: str
    filled_price: str | None
    net_price: str | None = Field(description="Of multi-leg orders, below zero a credit.")


class Outcome(Part):
    """What became of a close or panic. GET close/{id} has it later."""

    version: Literal[2]
    id: str
    by: str
    is_done: bool = Field(description="Whether every position is closed.")
    is_pending: bool = Field(description="Whether it may still change.")
    sentence: str
    exits: list[ClosedPart]


class ShownProposal(Part):
    """What an assistant has proposed, with what it does by now. Nothing was done; its own code is used up."""

    version: Literal[2]
    action: Literal["close", "set", "exempt", "halt"]
    proposed: list[str] = Field(description="Who proposed it and how long ago, and what it was then.")
    sentence: str = Field(description="The question to be confirmed, or why nothing can be done.")
    confirm: str | None = Field(description="The code that confirms it, once and within 60 s; null if it can't be.")
    valid_seconds: int
    halted: str
    warnings: list[str]
    exits: list[ProposedClose] = Field(description="Of a close.")
    overrides: list[ChangedRules] = Field(description="Of a set.")


class ConfirmedProposal(Part):
    """What became of a proposal that was confirmed."""

    version: Literal[2]
    action: Literal["close", "set", "exempt", "halt"]
    sentence: str
    close: Outcome | None = Field(description="Of a close; GET close/{id} has it later.")
    set: SetDone | None = Field(description="Of a set.")


class Level(Part):
    """A price of the position at which a rule closes it, or its entry."""

    name: str
    price: str


class PricePoint(Part):
    """The price at which it could have been closed; null while that was unknown."""

    at: str
    price: str | None


class Explained(Part):
    """One position: the decision, the rules with their states, the open orders, and its price so far."""

    account: str
    mode: Literal["paper", "simulated", "live"]
    at: str
    title: str
    holding: Holding | None = Field(description="Null for a structure.")
    structure: Structure | None = Field(description="Null for a position.")
    rules: list[str]
    orders: list[Order]
    levels: list[Level] = Field(description="Entry, and stops and targets that are prices of the position.")
    prices: list[PricePoint] = Field(description="Since this process started, thinned out with time.")
    prices_note: str = Field(description='Why the prices are too few for a chart; "" when they are not.')


class Explanations(Part):
    """Everything about a position, for each account that holds it."""

    version: Literal[2]
    positions: list[Explained]
