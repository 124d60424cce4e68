"""What contrib/ offers fits the program: the container, the formula for Homebrew, and the workflow of a release."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from container_file import CONTRIB, instructions, last
from typer.testing import CliRunner

from sellctl.app import app

ROOT = CONTRIB.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKERFILE = (CONTRIB / "Dockerfile").read_text()
FORMULA = (CONTRIB / "homebrew" / "sellctl.rb").read_text()
WORKFLOW: dict[Any, Any] = yaml.safe_load((CONTRIB / "release.yml").read_text())  # a comment and a table in YAML 1.1
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]


def locked(path: Path) -> set[str]:
    """The requirements of a lock, each with its hashes."""
    return set(re.findall(r"^\S+==.*?(?=^\S|\Z)", path.read_text(), re.MULTILINE | re.DOTALL))


def names(requirements: set[str]) -> set[str]:
    return {each.partition("==")[0] for each in requirements}


def wanted(*extras: str) -> set[str]:
    """The names of the base's requirements and of extras'."""
    listed = [*PROJECT["dependencies"], *(each for extra in extras for each in PROJECT["optional-dependencies"][extra])]
    return {re.split(r"[<>=\[; ]", each)[0] for each in listed}


# --- the packages of the container and of Homebrew --------------------------------------------------------------------


def test_what_is_installed_is_what_was_tested() -> None:
    assert locked(CONTRIB / "requirements.lock") <= locked(ROOT / "requirements.lock")


SAID = re.findall(r"\w+", re.findall(r"the extras ((?:\w+, )+\w+ and \w+)", DOCKERFILE)[0].replace(" and ", " "))


def test_the_container_has_the_extras_that_it_says_and_no_tools() -> None:
    found = names(locked(CONTRIB / "requirements.lock"))
    assert wanted(*SAID) <= found
    assert not found & {"keyring", "pytest", "mypy", "hatchling"}


# --- the container ----------------------------------------------------------------------------------------------------


def test_both_stages_are_built_on_one_image_by_its_digest() -> None:
    assert re.fullmatch(r"BASE=python:3\.\d+-slim@sha256:[0-9a-f]{64}", last("ARG"))
    assert [rest for name, rest in instructions() if name == "FROM"] == ["${BASE} AS build", "${BASE}"]


def test_the_container_runs_as_a_user_with_a_fixed_number_who_is_not_root() -> None:
    assert last("USER") == "10001:10001"
    order = [name for name, _ in instructions()]
    assert order.index("USER") > max(i for i, name in enumerate(order) if name in {"RUN", "COPY"})


def test_the_container_starts_a_command_that_sellctl_knows() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["sellctl"]
    assert CliRunner().invoke(app, [*json.loads(last("CMD")), "--help"]).exit_code == 0


def test_the_container_keeps_its_state_in_the_volume() -> None:
    assert f"SELLCTL_STATE_DIR={last('VOLUME')}" in last("ENV").split()


def test_only_named_files_reach_the_image() -> None:
    """Each COPY from the folder is allowed by the list, which begins by excluding all."""
    rules = [line for line in (CONTRIB / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] != "#"]
    copied = [rest.split()[0] for name, rest in instructions() if name == "COPY" and not rest.startswith("--from")]
    assert rules[0] == "*"
    assert {rule.removeprefix("!") for rule in rules[1:]} == set(copied)


# --- Homebrew ---------------------------------------------------------------------------------------------------------


def test_the_release_fills_in_each_blank_of_the_formula() -> None:
    blanks = set(re.findall(r'"(HOMEPAGE|SDIST_\w+)"', FORMULA))
    script = next(step["run"] for step in STEPS if "sellctl.rb" in step.get("run", ""))
    assert blanks == {"HOMEPAGE", "SDIST_URL", "SDIST_SHA256"}
    assert blanks == set(re.findall(r's\|\\"(\w+)\\"', script))


def test_the_formula_installs_a_file_that_the_sdist_has() -> None:
    [lock] = re.findall(r'"(contrib/[^"]+)"', FORMULA)
    assert (ROOT / lock).is_file()


@pytest.mark.parametrize("words", re.findall(r'bin/"sellctl", ((?:"[\w-]+"(?:, )?)+)', FORMULA))
def test_the_formula_runs_commands_that_sellctl_knows(words: str) -> None:
    line = json.loads(f"[{words.rstrip(', ')}]")
    assert CliRunner().invoke(app, [*line, "--help"]).exit_code == 0


# --- the release ------------------------------------------------------------------------------------------------------


def test_the_release_is_tested_on_every_python_that_the_wheel_names() -> None:
    versions = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if ":: 3." in each]
    assert WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"] == versions


def test_the_release_calls_targets_that_make_has() -> None:
    called = {
        word
        for step in STEPS
        for line in re.findall(r"^\s*make (.*)$", step.get("run", ""), re.MULTILINE)
        for word in line.split()
    }
    assert {"dist", "test", "test-install"} <= called
    asked = subprocess.run(["make", "--dry-run", *called], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607  only asks
    assert asked.returncode == 0, asked.stderr


def test_what_is_published_was_built_and_tested_before_and_is_signed() -> None:
    publish = WORKFLOW["jobs"]["publish"]
    assert publish["needs"] == ["build", "test"]
    assert publish["permissions"] == {"id-token": "write", "attestations": "write", "contents": "write"}
    used = [step["uses"].partition("@")[0] for step in publish["steps"] if "uses" in step]
    assert used.index("actions/attest-build-provenance") < used.index("pypa/gh-action-pypi-publish")


def test_the_release_uses_what_others_made_by_its_hash() -> None:
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in STEPS if "uses" in step)


def test_the_release_needs_no_secret() -> None:
    assert "secrets." not in (CONTRIB / "release.yml").read_text()
