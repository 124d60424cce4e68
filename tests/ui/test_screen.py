import datetime as dt
import json
import re
from decimal import Decimal

import pytest
from builders import CALL, TODAYS_SPY_CALL, a_holding, a_market, a_policy, a_snapshot, at, replace
from ui_cases import ANSI, HOSTILE, LONGEST, a_plan, a_view, drawn

from sellctl.core.decision.engine import decide
from sellctl.core.decision.explain import explained
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.core.model.instrument import contract_text
from sellctl.core.model.snapshot import AccountFacts
from sellctl.core.model.view import AccountView, Mode, WatchView
from sellctl.ui.documents import watch_document
from sellctl.ui.grid import ASCII, HEADS
from sellctl.ui.render import JSON_VERSION, json_text
from sellctl.ui.screen import WatchScreen, event_lines, event_text, screen_lines


def texts(view: WatchView, width: int, height: int | None = None) -> list[str]:
    return ["".join(text for text, _ in line).rstrip() for line in screen_lines(view, width, height)]


def with_holdings(count: int) -> WatchView:
    holdings = [
        a_holding(f"F261218C{strike:08}", "1", "1.00", bid=f"0.{99 - strike % 10}", ask="1.00")
        for strike in range(1, count + 1)
    ]
    closing = a_holding(LONGEST, "1", "2.00", bid="2.25", ask="2.30")
    plan = a_plan(*holdings, closing)
    account = AccountView(AccountFacts("main", "PA1"), Mode.PAPER, a_market(), plan, dt.timedelta(seconds=1))
    return WatchView(at("12:00"), (account,))


@pytest.mark.parametrize("width", [80, 200])
def test_every_holding_has_its_row_and_nothing_is_cut(width: int) -> None:
    view = a_view()
    out = drawn(WatchScreen(view), width, height=60)
    assert all(len(line) <= width for line in out.splitlines())
    assert "…" not in out
    for account in view.accounts:
        for decision in account.plan.decisions if account.plan else ():
            assert sum(line.startswith(f"{contract_text(decision.holding.symbol)} ") for line in out.splitlines()) == 1


@pytest.mark.parametrize("width", [80, 200])
def test_colour_only_repeats_what_the_text_says(width: int) -> None:
    plain = drawn(WatchScreen(a_view()), width, height=60)
    coloured = drawn(WatchScreen(a_view()), width, colour=True, height=60)
    assert "\x1b[" in coloured
    assert ANSI.sub("", coloured) == ANSI.sub("", plain)


def test_each_account_shows_its_mode_and_its_condition() -> None:
    lines = texts(a_view(), 80)
    assert "main  PAPER  open, 1h 02m left  updated 1s ago  42 req/min  2 orders working" in lines
    assert "    1 NOT MANAGED  open P&L -$1,337.78 (7 of 9 known)" in lines
    assert "    value $3,982.60 (7 of 9 known)" in lines
    assert "ira   LIVE   open, 1h 02m left  updated 45s ago  12 req/min  open P&L -$15.00" in lines
    assert "old  PAPER  not updated yet" in lines
    assert "  problem: the broker refused the key (401): check ALPACA_API_KEY" in lines


def test_a_long_reason_to_poll_is_broken_between_words_and_indented() -> None:
    why = "polling: the login is refused: a wrong key, or another program uses its only connection"
    account = AccountView(AccountFacts("main", "PA1"), Mode.PAPER, a_market(), source=why, requests_used=12)
    lines = texts(WatchView(at("12:00"), (account,)), 80)
    first = next(place for place, line in enumerate(lines) if "polling:" in line)
    assert lines[first] == "    polling: the login is refused: a wrong key, or another program uses its only"
    assert lines[first + 1] == "    connection  12 req/min"


def test_a_narrow_screen_shows_the_sentence_of_a_position_that_isnt_just_watched() -> None:
    lines = texts(a_view(), 80)
    row = next(index for index, line in enumerate(lines) if line.startswith(contract_text(LONGEST)))
    assert lines[row + 1].startswith("    target +10%: ")
    watched = next(index for index, line in enumerate(lines) if line.startswith(contract_text(CALL)))
    assert not lines[watched + 1].startswith(" ")


def test_a_wide_screen_shows_every_sentence_beside_its_position() -> None:
    view = a_view()
    beside = re.sub(r"\s+", " ", "\n".join(line[100:] for line in texts(view, 200)))
    for account in view.accounts:
        for decision in account.plan.decisions if account.plan else ():
            assert decision.sentence in beside


