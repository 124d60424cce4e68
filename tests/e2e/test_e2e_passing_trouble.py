import pytest
from stage import Play

CALL = "AAPL261218C00200000"
TARGET = """
    start: "2026-11-24 12:00"
    accounts:
      main:
        key: k
        secret: s
        number: PA1
        positions: [{symbol: AAPL261218C00200000, qty: 3, entry: 1.00}]
    prices:
      AAPL261218C00200000: [{fixed: {bid: 1.10, ask: 1.12}}]
    misbehaviours:
      - {name: H05, times: 1, path: "PATH"}
"""


@pytest.mark.parametrize("path", ["/v2/clock", "/v2/account", "/v2/positions", "/v2/orders"])
def test_one_bad_answer_does_not_cost_the_run(play: Play, path: str) -> None:
    stage = play(TARGET.replace("PATH", path))
    assert stage.run("run-once").status == 0
    assert stage.held(CALL) == 0
