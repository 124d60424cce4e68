"""What the state folder accepts from whom, and what happens when the disk refuses."""

import datetime as dt
import json
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from full_disk import no_room

from sellctl.core.errors import SafetyRefusalError, SellctlError
from sellctl.core.manual.verb import Verb
from sellctl.core.model.position import OverrideChange
from sellctl.core.watching.manual_requests import CommandRequest
from sellctl.service.halt_flag import HaltOrigin
from sellctl.service.state_folder import StateFolder

SOMEBODY = 54_321
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
A_REQUEST = {"verb": "close", "symbol": "AAPL", "accounts": ["main"], "by": "sellctl close"}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFolder]:
    folder = StateFolder(tmp_path / "state")
    folder.make()
    yield folder
    folder.release()


def put(path: Path, text: str = "{}", *, mode: int = 0o600, owner: int | None = None) -> Path:
    """A file as somebody may have put it there."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner, owner)
    return path


def requests_of(state: StateFolder) -> tuple[list[str], list[str]]:
    """The symbols of the requests taken for the account `main`, and why other files were discarded."""
    requests, discarded = state.take_requests(["main"])
    return [request.symbol for request in requests], discarded


# --- health -----------------------------------------------------------------------------------------------------------


def test_health_is_renewed_in_a_file_of_the_folder_which_is_made_for_it(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.renew_health()
    file = state.path / "healthy"
    os.utime(file, (0, 0))
    state.renew_health()
    assert file.stat().st_mtime > 0
    assert [stat.S_IMODE(each.stat().st_mode) for each in (state.path, file)] == [0o700, 0o600]


def test_health_is_removed_by_the_process_that_has_shown_it_and_by_no_other(state: StateFolder) -> None:
    state.renew_health()
    StateFolder(state.path).remove_health()
    assert (state.path / "healthy").exists()
    state.remove_health()
    assert not (state.path / "healthy").exists()
    state.remove_health()


def test_a_link_in_the_place_of_the_health_file_is_left_alone_and_is_no_reason_to_stop(state: StateFolder) -> None:
    target = put(state.path / "target")
    os.utime(target, (0, 0))
    (state.path / "healthy").symlink_to(target)
    state.renew_health()
    state.remove_health()
    assert target.stat().st_mtime == 0
    assert (state.path / "healthy").is_symlink()


def test_a_health_file_that_cannot_be_written_is_no_reason_to_stop(tmp_path: Path) -> None:
    state = StateFolder(put(tmp_path / "state"))
    state.renew_health()
    state.remove_health()
    assert state.path.is_file()


# --- requests ---------------------------------------------------------------------------------------------------------


def test_a_request_whose_command_was_killed_long_ago_is_discarded(state: StateFolder) -> None:
    file = state.ask(Verb.CLOSE, symbol="AAPL", accounts=("main",), by="sellctl close")
    os.utime(file, (time.time() - 31,) * 2)
    assert requests_of(state) == ([], [f"{file} waited too long and was discarded"])
    assert not file.exists()


def test_a_request_is_taken_once_and_by_the_holder_of_its_account(state: StateFolder) -> None:
    file = state.ask(Verb.CLOSE, symbol="AAPL", accounts=("main",), by="sellctl close")
    assert state.take_requests(["other"]) == ([], [])
    assert file.exists()
    assert requests_of(state) == (["AAPL"], [])
    assert requests_of(state) == ([], [])


NOT_REQUESTS = {
    "a list": "[]",
    "a number": "7",
    "nothing": "",
    "accounts that are a number": json.dumps(A_REQUEST | {"accounts": 7}),
    "accounts that are objects": json.dumps(A_REQUEST | {"accounts": [{}]}),
    "accounts that are null": json.dumps(A_REQUEST | {"accounts": None}),
    "accounts that are a text": json.dumps(A_REQUEST | {"accounts": "main"}),
    "a symbol that is a list": json.dumps(A_REQUEST | {"symbol": ["AAPL"]}),
    "a verb that is an object": json.dumps(A_REQUEST | {"verb": {}}),
    "an unknown verb": json.dumps(A_REQUEST | {"verb": "buy"}),
    "200,000 nested brackets": "[" * 200_000,
    "two megabytes": json.dumps(A_REQUEST | {"by": "x" * 2_000_000}),
}


@pytest.mark.parametrize("text", NOT_REQUESTS.values(), ids=NOT_REQUESTS)
def test_what_is_no_request_is_discarded_with_a_reason_and_the_next_request_is_taken(
    state: StateFolder, text: str
) -> None:
    file = put(state.path / "requests" / "0.json", text)
    state.ask(Verb.CLOSE, symbol="AAPL", accounts=("main",))
    symbols, [why] = requests_of(state)
    assert symbols == ["AAPL"]
    assert why.startswith(f"{file} is not a request and was discarded: ")
    assert requests_of(state) == ([], [])


def test_bytes_that_are_no_text_are_discarded(state: StateFolder) -> None:
    put(state.path / "requests" / "0.json").write_bytes(b"\xff\xfe")
    assert len(requests_of(state)[1]) == 1
    assert requests_of(state) == ([], [])


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/hostname")])
def test_a_folder_a_fifo_or_a_link_among_the_requests_is_reported_once_and_stops_nothing(
    state: StateFolder, make: object
) -> None:
    (state.path / "requests").mkdir()
    make(state.path / "requests" / "0.json")  # type: ignore[operator]
    state.ask(Verb.CLOSE, symbol="AAPL", accounts=("main",))
    symbols, discarded = requests_of(state)
    assert (symbols, len(discarded)) == (["AAPL"], 1)
    assert requests_of(state) == ([], [])


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_a_request_that_others_could_have_written_is_discarded(state: StateFolder, mode: int) -> None:
    put(state.path / "requests" / "0.json", json.dumps(A_REQUEST), mode=mode)
    symbols, [why] = requests_of(state)
    assert symbols == []
    assert why.endswith("others can write to it")


@AS_ROOT
def test_another_users_request_is_discarded(state: StateFolder) -> None:
    put(state.path / "requests" / "0.json", json.dumps(A_REQUEST), owner=SOMEBODY)
    symbols, [why] = requests_of(state)
    assert symbols == []
    assert why.endswith("it belongs to another user")


# --- the folder -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_an_existing_folder_of_ones_own_is_closed_to_others(tmp_path: Path, mode: int) -> None:
    state = StateFolder(tmp_path / "state")
    state.path.mkdir()
    state.path.chmod(mode)
    state.lock("PA1", "watch")
    assert not stat.S_IMODE(state.path.stat().st_mode) & 0o022
    state.release()


@AS_ROOT
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    state.path.mkdir()
    os.chown(state.path, SOMEBODY, SOMEBODY)
    with pytest.raises(SafetyRefusalError, match=r"state is not safe: it belongs to another user\. Choose a folder"):
        state.lock("PA1", "watch")


@AS_ROOT
def test_an_inbox_that_another_user_has_made_is_refused(state: StateFolder) -> None:
    (state.path / "requests").mkdir()
    os.chown(state.path / "requests", SOMEBODY, SOMEBODY)
    with pytest.raises(SafetyRefusalError, match="requests is not safe"):
        state.ask(Verb.PANIC, accounts=("main",))


def test_a_file_in_the_place_of_the_folder_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    put(tmp_path / "state")
    with pytest.raises(SellctlError, match="can't be created: File exists"):
        StateFolder(tmp_path / "state").make()


@pytest.mark.parametrize("number", ["../../PA1", "PA1/x", "..", "PA 1\n"])
def test_an_account_number_with_a_path_in_it_stays_in_the_folder(state: StateFolder, number: str) -> None:
    state.lock(number, "watch")
    holder = state.lock_holder(number)
    assert holder is not None
    assert holder.command == "watch"
    assert [path for path in state.path.parent.iterdir() if path != state.path] == []


def test_a_link_in_the_place_of_a_lock_is_refused_and_its_target_is_left_alone(state: StateFolder) -> None:
    target = put(state.path.parent / "target", "precious")
    (state.path / "account-PA1.lock").symlink_to(target)
    with pytest.raises(SellctlError, match="it is a symbolic link"):
        state.lock("PA1", "watch")
    assert target.read_text() == "precious"


@pytest.mark.parametrize("content", ["{}", '{"pid": [], "what": 1}', "[]", '{"pid": 1}'])
def test_a_damaged_note_on_the_holder_names_nobody(state: StateFolder, content: str) -> None:
    put(state.path / "account-PA1.holder", content)
    holder = state.lock_holder("PA1")
    assert holder is None or holder.text == "another sellctl process"


# --- flags ------------------------------------------------------------------------------------------------------------


def test_a_halt_is_lifted_once(state: StateFolder) -> None:
    assert state.halted() == ""
    assert state.halt("fed day", by="sellctl halt") == ""
    assert state.halted() == "fed day"
    assert (state.resume(), state.resume()) == (True, False)
    assert state.halted() == ""


@pytest.mark.parametrize(
    "make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("nowhere"), lambda path: path.write_text("")]
)
def test_whatever_is_in_the_place_of_the_flag_halts_without_waiting(state: StateFolder, make: object) -> None:
    make(state.path / "halted")  # type: ignore[operator]
    assert state.halted() == "the halt flag can't be read"


@pytest.mark.parametrize("name", ["exempt.json", "thawed-main.json"])
def test_a_fifo_in_the_place_of_a_list_of_symbols_is_an_error_without_waiting(state: StateFolder, name: str) -> None:
    os.mkfifo(state.path / name)
    with pytest.raises(SellctlError, match="it is not a regular file"):
        state.exempt() if name == "exempt.json" else state.take_rules_to_resume("main")


def test_a_list_of_exempt_symbols_that_others_can_write_is_not_trusted(state: StateFolder) -> None:
    put(state.path / "exempt.json", '{"symbols": []}', mode=0o666)
    with pytest.raises(SellctlError, match="others can write to it"):
        state.exempt()


@pytest.mark.parametrize("content", ['{"keys": 7}', "[]", '{"keys": null}', "[" * 200_000])
def test_a_damaged_confirmation_of_real_money_confirms_nothing(state: StateFolder, content: str) -> None:
    put(state.path / "live-confirmed", content)
    assert state.confirmed_live() == frozenset()


def test_a_draft_of_a_halt_counts_as_a_halt_and_is_lifted_with_it(state: StateFolder) -> None:
    put(state.path / ".halted.4711", '{"reason": "fed')
    assert state.halted() == "a halt was not completely written"
    assert state.resume()
    assert state.halted() == ""


def test_a_draft_of_a_halt_counts_within_a_second(state: StateFolder) -> None:
    seconds = [0.0]
    state = StateFolder(state.path, monotonic=lambda: seconds[0])
    assert state.halted() == ""
    put(state.path / ".halted.4711", '{"reason": "fed')
    seconds[0] = 0.5
    assert state.halted() == "a halt was not completely written"
    (state.path / ".halted.4711").unlink()
    seconds[0] = 1.0
    assert state.halted() == ""


def test_a_halt_whose_reason_the_disk_refuses_halts_all_the_same(state: StateFolder) -> None:
    with no_room():
        problem = state.halt("fed day", by="sellctl halt")
    assert problem.endswith("halted can't be written: File too large")
    assert StateFolder(state.path).halted() == "the halt flag can't be read"
    assert [path.name for path in state.path.iterdir()] == ["halted"]


def test_a_list_that_the_disk_refuses_leaves_the_old_one_and_no_draft(state: StateFolder) -> None:
    state.set_exempt("TSLA", wanted=True)
    with no_room(), pytest.raises(SellctlError, match="File too large"):
        state.set_exempt("AAPL", wanted=True)
    assert state.exempt() == {"TSLA"}
    assert [path.name for path in state.path.iterdir()] == ["exempt.json"]


def test_an_exemption_keeps_its_end_and_one_of_an_earlier_version_has_none(state: StateFolder) -> None:
    put(state.path / "exempt.json", '{"symbols": ["TSLA"]}')
    assert state.exemptions() == {"TSLA": None}
    friday = dt.datetime(2026, 11, 27, 18, tzinfo=dt.UTC)
    state.set_exempt("AAPL", wanted=True, until=friday)
    assert StateFolder(state.path).exemptions() == {"AAPL": friday, "TSLA": None}
    assert json.loads((state.path / "exempt.json").read_text())["symbols"] == ["AAPL", "TSLA"]
    state.set_exempt("AAPL", wanted=True)
    state.set_exempt("TSLA", wanted=False)
    assert state.exemptions() == {"AAPL": None}


@pytest.mark.parametrize("until", ['{"TSLA": "soon"}', '{"TSLA": "2026-11-27T18:00:00"}', '{"TSLA": 1}', "[]", "7"])
def test_an_end_that_is_no_time_is_damage_and_never_no_end(state: StateFolder, until: str) -> None:
    put(state.path / "exempt.json", f'{{"symbols": ["TSLA"], "until": {until}}}')
    with pytest.raises(SellctlError, match=r"exempt\.json is damaged: the end of an exemption isn't a time"):
        state.exemptions()


def test_a_halt_that_cannot_be_written_at_all_halts_this_process_and_is_written_later(tmp_path: Path) -> None:
    put(tmp_path / "state", "a file in the place of the folder")
    state = StateFolder(tmp_path / "state")
    with pytest.raises(SellctlError, match="Trading goes on in other processes"):
        state.halt("account guard of main", by="sellctl")
    assert state.halted() == "account guard of main"
    state.path.unlink()
    assert state.halted() == "account guard of main"
    assert StateFolder(state.path).halted() == "account guard of main"
    state.resume()
    assert state.halted() == ""


@pytest.mark.parametrize("origin", [HaltOrigin.API, HaltOrigin.CHAT])
def test_a_halt_made_over_the_api_or_by_chat_is_lifted_there_and_at_the_machine(
    state: StateFolder, origin: HaltOrigin
) -> None:
    for lift in (state.resume_remote, state.resume):
        state.halt("fed day", "ana over the API", origin)
        halt = state.current_halt()
        assert halt
        assert (halt.reason, halt.by, halt.origin) == ("fed day", "ana over the API", origin)
        assert (lift(), lift()) == (True, False)
        assert state.current_halt() is None
        assert list(state.path.iterdir()) == []


@pytest.mark.parametrize("origin", [HaltOrigin.MACHINE, HaltOrigin.GUARD])
def test_a_halt_made_at_the_machine_or_by_the_guard_is_lifted_at_the_machine_only(
    state: StateFolder, origin: HaltOrigin
) -> None:
    state.halt("fed day", "somebody", origin)
    with pytest.raises(SafetyRefusalError, match="only the machine lifts it: fed day"):
        state.resume_remote()
    assert state.halted() == "fed day"
    assert [path.name for path in state.path.iterdir()] == ["halted"]


@pytest.mark.parametrize(
    "content",
    [
        '{"reason": "fed day", "by": "sellctl halt"}',
        '{"reason": "x", "origin": "chatter"}',
        '{"origin": "api"}',
        "",
        "[",
    ],
)
def test_a_flag_without_a_known_origin_counts_as_made_at_the_machine(state: StateFolder, content: str) -> None:
    put(state.path / "halted", content)
    with pytest.raises(SafetyRefusalError):
        state.resume_remote()
    assert state.halted()


def test_a_draft_of_a_halt_is_not_lifted_over_the_api(state: StateFolder) -> None:
    put(state.path / ".halted.4711", '{"reason": "fed day", "origin": "api"}')
    with pytest.raises(SafetyRefusalError):
        state.resume_remote()
    assert state.halted()


def test_a_halt_over_the_api_never_takes_the_place_of_one_made_at_the_machine(state: StateFolder) -> None:
    state.halt("fed day", "sellctl halt")
    state.halt("later", "ana over the API", HaltOrigin.API)
    with pytest.raises(SafetyRefusalError):
        state.resume_remote()
    assert state.halted() == "fed day"


def test_a_halt_at_the_machine_takes_the_place_of_one_made_over_the_api(state: StateFolder) -> None:
    state.halt("later", "ana over the API", HaltOrigin.API)
    state.halt("fed day", "sellctl halt")
    with pytest.raises(SafetyRefusalError):
        state.resume_remote()
    assert state.halted() == "fed day"


def test_a_halt_at_the_machine_while_one_over_the_api_is_lifted_stays(
    state: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.halt("later", "ana over the API", HaltOrigin.API)
    rename = Path.rename

    def renamed_late(path: Path, target: Path) -> Path:
        StateFolder(state.path).halt("fed day", "sellctl halt")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", renamed_late)
    with pytest.raises(SafetyRefusalError):
        state.resume_remote()
    assert StateFolder(state.path).halted() == "fed day"
    assert [path.name for path in state.path.iterdir()] == ["halted"]


def test_a_halt_of_the_guard_that_the_disk_refused_is_not_replaced_by_one_over_the_api(tmp_path: Path) -> None:
    put(tmp_path / "state", "a file in the place of the folder")
    state = StateFolder(tmp_path / "state")
    for reason, origin in (("account guard of main", HaltOrigin.GUARD), ("later", HaltOrigin.API)):
        with pytest.raises(SellctlError, match="Trading goes on in other processes"):
            state.halt(reason, "somebody", origin)
    state.path.unlink()
    assert state.halted() == "account guard of main"
    with pytest.raises(SafetyRefusalError):
        state.resume_remote()
    assert StateFolder(state.path).halted() == "account guard of main"


def test_every_account_takes_the_rules_to_resume_once(state: StateFolder) -> None:
    state.resume_rules("AAPL", ["main", "in/come"])
    state.resume_rules("TSLA", ["main"])
    taken = [state.take_rules_to_resume(account) for account in ("main", "main", "in/come", "in/come", "other")]
    assert taken == [{"AAPL", "TSLA"}, set(), {"AAPL"}, set(), set()]


# --- requests to set rules --------------------------------------------------------------------------------------------


def test_a_request_to_set_rules_arrives_as_it_was_made(state: StateFolder) -> None:
    until = dt.datetime(2026, 12, 4, 21, tzinfo=dt.UTC)
    change = OverrideChange(stop="25%", target="price 4.20", trail="10pt", until=until)
    request = CommandRequest("ab12", Verb.SET, "AAPL", ("main",), "alice", change=change)
    state.pass_on(request)
    assert state.take_requests(["main"]) == ([request], [])


@pytest.mark.parametrize(
    "change",
    [
        None,
        {},
        [],
        {"stop": "25"},
        {"stop": 25},
        {"stop": "25%", "clear": True},
        {"until": "soon"},
        {"trail": "x" * 5000},
    ],
)
def test_a_change_that_cannot_be_read_is_discarded_before_it_reaches_a_decision(
    state: StateFolder, change: object
) -> None:
    put(state.path / "requests" / "1.json", json.dumps({**A_REQUEST, "verb": "set", "change": change}))
    symbols, discarded = requests_of(state)
    assert symbols == []
    assert len(discarded) == 1
