"""Proposals: a code works once, for five minutes, and its file holds nothing to confirm it with."""

import stat
from dataclasses import dataclass
from pathlib import Path

import pytest

from sellctl.core.errors import SafetyRefusalError, SellctlError
from sellctl.service.proposals import MOST_PENDING, MOST_WRONG_CODES, Action, Proposal, Proposals

HALT = Proposal(Action.HALT, by="a test", summary=("Halt all new orders.",), reason="earnings")


@dataclass
class Clock:
    """The host's clock, which a test moves."""

    seconds: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def proposals(tmp_path: Path, clock: Clock) -> Proposals:
    return Proposals(tmp_path / "state", clock)


def test_a_code_gives_its_proposal_once_and_then_says_that_it_was_used(proposals: Proposals) -> None:
    code = proposals.add(HALT)
    taken = proposals.take(code)
    assert (taken.action, taken.reason, taken.by) == (Action.HALT, "earnings", "a test")
    with pytest.raises(SafetyRefusalError, match="has been used already") as refused:
        proposals.take(code)
    assert refused.value.exit_code == 5


def test_a_code_may_be_typed_in_small_letters_without_hyphens_and_with_letters_that_look_like_digits(
    proposals: Proposals,
) -> None:
    code = proposals.add(HALT)
    typed = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert proposals.take(typed).action is Action.HALT


@pytest.mark.parametrize("seconds", [301, -60, 1e9])
def test_a_code_is_refused_after_five_minutes_and_when_the_clock_was_set_back(
    proposals: Proposals, clock: Clock, seconds: float
) -> None:
    code = proposals.add(HALT)
    clock.seconds += seconds
    with pytest.raises(SafetyRefusalError, match="expired"):
        proposals.take(code)


@pytest.mark.parametrize("text", ["", "AAAA-BBBB-CCCC", "../../etc/passwd", "\0", "x" * 10_000, "\ud800", "é"])
def test_what_is_no_code_is_refused_in_one_sentence(proposals: Proposals, text: str) -> None:
    proposals.add(HALT)
    with pytest.raises(SafetyRefusalError, match="No proposal has this code"):
        proposals.take(text)


def test_after_ten_wrong_codes_a_right_one_is_refused_too_until_five_minutes_have_passed(
    proposals: Proposals, clock: Clock
) -> None:
    code = proposals.add(HALT)
    for number in range(MOST_WRONG_CODES):
        with pytest.raises(SafetyRefusalError, match="No proposal"):
            proposals.take(f"wrong {number}")
    with pytest.raises(SafetyRefusalError, match="wrong codes were tried"):
        proposals.take(code)
    clock.seconds += 301
    assert proposals.take(proposals.add(HALT)).action is Action.HALT


def test_only_twenty_proposals_wait_at_once(proposals: Proposals, clock: Clock) -> None:
    for _ in range(MOST_PENDING):
        proposals.add(HALT)
    with pytest.raises(SafetyRefusalError, match="20 proposals wait"):
        proposals.add(HALT)
    clock.seconds += 301
    assert proposals.add(HALT)


def test_files_are_readable_by_their_owner_only_and_do_not_hold_the_code(proposals: Proposals) -> None:
    code = proposals.add(HALT)
    files = [path for path in proposals.state.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for form in (code, code.replace("-", "")):
            assert form not in path.read_text() + path.name
    for folder in (proposals.state, *(path for path in proposals.state.rglob("*") if path.is_dir())):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_proposal_that_others_could_have_written_is_refused(proposals: Proposals) -> None:
    code = proposals.add(HALT)
    [file] = proposals.state.rglob("*.json")
    file.chmod(0o666)
    with pytest.raises(SellctlError, match="can't be read: others can write to it"):
        proposals.take(code)


def test_a_damaged_proposal_is_refused_and_removed_later(proposals: Proposals) -> None:
    code = proposals.add(HALT)
    [file] = proposals.state.rglob("*.json")
    file.write_text("{")
    with pytest.raises(SellctlError, match="it is damaged"):
        proposals.take(code)
    proposals.add(HALT)
    assert len(list(proposals.state.rglob("*.*"))) == 1


def test_used_and_expired_proposals_are_removed_after_a_day(proposals: Proposals, clock: Clock) -> None:
    proposals.take(proposals.add(HALT))
    proposals.add(HALT)
    clock.seconds += 86_401
    proposals.add(HALT)
    assert len([path for path in proposals.state.rglob("*") if path.is_file()]) == 1
