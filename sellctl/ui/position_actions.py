"""What the screen with keys needs of those who can carry out a wish."""

from typing import Protocol

from sellctl.ui.screen_state import Wish


class PositionActions(Protocol):
    """Carries out the wishes of a person at the screen. Every sentence that it returns is for that person."""

    def question(self, wish: Wish) -> str:
        """What would happen, to be confirmed; "" when the wish needs no confirmation.

        It has a line each: account and PAPER or LIVE, position and quantity, estimated proceeds and P&L. SellctlError
        with the reason when the wish can't be carried out.
        """

    async def carry_out(self, wish: Wish) -> str:
        """Carry it out and return what became of it, once that is known. SellctlError when it can't be carried out."""
