"""`GET /metrics`: Prometheus' text, behind the rules of the other routes, and only where it is switched on."""

import pytest
from api_stage import HELD, Api, Play, a_token

from sellctl.api.application import METRICS

ON = {"prometheus": True}


async def polled(api: Api) -> str:
    await api.post("/run-once")
    answer = await api.call("GET", METRICS, token=a_token("viewer"))
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.body.decode()


def test_a_viewer_reads_the_metrics_of_the_last_poll(play: Play) -> None:
    async def test(api: Api) -> None:
        lines = (await polled(api)).splitlines()
        assert 'sellctl_polls_total{account="main"} 1.0' in lines
        assert 'sellctl_positions{account="main"} 1.0' in lines
        assert any(line.startswith('sellctl_view_age_seconds{account="main"} ') for line in lines)
        assert any(line.startswith('sellctl_budget_left{account="main",api="trading"} ') for line in lines)

    play(test, HELD, **ON)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"token": None}, 401),
        ({"token": "nonsense"}, 401),
        ({"peer": "203.0.113.1"}, 403),
        ({"headers": {"host": "rebound.example"}}, 421),
    ],
)
def test_the_rules_of_the_other_routes_hold(play: Play, more: dict[str, object], status: int) -> None:
    async def test(api: Api) -> None:
        answer = await api.call("GET", METRICS, **more)  # type: ignore[arg-type]
        assert answer.status == status
        assert b"sellctl_" not in answer.body

    play(test, HELD, **ON)


def test_without_the_switch_there_is_no_such_route(play: Play) -> None:
    async def test(api: Api) -> None:
        assert (await api.call("GET", METRICS)).status == 404
        assert api.control.runtime.telemetry is None

    play(test, HELD)


def test_neither_a_key_nor_the_number_of_an_account_nor_a_symbol_is_a_label(play: Play) -> None:
    async def test(api: Api) -> None:
        text = await polled(api)
        assert not [word for word in ("canary", "PA1", "AAPL") if word in text]

    play(test, HELD, **ON)
