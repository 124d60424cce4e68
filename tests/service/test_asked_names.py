"""What the user calls a position, where no account that could be read holds it."""

import pytest
from builders import CALL, a_holding, a_policy, a_snapshot

from sellctl.core.decision.engine import decide
from sellctl.core.model.view import AccountListing, Mode
from sellctl.service.names import not_held, unknown_whether_held

UNREAD = AccountListing("ira", mode=Mode.PAPER, problem="127.0.0.1 refuses the key (401: unauthorized).")


def test_an_account_that_could_not_be_read_may_hold_it() -> None:
    error = str(unknown_whether_held("ZZZ", [UNREAD], "Nothing was set."))
    assert error == "Account ira could not be read, so whether it holds ZZZ is unknown. Nothing was set."


def test_what_another_account_holds_may_have_been_meant() -> None:
    held = AccountListing("main", mode=Mode.PAPER, plan=decide(a_snapshot(a_holding(CALL)), a_policy()))
    error = str(unknown_whether_held(f"{CALL[:-1]}1", [held, UNREAD]))
    assert error.endswith(f"is unknown. Did you mean {CALL}?")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NVDA261218C0020000", "NVDA261218C00200000"),  # a digit is missing
        ("NVDA261218C002000000", "NVDA261218C00200000"),  # one too many
        ("NVDA261218X00200000", "NVDA261218C00200000"),
        ("NDVA261218C00200000", "NVDA261218C00200000"),
        ("TLSA", "TSLA"),
        ("TSAL", "TSLA"),
    ],
)
def test_a_mistyped_contract_or_underlying_is_recognised(name: str, meant: str) -> None:
    holdings = [a_holding(symbol) for symbol in ("NVDA261218C00200000", "TSLA261218P00380000", CALL)]
    held = AccountListing("main", mode=Mode.PAPER, plan=decide(a_snapshot(*holdings), a_policy()))
    assert f"Did you mean {meant}?" in str(not_held(name, [held]))


def test_what_resembles_nothing_that_is_held_gets_no_suggestion() -> None:
    held = AccountListing("main", mode=Mode.PAPER, plan=decide(a_snapshot(a_holding(CALL)), a_policy()))
    for name in ("TSLA261218C0020000", "MSFT"):
        assert "Did you mean" not in str(not_held(name, [held]))
