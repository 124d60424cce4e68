"""What an assistant has proposed, confirmed over the API: shown for its code, then carried out for the code of that."""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec import Struct

from sellctl.api.confirmations import Confirmations
from sellctl.api.manual_exits import ManualExits, Outcomes
from sellctl.api.manual_overrides import ManualOverrides, SetOverrides
from sellctl.service.confirming import AGAIN, CarriedOut, Confirmer, Confirming, ShownProposal
from sellctl.service.proposals import Surface


class Followed(Struct, frozen=True):
    """What was confirmed, with what became of its exits or its rules; of an exemption or a halt with neither."""

    done: CarriedOut
    exits: Outcomes | None = None
    rules: SetOverrides | None = None


@dataclass(slots=True)
class ConfirmedProposals:
    """The proposals that are confirmed over the API. Its methods must be called in the event loop of the watchers."""

    confirming: Confirming
    exits: ManualExits
    overrides: ManualOverrides
    monotonic: Callable[[], float]
    _codes: Confirmations[ShownProposal] = field(init=False)

    def __post_init__(self) -> None:
        self._codes = Confirmations(self.monotonic, AGAIN)

    def show(self, code: str, subject: str) -> tuple[ShownProposal, str]:
        """What a proposal does by now, and the code that confirms it for this subject; "" when it can't be done.

        The proposal's own code is used up. SafetyRefusalError as `Confirming.show` raises it.
        """
        shown = self.confirming.show(code, Confirmer(subject, Surface.API))
        return shown, self._codes.offer(subject, shown) if shown.is_possible else ""

    async def confirm(self, code: str, subject: str) -> Followed:
        """Carry out what was shown with this code, and wait briefly for what becomes of it.

        SafetyRefusalError when the code confirms nothing for this subject, or when it does something else by now.
        """
        done = self.confirming.carry_out(self._codes.take(code, subject), Confirmer(subject, Surface.API))
        if done.shown.exits:
            return Followed(done, exits=await self.exits.follow(done.requests, done.by))
        if done.shown.overrides:
            return Followed(done, rules=await self.overrides.follow(done.shown.overrides, done.requests))
        return Followed(done)
