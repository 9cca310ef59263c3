"""Folders are layers: each imports only from those above it in its wing's list, and no modules import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LAYERS = {
    "engine/fastsam_engine": (
        "import_names", "errors", "discovery", "concurrency", "packages", "cpu_count", "gpus", "device_array", "graph",
        "store", "spec", "open_options", "plans", "spec_reader", "run_observers", "session", "backends",
        "choose_builder", "opener",
    ),
    "export/fastsam_export": (
        "errors", "onnx_file", "parity", "proof", "family", "helper_graphs", "frameworks", "fp16", "int8", "families",
        "exporter",
    ),
    "runtime/fastsam_trt": (
        "errors", "bundled_models", "reports", "frames", "prompts", "masks", "demo", "segmentation", "tracking", "clip",
        "selectors", "results", "sources", "streaming", "drawing", "pipeline", "sinks", "preview", "comparison", "cli",
        "__main__",
    ),
    "benchmarks/fastsam_bench": (
        "errors", "results", "timing", "cases", "roofline", "scenarios", "run", "report",
    ),
}  # fmt: skip


def _modules(package: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name; a package by the name of its folder."""
    found = {}
    for path in package.rglob("*.py"):
        dotted = ".".join(path.relative_to(package.parent).with_suffix("").parts)
        found[dotted.removesuffix(".__init__")] = path
    return found


def _for_types_only(tree: ast.Module) -> set[ast.AST]:
    """What stands below `if TYPE_CHECKING:`, which nothing runs."""
    tests = (node for node in ast.walk(tree) if isinstance(node, ast.If))
    return {
        below
        for node in tests
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for below in ast.walk(statement)
    }


def _imported(path: Path, modules: dict[str, Path], *, types: bool) -> Iterator[str]:
    """The modules of the same package that a file imports, anywhere in it."""
    tree = ast.parse(path.read_text())
    left_out = set() if types else _for_types_only(tree)
    for node in ast.walk(tree):
        if node in left_out:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            within = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else node.module for name in within]
        else:
            continue
        yield from (name for name in names if name in modules)


@pytest.mark.parametrize("wing", LAYERS)
def test_every_folder_is_a_layer(wing: str) -> None:
    package = ROOT / wing
    names = {path.stem for path in package.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))} - {"__init__"}
    assert names == set(LAYERS[wing])


@pytest.mark.parametrize("wing", LAYERS)
def test_no_layer_imports_from_one_below_it(wing: str) -> None:
    package = ROOT / wing
    modules = _modules(package)
    layer = {name: place for place, name in enumerate(LAYERS[wing])}
    upward = []
    for name, path in modules.items():
        own = name.split(".")[1:2]
        for other in _imported(path, modules, types=True) if own else ():
            to = other.split(".")[1:2]
            if to and to != own and layer[to[0]] > layer[own[0]]:
                upward.append(f"{name} imports {other}")
    assert not upward


@pytest.mark.parametrize("wing", LAYERS)
def test_no_modules_import_each_other(wing: str) -> None:
    modules = _modules(ROOT / wing)
    graph = {name: set(_imported(path, modules, types=False)) - {name} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
