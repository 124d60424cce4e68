"""What a person asked one account to close: each request stands until its position is gone."""

from dataclasses import dataclass

from sellctl.core.model.request import CommandRequest, Verb


@dataclass(slots=True)
class ManualRequests:
    """`closing` are symbols to close, `panic` those to close even under a halt.

    `panic_is_pending`: the next poll takes everything held into `panic`.
    """

    closing: frozenset[str] = frozenset()
    panic: frozenset[str] = frozenset()
    panic_is_pending: bool = False

    def take(self, request: CommandRequest) -> None:
        """Accept a request of another command."""
        if request.verb is Verb.CLOSE:
            self.closing |= {request.symbol}
        elif request.verb is Verb.PANIC:
            self.panic_is_pending = True

    def apply_to(self, held: frozenset[str], remembered: frozenset[str]) -> None:
        """Begin a pending panic with what is `held`; else drop requests for what is neither held nor remembered."""
        if self.panic_is_pending:
            self.panic, self.panic_is_pending = held, False
        else:
            self.closing &= held | remembered
            self.panic &= held | remembered
