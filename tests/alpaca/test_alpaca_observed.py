"""Each request is told to an observer once it has ended: what it did, how it ended, and which order it sent."""

import json

import pytest
from alpaca_stand_in import OPTION, PATHS, PATIENT, Answer, StandIn, a_config, cancel, caught, read, run, submit

from sellctl.alpaca.connect import Connected, connect
from sellctl.core.ports import RequestMade


def observed(url: str, made: list[RequestMade]) -> Connected:
    return connect(a_config(url), PATIENT, observe=made.append)


def test_a_request_is_told_with_its_account_and_its_time(stand_in: StandIn) -> None:
    stand_in.on("/v2/positions", Answer("[]"))
    made: list[RequestMade] = []
    adapters = observed(stand_in.url, made)
    run(adapters.brokers["a"].positions())
    adapters.close()
    [one] = made
    assert (one.account, one.operation, one.outcome, one.client_order_id) == ("a", "read", "ok", "")
    assert 0 < one.seconds < 10


@pytest.mark.parametrize(
    ("call", "status", "operation", "outcome"),
    [
        (read, 500, "read", "unknown"),
        (read, 401, "read", "key refused"),
        (submit, 422, "submit", "rejected"),
        (submit, 500, "submit", "unknown"),
        (cancel, 422, "cancel", "rejected"),
    ],
)
def test_how_a_request_failed_is_told_without_a_word_of_the_answer(
    stand_in: StandIn, call: object, status: int, operation: str, outcome: str
) -> None:
    stand_in.on(PATHS[call], Answer(json.dumps({"code": 1, "message": "canary"}), status))
    made: list[RequestMade] = []
    adapters = observed(stand_in.url, made)
    call(adapters.brokers["a"])  # type: ignore[operator]
    adapters.close()
    assert [(one.operation, one.outcome) for one in made] == [(operation, outcome)]
    assert made[0].client_order_id == (OPTION.client_order_id if operation == "submit" else "")
    assert "canary" not in repr(made)


def test_what_the_budget_holds_back_is_told_too(stand_in: StandIn) -> None:
    made: list[RequestMade] = []
    adapters = observed(stand_in.url, made)
    client = adapters._clients["a", "trading"]  # noqa: SLF001  whose budget the test spends
    while client.budget.take(for_order=True) == 0:
        continue
    caught(adapters.brokers["a"].positions())
    assert [one.outcome for one in made] == ["held back"]
    assert adapters.budgets_left()["a", "trading"] == 0
    adapters.close()
