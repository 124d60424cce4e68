import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

import pytest
from builders import a_holding, a_market, a_policy, a_snapshot, replace, the_decision
from hypothesis import given
from hypothesis import strategies as st

from sellctl.core.config.schema import AssetKind, PutAction, SellModuleConfig, ShortAction, ShortPositionsConfig
from sellctl.core.decision.engine import decide
from sellctl.core.model.instrument import instrument_of
from sellctl.core.model.plan import DecisionState, Reason, Urgency
from sellctl.core.model.position import ExitProgress, Holding, PositionState
from sellctl.core.model.snapshot import InvalidRow, Snapshot
from sellctl.core.structures.coverage import Cover, cover_of

NOV_CALL, DEC_CALL, DEC_CALL_HIGHER, JAN_CALL = (
    "AAPL261127C00200000",
    "AAPL261218C00200000",
    "AAPL261218C00220000",
    "AAPL270115C00200000",
)
DEC_MIDDLE = "AAPL261218C00210000"
DEC_PUT, JAN_PUT = "AAPL261218P00200000", "AAPL270115P00180000"


def short(symbol: str, qty: str = "1") -> Holding:
    return a_holding(symbol, qty, short=True)


@pytest.mark.parametrize(
    ("holdings", "uncovered"),
    [
        ((short(DEC_CALL),), "1"),
        ((short(DEC_CALL), a_holding("AAPL", "100")), "0"),
        ((short(DEC_CALL), a_holding("AAPL", "99.999")), "1"),
        ((short(DEC_CALL, "2"), a_holding("AAPL", "199")), "1"),
        ((short(DEC_CALL), a_holding("MSFT", "100")), "1"),
        ((short(DEC_CALL), a_holding(DEC_CALL_HIGHER)), "0"),  # the same last day
        ((short(DEC_CALL), a_holding(JAN_CALL)), "0"),  # a later one
        ((short(DEC_CALL), a_holding(NOV_CALL)), "1"),  # an earlier one
        ((short(DEC_CALL), a_holding(DEC_PUT)), "1"),  # another type
        ((short(DEC_CALL, "3"), a_holding(JAN_CALL), a_holding("AAPL", "100")), "1"),  # mixed, partial
        ((short(DEC_PUT), a_holding("AAPL", "100")), "1"),  # shares cover calls only
        ((short(DEC_PUT), a_holding(JAN_PUT)), "0"),
        ((short("AAPL1261218C00200000"), a_holding("AAPL", "100")), "1"),  # adjusted: 100 shares is a guess
        ((short("AAPL1261218C00200000"), a_holding(JAN_CALL)), "1"),
        ((short("AAPL1261218C00200000"), a_holding("AAPL1270115C00200000")), "0"),
        ((short("BRKB261218C00500000"), a_holding("BRK.B", "100")), "0"),
        ((short("SPXW261218C05900000"), a_holding("SPX270115C05900000")), "0"),  # one underlying, two roots
        ((short("SPXW261218C05900000"), a_holding("SPX261218C05900000")), "1"),  # SPX stops trading before SPXW
    ],
)
def test_a_short_is_covered_by_what_serves_as_long_as_it_lives(holdings: tuple[Holding, ...], uncovered: str) -> None:
    assert cover_of(holdings).uncovered[holdings[0].symbol] == Decimal(uncovered)


def test_the_longs_that_cover_and_what_leans_on_them_are_named() -> None:
    cover = cover_of((short(DEC_CALL, "2"), a_holding(JAN_CALL), a_holding("AAPL", "150")))
    assert cover.reserved == {JAN_CALL: Decimal(1), "AAPL": Decimal(100)}
    assert cover.shorts_by_long == {JAN_CALL: (DEC_CALL,), "AAPL": (DEC_CALL,)}
    assert cover.longs_by_short == {DEC_CALL: (JAN_CALL, "AAPL")}
    assert cover.contracts_covered_by_options == {DEC_CALL: Decimal(1)}