@pytest.mark.parametrize(("width", "trigger"), [(200, "stop   $1.92, 9.0% away"), (80, "9.0% to stop")])
def test_the_nearest_trigger_stands_with_its_distance_and_on_a_wide_screen_with_its_price(
    width: int, trigger: str
) -> None:
    row = next(line for line in texts(a_view(), width) if line.startswith(contract_text(TODAYS_SPY_CALL)))
    assert trigger in row


@pytest.mark.parametrize(("width", "trigger"), [(200, "target $2.20,   reached"), (80, "target reached")])
def test_a_trigger_that_the_price_has_reached_says_so(width: int, trigger: str) -> None:
    row = next(line for line in texts(a_view(), width) if line.startswith(contract_text(LONGEST)))
    assert trigger in row


def test_the_bar_fills_on_the_way_from_the_entry_to_the_trigger() -> None:
    bars = {bid: _bar_of(bid) for bid in ("1.00", "1.05", "1.09", "1.10", "1.30")}
    assert bars == {"1.00": 0, "1.05": 6, "1.09": 10, "1.10": 12, "1.30": 12}


def _bar_of(bid: str) -> int:
    plan = a_plan(a_holding(entry="1.00", bid=bid, ask=bid))
    account = AccountView(AccountFacts("main", "PA1"), Mode.PAPER, a_market(), plan)
    return "\n".join(texts(WatchView(at("12:00"), (account,)), 200)).count("■")


@pytest.mark.parametrize("height", [8, 12, 18, 24, 40])
@pytest.mark.parametrize("width", [80, 200])
def test_a_low_terminal_is_never_overrun_and_shows_what_is_closing(width: int, height: int) -> None:
    lines = texts(with_holdings(60), width, height)
    assert len(lines) < height
    assert any(line.startswith(contract_text(LONGEST)) for line in lines)
    shown = sum(bool(re.match(r"F \d", line)) for line in lines)
    assert f"  … {60 - shown} more positions (enlarge the terminal to see all)" in lines


def test_a_sentence_that_has_no_room_for_its_end_says_that_it_goes_on() -> None:
    low = texts(with_holdings(8), 180, 14)
    unfinished = [line for line in low if "watching" in line and not line.endswith("no rule is met")]
    assert unfinished
    assert all(re.search(r"\S…$", line) and len(line) <= 180 for line in unfinished)


def test_a_tall_terminal_shows_them_all() -> None:
    lines = texts(with_holdings(60), 80, 80)
    assert sum(bool(re.match(r"F \d", line)) for line in lines) == 60
    assert not any("more position" in line for line in lines)


def test_an_ascii_terminal_gets_ascii() -> None:
    lines = screen_lines(a_view(), 80, 20, ASCII)
    assert all(text.isascii() for line in lines for text, _ in line)


@pytest.mark.parametrize("width", [1, 20, 40, 80])
def test_no_view_is_too_small_to_draw(width: int) -> None:
    for view in (WatchView(at("12:00"), ()), a_view()):
        assert drawn(WatchScreen(view), width, height=5)


def test_text_from_the_broker_cant_move_the_cursor() -> None:
    account = AccountView(AccountFacts(HOSTILE, "", blocked=HOSTILE), Mode.LIVE, problem=HOSTILE)
    event = Event(at("12:00"), HOSTILE, HOSTILE, Severity.ERROR)
    view = WatchView(at("12:00"), (account,), (event,))
    for out in (drawn(WatchScreen(view), 80), event_text(event), json_text(watch_document(view))):
        assert not set(ANSI.sub("", out)) & set("\x1b\x07\u202e")


def test_a_log_line_carries_time_account_and_weight() -> None:
    assert event_text(Event(at("15:50:01"), "a stop was denied", "main", Severity.WARNING)) == (
        "15:50:01 ET  warning: main: a stop was denied"
    )


def test_a_json_line_is_one_versioned_object() -> None:
    line = json_text(watch_document(a_view()))
    document = json.loads(line)
    assert "\n" not in line
    assert (document["version"], document["next_look_in_seconds"]) == (JSON_VERSION, 4)
    main, ira, old = document["accounts"]
    assert (main["mode"], ira["mode"], old["mode"]) == ("paper", "live", "paper")
    assert (old["market"], old["holdings"], old["age_seconds"]) == (None, None, None)
    assert [event["weight"] for event in document["events"]] == ["info", "info", "warning"]


def test_only_the_newest_events_are_kept_whole() -> None:
    events = tuple(Event(at("12:00"), f"event {n}") for n in range(30))
    lines = texts(replace(a_view(), events=events), 80)
    assert [line.split()[-1] for line in lines[-8:]] == [str(n) for n in range(22, 30)]


