"""Whether a graph, or a plan, is what its spec says: names, dtypes, axes and batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fastsam_engine.errors import ModelFileError
from fastsam_engine.graph.onnx_graph import Axes, OnnxGraph, Tensor
from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec


def check_graph(path: Path, spec: ModelSpec, graph: OnnxGraph) -> None:
    """Compare a graph with its spec. What the file does not say of the graph, such as free axes, fits.

    Args:
        path: The file, for messages.
        spec: What it says of itself.
        graph: What is in it.

    Raises:
        ModelFileError: They differ, or weights that lie in files of their own are not there.
    """
    check_tensors(path, spec, graph.inputs, graph.outputs)
    for location in graph.external:
        if Path(location).is_absolute() or ".." in Path(location).parts:
            raise ModelFileError(path, f"expected its weights beside it, found them in {location}")
        if not (path.parent / location).exists():
            raise ModelFileError(
                path,
                f"expected its weights in {location} beside it, found no such file",
                "download or copy that file as well",
            )


def check_tensors(
    path: Path, spec: ModelSpec, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], of: str = "graph"
) -> None:
    """Compare what a graph takes and gives with its spec.

    Args:
        path: The file, for messages.
        spec: What it says of itself.
        inputs, outputs: By name.
        of: What they are of, for messages.

    Raises:
        ModelFileError: They differ.
    """
    check_names(path, spec, inputs, outputs)
    if extra := sorted(inputs.keys() - set(spec.input_names)):
        raise ModelFileError(path, f"its {of} takes {', '.join(extra)} as well, which its spec does not name")
    for name, dtype, axes in zip(spec.input_names, spec.input_dtypes, _input_axes(spec), strict=True):
        if inputs[name].dtype not in (dtype, "unknown"):
            raise ModelFileError(path, f"input {name!r}: its spec says {dtype}, found {inputs[name].dtype} in the {of}")
        _check_axes(path, "input", name, axes, inputs[name], of)
    for output in spec.outputs:
        _check_axes(path, "output", output.name, _lengths(output.layout), outputs[output.name], of)


def check_names(path: Path, spec: ModelSpec, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Hold the names that a graph has against those its spec promises.

    Raises:
        ModelFileError: An input or output of the spec is not in the graph.
    """
    missing = set(spec.input_names) - set(inputs) | {output.name for output in spec.outputs} - set(outputs)
    if missing:
        raise ModelFileError(
            path, f"its spec names {', '.join(sorted(missing))}, found no such input or output in the graph"
        )


def _check_axes(path: Path, kind: str, name: str, expected: Axes, found: Tensor, of: str) -> None:
    if found.axes is None:
        return
    if len(expected) != len(found.axes):
        raise ModelFileError(
            path, f"{kind} {name!r}: its spec says {len(expected)} axes ({_text(expected)}), "
            f"found {len(found.axes)} in the {of} ({_text(found.axes)})",
        )  # fmt: skip
    # A length of the spec needs the graph's to be the same or free; a free axis of the spec needs it to be free, but
    # only of inputs: what comes out may be fixed.
    for said, there in zip(expected, found.axes, strict=True):
        if isinstance(there, int) and said != there and (isinstance(said, int) or (kind == "input" and said)):
            raise ModelFileError(
                path, f"{kind} {name!r}: its spec says ({_text(expected)}), found ({_text(found.axes)}) in the {of}"
            )


def _input_axes(spec: ModelSpec) -> Iterator[Axes]:
    """The axes of each input: lengths where they are fixed, letters where they have to be free."""
    taken = spec.input
    if isinstance(taken, ImageInput):
        size: Axes = (taken.height, taken.width) if taken.size_multiple is None else ("h", "w")
        axes = (3, *size) if taken.layout == "NCHW" else (*size, 3)
        yield (_batch(taken.batch), *axes)
    elif isinstance(taken, TokenInput):
        yield _batch(taken.batch), taken.length
    else:
        for layout in taken.layouts:
            yield _lengths(layout)


def _batch(batch: tuple[int, int | None]) -> int | str:
    low, high = batch
    return low if low == high else "n"


def _lengths(layout: str) -> Axes:
    """`N 4+80+32 ANCHORS` as ("N", 116, "ANCHORS"): sums are lengths, all else is free."""
    return tuple(sum(map(int, axis.split("+"))) if axis.replace("+", "").isdigit() else axis for axis in layout.split())


def _text(axes: Axes) -> str:
    return ", ".join(str(axis) or "?" for axis in axes)