SHORTS = st.tuples(st.sampled_from([NOV_CALL, DEC_CALL, JAN_CALL, DEC_PUT]), st.integers(1, 3))
LONGS = st.tuples(
    st.sampled_from(["AAPL261127C00190000", DEC_CALL_HIGHER, "AAPL270115C00230000", JAN_PUT]), st.integers(1, 3)
)


@st.composite
def small_books(draw: st.DrawFn) -> tuple[Holding, ...]:
    shorts = dict(draw(st.lists(SHORTS, min_size=1, max_size=3)))
    longs = dict(draw(st.lists(LONGS, max_size=3)))
    shares = draw(st.sampled_from([0, 50, 100, 250]))
    book = [short(symbol, str(qty)) for symbol, qty in shorts.items()]
    book += [a_holding(symbol, str(qty)) for symbol, qty in longs.items()]
    book += [a_holding("AAPL", str(shares))] if shares else []
    return tuple(draw(st.permutations(book)))


@given(small_books())
def test_every_contract_is_either_covered_or_not_and_no_long_covers_twice(book: tuple[Holding, ...]) -> None:
    cover = cover_of(book)
    held = {h.symbol: h.position.qty for h in book}
    assert all(0 <= cover.uncovered[h.symbol] <= h.position.qty for h in book if not h.position.is_long)
    assert all(0 < qty <= held[symbol] for symbol, qty in cover.reserved.items())
    contracts = sum(qty / 100 if symbol == "AAPL" else qty for symbol, qty in cover.reserved.items())
    assert contracts + sum(cover.uncovered.values()) == sum(h.position.qty for h in book if not h.position.is_long)


@given(small_books())
def test_no_other_matching_covers_more(book: tuple[Holding, ...]) -> None:
    assert sum(cover_of(book).uncovered.values()) == _fewest_uncovered(book)


@given(small_books(), st.data())
def test_what_is_in_structures_covers_as_much_and_is_used_first(book: tuple[Holding, ...], data: st.DataObject) -> None:
    longs = [h for h in book if h.position.is_long]
    within = {
        h.symbol: Decimal(data.draw(st.integers(0, int(h.position.qty)))) for h in longs if data.draw(st.booleans())
    }
    cover, plain = cover_of(book, within), cover_of(book)
    assert sum(cover.uncovered.values()) == sum(plain.uncovered.values())
    held = {h.symbol: h.position.qty for h in longs}
    assert all(0 < qty <= held[symbol] for symbol, qty in cover.reserved.items())


def test_what_exceeds_a_structure_is_free_while_that_covers_its_own_short_legs() -> None:
    book = (a_holding(DEC_CALL, "2"), short(DEC_MIDDLE, "2"), a_holding(DEC_CALL_HIGHER, "1"))
    assert cover_of(book).reserved == {DEC_CALL: Decimal(2)}
    one_butterfly = {DEC_CALL: Decimal(1), DEC_MIDDLE: Decimal(2), DEC_CALL_HIGHER: Decimal(1)}
    assert cover_of(book, one_butterfly).reserved == {DEC_CALL: Decimal(1), DEC_CALL_HIGHER: Decimal(1)}
    assert cover_of(book, one_butterfly).uncovered == {DEC_MIDDLE: Decimal(0)}


@given(small_books(), st.randoms(use_true_random=False))
def test_the_order_of_the_holdings_changes_nothing(book: tuple[Holding, ...], chance: object) -> None:
    shuffled = list(book)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert cover_of(shuffled) == cover_of(book)


def _fewest_uncovered(book: Iterable[Holding]) -> int:
    """By trying, for each single contract, every single unit of cover."""
    everything = tuple(book)
    contracts = [h for h in everything if not h.position.is_long for _ in range(int(h.position.qty))]
    units = [h for h in everything if h.position.is_long for _ in range(_units(h))]
    best: dict[int, int] = {0: 0}  # units used (bit set) -> contracts covered
    for contract in contracts:
        for used, covered in list(best.items()):
            for place, unit in enumerate(units):
                if not used >> place & 1 and _serves(unit, contract):
                    after = used | 1 << place
                    best[after] = max(best.get(after, 0), covered + 1)
    return len(contracts) - max(best.values())


