"""Choose which files of a hub's repository an adoption needs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

from fastsam_export.errors import AdoptionError

SETTINGS = (
    "config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)
"""Files beside the graphs that describe how to use them."""

SUFFIXES = {"fp32": "", "fp16": "_fp16", "int8": "_quantized"}
"""Precision to the end of a graph's name, in the layout of transformers.js."""

_GRAPHS = (("model",), ("vision_model", "text_model"))


def wanted_files(
    names: Iterable[str], precision: Literal["fp32", "fp16", "int8"] = "fp32", file: str = ""
) -> tuple[str, ...]:
    """The files of a repository to download for an adoption.

    Args:
        names: Paths of all files of the repository, with `/`.
        precision: Which of the siblings to use.
        file: One ONNX file of the repository to use instead; empty: chosen by the repository's layout.

    Returns:
        Paths, the graphs first. `onnx/model.onnx` comes before separate towers, since it has their logit scale.

    Raises:
        AdoptionError: There is no such graph; the message names those that exist.
    """
    known = set(names)
    graphs = (file,) if file else _graphs(known, precision)
    if not graphs or not known.issuperset(graphs):
        there = ", ".join(sorted(name for name in known if name.endswith(".onnx"))) or "no ONNX file"
        wanted = file or f"onnx/model{SUFFIXES[precision]}.onnx"
        raise AdoptionError(Path(wanted), f"expected it in the repository, found {there}", "choose another precision")
    weights = sorted(name for name in known for graph in graphs if name in (f"{graph}_data", f"{graph}.data"))
    return (*graphs, *weights, *(name for name in SETTINGS if name in known))


def _graphs(known: set[str], precision: Literal["fp32", "fp16", "int8"]) -> tuple[str, ...]:
    for graphs in _GRAPHS:
        paths = tuple(f"onnx/{graph}{SUFFIXES[precision]}.onnx" for graph in graphs)
        if known.issuperset(paths):
            return paths
    single = [name for name in known if PurePosixPath(name).suffix == ".onnx"]
    return tuple(single) if len(single) == 1 and precision == "fp32" else ()
