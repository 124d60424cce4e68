"""The wheel: complete, small, equal each time it is built, and with a base that its own imports need."""

import ast
import hashlib
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from dist_files import ROOT, a_private_copy, build

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# The only modules that may import the packages of an extra. Each of them says what is missing when one is.
OF_EXTRAS = {
    "api": ("sellctl/api/", "sellctl/mcp_server/http.py"),
    "mcp": ("sellctl/mcp_server/",),
    "report": ("sellctl/ui/report_page.py", "sellctl/ui/exit_chart.py"),
    "notify": ("sellctl/service/notifier.py",),
    "postgres": ("sellctl/journal/postgres/", "sellctl/journal/leases/", "sellctl/journal/location.py"),
    "telegram": ("sellctl/chat/telegram.py",),
    "telemetry": ("sellctl/telemetry/",),
    "keyring": ("sellctl/core/config/secrets.py", "sellctl/setup/key_sources.py"),
}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def names(dist: tuple[Path, Path]) -> set[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(dist[0]) as wheel:
        return set(wheel.namelist())


@pytest.fixture(scope="module")
def metadata(dist: tuple[Path, Path]) -> Message:
    with zipfile.ZipFile(dist[0]) as wheel:
        [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_has_every_file_of_the_package(names: set[str]) -> None:
    """Scenarios, the control page and the mark of typed code among them; the example configuration is made by code."""
    files = {path for path in (ROOT / "sellctl").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {path.relative_to(ROOT).as_posix() for path in files} == {n for n in names if n.startswith("sellctl/")}
    assert {"sellctl/sim/scenario/scenarios/demo.yml", "sellctl/api/page/index.html", "sellctl/py.typed"} <= names


def test_the_wheel_has_nothing_else(names: set[str]) -> None:
    """Neither tests nor tools, which would be installed beside other people's packages."""
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"sellctl"}


def test_the_wheel_has_nothing_large_in_it(dist: tuple[Path, Path]) -> None:
    assert dist[0].stat().st_size < 1_500_000
    with zipfile.ZipFile(dist[0]) as wheel:
        assert max(each.compress_size for each in wheel.infolist()) < 50_000


def test_two_builds_are_equal_wherever_and_by_whomever_they_are_made(dist: tuple[Path, Path], tmp_path: Path) -> None:
    again = build(tmp_path / "dist", source=a_private_copy(tmp_path / "elsewhere"))
    assert [digest(path) for path in again] == [digest(path) for path in dist]


def test_builds_of_another_commit_differ(dist: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, _ = build(tmp_path, commit_time=1_790_000_060)
    assert digest(wheel) != digest(dist[0])


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_wheel_says_which_pythons_it_runs_on(metadata: Message) -> None:
    versions = [text.rpartition(" ")[2] for text in metadata.get_all("Classifier", []) if ":: 3." in text]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    assert metadata["Requires-Python"] == f">={versions[0]}"


def test_the_wheel_has_the_extras(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra", [])) == set(OF_EXTRAS)


def test_the_base_has_what_its_code_imports() -> None:
    """Nothing is imported that only another package brings along: pydantic, which alpaca-py requires, for one."""
    missing = {
        (path, package)
        for path, package in imports()
        if package not in distributions(PROJECT["dependencies"]) and not belongs_to_an_extra(path, package)
    }
    assert missing == set()


def test_everything_in_the_base_is_imported() -> None:
    """But for tzdata, which is read by the standard library."""
    imported = {package for _, package in imports()}
    assert distributions(PROJECT["dependencies"]) - imported == {"tzdata"}


def belongs_to_an_extra(path: str, package: str) -> bool:
    requirements = PROJECT["optional-dependencies"]
    return any(
        package in distributions(requirements[extra]) and path.startswith(places) for extra, places in OF_EXTRAS.items()
    )


def distributions(requirements: list[str]) -> set[str]:
    """The normalised names of requirements."""
    return {normalised(re.split(r"[<>=\[; ]", requirement)[0]) for requirement in requirements}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imports() -> Iterator[tuple[str, str]]:
    """Each module of the package with the name of each foreign distribution that it imports."""
    providers = packages_distributions()
    for path in (ROOT / "sellctl").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            tops = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"sellctl"}
            yield from ((path.relative_to(ROOT).as_posix(), normalised(providers[top][0])) for top in tops)
