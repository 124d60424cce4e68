import pytest
from builders import a_holding, a_market, a_snapshot, at, our_order, replace, the_decision

from sellctl.core.model.market import Market
from sellctl.core.model.plan import DecisionState

TARGET, STOP = {"bid": "1.20", "ask": "1.22"}, {"bid": "0.70", "ask": "0.72"}


@pytest.mark.parametrize(
    ("clock", "sides", "fires"),
    [
        ("09:30", STOP, False),
        ("09:30:59", STOP, False),
        ("09:31", STOP, True),
        ("09:30", TARGET, True),
        ("15:59:54", STOP, True),
        ("15:59:55", STOP, False),
        ("15:59:54", TARGET, True),
        ("15:59:55", TARGET, False),
    ],
)
def test_stops_wait_a_minute_and_the_last_seconds_start_no_price_exit(
    clock: str, sides: dict[str, str], *, fires: bool
) -> None:
    decision = the_decision(a_snapshot(a_holding(**sides), market=a_market(clock)))  # type: ignore[arg-type]
    assert (decision.submit is not None) is fires
    if not fires:
        assert "of the session" in decision.sentence


@pytest.mark.parametrize("clock", ["09:29:59", "16:00", "20:00"])
def test_outside_the_session_nothing_is_sent(clock: str) -> None:
    decision = the_decision(a_snapshot(a_holding(**STOP), market=a_market(clock)))  # type: ignore[arg-type]
    assert (decision.state, decision.sentence) == (DecisionState.WATCHING, "the market is closed")


@pytest.mark.parametrize("sides", [TARGET, STOP])
def test_a_clock_and_a_calendar_that_disagree_pause_price_exits(sides: dict[str, str]) -> None:
    decision = the_decision(a_snapshot(a_holding(**sides), market=a_market(confirmed=False)))  # type: ignore[arg-type]
    assert decision.sentence == "clock and calendar disagree: price exits are paused"


def test_they_do_not_pause_the_cover_of_an_uncovered_short() -> None:
    assert the_decision(a_snapshot(a_holding(short=True), market=a_market(confirmed=False))).submit is not None


def test_an_unknown_open_is_no_first_minute() -> None:
    assert the_decision(a_snapshot(a_holding(**STOP), market=replace(a_market(), opened_at=None))).submit is not None  # type: ignore[arg-type]


def test_an_open_market_of_unknown_length_still_lets_price_exits_out() -> None:
    endless = Market(at("12:00"), is_open=True, closes_at=None)
    assert the_decision(a_snapshot(a_holding(**STOP), market=endless)).submit is not None  # type: ignore[arg-type]


def test_after_the_close_a_working_order_of_ours_is_still_shown() -> None:
    decision = the_decision(a_snapshot(a_holding(), orders=(our_order(),), market=a_market("16:30")))
    assert decision.state is DecisionState.CLOSING
    assert decision.cancel_first == ()
    assert "sell 1 limit $1.50 is working (new)" in decision.sentence
