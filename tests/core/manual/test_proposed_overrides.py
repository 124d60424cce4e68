"""What setting rules by hand would do is known, and what is dangerous about it, before anything is set."""

from decimal import Decimal

import pytest
from builders import CALL, a_holding, a_policy, a_snapshot, at, replace

from sellctl.core.errors import ConfigError
from sellctl.core.manual.proposed_overrides import ProposedOverride, check_change, proposed_override, shown_of
from sellctl.core.model.plan import Reason
from sellctl.core.model.position import AT_ENTRY, Holding, Override, OverrideChange


def proposed(change: OverrideChange, holding: Holding | None = None) -> ProposedOverride:
    snapshot = a_snapshot(holding or a_holding(qty="3"))
    return proposed_override(snapshot, a_policy(), CALL, change, "alice")


def test_a_tighter_stop_needs_no_confirmation() -> None:
    change = proposed(OverrideChange(stop="10%"))
    assert change.warnings == ()
    assert [(t.reason, t.price) for t in change.triggers_before] == [
        (Reason.STOP_LOSS, Decimal("0.80")),
        (Reason.TAKE_PROFIT, Decimal("1.10")),
    ]
    assert [(t.reason, t.price) for t in change.triggers] == [
        (Reason.STOP_LOSS, Decimal("0.90")),
        (Reason.TAKE_PROFIT, Decimal("1.10")),
    ]


def test_a_looser_stop_says_how_much_more_can_be_lost() -> None:
    (warning,) = proposed(OverrideChange(stop="30%")).warnings
    assert warning == "Its stop moves away from the price, from $0.80 to $0.70: $30.00 more can be lost."


def test_clearing_a_tight_stop_is_moving_it_away() -> None:
    holding = a_holding(qty="3")
    holding = replace(holding, state=replace(holding.state, override=Override("bob", at("11:00"), stop="5%")))
    change = proposed(OverrideChange(clear=True), holding)
    assert change.after is None
    assert "from $0.95 to $0.80" in change.warnings[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (OverrideChange(stop="price 1.05"), "stop price 1.05: mid $1.01 is at or below the stop $1.05"),
        (OverrideChange(target="price 0.90"), "is at or above the target $0.90"),
        (OverrideChange(target="price 1.00"), "is at or above the target $1.00"),
    ],
)
def test_what_would_close_it_at_once_says_so(change: OverrideChange, says: str) -> None:
    (warning,) = proposed(change).warnings
    assert warning.startswith("It is closed at once: ")
    assert says in warning


def test_a_target_that_is_met_anyway_is_no_news() -> None:
    met = a_holding(qty="3", bid="1.20", ask="1.22")
    assert proposed(OverrideChange(stop="15%"), met).warnings == ()


def test_changes_add_up_and_the_last_author_counts() -> None:
    holding = a_holding()
    earlier = Override("bob", at("11:00"), stop="15%", until=at("15:00"))
    holding = replace(holding, state=replace(holding.state, override=earlier))
    change = proposed(OverrideChange(target="50%"), holding)
    assert change.before == earlier
    assert change.after == Override("alice", at("12:00"), stop="15%", target="50%", until=at("15:00"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (OverrideChange(), "Nothing is to be set."),
        (OverrideChange(stop="25%", clear=True), "Clearing leaves nothing to set."),
        (OverrideChange(stop="25"), "stop: '25' has no unit."),
        (OverrideChange(stop="-25%"), "stop: '-25%' isn't above 0."),
        (OverrideChange(stop="0%"), "stop: '0%' isn't above 0."),
        (OverrideChange(target="price 0"), "target: 'price 0' isn't above 0."),
        (OverrideChange(trail="10"), "trail: '10' isn't a pullback."),
        (OverrideChange(stop="nan%"), "stop: "),
        (OverrideChange(stop="9" * 4096), "stop: "),
    ],
)
def test_what_cannot_be_set_is_one_sentence(change: OverrideChange, says: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_change(change)
    assert says in error.value.sentence
    assert len(str(error.value)) < 400


def test_an_end_alone_needs_something_that_is_set() -> None:
    with pytest.raises(ConfigError, match="Nothing is set for"):
        proposed(OverrideChange(until=at("15:00")))
    with pytest.raises(ConfigError, match="Nothing is set for"):
        proposed(OverrideChange(clear=True))


def test_without_an_entry_price_only_prices_can_be_set() -> None:
    unknown = a_holding(entry=None)
    for change in (OverrideChange(stop="25%"), OverrideChange(stop=AT_ENTRY), OverrideChange(trail="10%")):
        with pytest.raises(ConfigError, match=r"entry price of .* is unknown"):
            proposed(change, unknown)
    assert proposed(OverrideChange(stop="price 0.50"), unknown).warnings == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (OverrideChange(stop="1000%"), r"This stop would be at -\$9.00, which the price of .* never reaches."),
        (OverrideChange(stop="100%"), r"This stop would be at \$0.00"),
        (OverrideChange(trail="100%"), r"A trailing stop of 100% or more never closes"),
    ],
)
def test_what_would_never_close_it_is_refused(change: OverrideChange, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        proposed(change)


def test_a_trailing_stop_in_points_may_be_out_of_reach_at_first() -> None:
    assert proposed(OverrideChange(trail="150pt")).after is not None


def test_a_target_below_zero_is_refused_for_a_short_and_a_stop_of_three_times_its_price_is_not() -> None:
    short = a_holding(qty="3", short=True)
    with pytest.raises(ConfigError, match=r"This target would be at -\$0.50"):
        proposed(OverrideChange(target="150%"), short)
    assert proposed(OverrideChange(stop="200%", trail="150%"), short).after is not None


def test_that_it_is_exempt_is_said() -> None:
    snapshot = replace(a_snapshot(a_holding()), exempt=frozenset({"AAPL"}))
    change = proposed_override(snapshot, a_policy(), CALL, OverrideChange(stop="10%"), "alice")
    assert change.notes == ("It is exempt: no rule closes it until that has ended.",)


def test_what_was_shown_is_the_same_until_the_position_its_rules_or_the_warnings_change() -> None:
    holding, change = a_holding(qty="3"), OverrideChange(stop="10%")
    shown = shown_of([proposed(change, holding)])
    assert shown_of([proposed(change, holding)]) == shown
    cheaper = a_holding(qty="3", bid="0.85", ask="0.87")
    by_bob = replace(holding, state=replace(holding.state, override=Override("bob", at("11:00"), target="50%")))
    anew = replace(holding, state=replace(holding.state, first_seen=at("11:59")))
    for other in (a_holding(qty="2"), a_holding(qty="3", entry="1.01"), cheaper, by_bob, anew):
        assert shown_of([proposed(change, other)]) != shown
    assert shown_of([proposed(change, anew)], elsewhere=True) == shown_of([proposed(change, holding)], elsewhere=True)


def test_a_stop_that_closes_at_once_by_now_is_no_stop_that_only_moves_away() -> None:
    away = proposed(OverrideChange(stop="30%"), a_holding(qty="3"))
    at_once = proposed(OverrideChange(target="price 0.5"), a_holding(qty="3"))
    assert (len(away.warnings), len(at_once.warnings)) == (1, 1)
    assert (away.at_once, at_once.loosened) == ((), ())


def test_an_end_that_has_passed_since_it_was_read_sets_nothing() -> None:
    with pytest.raises(ConfigError, match="has passed: it is Tue 24 Nov 2026 12:00 ET now"):
        proposed(OverrideChange(stop="10%", until=at("12:00")))
