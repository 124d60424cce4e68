"""Two condors that were opened as two orders stay those two, in later polls, after a restart and on the next day."""

from e2e_scenes import a_day, at, ruled
from stage import Play, Stage
from test_e2e_streams import Watch

DATE = "AAPL261218"
OUTER = {f"{DATE}P00160000": 1, f"{DATE}P00175000": -1, f"{DATE}C00215000": -1, f"{DATE}C00230000": 1}
INNER = {f"{DATE}P00170000": 1, f"{DATE}P00180000": -1, f"{DATE}C00210000": -1, f"{DATE}C00220000": 1}
OPENED = {"AAPL-iron_condor-261218-160-175-215-230", "AAPL-iron_condor-261218-170-180-210-220"}
NARROWEST = {"AAPL-iron_condor-261218-160-180-210-230", "AAPL-iron_condor-261218-170-175-215-220"}
PRICES = {symbol: at("1.98", "2.00") if ratio < 0 else at("0.98", "1.00") for symbol, ratio in (OUTER | INNER).items()}
RULES = ruled("stop_loss: 900%", "{structure: iron_condor}").replace("{strategies", "{check_interval: 1, strategies")
NEXT_DAY = 24 * 60 * 60


def opened(stage: Stage) -> None:
    """Both condors are sold for a credit, each as one order of the user."""
    with stage.server.hold() as exchange:
        for condor in (OUTER, INNER):
            legs = [
                {
                    "symbol": symbol,
                    "ratio_qty": "1",
                    "side": "buy" if ratio > 0 else "sell",
                    "position_intent": "buy_to_open" if ratio > 0 else "sell_to_open",
                }
                for symbol, ratio in condor.items()
            ]
            terms = {"order_class": "mleg", "qty": "1", "type": "limit", "time_in_force": "day", "limit_price": "-1.50"}
            exchange.submit(exchange.accounts["main"], {**terms, "legs": legs})
    stage.server.advance(15)
    assert [stage.held(symbol) for symbol in OUTER | INNER] == list((OUTER | INNER).values())


def judged_as_one(stage: Stage) -> set[str]:
    shown = stage.run("positions", "--format", "json").document["accounts"][0]["structures"]
    return {each["name"] for each in shown if each["judged_as_one"]}


def test_what_is_opened_while_a_process_watches_stays_together_in_later_polls_and_after_restarts(play: Play) -> None:
    stage = play(a_day({}, PRICES))
    watch = Watch(stage, RULES)
    (watcher,) = watch.runtime.scheduler.watchers
    polls: set[float | None] = set()

    def is_recognised() -> bool:
        return set(watcher.positions.structures) == OPENED

    def has_polled_again() -> bool:
        polls.add(watcher.state.polled_at)
        return len(polls) > 2

    watch.play(lambda: opened(stage), is_recognised, has_polled_again, seconds=30)
    assert is_recognised()
    for seconds in (60, NEXT_DAY):
        stage.server.advance(seconds)
        assert stage.run("run-once").status == 0
        assert judged_as_one(stage) == OPENED
    assert stage.sent() == []


def test_where_no_process_has_seen_the_orders_the_narrowest_are_put_together(play: Play) -> None:
    stage = play(a_day({}, PRICES), RULES)
    opened(stage)
    stage.server.advance(NEXT_DAY)
    assert stage.run("run-once").status == 0
    assert judged_as_one(stage) == NARROWEST
