import datetime as dt

import pytest

from sellctl.core.events import EventPublisher
from sellctl.core.model.event import Event, EventKind

NOON = dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC)


def test_a_listener_that_fails_does_not_reach_the_one_who_reports(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_event: Event) -> None:
        raise RuntimeError("no room on the screen")

    EventPublisher("main", lambda: NOON, broken)("AAPL", EventKind.SENT, "sell 1 limit $1.00")
    assert "A listener failed on: sell 1 limit $1.00" in caplog.text
