"""What of a plan is published, and how often."""

import datetime as dt
from decimal import Decimal

import pytest
from builders import CALL, CALL_TEXT, a_holding, at, replace
from shell_fakes import FakeJournal
from structure_builders import CONDOR, call

from sellctl.core.events import EventPublisher
from sellctl.core.model.event import Event, EventKind, Severity
from sellctl.core.model.plan import (
    DecisionState,
    ExitSignal,
    Plan,
    PositionDecision,
    Reason,
    Urgency,
    halt_violation,
)
from sellctl.core.model.position import Prices
from sellctl.core.watching.plan_announcer import BLOCK_OVER, PlanAnnouncer

HOLDING = a_holding()
Decisions = tuple[PositionDecision, ...]


class Hearing:
    """An announcer and everything that it published."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.journal = FakeJournal()
        self.now = at("12:00")
        publish = EventPublisher("main", lambda: self.now, self.events.append, self.journal)
        self.announcer = PlanAnnouncer(publish)

    def announce(
        self, *decisions: PositionDecision, faults: tuple[str, ...] = (), guard_problem: str = ""
    ) -> list[str]:
        """What is published of a plan with these decisions."""
        self.events.clear()
        self.announcer.announce(Plan("main", at("12:00"), decisions, faults=faults, guard_problem=guard_problem))
        return [event.sentence for event in self.events]


def a_decision(
    state: DecisionState, sentence: str = "why", reason: Reason | None = Reason.STOP_LOSS, **more: object
) -> PositionDecision:
    urgency = Urgency.PROFIT if reason is Reason.TAKE_PROFIT else Urgency.PROTECTIVE
    signal = ExitSignal(HOLDING, HOLDING.position.qty, reason, "detail", urgency) if reason else None
    return PositionDecision(HOLDING, state, sentence, signal=signal, **more)  # type: ignore[arg-type]


HELD = a_decision(DecisionState.WATCHING, reason=None)


@pytest.mark.parametrize(
    ("state", "reason", "kind", "severity"),
    [
        (DecisionState.BLOCKED, Reason.STOP_LOSS, EventKind.BLOCKED, Severity.CRITICAL),
        (DecisionState.BLOCKED, Reason.TAKE_PROFIT, EventKind.BLOCKED, Severity.INFO),
        (DecisionState.DENIED, Reason.STOP_LOSS, EventKind.DENIED, Severity.WARNING),
        (DecisionState.DENIED, Reason.TAKE_PROFIT, EventKind.DENIED, Severity.INFO),
        (DecisionState.FAULT, None, EventKind.DEGRADED, Severity.WARNING),
    ],
)
def test_an_obstacle_is_published_by_its_urgency(
    state: DecisionState, reason: Reason | None, kind: EventKind, severity: Severity
) -> None:
    hearing = Hearing()
    assert hearing.announce(a_decision(state, reason=reason)) == [f"{CALL_TEXT} {kind}: why"]
    assert hearing.events[0].severity is severity


def test_an_obstacle_is_published_once_until_its_reason_changes_however_it_is_worded() -> None:
    hearing = Hearing()
    assert hearing.announce(a_decision(DecisionState.DENIED, "quote is 61 s old"))
    assert not hearing.announce(a_decision(DecisionState.DENIED, "quote is 62 s old"))
    assert hearing.announce(a_decision(DecisionState.DENIED, "quote is 63 s old", Reason.TRAILING_STOP))


def test_an_obstacle_that_comes_back_is_published_again() -> None:
    hearing = Hearing()
    hearing.announce(a_decision(DecisionState.DENIED))
    assert not hearing.announce(HELD)
    assert hearing.announce(a_decision(DecisionState.DENIED))


def test_a_block_whose_target_toggles_is_published_once_until_it_has_been_over_for_a_minute() -> None:
    hearing, blocked = Hearing(), a_decision(DecisionState.BLOCKED, "blocked by your order", Reason.TAKE_PROFIT)
    assert hearing.announce(blocked)
    for _ in range(4):
        hearing.now += dt.timedelta(seconds=20)
        assert not hearing.announce(HELD)
        hearing.now += dt.timedelta(seconds=20)
        assert not hearing.announce(blocked)
    assert hearing.announce(a_decision(DecisionState.BLOCKED, "blocked by your order", Reason.STOP_LOSS))
    assert not hearing.announce(HELD)
    hearing.now += BLOCK_OVER
    assert not hearing.announce(HELD)
    assert hearing.announce(blocked)


def test_what_waits_for_a_second_quote_is_no_news() -> None:
    assert not Hearing().announce(a_decision(DecisionState.DENIED, unconfirmed=True))


def test_an_alert_on_what_stays_is_published_once_until_it_is_over() -> None:
    hearing, alert = Hearing(), a_decision(DecisionState.WATCHING, "a spread too wide", None, alert=True)
    assert hearing.announce(alert) == [f"{CALL_TEXT} alert: a spread too wide"]
    assert not hearing.announce(alert)
    assert not hearing.announce(HELD)
    assert hearing.announce(alert)


def test_an_exit_that_is_overdue_is_critical_and_again_with_each_count() -> None:
    hearing = Hearing()
    counts = (1, 1, 2)
    heard = [
        len(hearing.announce(a_decision(DecisionState.CLOSING, overdue=count, unconfirmed=True))) for count in counts
    ]
    assert heard == [1, 0, 1]
    assert hearing.events[0].severity is Severity.CRITICAL
    assert hearing.events[0].text == "still not closed: why"


NAME = "AAPL-iron_condor-261218-170-180-210-220"


def a_condor(state: DecisionState, *, as_one: str = NAME, overdue: tuple[int, ...] = (0,), **more: object) -> Decisions:
    """The decisions on the legs of a condor; the first short one sends its order."""
    legs = [a_holding(symbol, short=qty < 0) for symbol, qty in CONDOR.items()]
    lead = call(210)
    return tuple(
        replace(
            a_decision(state, "why" if leg.symbol == lead else f"why (with {lead})", **more),  # type: ignore[arg-type]
            holding=leg,
            as_one=as_one,
            overdue=overdue[index % len(overdue)],
        )
        for index, leg in enumerate(legs)
    )


@pytest.mark.parametrize("state", [DecisionState.BLOCKED, DecisionState.DENIED, DecisionState.FAULT])
def test_an_obstacle_of_a_structure_that_leaves_as_one_order_is_published_once_under_its_name(
    state: DecisionState,
) -> None:
    hearing = Hearing()
    (told,) = hearing.announce(*a_condor(state))
    assert told.startswith(NAME)
    assert told.endswith(": why")
    assert not hearing.announce(*a_condor(state))
    assert not hearing.announce()  # a plan of another underlying
    assert not hearing.announce(*a_condor(state))


def test_an_obstacle_of_a_structure_that_comes_back_is_published_again() -> None:
    hearing = Hearing()
    hearing.announce(*a_condor(DecisionState.DENIED))
    assert not hearing.announce(*a_condor(DecisionState.WATCHING, as_one="", reason=None))
    assert len(hearing.announce(*a_condor(DecisionState.DENIED))) == 1


def test_an_overdue_exit_of_a_structure_is_one_alert_with_its_name_again_with_each_count() -> None:
    hearing = Hearing()
    counts: tuple[tuple[int, ...], ...] = ((0, 1), (1,), (1, 1, 2))
    heard = [hearing.announce(*a_condor(DecisionState.CLOSING, overdue=each)) for each in counts]
    assert heard == [[f"{NAME} alert: still not closed: why"], [], [f"{NAME} alert: still not closed: why"]]


def test_an_alert_on_a_structure_that_leaves_as_one_order_is_one() -> None:
    hearing = Hearing()
    assert hearing.announce(*a_condor(DecisionState.CLOSING, alert=True)) == [f"{NAME} alert: why"]
    assert not hearing.announce(*a_condor(DecisionState.CLOSING, alert=True))


def test_by_legs_each_has_its_own() -> None:
    assert len(Hearing().announce(*a_condor(DecisionState.BLOCKED, as_one=""))) == 4


def test_a_fault_of_a_strategy_is_published_once() -> None:
    hearing = Hearing()
    assert hearing.announce(faults=("strategy mine: KeyError",)) == ["degraded: strategy mine: KeyError"]
    assert not hearing.announce(faults=("strategy mine: KeyError",))


def test_an_account_guard_that_cannot_fire_is_an_alert_once_until_it_can_again() -> None:
    hearing, why = Hearing(), "the account guard can't be evaluated"
    assert hearing.announce(faults=(why,), guard_problem=why) == [f"alert: {why}"]
    assert hearing.events[0].severity is Severity.ERROR
    assert not hearing.announce(faults=(why,), guard_problem=why)
    assert hearing.announce() == ["recovered: the account guard can be evaluated again"]
    assert hearing.announce(faults=(why,), guard_problem=why)


@pytest.mark.parametrize("is_recorded", [True, False])
def test_suspended_rules_are_published_and_are_evidence_where_something_may_be_sent(*, is_recorded: bool) -> None:
    hearing = Hearing()
    hearing.announcer.announce_suspended([(CALL, "a split of AAPL")], "sellctl -c a.yml", is_recorded=is_recorded)
    (event,) = hearing.events
    assert event.sentence == (
        f"{CALL_TEXT} alert: its rules are suspended: a split of AAPL; `sellctl -c a.yml manage {CALL}` resumes them"
    )
    assert bool(hearing.journal.notes) is is_recorded


def test_lost_quotes_are_told_once_and_so_is_their_return() -> None:
    hearing = Hearing()
    lost = a_decision(DecisionState.NO_QUOTE, "no usable quote for 5 min", None, alert=True, unquoted="no ask")
    closing = a_decision(DecisionState.CLOSING, unquoted="no ask")
    usable = replace(HELD, holding=replace(HOLDING, prices=Prices(Decimal(1), Decimal(1), "")))
    assert hearing.announce(lost) == [f"{CALL_TEXT} alert: no usable quote for 5 min"]
    assert not hearing.announce(replace(lost, sentence="no usable quote for 6 min"))
    assert not hearing.announce(closing)
    assert hearing.announce(usable) == [f"{CALL_TEXT} recovered: its quotes are usable again"]
    assert hearing.announce(lost)


def test_the_lost_quotes_of_a_position_that_is_gone_do_not_return() -> None:
    hearing = Hearing()
    hearing.announce(a_decision(DecisionState.NO_QUOTE, "no usable quote", None, alert=True, unquoted="no ask"))
    assert not hearing.announce()


def test_an_exit_that_is_refused_right_after_its_second_quote_is_published() -> None:
    hearing = Hearing()
    hearing.announce(a_decision(DecisionState.DENIED, "confirming the stop", unconfirmed=True))
    assert hearing.announce(a_decision(DecisionState.DENIED, "not sent: the spread is wide")) == [
        f"{CALL_TEXT} denied: not sent: the spread is wide"
    ]


@pytest.mark.parametrize("reason", [Reason.STOP_LOSS, Reason.TAKE_PROFIT])
def test_an_exit_that_a_halt_keeps_back_is_published_as_halted_also_after_another_refusal(reason: Reason) -> None:
    hearing = Hearing()
    wide = a_decision(DecisionState.DENIED, "not sent: the spread is wide", reason, violations=("the spread is wide",))
    halted = a_decision(
        DecisionState.DENIED, "not sent: halted (earnings)", reason, violations=(halt_violation("earnings"),)
    )
    assert hearing.announce(wide) == [f"{CALL_TEXT} denied: not sent: the spread is wide"]
    assert hearing.announce(halted) == [f"{CALL_TEXT} halted: not sent: halted (earnings)"]
    assert hearing.announce(halted) == []
    assert hearing.announce(HELD) == []
    assert hearing.announce(halted) == [f"{CALL_TEXT} halted: not sent: halted (earnings)"]