def _units(long: Holding) -> int:
    return int(long.position.qty) if long.position.instrument.is_option else int(long.position.qty // 100)


def _serves(long: Holding, contract: Holding) -> bool:
    mine, theirs = long.position.instrument.option, contract.position.instrument.option
    assert theirs is not None
    if mine is None:
        return theirs.right == "call"
    return mine.right is theirs.right and mine.expires >= theirs.expires


# --- what is decided about shorts -------------------------------------------------------------------------------------


def shorts_policy(
    action: ShortAction = ShortAction.CLOSE_UNCOVERED, puts: PutAction = PutAction.CLOSE, *assets: AssetKind
) -> SellModuleConfig:
    return SellModuleConfig(short_positions=ShortPositionsConfig(action, assets or (AssetKind.OPTION,), puts))


def test_an_uncovered_short_is_bought_back_at_the_ask() -> None:
    decision = the_decision(a_snapshot(short(DEC_CALL)))
    assert decision.signal is not None
    assert decision.submit is not None
    assert (decision.signal.reason, decision.signal.urgency) == (Reason.UNCOVERED_SHORT, Urgency.PROTECTIVE)
    assert (decision.submit.side, decision.submit.position_intent) == ("buy", "buy_to_close")
    assert decision.submit.limit_price == Decimal("1.02")
    assert decision.sentence.startswith("naked short contracts: 1; buy 1 limit $1.02")


def seen_once(symbol: str, qty: str = "1", known: str = "0") -> Holding:
    """A short that only the newest read of the positions shows as uncovered, but for what is known."""
    return replace(short(symbol, qty), state=PositionState(confirmed_uncovered=Decimal(known)))


def test_an_uncovered_short_is_bought_back_only_when_a_second_read_agrees() -> None:
    decision = the_decision(a_snapshot(seen_once(DEC_CALL)))
    assert (decision.state, decision.submit, decision.unconfirmed) == (DecisionState.DENIED, None, True)
    waits = "confirming: short without cover, waiting for a second read"
    assert decision.sentence == f"naked short contracts: 1; {waits}"
    assert decision.violations == (waits,)
    assert not decision.alert
    assert decide(a_snapshot(seen_once(DEC_CALL)), a_policy()).is_confirming_a_short


def test_what_was_known_to_be_uncovered_does_not_wait_for_the_rest() -> None:
    decision = the_decision(a_snapshot(seen_once(DEC_CALL, "3", known="1")))
    assert decision.submit is not None
    assert decision.submit.qty == 1


def test_nothing_waits_for_a_second_read_where_a_short_is_covered_or_leaves_anyway() -> None:
    covered = the_decision(a_snapshot(seen_once(DEC_CALL), a_holding("AAPL", "100")), symbol=DEC_CALL)
    assert covered.state is DecisionState.NOT_MANAGED
    seen = a_snapshot(seen_once(DEC_CALL))
    asked = the_decision(replace(seen, manual_closes=frozenset({DEC_CALL})))
    panic = the_decision(replace(seen, panic=frozenset({DEC_CALL})))
    every = the_decision(a_snapshot(seen_once(DEC_CALL)), a_policy(shorts_policy(ShortAction.CLOSE)))
    last_day = the_decision(a_snapshot(seen_once("AAPL261124C00200000"), market=a_market("15:00")))
    assert all(each.submit for each in (asked, panic, every, last_day))


def test_an_exit_that_is_under_way_is_continued_without_another_confirmation() -> None:
    under_way = ExitProgress("uncovered_short", Urgency.PROTECTIVE, 1, dt.timedelta(seconds=5), "sellctl-1")
    holding = replace(short(DEC_CALL), state=PositionState(exit=under_way))
    assert the_decision(a_snapshot(holding)).submit is not None


def test_while_the_market_is_closed_no_short_waits_for_a_second_read() -> None:
    decision = the_decision(a_snapshot(seen_once(DEC_CALL), market=a_market("17:00")))
    assert (decision.state, decision.unconfirmed) == (DecisionState.WATCHING, False)


def test_only_the_uncovered_part_is_bought_back() -> None:
    decision = the_decision(a_snapshot(short(DEC_CALL, "3"), a_holding("AAPL", "100")), symbol=DEC_CALL)
    assert decision.submit is not None
    assert decision.submit.qty == 2


def test_a_covered_call_is_held_and_says_by_what() -> None:
    decision = the_decision(a_snapshot(short(DEC_CALL), a_holding("AAPL", "100")), symbol=DEC_CALL)
    assert decision.state is DecisionState.NOT_MANAGED
    assert decision.sentence.startswith("NOT MANAGED: short, covered by AAPL; ")


@pytest.mark.parametrize(
    ("sell", "holding", "state", "words"),
    [
        (shorts_policy(ShortAction.IGNORE), short(DEC_CALL), DecisionState.NOT_MANAGED, "short options are ignored"),
        (shorts_policy(puts=PutAction.KEEP), short(DEC_PUT), DecisionState.NOT_MANAGED, "short put kept"),
        (shorts_policy(puts=PutAction.KEEP), short(DEC_CALL), DecisionState.CLOSING, "naked short contracts"),
        (
            shorts_policy(ShortAction.CLOSE, PutAction.KEEP),
            short(DEC_PUT),
            DecisionState.CLOSING,
            "closes every short",
        ),
        (
            shorts_policy(ShortAction.CLOSE_UNCOVERED, PutAction.CLOSE, AssetKind.STOCK),
            short(DEC_CALL),
            DecisionState.NOT_MANAGED,
            "short options are ignored",
        ),
        (
            shorts_policy(),
            short("AAPL", "5"),
            DecisionState.NOT_MANAGED,
            "NOT MANAGED: short stock; `assets: [option, stock]` under sell_module.short_positions has it bought back",
        ),
        (
            shorts_policy(ShortAction.CLOSE, PutAction.CLOSE, AssetKind.STOCK),
            short("AAPL", "5"),
            DecisionState.CLOSING,
            "closes every short",
        ),
    ],
)
def test_the_configuration_says_which_shorts_leave(
    sell: SellModuleConfig, holding: Holding, state: DecisionState, words: str
) -> None:
    decision = the_decision(a_snapshot(holding), a_policy(sell))
    assert decision.state is state
    assert words in decision.sentence


def test_closing_all_shorts_closes_covered_ones_too() -> None:
    snapshot = a_snapshot(short(DEC_CALL), a_holding("AAPL", "100"))
    assert the_decision(snapshot, a_policy(shorts_policy(ShortAction.CLOSE)), DEC_CALL).submit is not None


# --- covering legs (S7) -----------------------------------------------------------------------------------------------


def test_a_long_that_covers_a_short_never_leaves_alone() -> None:
    snapshot = a_snapshot(a_holding(JAN_CALL, bid="1.20", ask="1.22"), short(DEC_CALL))
    decision = the_decision(snapshot, symbol=JAN_CALL)
    assert (decision.state, decision.submit) == (DecisionState.DENIED, None)
    assert decision.violations == (f"1 of it cover {DEC_CALL}, which closes first",)


MISSING = "of it cover {}, which the last read of the positions lacks: waiting for another read"


@pytest.mark.parametrize(("long", "qty"), [(JAN_CALL, "1"), ("AAPL", "100")])
def test_a_long_whose_short_is_missing_in_one_read_waits_for_another(long: str, qty: str) -> None:
    asked = replace(a_snapshot(a_holding(long, qty)), manual_closes=frozenset({long}))
    snapshot = replace(asked, missing=(short(DEC_CALL).position,))
    decision = the_decision(snapshot)
    assert (decision.state, decision.submit, decision.unconfirmed) == (DecisionState.CLOSING, None, True)
    assert decision.sentence.endswith(f"{qty} {MISSING.format(DEC_CALL)}")
    assert the_decision(asked).submit is not None


def test_a_missing_short_that_a_long_does_not_cover_holds_it_up_in_nothing() -> None:
    snapshot = a_snapshot(a_holding(JAN_CALL, "2", bid="1.20", ask="1.22"))
    for symbol in (DEC_PUT, "MSFT261218C00400000"):
        assert the_decision(replace(snapshot, missing=(short(symbol).position,))).submit is not None
    allowed = a_policy(SellModuleConfig(allow_legging_out=True))
    assert the_decision(replace(snapshot, missing=(short(DEC_CALL).position,)), allowed).submit is not None


def test_a_missing_short_takes_no_cover_from_one_that_is_shown() -> None:
    snapshot = replace(a_snapshot(a_holding(JAN_CALL), seen_once(DEC_CALL)), missing=(short(DEC_CALL_HIGHER).position,))
    assert the_decision(snapshot, symbol=DEC_CALL).state is DecisionState.NOT_MANAGED


def test_what_of_a_long_covers_nothing_may_leave() -> None:
    snapshot = a_snapshot(a_holding(JAN_CALL, "3", bid="1.20", ask="1.22"), short(DEC_CALL, "2"))
    decision = the_decision(snapshot, symbol=JAN_CALL)
    assert decision.submit is not None
    assert decision.submit.qty == 1
    assert f"the rest is not sent: 2 of it cover {DEC_CALL}" in decision.sentence


def test_legging_out_can_be_allowed() -> None:
    snapshot = a_snapshot(a_holding(JAN_CALL, bid="1.20", ask="1.22"), short(DEC_CALL))
    assert the_decision(snapshot, a_policy(SellModuleConfig(allow_legging_out=True)), JAN_CALL).submit is not None


def test_the_long_leg_may_leave_once_the_short_one_is_gone() -> None:
    assert the_decision(a_snapshot(a_holding(JAN_CALL, bid="1.20", ask="1.22"))).submit is not None


# --- cover that can't be seen -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("invalid", ["AAPL", JAN_CALL, ""])
def test_a_row_that_could_not_be_read_may_be_the_cover_so_the_short_is_not_bought_back(invalid: str) -> None:
    decision = the_decision(_with_an_invalid_row(a_snapshot(short(DEC_CALL)), invalid))
    assert (decision.state, decision.submit, decision.alert) == (DecisionState.FAULT, None, True)
    assert "one that can't be read may" in decision.sentence


def test_a_row_of_a_class_with_a_new_name_may_be_the_cover_too() -> None:
    long = a_holding(JAN_CALL)
    strange = replace(long, position=replace(long.position, instrument=instrument_of(JAN_CALL, "something_new")))
    decision = the_decision(a_snapshot(strange, short(DEC_CALL)), symbol=DEC_CALL)
    assert (decision.state, decision.submit, decision.alert) == (DecisionState.FAULT, None, True)


def test_a_spoiled_row_of_another_underlying_changes_nothing() -> None:
    assert the_decision(_with_an_invalid_row(a_snapshot(short(DEC_CALL)), "MSFT")).submit is not None


def test_an_order_that_could_not_be_read_covers_nothing() -> None:
    unread = (InvalidRow("AAPL", "its status is not text", is_order=True),)
    assert the_decision(replace(a_snapshot(short(DEC_CALL)), invalid=unread)).submit is not None


def _with_an_invalid_row(snapshot: Snapshot, symbol: str) -> Snapshot:
    return Snapshot(
        snapshot.account,
        snapshot.market,
        snapshot.holdings,
        snapshot.orders,
        snapshot.positions_at,
        snapshot.history,
        (InvalidRow(symbol, "qty is 'abc'"),),
    )


def test_cover_is_a_value() -> None:
    assert cover_of(()) == Cover({}, {}, {}, {}, {})
