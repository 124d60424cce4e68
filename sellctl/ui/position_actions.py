"""What the screen with keys needs of those who can carry out a wish."""

from collections.abc import Callable
from typing import Protocol

from sellctl.ui.screen_state import Wish


class PositionActions(Protocol):
    """Carries out the wishes of a person at the screen. Every sentence is for that person."""

    def question(self, wish: Wish) -> str:
        """What would happen, to be confirmed; "" when the wish needs no confirmation.

        Of a close these lines have account, PAPER or LIVE, position and quantity, and estimated proceeds and P&L.
        SellctlError with the reason when the wish can't be carried out.
        """

    async def carry_out(self, wish: Wish, tell: Callable[[str], None]) -> None:
        """Carry it out, and tell what became of it as that is known. SellctlError when it can't be carried out."""
