"""Choose which files of a hub's repository an adoption needs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal, TypeAlias

from fastsam_export.errors import AdoptionError

AdoptedPrecision: TypeAlias = Literal["fp32", "fp16", "int8"]

SUFFIXES: dict[AdoptedPrecision, str] = {"fp32": "", "fp16": "_fp16", "int8": "_quantized"}
"""Precision to the end of a graph's name, in the layout of transformers.js."""

SETTINGS = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
"""Files beside the graphs that describe how to use them."""

WHOLE = "model"
"""Name of the graph of a whole model."""

TOWERS = ("vision_model", "text_model")
"""Names of the graphs of separate towers."""


def wanted_files(names: Iterable[str], precision: AdoptedPrecision = "fp32", file: str = "") -> tuple[str, ...]:
    """The files of a repository to download for an adoption.

    Args:
        names: Paths of all files of the repository, with `/`.
        precision: Which of the siblings to use.
        file: One ONNX file of the repository to use instead; empty: chosen by the repository's layout.

    Returns:
        Paths, the graphs first. The whole model comes before separate towers, since it has their logit scale.

    Raises:
        AdoptionError: There is no such graph; the message names those that exist.
    """
    known = set(names)
    graphs = (file,) if file else _graphs(known, precision)
    if not graphs or not known.issuperset(graphs):
        wanted = file or f"onnx/{WHOLE}{SUFFIXES[precision]}.onnx"
        raise missing_graph(Path(wanted), known)
    weights = sorted(name for name in known for graph in graphs if name in (f"{graph}_data", f"{graph}.data"))
    return (*graphs, *weights, *(name for name in SETTINGS if name in known))


def missing_graph(wanted: Path, names: Iterable[str]) -> AdoptionError:
    """The error that a repository has no such graph, which names those that it has."""
    there = ", ".join(sorted(name for name in names if name.endswith(".onnx"))) or "no ONNX file"
    return AdoptionError(wanted, f"expected it in the repository, found {there}", "choose another precision or file")


def _graphs(known: set[str], precision: AdoptedPrecision) -> tuple[str, ...]:
    for graphs in ((WHOLE,), TOWERS):
        for folder in ("onnx/", ""):
            paths = tuple(f"{folder}{graph}{SUFFIXES[precision]}.onnx" for graph in graphs)
            if known.issuperset(paths):
                return paths
    single = [name for name in known if PurePosixPath(name).suffix == ".onnx"]
    return tuple(single) if len(single) == 1 and PurePosixPath(single[0]).parent.name != "onnx" else ()