def test_events_use_the_lines_that_positions_leave_free() -> None:
    events = tuple(Event(at("12:00"), f"event {n}") for n in range(30))
    lines = texts(replace(with_holdings(3), events=events), 80, 40)
    assert len(lines) < 40
    assert [line.split()[-1] for line in lines[-20:]] == [str(n) for n in range(10, 30)]
    assert sum(bool(re.match(r"F \d", line)) for line in lines) == 3


def test_exits_and_alerts_stay_longer_than_notices_and_in_the_order_of_time() -> None:
    sold = Event(at("12:00"), "1 of 1 at $1.10", "main", symbol=CALL, kind=EventKind.FILLED)
    notices = tuple(Event(at("12:01"), f"orders of {n}: stream connected") for n in range(9))
    alert = Event(at("12:02"), "the stop is looser", "main", Severity.ERROR, kind=EventKind.ALERT)
    back = Event(at("12:03"), "the account responds again", "main", kind=EventKind.RECOVERED)
    lines = event_lines((sold, *notices, alert, back), 80, 4)
    assert ["".join(text for text, _ in line).split("  ", 1)[1] for line in lines] == [
        "main: AAPL 18 Dec 26 200 C filled: 1 of 1 at $1.10",
        "orders of 8: stream connected",
        "error: main: alert: the stop is looser",
        "main: recovered: the account responds again",
    ]
    assert not event_lines((sold,), 80, 0)


def test_an_exit_in_progress_says_at_which_price_of_how_many_it_is() -> None:
    assert "closing 2/4" in drawn(WatchScreen(a_view()), 80)


def test_an_account_shows_the_days_profit_and_nothing_while_it_is_unknown() -> None:
    busy, live, old = a_view().accounts
    view = a_view(accounts=(replace(busy, realised=Decimal("-36.5")), replace(live, realised=Decimal(48)), old))
    shown = drawn(WatchScreen(view), 200)
    assert "today -$36.50" in shown
    assert "today +$48.00" in shown
    assert "today " not in drawn(WatchScreen(a_view()), 200)


def test_a_halt_is_shown_on_the_account_and_on_the_position_that_would_close() -> None:
    halted = decide(replace(a_snapshot(a_holding(bid="1.20", ask="1.22")), halted="earnings tonight"), a_policy())
    account = replace(a_view().accounts[0], plan=halted, halted="earnings tonight")
    shown = drawn(WatchScreen(a_view(accounts=(account,))), 80)
    assert "HALTED, no new orders: earnings tonight" in shown
    assert contract_text(CALL) in shown
    assert " halted " in shown


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_heads_fit_in_one_line_even_where_no_trigger_has_a_distance(width: int) -> None:
    unpriced = [a_holding(symbol, "2", "222.00", bid=None, ask=None) for symbol in (LONGEST, CALL)]
    account = AccountView(AccountFacts("main", "PA1"), Mode.PAPER, a_market(), a_plan(*unpriced))
    lines = drawn(WatchScreen(WatchView(at("12:00"), (account,))), width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert "nearest trigger" in lines[1]


@pytest.mark.parametrize(("width", "left_out"), [(80, {"value", "entry", "days"}), (120, set()), (200, set())])
def test_a_narrow_screen_leaves_columns_out_and_keeps_profit_and_state(width: int, left_out: set[str]) -> None:
    head = texts(a_view(), width)[1].split()
    assert set(HEADS) - set(head) == left_out
    assert {"P&L", "state"} <= set(head)


@pytest.mark.parametrize("width", [80, 200])
def test_what_nothing_protects_says_so_in_words_with_the_line_that_would_change_it(width: int) -> None:
    shown = " ".join(drawn(WatchScreen(a_view()), width, height=60).split())
    assert "1 NOT MANAGED" in shown
    words = "NOT MANAGED: rules cover options only; `applies_to: [option, stock]`"
    assert words[:40] in shown


def test_exempt_positions_are_counted_apart() -> None:
    snapshot = replace(a_snapshot(a_holding(), a_holding("MSFT")), exempt=frozenset({"MSFT"}))
    plan = explained(decide(snapshot, a_policy()), snapshot, a_policy())
    account = AccountView(AccountFacts("main", "PA1"), Mode.PAPER, a_market(), plan)
    shown = drawn(WatchScreen(WatchView(at("12:00"), (account,))), 120)
    assert "1 exempt" in shown
    assert "NOT MANAGED" not in shown
