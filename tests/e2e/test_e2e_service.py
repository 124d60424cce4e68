"""The service: its unit file, notifications to the service manager, and reloads, which loosen nothing silently."""

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from stage import CALL, Play, three_calls

from sellctl.bootstrap import RunOptions, Runtime, assemble
from sellctl.core.config_manager import ConfigManager
from sellctl.core.model.account_state import RunMode
from sellctl.service.options import Options
from sellctl.service.reload import reload
from sellctl.service.systemd import sd_notify

if TYPE_CHECKING:
    from sellctl.core.model.event import Event

CONTRIB = Path(__file__).parents[2] / "contrib"
ANALYZE = shutil.which("systemd-analyze")
HELD = three_calls()
HIGHER = "AAPL261218C00210000"


@pytest.mark.skipif(ANALYZE is None, reason="Debian's package systemd is not installed")
def test_systemd_accepts_the_unit_file(tmp_path: Path) -> None:
    unit = tmp_path / "sellctl.service"
    unit.write_text((CONTRIB / "sellctl.service").read_text())
    result = subprocess.run(  # noqa: S603  systemd's own tool on our own file
        [str(ANALYZE), "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, timeout=30
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.skipif(ANALYZE is None, reason="Debian's package systemd is not installed")
def test_the_unit_is_exposed_to_little(tmp_path: Path) -> None:
    """At most 2.0 of 10; what remains is that it needs the network."""
    unit = tmp_path / "sellctl.service"
    unit.write_text((CONTRIB / "sellctl.service").read_text())
    words = [str(ANALYZE), "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)]
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603  systemd's own
    assert result.returncode == 0, result.stdout


def test_too_low_a_limit_of_open_files_is_warned_of(play: Play) -> None:
    stage = play(HELD)
    program = [sys.executable, "-c", "from sellctl.app import main; main()"]
    words = [*program, "--config", str(stage.config), "--state-dir", str(stage.state), "run-once"]
    limited = ["/bin/sh", "-c", 'ulimit -n 200; exec "$@"', "sh", *words]
    result = subprocess.run(limited, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603  our own program
    assert result.returncode == 0, result.stderr
    assert "1 account needs up to 264 open files, and the limit is 200" in result.stderr


def test_the_service_manager_is_notified_and_a_missing_one_is_ignored(tmp_path: Path) -> None:
    assert not sd_notify("READY=1", environ={})
    assert not sd_notify("READY=1", environ={"NOTIFY_SOCKET": str(tmp_path / "missing")})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        assert sd_notify("READY=1", "WATCHDOG=1", environ={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert manager.recv(100) == b"READY=1\nWATCHDOG=1"


Reload = Callable[..., tuple[Runtime, str]]


@pytest.fixture
def reloaded(play: Play) -> Reload:
    """Poll with some rules, reload others, and poll again; returns the runtime and all events."""

    def after(before: str, later: str, scenario: str = HELD) -> tuple[Runtime, str]:
        stage = play(scenario, before)
        events: list[Event] = []
        options = Options(stage.config, stage.state, live=False, debug=False, log_file=None)
        runtime = assemble(ConfigManager(stage.config).load(), options, RunOptions("watch", RunMode.ACT), events.append)

        async def polls() -> None:
            await runtime.scheduler.poll()
            stage.configure(later)
            await reload(runtime, stage.config, events.append)
            await runtime.scheduler.poll()

        try:
            asyncio.run(polls())
        finally:
            runtime.close()
        return runtime, "\n".join(event.sentence for event in events)

    return after


def rules(stop: str, interval: int = 5) -> str:
    return f"sell_module: {{check_interval: {interval}, strategy_one: {{stop_loss_rate: {stop}}}}}\n"


def test_a_reload_reports_what_changed(reloaded: Reload) -> None:
    runtime, result = reloaded(rules("0.8"), rules("0.9", 7))
    assert "sell_module.check_interval is 7s, was 5s" in result
    assert "stop_loss_rate is 0.9, was 0.8" in result
    assert "looser" not in result
    assert runtime.scheduler.interval.total_seconds() == 7


def test_a_reload_with_a_first_notification_reports_its_keys_only(reloaded: Reload) -> None:
    _, result = reloaded("", "notify: [{url: https://example.com/alerts}]\n")
    assert "notify[0].kinds is" in result
    assert "notify is" not in result


def test_a_reload_to_a_strategy_that_can_not_be_loaded_changes_nothing(reloaded: Reload, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import sys\nsys.exit(0)\n", encoding="utf-8")
    entry = f"{{use: '{tmp_path}/mine.py:Mine'}}"
    runtime, result = reloaded(rules("0.8"), f"sell_module: {{check_interval: 9, strategies: [{entry}]}}\n")
    assert "configuration not reloaded" in result
    assert "mine.py:Mine can't be loaded: SystemExit: 0." in result
    assert runtime.scheduler.interval.total_seconds() == 5


def test_a_reload_never_loosens_an_armed_stop_silently(reloaded: Reload) -> None:
    _, result = reloaded(rules("0.8"), rules("0.5"))
    assert "alert: reloaded: the stop of AAPL261218C00200000 moves from $0.80 to $0.50, which is looser" in result


def test_a_stop_that_a_reload_removes_is_reported(reloaded: Reload) -> None:
    _, result = reloaded(rules("0.8"), "sell_module: {strategy_one: {enabled: false}}\n")
    assert "the stop of AAPL261218C00200000 is removed" in result


def test_a_reload_of_an_invalid_file_changes_nothing(reloaded: Reload) -> None:
    runtime, result = reloaded(rules("0.8"), rules("-20"))
    assert "configuration not reloaded" in result
    assert "alert" in result
    assert str(runtime.loaded.config.sell_module.strategy_one.stop_loss_rate) == "0.8"


def test_a_reload_that_introduces_structures_keeps_their_state(reloaded: Reload) -> None:
    legs = f"{{symbol: {CALL}, qty: 2, entry: 5.00}}, {{symbol: {HIGHER}, qty: -2, entry: 3.00}}"
    prices = f"{HIGHER}: [{{fixed: {{bid: 3.00, ask: 3.02}}}}]"
    scenario = three_calls("5.00", "5.02", more_prices=prices).replace(f"{{symbol: {CALL}, qty: 3, entry: 1.00}}", legs)
    follows = "{name: spreads, match: {structure: vertical}, rules: {trailing_stop: {activation: 30%, trail: 10pt}}}"
    runtime, _ = reloaded("", f"sell_module: {{strategies: [{follows}]}}\n", scenario)
    [watcher] = runtime.scheduler.watchers
    assert list(watcher.positions.structures) == ["AAPL-vertical-261218-200-210C"]
