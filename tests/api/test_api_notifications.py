"""The watcher of `serve` notifies as that of `watch` does."""

import pytest
from api_stage import CALL, TARGET, Api, Play, until
from inbox import an_inbox

from sellctl.core.errors import SellctlError
from sellctl.core.model.instrument import contract_text
from sellctl.core.scheduler import AccountScheduler

pytest.importorskip("apprise")


def test_fills_a_halt_and_the_heartbeat_are_sent(play: Play) -> None:
    with an_inbox() as (box, port):

        async def played(api: Api) -> None:
            api.control.start()
            await until(lambda: len(box.arrived) == 2)
            api.control.halt("earnings", "tester")
            await until(lambda: len(box.arrived) == 3)

        play(played, TARGET, notified=port)
        assert sorted(box.arrived) == [
            "heartbeat",
            f"sellctl: filled | main: {contract_text(CALL)} filled: 3 of 3 at $1.20, +$60.00: target",
            "sellctl: halted | halted: halted by tester: earnings",
        ]


def test_a_watcher_that_fails_is_an_alert(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_arguments: object) -> None:
        raise SellctlError("The disk is gone.")

    monkeypatch.setattr(AccountScheduler, "watch", fails)
    with an_inbox() as (box, port):

        async def played(api: Api) -> None:
            api.control.start()
            await until(lambda: box.arrived)

        play(played, TARGET, notified=port)
        assert box.arrived == ["sellctl: alert | alert: The watcher has failed: The disk is gone."]
