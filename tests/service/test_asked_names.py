"""What the user calls a position, where no account that could be read holds it."""

from builders import CALL, a_holding, a_policy, a_snapshot

from sellctl.core.decision.engine import decide
from sellctl.core.model.view import AccountListing, Mode
from sellctl.service.names import unknown_whether_held

UNREAD = AccountListing("ira", mode=Mode.PAPER, problem="127.0.0.1 refuses the key (401: unauthorized).")


def test_an_account_that_could_not_be_read_may_hold_it() -> None:
    error = str(unknown_whether_held("ZZZ", [UNREAD], "Nothing was set."))
    assert error == "Account ira could not be read, so whether it holds ZZZ is unknown. Nothing was set."


def test_what_another_account_holds_may_have_been_meant() -> None:
    held = AccountListing("main", mode=Mode.PAPER, plan=decide(a_snapshot(a_holding(CALL)), a_policy()))
    error = str(unknown_whether_held(f"{CALL[:-1]}1", [held, UNREAD]))
    assert error.endswith(f"is unknown. Did you mean {CALL}?")
