"""The page on several hosts: its times are those of the leases, and its commands are ones that sellctl knows."""

import re

import pytest
import yaml
from documents import ROOT, arguments, blocks, read
from typer.testing import CliRunner

from faults.hosts import checks
from sellctl.app import app
from sellctl.core.leases.timing import (
    HANDOVER_SECONDS,
    LEASE_SECONDS,
    MARGIN_SECONDS,
    RENEW_SECONDS,
    UNABLE_SECONDS,
)
from sellctl.ui.fleet import FLEET_COLUMNS

PAGE = " ".join(read("docs/hosts.md").split())
_CELLS = [line.split("|") for line in read("docs/hosts.md").splitlines() if line.startswith("| ")]
ROWS = {cells[1].strip(): cells[2].strip() for cells in _CELLS}


@pytest.mark.parametrize(
    ("what", "time"),
    [
        ("all is well", f"renews its leases every {RENEW_SECONDS:g} s"),
        ("a host starts", f"after {HANDOVER_SECONDS:g} s at the latest"),
        ("a host crashes", f"end {LEASE_SECONDS:g} s after its last renewal"),
        ("a host crashes", f"within {checks.AFTER_CRASH:g} s in all"),
        ("a host loses the database", f"stops sending {LEASE_SECONDS - MARGIN_SECONDS:g} s after its last renewal"),
        ("a host loses the database", f"taken over within {checks.AFTER_PARTITION:g} s"),
        ("a host can't watch an account", f"takes none for {UNABLE_SECONDS:g} s"),
        ("the database is down", f"stop sending {LEASE_SECONDS - MARGIN_SECONDS:g} s after their last renewal"),
    ],
)
def test_what_happens_when_has_the_times_of_the_leases(what: str, time: str) -> None:
    assert time in ROWS[what]


def test_a_halt_reaches_all_hosts_within_what_the_fault_bench_demands() -> None:
    assert f"halts all hosts within {checks.HALTED_WITHIN:g} s" in PAGE


def test_the_table_has_no_other_figures() -> None:
    assert len(re.findall(r"\d+(?:\.\d+)? s\b", " ".join(ROWS.values()))) == 8


def test_the_units_command_is_one_that_sellctl_knows() -> None:
    (unit,) = blocks(read("docs/hosts.md"), "ini")
    command = unit.splitlines()[-1].partition("/usr/bin/env ")[2]
    shown = read("contrib/sellctl.service")
    assert f"ExecStart=/usr/bin/env {command.partition(' --host-id')[0]}\n" in shown
    assert CliRunner().invoke(app, [*arguments(command), "--help"]).exit_code == 0


SHELL = [line for block in blocks(read("docs/hosts.md"), "sh") for line in block.splitlines()]


def test_the_commands_in_compose_name_its_services_and_are_ones_that_sellctl_knows() -> None:
    services = yaml.safe_load(read("contrib/compose.yml"))["services"]
    found = [line.removeprefix("docker compose exec ").split(" ", 1) for line in SHELL if " compose exec " in line]
    assert [service for service, _ in found] == ["one", "api"]
    assert {service for service, _ in found} <= services.keys()
    for _, line in found:
        assert CliRunner().invoke(app, [*arguments(line), "--help"]).exit_code == 0


def test_the_command_in_a_pod_is_one_that_sellctl_knows() -> None:
    [line] = [line.partition(" -- ")[2] for line in SHELL if line.startswith("kubectl exec sellctl-0 ")]
    assert CliRunner().invoke(app, [*arguments(line), "--help"]).exit_code == 0


def test_the_files_that_are_copied_and_applied_are_there_and_the_keys_are_those_that_compose_names() -> None:
    copied = [line.split()[1] for line in SHELL if line.startswith("cp ")]
    applied = [line.split()[-1] for line in SHELL if line.startswith("kubectl apply -f ")]
    assert (copied, applied) == (["contrib/compose.yml", "contrib/compose.config.yml"], ["contrib/kubernetes/"])
    assert all((ROOT / name).exists() for name in [*copied, *applied])
    [fleet, keys] = blocks(read("docs/hosts.md"), "text")
    assert re.split(" {2,}", fleet.splitlines()[1]) == list(FLEET_COLUMNS)
    assert all(line in read("contrib/compose.yml") for line in keys.splitlines())
