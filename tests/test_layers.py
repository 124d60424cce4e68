"""Every module has a place, imports point inward only, and what is pure stays pure. Read from the source, by ast."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sellctl"

# Where each module belongs: the longest name that fits counts. A module that nothing here fits has no place.
PLACES = {
    "sellctl": "words",
    "sellctl.exit_codes": "words",
    "sellctl.formats": "words",
    "sellctl.core": "words",
    "sellctl.core.errors": "words",
    "sellctl.core.model.*": "model",
    "sellctl.core.rules.*": "rules",
    "sellctl.core.sell_strategies.*": "strategies",
    "sellctl.core.policy": "policy",
    "sellctl.core.identity": "judging",
    "sellctl.core.pricing": "judging",
    "sellctl.core.guards": "judging",
    "sellctl.core.room": "judging",
    "sellctl.core.sizing": "judging",
    "sellctl.core.exits": "judging",
    "sellctl.core.backstop": "judging",
    "sellctl.core.agreement": "judging",
    "sellctl.core.staying": "judging",
    "sellctl.core.rule_states": "judging",
    "sellctl.core.engine": "engine",
    "sellctl.core.ports": "ports",
    "sellctl.core.yaml_nodes": "configuration",
    "sellctl.core.config_*": "configuration",
    "sellctl.core.real_clock": "shell",
    "sellctl.core.market_clock": "shell",
    "sellctl.core.price_tracker": "shell",
    "sellctl.core.ledger": "shell",
    "sellctl.core.pace": "shell",
    "sellctl.core.episodes": "shell",
    "sellctl.core.own_strategies": "shell",
    "sellctl.core.quote_book": "shell",
    "sellctl.core.tick_desk": "shell",
    "sellctl.core.position_manager": "shell",
    "sellctl.core.order_manager": "shell",
    "sellctl.core.reporter": "shell",
    "sellctl.core.sell_watcher": "shell",
    "sellctl.core.fleet": "shell",
    "sellctl.alpaca.*": "alpaca",
    "sellctl.journal.*": "journal",
    "sellctl.sim.*": "sim",
    "sellctl.texts": "face",
    "sellctl.layout": "face",
    "sellctl.render": "face",
    "sellctl.report_page": "face",
    "sellctl.screen": "face",
    "sellctl.logs": "process",
    "sellctl.state": "process",
    "sellctl.options": "process",
    "sellctl.bootstrap": "bootstrap",
    "sellctl.live": "views",
    "sellctl.errands": "views",
    "sellctl.reload": "views",
    "sellctl.checkup": "views",
    "sellctl.loading": "process",
    "sellctl.systemd": "process",
    "sellctl.notify": "process",
    "sellctl.api.*": "api",
    "sellctl.commands.*": "commands",
    "sellctl.app": "app",
    "sellctl.__main__": "app",
}
PURE = ("words", "model", "rules", "strategies", "policy", "judging", "engine")
CORE = (*PURE, "ports", "configuration")
INNER = (*CORE, "shell")
# What each place may import besides itself.
MAY_IMPORT = {
    "words": (),
    "model": ("words",),
    "rules": ("words", "model"),
    "strategies": ("words", "model", "rules"),
    "policy": ("words", "model", "rules", "strategies"),
    "judging": ("words", "model", "rules", "strategies", "policy"),
    "engine": ("words", "model", "rules", "strategies", "policy", "judging"),
    "ports": ("words", "model"),
    "configuration": ("words", "model"),
    "shell": CORE,
    "alpaca": ("words", "model", "ports"),
    "journal": ("words", "model", "ports"),
    "sim": ("words", "model", "ports", "configuration"),
    "face": ("words", "model"),
    "process": ("words", "model", "configuration"),
    "bootstrap": (*INNER, "process", "alpaca", "journal", "sim"),
    "views": (*INNER, "process", "face", "bootstrap"),
    "api": (*INNER, "process", "face", "bootstrap", "views"),
    "commands": (*INNER, "process", "face", "bootstrap", "views", "api"),
    "app": (*INNER, "process", "face", "bootstrap", "commands"),
}
# The exceptions: two commands start the simulator, and what was written down is read back by its own queries.
ALSO = {
    "sellctl.commands.sim": {"sim"},
    "sellctl.commands.demo": {"sim", "journal"},
    "sellctl.commands.history": {"journal"},
    "sellctl.checkup": {"journal"},
    "sellctl.commands.report": {"journal"},
    "sellctl.api.routes": {"journal"},
    "sellctl.api.documents": {"journal"},
    "sellctl.api.lifespan": {"commands"},
}
ADAPTERS = ("alpaca", "journal", "sim")

IMPURE_MODULES = frozenset(
    [
        "asyncio",
        "http",
        "io",
        "logging",
        "loguru",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
        "requests",
        "secrets",
        "shutil",
        "socket",
        "sqlite3",
        "ssl",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "urllib",
    ]
)
IMPURE_CALLS = frozenset({"open", "print", "input", "now", "today", "utcnow", "fromtimestamp", "monotonic", "getenv"})
WAITING = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)


@dataclass(frozen=True)
class Import:
    """One import of a module, and whether it stands inside a function or only serves the type checker."""

    module: str
    line: int
    late: bool


@cache
def modules() -> tuple[str, ...]:
    """Every module of the package, by its dotted name."""
    paths = (path.relative_to(ROOT).with_suffix("") for path in PACKAGE.rglob("*.py"))
    return tuple(sorted(".".join(path.parts).removesuffix(".__init__") for path in paths))


def place_of(module: str) -> str | None:
    """Where a module belongs; None when nobody said."""
    fits = [name for name in PLACES if _fits(module, name)]
    return PLACES[max(fits, key=len)] if fits else None


def _fits(module: str, name: str) -> bool:
    if not name.endswith("*"):
        return module == name
    stem = name.removesuffix("*")
    return module.startswith(stem) or module == stem.removesuffix(".")


@cache
def tree_of(module: str) -> ast.Module:
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def imports_of(module: str) -> list[Import]:
    """Everything a module imports; `from package import submodule` counts as the submodule."""
    return list(_imports(tree_of(module), late=False))


def _imports(node: ast.AST, *, late: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        inside = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(child)
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, late) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: imports are absolute"
            names = (f"{child.module}.{alias.name}" for alias in child.names)
            known = set(modules())
            yield from (Import(name if name in known else str(child.module), child.lineno, late) for name in names)
        else:
            yield from _imports(child, late=inside)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def own_imports_of(module: str) -> list[Import]:
    return [each for each in imports_of(module) if each.module.split(".")[0] == "sellctl"]


def in_place(*places: str) -> list[str]:
    return [module for module in modules() if place_of(module) in places]


@pytest.mark.parametrize("module", modules())
def test_every_module_has_a_place(module: str) -> None:
    assert place_of(module), f"{module} has no place: say in PLACES where it belongs"


@pytest.mark.parametrize("module", modules())
def test_imports_point_inward_only(module: str) -> None:
    place = place_of(module)
    assert place is not None
    allowed = {place, *MAY_IMPORT[place], *ALSO.get(module, ())}
    outward = [
        f"line {each.line}: {each.module}" for each in own_imports_of(module) if place_of(each.module) not in allowed
    ]
    assert not outward, f"{module} ({place}) imports outward"


@pytest.mark.parametrize("module", in_place(*PURE))
def test_a_pure_module_has_no_clock_socket_file_log_or_chance(module: str) -> None:
    foreign = [each.module for each in imports_of(module) if each.module.split(".")[0] in IMPURE_MODULES]
    calls = [
        f"line {node.lineno}: {_name(node.func)}()"
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Call) and _name(node.func) in IMPURE_CALLS
    ]
    assert not foreign + calls


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


@pytest.mark.parametrize("module", in_place(*PURE))
def test_a_pure_module_never_waits(module: str) -> None:
    assert not [node.lineno for node in ast.walk(tree_of(module)) if isinstance(node, WAITING)]


@pytest.mark.parametrize("module", in_place("model"))
def test_the_model_needs_the_standard_library_and_msgspec_only(module: str) -> None:
    foreign = {each.module.split(".")[0] for each in imports_of(module)} - {"sellctl"}
    assert foreign <= {
        "collections",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "functools",
        "msgspec",
        "re",
        "types",
        "typing",
        "zoneinfo",
    }


@pytest.mark.parametrize("module", modules())
def test_only_the_adapter_imports_the_sdk(module: str) -> None:
    if place_of(module) != "alpaca":
        assert not [each.line for each in imports_of(module) if each.module.split(".")[0] == "alpaca"]


@pytest.mark.parametrize("module", modules())
def test_only_the_bootstrap_names_adapters_and_only_inside_functions(module: str) -> None:
    place = place_of(module)
    named = [each for each in own_imports_of(module) if place_of(each.module) in ADAPTERS]
    strangers = [each for each in named if place_of(each.module) not in {place, *ALSO.get(module, ())}]
    if place == "bootstrap":
        assert not [f"line {each.line}: {each.module}" for each in strangers if not each.late]
    else:
        assert not [f"line {each.line}: {each.module}" for each in strangers]


@pytest.mark.parametrize("name", sorted(PLACES))
def test_every_place_is_taken(name: str) -> None:
    assert any(_fits(module, name) for module in modules()), f"nothing is called {name} any more"


def test_nothing_imports_in_a_circle_of_places() -> None:
    order = list(MAY_IMPORT)
    for place, inner in MAY_IMPORT.items():
        assert all(order.index(each) < order.index(place) for each in inner), place
