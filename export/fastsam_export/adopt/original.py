"""Original: a ready graph run as it is, to compare the adopted one with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

from fastsam_engine.graph.onnx_graph import Axes, read_graph
from fastsam_engine.opener import open_session
from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_export.errors import AdoptionError
from fastsam_export.onnx_file import write_spec
from fastsam_export.parity import cpu_backends
from fastsam_export.proof import check_finite

_LONGEST = 1 << 24
_DTYPES = ("float32", "float16", "uint8", "int64")  # those that a session takes


class Original:
    """A ready graph, untouched except for metadata that names its inputs and outputs. Use it in a `with` statement."""

    def __init__(self, path: Path, folder: Path) -> None:
        """Open it on the CPU, on one backend.

        Args:
            path: The original file.
            folder: A folder for a copy of it, which can be deleted after closing.

        Raises:
            AdoptionError: It takes inputs of an unsupported dtype, or its inputs have no known shape.
        """
        graph = read_graph(path)
        axes: dict[str, tuple[int, int, int]] = {}
        layouts: list[str] = []
        for name, tensor in graph.inputs.items():
            if tensor.dtype not in _DTYPES or tensor.axes is None:
                raise AdoptionError(
                    path, f"input {name!r}: expected {', '.join(_DTYPES)} of a known shape, found {tensor}"
                )
            layouts.append(_layout(tensor.axes, f"I{len(layouts)}_"))
            axes |= {axis: (1, 1, _LONGEST) for axis in layouts[-1].split() if not axis.isdigit()}
        taken = ArraysInput(
            tuple(graph.inputs), tuple(layouts), cast("Any", tuple(each.dtype for each in graph.inputs.values())), axes
        )
        outputs = tuple(
            Output(name, "original", _layout(tensor.axes or ("",), f"O{index}_"))
            for index, (name, tensor) in enumerate(graph.outputs.items())
        )
        spec = ModelSpec("original", "original", "embed-text", taken, outputs)
        self._path = path
        copy = folder / "original.onnx"
        write_spec(copy, spec, source=path)
        for location in graph.external:
            _second_name((path.parent / location).resolve(), copy.parent / location)
        self._session = open_session(copy, original_backend(), "cpu", "fp32")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def run(self, inputs: Mapping[str, Array], what: str) -> dict[str, Array]:
        """Run it.

        Args:
            inputs: Arrays by name, which are converted to the dtypes that it takes.
            what: Description of the inputs, for messages.

        Raises:
            NotFiniteError: It computes NaN or infinite numbers.
        """
        taken = cast("ArraysInput", self._session.spec.input)
        given = {name: inputs[name].astype(dtype) for name, dtype in zip(taken.names, taken.dtypes, strict=True)}
        outputs = self._session.run(given)
        check_finite(self._path, [outputs], what)
        return outputs


def original_backend() -> str:
    """The backend of the CPU that runs originals."""
    return cpu_backends()[0]


def _layout(axes: Axes, prefix: str) -> str:
    """Axes as a layout: lengths, and a letter of its own for each free axis."""
    return " ".join(str(axis) if isinstance(axis, int) else f"{prefix}{index}" for index, axis in enumerate(axes))


def _second_name(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
