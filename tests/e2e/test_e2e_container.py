"""The container's health check says whether a watcher works."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable

from container_file import last
from stage import Play, Stage, end_of, three_calls

CHECK = last("HEALTHCHECK").partition("CMD ")[2]
PATIENCE = 60.0


def is_healthy(stage: Stage) -> bool:
    """What the check of the container would answer if this state folder were its volume."""
    script = CHECK.replace(last("VOLUME"), shlex.quote(str(stage.state)))
    return subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=False).returncode == 0  # noqa: S603  ours


def until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < ends, "it never came to pass"
        time.sleep(0.05)


def test_a_watcher_is_healthy_while_it_checks_its_accounts(play: Play) -> None:
    stage = play(three_calls(), "sell_module: {check_interval: 1}", speed=1)
    stage.state.mkdir(mode=0o700)
    assert not is_healthy(stage)
    watcher = stage.spawn("watch", "--format", "log")
    until(lambda: is_healthy(stage))
    [holder] = stage.state.glob("account-*.holder")
    os.utime(holder, (0, 0))  # as if its last check had been long ago
    until(lambda: is_healthy(stage))
    watcher.send_signal(signal.SIGTERM)
    assert end_of(watcher).status == 0
    assert not is_healthy(stage)


def test_a_watcher_that_hangs_is_unhealthy(play: Play) -> None:
    stage = play(three_calls(), "sell_module: {check_interval: 1}", speed=1)
    watcher = stage.spawn("watch", "--format", "log")
    until(lambda: list(stage.state.glob("account-*.holder")))
    watcher.send_signal(signal.SIGSTOP)
    [holder] = stage.state.glob("account-*.holder")
    minutes_ago = time.time() - 240
    os.utime(holder, (minutes_ago, minutes_ago))
    assert not is_healthy(stage)
    watcher.kill()
    assert end_of(watcher).status == -signal.SIGKILL
