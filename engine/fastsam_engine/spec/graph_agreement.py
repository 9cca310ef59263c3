"""Check that a graph or plan matches its spec: names, dtypes, axes and batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from fastsam_engine.errors import ModelFileError
from fastsam_engine.graph.onnx_graph import Axes, OnnxGraph, Tensor
from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec


def check_graph(path: Path, spec: ModelSpec, graph: OnnxGraph) -> None:
    """Compare a graph with its spec. What the file does not state, such as a free axis, matches anything.

    Args:
        path: The file, for messages.
        spec: The file's spec.
        graph: The file's graph.

    Raises:
        ModelFileError: They differ, or external weight files are missing.
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
    """Compare inputs and outputs of a graph with its spec.

    Args:
        path: The file, for messages.
        spec: The file's spec.
        inputs, outputs: By name.
        of: `graph` or `plan`, for messages.

    Raises:
        ModelFileError: They differ.
    """
    check_names(path, spec, inputs, outputs)
    if extra := sorted(inputs.keys() - set(spec.input_names)):
        raise ModelFileError(path, f"its {of} takes {', '.join(extra)} as well, which its spec does not name")
    for name, dtype, axes in zip(spec.input_names, spec.input_dtypes, _input_axes(spec), strict=True):
        if inputs[name].dtype not in (dtype, "unknown"):
            raise ModelFileError(
                path, f"input {name!r}: its spec declares {dtype}, found {inputs[name].dtype} in the {of}"
            )
        _check_axes(path, "input", name, axes, inputs[name], of)
    for output in spec.outputs:
        _check_axes(path, "output", output.name, _lengths(output.layout), outputs[output.name], of)


def check_names(path: Path, spec: ModelSpec, inputs: Iterable[str], outputs: Iterable[str]) -> None:
    """Check that a graph has the inputs and outputs of its spec.

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
            path, f"{kind} {name!r}: its spec declares {len(expected)} axes ({_text(expected)}), "
            f"found {len(found.axes)} in the {of} ({_text(found.axes)})",
        )  # fmt: skip
    # A length in the spec requires the same length or a free axis in the graph. A free axis in the spec requires a free
    # axis in the graph, but only of inputs: outputs may be fixed.
    for stated, there in zip(expected, found.axes, strict=True):
        if isinstance(there, int) and stated != there and (isinstance(stated, int) or (kind == "input" and stated)):
            raise ModelFileError(
                path, f"{kind} {name!r}: its spec declares ({_text(expected)}), found ({_text(found.axes)}) in the {of}"
            )


def _input_axes(spec: ModelSpec) -> Iterator[Axes]:
    """The axes per input: lengths if they are fixed, letters if they must be free."""
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
    """`N 4+80+32 ANCHORS` as ("N", 116, "ANCHORS"): sums are lengths, anything else is a free axis."""
    return tuple(sum(map(int, axis.split("+"))) if axis.replace("+", "").isdigit() else axis for axis in layout.split())


def _text(axes: Axes) -> str:
    return ", ".join(str(axis) or "?" for axis in axes)
