"""Folders are layers: each imports only from those above it in its wing's list, and no modules import each other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from support.layers import LAYERS

ROOT = Path(__file__).resolve().parents[1]


def _modules(package: Path) -> dict[str, Path]:
    """Every module of a package by its dotted name; a package by the name of its folder."""
    wing = ROOT / package.relative_to(ROOT).parts[0]
    found = {}
    for path in package.rglob("*.py"):
        dotted = ".".join(path.relative_to(wing).with_suffix("").parts)
        found[dotted.removesuffix(".__init__")] = path
    return found


def _imported(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """The modules of the same package that a file imports, anywhere in it."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
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
    depth = wing.count("/")
    upward = []
    for name, path in modules.items():
        own = name.split(".")[depth : depth + 1]
        for other in _imported(path, modules) if own else ():
            to = other.split(".")[depth : depth + 1]
            if to and to != own and layer[to[0]] > layer[own[0]]:
                upward.append(f"{name} imports {other}")
    assert not upward


@pytest.mark.parametrize("wing", LAYERS)
def test_no_modules_import_each_other(wing: str) -> None:
    modules = _modules(ROOT / wing)
    graph = {name: set(_imported(path, modules)) - {name} for name, path in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
