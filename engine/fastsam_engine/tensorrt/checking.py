"""Whether a plan computes what its graph does: the same inputs through both, once it is built.

A builder may choose kernels that are wrong for a graph, or fp16 may overflow; a plan that fails here is thrown away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from fastsam_engine.device_array import Array
from fastsam_engine.errors import BuildError
from fastsam_engine.model_spec import ArraysInput, FeatureInput, ImageInput, ModelSpec, TokenInput
from fastsam_engine.session import Session
from fastsam_engine.tensorrt.profiles import Shape, ShapeRange

_TOLERANCE = {"fp32": 2e-2, "bf16": 8e-2, "fp16": 5e-2, "int8": 1.5e-1}
_FLOOR = 1e-2  # root mean square; below it a channel is as good as zero, for probabilities and pixels alike


def check(
    graph: Path, spec: ModelSpec, plan: Session, reference: Session, ranges: Mapping[str, ShapeRange]
) -> dict[str, float]:
    """Compare a plan with its graph on drawn inputs, of the usual shapes and the largest.

    Args:
        graph: The ONNX file, for messages.
        spec: Of the graph.
        plan: The plan, opened.
        reference: The graph, opened on another backend.
        ranges: The shapes that the plan serves.

    Returns:
        Output name to the worst relative error of a channel: root mean square of the difference over that of the
        reference.

    Raises:
        BuildError: An output is not finite, or further off than the precision explains.
    """
    worst: dict[str, float] = {}
    for inputs in sample_inputs(spec, ranges, tokens=_vocabulary(graph)):
        found, expected = plan.run(inputs), reference.run(inputs)
        for name, array in found.items():
            if wrong := int(np.count_nonzero(~np.isfinite(array.astype(np.float32)))):
                raise BuildError(
                    graph,
                    f"expected finite numbers from the plan, found {wrong} NaN or infinite in {name}",
                    f"the plan was thrown away; use a graph of another precision than {spec.precision}",
                )
            worst[name] = max(worst.get(name, 0.0), relative_error(expected[name], array))
    bound = _TOLERANCE[spec.precision]
    for name, error in worst.items():
        if error > bound:
            raise BuildError(
                graph,
                f"expected the plan to be within {bound:g} of {reference.backend}, found {error:.3g} in {name}",
                "the plan was thrown away; try another --level, or --no-tf32",
            )
    return worst


def relative_error(expected: Array, found: Array) -> float:
    """The largest over the channels (axis 1) of the difference's root mean square over the expected one's."""
    if expected.dtype == np.uint8:  # packed masks: the share of bits that differ
        return float(np.unpackbits(np.bitwise_xor(expected, found)).mean())
    a, b = expected.astype(np.float64), found.astype(np.float64)
    axes = tuple(axis for axis in range(a.ndim) if axis != 1) if a.ndim > 2 else None
    apart = np.sqrt(np.square(a - b).mean(axis=axes))
    size = np.sqrt(np.square(a).mean(axis=axes))
    return float(np.max(apart / np.maximum(size, _FLOOR)))


def sample_inputs(spec: ModelSpec, ranges: Mapping[str, ShapeRange], tokens: int = 1) -> Iterator[dict[str, Array]]:
    """Drawn inputs for a graph, of the usual shapes and, where it is another, of the largest.

    Helper graphs are spared the largest: frames of dozens of megapixels.

    Args:
        spec: Of the graph.
        ranges: The shapes that a plan of it serves.
        tokens: How many tokens there are, for a graph that takes their ids.
    """
    generator = np.random.default_rng(0)
    usual = {name: each.usual for name, each in ranges.items()}
    largest = {name: each.largest for name, each in ranges.items()}
    for shapes in (usual,) if usual == largest or isinstance(spec.input, ArraysInput) else (usual, largest):
        yield {name: _sample(spec, name, shape, tokens, generator) for name, shape in shapes.items()}


def _vocabulary(graph: Path) -> int:
    """How many tokens the tokenizer beside a graph has; 1 where there is none."""
    file = graph.parent / "tokenizer.json"
    return len(json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]) if file.is_file() else 1


def _sample(spec: ModelSpec, name: str, shape: Shape, tokens: int, generator: np.random.Generator) -> Array:
    given = spec.input
    if isinstance(given, ImageInput):
        planar = shape if given.layout == "NCHW" else (shape[0], shape[3], *shape[1:3])
        levels = _pictures(planar, generator)
        if given.layout == "NHWC":
            return np.ascontiguousarray(levels.transpose(0, 2, 3, 1)).astype(given.dtype)
        mean, std = (np.array(each, np.float32)[:, None, None] for each in (given.mean, given.std))
        return ((levels * np.float32(given.scale) - mean) / std).astype(given.dtype)
    if isinstance(given, TokenInput):
        ids = generator.integers(0, tokens, shape)
        ids[np.arange(shape[1]) >= generator.integers(2, shape[1], (shape[0], 1))] = given.pad_id
        return ids.astype(np.int64)
    if isinstance(given, FeatureInput):
        return generator.normal(size=shape).astype(given.dtype)
    return _array(given, name, shape, generator)


def _array(given: ArraysInput, name: str, shape: Shape, generator: np.random.Generator) -> Array:
    dtype = given.dtypes[given.names.index(name)]
    if dtype == "uint8":
        levels = _pictures((1, shape[2], *shape[:2]), generator)[0]
        return np.ascontiguousarray(levels.transpose(1, 2, 0)).astype(np.uint8)
    if shape[-1:] == (4,):  # boxes
        corners = np.sort(generator.uniform(0, 64, (*shape[:-1], 2, 2)), axis=-2)
        return corners.reshape(shape).astype(dtype)
    if len(shape) == 1:  # coordinates
        return np.linspace(0, 30, shape[0]).astype(dtype)
    return generator.normal(size=shape).astype(dtype)


def _pictures(shape: Shape, generator: np.random.Generator) -> Array:
    """Blocks of colour with noise, (n, c, h, w), levels 0 to 255."""
    count, channels, height, width = shape
    blocks = generator.uniform(0, 255, (count, channels, -(-height // 32), -(-width // 32)))
    smooth = blocks.repeat(32, axis=2).repeat(32, axis=3)[:, :, :height, :width]
    return np.clip(smooth + generator.normal(0, 8, shape), 0, 255)
