"""A halt that several hosts share: told to the others once, and lifted here once it was lifted on any of them."""

from pathlib import Path

import pytest

from sellctl.core.errors import SellctlError
from sellctl.service.halt_flag import Halt, HaltFlag, HaltOrigin

FED = Halt("fed day", "ana", HaltOrigin.MACHINE)


@pytest.fixture
def flag(tmp_path: Path) -> HaltFlag:
    return HaltFlag(tmp_path)


def told(flag: HaltFlag, number: int) -> None:
    untold = flag.untold()
    assert untold
    flag.set_told(untold[1], number)


def test_without_a_halt_there_is_nothing_to_tell_and_nothing_to_lift(flag: HaltFlag) -> None:
    assert flag.untold() is None
    assert flag.lift_told(7) is False


def test_a_halt_is_told_once_also_across_processes(flag: HaltFlag) -> None:
    flag.set(FED)
    found = flag.untold()
    assert found
    assert found[0] == FED
    told(flag, 3)
    assert flag.untold() is None
    assert HaltFlag(flag.folder).untold() is None


def test_a_halt_that_is_made_again_is_told_again(flag: HaltFlag) -> None:
    flag.set(FED)
    told(flag, 3)
    flag.set(Halt("earnings", "ana", HaltOrigin.MACHINE))
    found = flag.untold()
    assert found
    assert found[0].reason == "earnings"


def test_a_halt_that_was_told_is_lifted_with_its_number_or_a_later_one(flag: HaltFlag) -> None:
    for number in (3, 4):
        flag.set(FED)
        told(flag, 3)
        assert HaltFlag(flag.folder).lift_told(number) is True
        assert flag.read() is None


def test_a_halt_that_was_not_told_is_never_lifted_from_elsewhere(flag: HaltFlag) -> None:
    flag.set(FED)
    assert flag.lift_told(100) is False
    assert flag.read() == FED


def test_a_halt_that_the_others_have_lost_stays_and_is_told_again(flag: HaltFlag) -> None:
    flag.set(FED)
    told(flag, 3)
    assert flag.lift_told(2) is False
    assert flag.read() == FED
    assert flag.untold() is not None
    assert HaltFlag(flag.folder).untold() is not None


def test_a_new_halt_is_not_lifted_with_the_one_before(flag: HaltFlag) -> None:
    flag.set(FED)
    told(flag, 3)
    flag.set(Halt("earnings", "ana", HaltOrigin.MACHINE))
    assert flag.lift_told(3) is False
    assert flag.read() is not None


def test_a_halt_that_no_disk_takes_is_told_and_lifted_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    flag = HaltFlag(tmp_path / "file" / "state")
    with pytest.raises(SellctlError):
        flag.set(FED)
    told(flag, 3)
    assert flag.untold() is None
    (tmp_path / "file").unlink()
    assert flag.lift_told(3) is True
    assert flag.read() is None


def test_a_damaged_note_of_what_was_told_means_that_nothing_was(flag: HaltFlag) -> None:
    flag.set(FED)
    told(flag, 3)
    for content in ("", "[]", '{"flag": 1}', "null"):
        (flag.folder / "halted-told.json").write_text(content)
        assert HaltFlag(flag.folder).lift_told(3) is False
        assert HaltFlag(flag.folder).untold() is not None
