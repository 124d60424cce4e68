"""The import graph of all modules, counting imports inside functions and for type checkers too: it has no cycle."""

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sellctl"
MOST_FILES = 15  # per package in core/ and sim/
CHECKED = "sellctl"


def files_by_module() -> dict[str, Path]:
    return {_module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(files: dict[str, Path]) -> dict[str, set[str]]:
    """The modules of the package that each module imports anywhere in its text, itself excluded."""
    return {
        module: set(_imports(ast.parse(path.read_text(encoding="utf-8")), set(files))) - {module}
        for module, path in files.items()
    }


def _imports(tree: ast.Module, modules: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                if submodule in modules:
                    yield submodule
                elif node.module in modules:
                    yield node.module


def modules_in_cycles(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """What is left of a graph when every module is removed that imports nothing, or that nothing imports."""
    left = {module: set(imported) for module, imported in graph.items()}
    while True:
        imported = set().union(*left.values())
        loose = {module for module, targets in left.items() if not targets or module not in imported}
        if not loose:
            return left
        left = {module: targets - loose for module, targets in left.items() if module not in loose}


def test_an_import_cycle_is_found_and_what_hangs_on_it_is_left_out() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set[str]()}
    assert modules_in_cycles(graph) == {"b": {"c"}, "c": {"b"}}


def test_imports_in_functions_and_for_type_checkers_count() -> None:
    text = "import x.a\nif TYPE_CHECKING:\n    from x import b\ndef f():\n    from x.c import name\n"
    assert set(_imports(ast.parse(text), {"x", "x.a", "x.b", "x.c"})) == {"x.a", "x.b", "x.c"}


def test_no_module_imports_itself_by_way_of_others() -> None:
    cycles = modules_in_cycles(import_graph(files_by_module()))
    assert {module: imported for module, imported in cycles.items() if module.startswith(CHECKED)} == {}


def test_no_package_of_the_core_or_the_simulator_has_more_than_fifteen_files() -> None:
    folders = Counter(path.parent.relative_to(PACKAGE).as_posix() for path in files_by_module().values())
    counts = {folder: count for folder, count in folders.items() if folder.startswith(("core", "sim"))}
    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}
