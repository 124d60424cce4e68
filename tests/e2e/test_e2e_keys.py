"""The keys of `watch` on a real terminal of 80x24, against the simulated Alpaca, and who the journal says it was."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from stage import CALL, Play, Stage, three_calls
from terminal import CTRL_C, Terminal
from test_e2e_structure_names import NAME, a_condor

from sellctl.core.model.instrument import contract_text
from sellctl.journal.queries import Filters, history
from sellctl.service.person import at_the_watch_screen

BY = at_the_watch_screen()
TITLE = contract_text(CALL)
SELECTED = f"selected: main  {TITLE}"
ASKED = "y does it, any other key doesn't"
NOT_DONE = "Nothing was done."
READABLE = 0.5  # seconds, after which a question may be confirmed

Watching = Callable[..., tuple[Stage, Terminal]]


@pytest.fixture
def watching(play: Play) -> Iterator[Watching]:
    """Start a watch of three calls on a terminal of 80x24, once it shows them."""
    with ExitStack() as running:

        def start(rules: str = "", **environment: str) -> tuple[Stage, Terminal]:
            stage = play(three_calls(), rules)
            terminal = Terminal(tuple(stage.arguments("watch")), stage.folder, environment, columns=80, rows=24)
            running.enter_context(terminal)
            terminal.wait_for_picture(TITLE, "? help")
            return stage, terminal

        yield start


def select(terminal: Terminal) -> None:
    terminal.answer("j")
    terminal.wait_for_picture(SELECTED)


def leave(terminal: Terminal) -> None:
    """Escape from the selection. A key right after it would be one with Alt."""
    select(terminal)
    terminal.answer("\x1b")
    terminal.wait_until(lambda picture: NOT_DONE not in picture and SELECTED not in picture)


def ask(terminal: Terminal) -> None:
    """Ask to close the position, with nothing left of what was answered before."""
    leave(terminal)
    select(terminal)
    terminal.answer("c")
    terminal.wait_for_picture(ASKED)


def confirm(terminal: Terminal, *texts: str) -> None:
    """Answer the question that has these texts, once it could be read."""
    terminal.wait_for_picture(ASKED, *texts)
    terminal.pass_time(READABLE)
    terminal.answer("y")


def recorded(stage: Stage, kind: str) -> list[Any]:
    return [row.body for row in history(stage.state / "journal.sqlite", Filters(kind=kind))]


def test_c_closes_the_selected_position_once_y_confirms_it(watching: Watching) -> None:
    stage, terminal = watching()
    select(terminal)
    terminal.answer("c")
    confirm(terminal, f"Close {TITLE} in main (PAPER):", "sell 3", "about $300.00, P&L $0.00")
    terminal.wait_for_picture(f"{TITLE}: filled 3 at $1.00")
    assert stage.held(CALL) == 0
    assert len(stage.orders()) == 1
    (request,) = recorded(stage, "request")
    assert (request["symbol"], request["verb"], request["by"]) == (CALL, "close", BY)


def test_h_closes_half_rounded_down(watching: Watching) -> None:
    stage, terminal = watching()
    select(terminal)
    terminal.answer("h")
    confirm(terminal, "sell 1 of 3", "about $100.00")
    terminal.wait_for_picture(f"{TITLE}: filled 1 at $1.00")
    assert stage.held(CALL) == 2


def test_any_other_key_than_y_sends_nothing(watching: Watching) -> None:
    stage, terminal = watching()
    for no in ("n", "c", "\r", "\x1b[B", "q"):
        ask(terminal)
        terminal.pass_time(READABLE)
        terminal.answer(no)
        terminal.wait_for_picture(NOT_DONE)
    assert (stage.sent(), terminal.process.poll()) == ([], None)


def test_a_y_that_was_typed_or_pasted_with_the_question_confirms_nothing(watching: Watching) -> None:
    stage, terminal = watching()
    select(terminal)
    terminal.answer("c")
    terminal.pass_time(0.02)
    terminal.answer("y")
    terminal.wait_for_picture(NOT_DONE)
    ask(terminal)
    terminal.pass_time(READABLE)
    terminal.answer("\x1b[200~y\x1b[201~")
    terminal.pass_time(READABLE)
    terminal.answer("n")
    terminal.wait_for_picture(NOT_DONE)
    assert stage.sent() == []


def test_what_is_pasted_does_nothing(watching: Watching) -> None:
    stage, terminal = watching()
    select(terminal)
    for pasted in (
        "\x1b[200~cy\x1b[201~",
        "\x1b[200~j\nc\ny\nHy\n\x1b[201~",
        "close everything, yes: hHcxyq\n",
        "cy" * 3000,
        "b+-",
        "-y" * 20,
        "\x1b[200~+\x1b[201~",
        "\x1b]0;c\x07\x1bP+qy\x1b\\",
        "\x1b[Mcyx",
    ):
        terminal.answer(pasted)
        terminal.pass_time(READABLE)
    terminal.answer("?")
    terminal.wait_for_picture("confirms a question, once it could be read")
    assert stage.sent() == []
    assert [recorded(stage, kind) for kind in ("exempt", "halt", "override")] == [[], [], []]


def test_enter_explains_the_position_rule_by_rule_and_escape_goes_back(watching: Watching) -> None:
    _, terminal = watching()
    select(terminal)
    terminal.answer("\r")
    shown = terminal.wait_for_picture("strategy_one", "rule          stop -20% at $0.80")
    assert "entry         $1.00" in shown
    assert "3 free to close" in shown
    terminal.answer("\x1b")
    terminal.wait_for_picture(SELECTED, "nearest trigger")


def test_x_exempts_the_position_and_manages_it_again(watching: Watching) -> None:
    stage, terminal = watching()
    select(terminal)
    terminal.answer("x")
    terminal.wait_for_picture(f"{TITLE} is exempt from the next check", "1 exempt")
    terminal.answer("x")
    terminal.wait_for_picture(f"{TITLE} is managed again from the next check.")
    (exempted,), (managed,) = recorded(stage, "exempt"), recorded(stage, "manage")
    assert exempted == managed == {"symbol": CALL, "by": BY}


def what_is_set(stage: Stage) -> list[str | None]:
    return [row["set_by_hand"] for row in stage.run("positions", CALL, "--format", "json").document["positions"]]


def test_plus_moves_the_stop_a_notch_closer_without_a_question(watching: Watching) -> None:
    stage, terminal = watching()
    select(terminal)
    terminal.answer("+")
    terminal.wait_for_picture(f"Stop of {TITLE} set to $0.85 (was $0.80).")
    terminal.answer("+")
    terminal.wait_for_picture(f"Stop of {TITLE} set to $0.90 (was $0.85).")
    terminal.answer("+")
    terminal.wait_for_picture("set to $0.95 (was $0.90)")
    terminal.answer("+")
    terminal.wait_for_picture("set to $1.00 (was $0.95)")
    terminal.answer("+")
    terminal.wait_for_picture(f"The stop of {TITLE} was not moved")
    overrides = recorded(stage, "override")[::-1]  # the newest one comes first
    assert [each["what"] for each in overrides] == [f"stop price {price}" for price in ("0.85", "0.90", "0.95", "1.00")]
    assert {(each["symbol"], each["by"]) for each in overrides} == {(CALL, BY)}
    assert what_is_set(stage) == [f"stop price 1.00, set by {BY}"]
    assert stage.sent() == []


def test_a_stop_that_is_said_to_be_set_is_there_after_the_watcher_was_killed(watching: Watching) -> None:
    stage, terminal = watching()
    select(terminal)
    terminal.answer("+")
    terminal.wait_for_picture(f"Stop of {TITLE} set to $0.85 (was $0.80).")
    terminal.process.kill()
    terminal.process.wait()
    assert what_is_set(stage) == [f"stop price 0.85, set by {BY}"]


def test_minus_moves_the_stop_a_notch_away_once_y_confirms_it(watching: Watching) -> None:
    stage, terminal = watching()
    select(terminal)
    terminal.answer("-")
    terminal.wait_for_picture(ASKED)
    terminal.pass_time(READABLE)
    terminal.answer("n")
    terminal.wait_for_picture(NOT_DONE)
    assert recorded(stage, "override") == []
    terminal.answer("-")
    confirm(
        terminal,
        f"Set the stop of {TITLE} in main (PAPER):",
        "to $0.75 (was $0.80)",
        "Its stop moves away from the price, from $0.80 to $0.75: $15.00 more can be",
    )
    terminal.wait_for_picture(f"Stop of {TITLE} set to $0.75 (was $0.80).")
    (override,) = recorded(stage, "override")
    assert (override["symbol"], override["what"], override["by"]) == (CALL, "stop price 0.75", BY)
    assert stage.sent() == []


def test_b_sets_the_stop_at_the_entry_price(watching: Watching) -> None:
    stage, terminal = watching()
    select(terminal)
    terminal.answer("b")
    terminal.wait_for_picture(f"Stop of {TITLE} set to $1.00, the entry price (was $0.80).")
    (override,) = recorded(stage, "override")
    assert (override["what"], override["by"]) == ("stop at the entry price", BY)
    assert stage.sent() == []


def test_b_asks_first_where_it_closes_at_once_and_then_it_is_closed(play: Play) -> None:
    stage = play(three_calls("0.95", "0.97"))
    with Terminal(tuple(stage.arguments("watch")), stage.folder, columns=80, rows=24) as terminal:
        terminal.wait_for_picture(TITLE, "? help")
        select(terminal)
        terminal.answer("b")
        terminal.wait_for_picture(ASKED, "It is closed at once")
        assert stage.sent() == []
        confirm(terminal)
        terminal.wait_until(lambda _picture: stage.held(CALL) == 0)
    assert [each["by"] for each in recorded(stage, "override")] == [BY]


def test_the_stop_of_a_structure_that_was_sold_moves_down_towards_its_price(play: Play) -> None:
    rules = "{match: {structure: iron_condor}, name: condors, rules: {stop_loss: 100%}}"
    stage = a_condor(play, f"sell_module: {{strategies: [{rules}]}}\n")
    with Terminal(tuple(stage.arguments("watch")), stage.folder, columns=80, rows=24) as terminal:
        terminal.wait_for_picture("AAPL iron condor", "? help")
        terminal.answer("j")
        terminal.wait_for_picture("selected: main  AAPL iron condor")
        terminal.answer("+")
        terminal.wait_for_picture("Stop of AAPL iron condor set to $3.90 (was $4.00).")
        terminal.answer("-")
        terminal.wait_for_picture(ASKED, "to $4.00 (was $3.90)")
    (override,) = recorded(stage, "override")
    assert (override["symbol"], override["what"], override["by"]) == (NAME, "stop price 3.90", BY)


def test_capital_h_halts_every_account_once_y_confirms_it_and_lifts_no_halt(watching: Watching) -> None:
    stage, terminal = watching()
    terminal.answer("H")
    confirm(terminal, "Halt all accounts")
    terminal.wait_for_picture("HALTED, no new orders")
    terminal.answer("H")
    terminal.wait_for_picture("Orders are halted already")
    (halt,) = recorded(stage, "halt")
    assert halt["by"] == BY
    select(terminal)
    terminal.answer("c")
    terminal.wait_for_picture("can't be closed now")
    assert stage.sent() == []


def test_a_filter_shows_what_matches_it(watching: Watching) -> None:
    _, terminal = watching()
    terminal.answer("/")
    terminal.wait_for_picture("Enter keeps the filter")
    for typed in ("z", "zz", "zzz"):
        terminal.answer(typed[-1])
        terminal.wait_for_picture("nothing matches", f"filter: {typed}_  0 shown")
    terminal.answer("\x1b")
    terminal.wait_for_picture(TITLE)


def test_page_keys_scroll_the_list(play: Play) -> None:
    symbols = [f"F261218C{strike:08}" for strike in range(1000, 60_000, 1000)]
    positions = ", ".join(f"{{symbol: {symbol}, qty: 1, entry: 1.00}}" for symbol in symbols)
    prices = "".join(f"  {symbol}: [{{fixed: {{bid: 1.00, ask: 1.02}}}}]\n" for symbol in symbols)
    stage = play(three_calls().replace("positions: [", f"positions: [{positions}, ") + prices)
    with Terminal(tuple(stage.arguments("watch")), stage.folder, columns=80, rows=24) as terminal:
        terminal.wait_for_picture("more positions (the arrow keys show them)")
        terminal.answer("\x1b[F")
        last = contract_text(symbols[-1])
        terminal.wait_for_picture(f"selected: main  {last}")
        terminal.answer("\x1b[5~")
        shown = terminal.wait_for_picture("selected: main  F 18 Dec 26 4")
        assert shown.count("main  PAPER") == 1
        terminal.answer("\x1b[H")
        terminal.wait_for_picture(SELECTED)


@pytest.mark.parametrize("end", ["q", CTRL_C])
def test_q_and_ctrl_c_give_the_terminal_back_with_the_last_state_on_it(watching: Watching, end: str) -> None:
    stage, terminal = watching()
    assert terminal.modes != terminal.first_modes
    terminal.answer(end)
    assert terminal.end() == 0
    assert terminal.modes == terminal.first_modes
    assert terminal.output.rindex(b"\x1b[?1049l") < terminal.output.rindex(TITLE.encode())
    assert "Stopped: nothing is watched any more." in terminal.shown
    assert stage.sent() == []


def test_a_resize_down_to_20_columns_and_back_is_followed(watching: Watching) -> None:
    _, terminal = watching()
    select(terminal)
    for columns, rows in ((20, 24), (20, 5), (3, 2), (200, 50), (80, 24)):
        terminal.resize(columns, rows)
        terminal.answer("j")
        terminal.pass_time(0.3)
    terminal.wait_for_picture(SELECTED, "? help")
    terminal.answer("c")
    terminal.wait_for_picture(ASKED)
    terminal.answer("n")
    terminal.wait_for_picture(NOT_DONE)


def test_a_screen_without_a_successful_check_says_that_its_data_is_stale(watching: Watching) -> None:
    stage, terminal = watching("sell_module: {check_interval: 1, max_position_age: 15}")
    stage.inject_fault("H05", path="/v2/positions", times=100)
    terminal.wait_for_picture("DATA STALE: main not updated for", "? help  q end")
    select(terminal)
    terminal.answer("c")
    terminal.wait_for_picture(ASKED, "DATA STALE", "The quote is ")
    terminal.answer("n")
    stage.server.exchange.faults.clear()
    terminal.wait_until(lambda picture: "DATA STALE" not in picture)


def test_no_color_leaves_out_the_colours_and_nothing_else(watching: Watching) -> None:
    _, terminal = watching(NO_COLOR="1")
    select(terminal)
    assert not re.search(rb"\x1b\[[0-9;]*[34][0-7][0-9;]*m", terminal.output)
    assert b"\x1b[7m" in terminal.output


def test_in_a_dry_run_no_key_changes_anything(play: Play) -> None:
    stage = play(three_calls())
    with Terminal(tuple(stage.arguments("watch", "--dry-run")), stage.folder, columns=80, rows=24) as terminal:
        terminal.wait_for_picture(TITLE)
        select(terminal)
        for key in "chxHb+-":
            leave(terminal)
            select(terminal)
            terminal.answer(key)
            terminal.wait_for_picture("This is a dry run: nothing is sent and nothing is changed.")
    assert stage.sent() == []
