"""Strip a graph of the weights that its checkpoint holds, and restore them.

CLIP's towers are 600 MB, nearly all of it weights. `strip_weights` removes every large initializer whose values are in
the checkpoint, also if it is transposed or in another precision; `restore_weights` puts them back. With other weights
of the same shapes it makes the graph of that model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_KEY = "benchmark.weights"
_MIN_BYTES = 4096
Weights = Mapping[str, NDArray[Any]]


def strip_weights(graph: Path, weights: Weights, to: Path) -> float:
    """Write a graph without the weights of a checkpoint.

    Args:
        graph: An ONNX file.
        weights: Name to array, of the checkpoint.
        to: File to write.

    Returns:
        Share of the bytes of all initializers that was removed, 0..1.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(graph))
    by_shape: dict[tuple[int, ...], list[str]] = {}
    for name, array in weights.items():
        by_shape.setdefault(tuple(sorted(array.shape)), []).append(name)
    stripped_names: dict[str, tuple[str, bool]] = {}
    total = removed = 0
    for initializer in model.graph.initializer:
        array = numpy_helper.to_array(initializer)
        total += array.nbytes
        if array.nbytes < _MIN_BYTES or array.dtype.kind != "f":
            continue
        for name in by_shape.get(tuple(sorted(array.shape)), ()):
            transposed = _is_transposed(array, weights[name])
            if transposed is not None:
                stripped_names[initializer.name] = name, transposed
                removed += array.nbytes
                initializer.ClearField("raw_data")
                break
    model.metadata_props.add(key=_KEY, value=json.dumps(stripped_names))
    onnx.save(model, str(to))
    return removed / max(total, 1)


def restore_weights(stripped: Path, weights: Weights, to: Path) -> None:
    """Write the whole graph.

    Args:
        stripped: A file that `strip_weights` wrote.
        weights: Name to array: the same weights, or others of the same shapes.
        to: File to write.

    Raises:
        ValueError: A weight is missing or has another shape.
    """
    import onnx
    from onnx import helper

    model = onnx.load(str(stripped))
    props = {each.key: each.value for each in model.metadata_props}
    stripped_names: dict[str, tuple[str, bool]] = json.loads(props.pop(_KEY, "{}"))
    for initializer in model.graph.initializer:
        if initializer.name not in stripped_names:
            continue
        name, transposed = stripped_names[initializer.name]
        if name not in weights:
            raise ValueError(f"expected weights with {name}, found none of that name")
        array = weights[name].T if transposed else weights[name]
        if array.shape != tuple(initializer.dims):
            raise ValueError(f"expected {name} of shape {tuple(initializer.dims)}, found {array.shape}")
        dtype = helper.tensor_dtype_to_np_dtype(initializer.data_type)
        initializer.raw_data = np.ascontiguousarray(array, dtype).tobytes()
    del model.metadata_props[:]
    for key, value in props.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, str(to))


def _is_transposed(array: NDArray[Any], weight: NDArray[Any]) -> bool | None:
    """Whether an array equals a weight transposed (True) or as it is (False), once rounded; None: neither."""
    for transposed, candidate in ((False, weight), (True, weight.T)):
        if candidate.shape == array.shape and np.array_equal(candidate.astype(array.dtype), array):
            return transposed
    return None
