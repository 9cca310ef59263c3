"""Make sample inputs for a graph: images, texts, features, and helper graphs' arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from fastsam_engine.backends.tensorrt.plan_check.sample_images import SampleImages
from fastsam_engine.backends.tensorrt.plan_check.sample_patches import sample_patches
from fastsam_engine.device_array import Array
from fastsam_engine.plans.shape_ranges import Shape, ShapeRange
from fastsam_engine.spec.model_input import ArraysInput, FeatureInput, ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec

_LEAST = 4  # images or texts in total, enough for every kind of image
_COARSE = 4  # side of the blocks in random features, cells


def sample_inputs(spec: ModelSpec, ranges: Mapping[str, ShapeRange], tokens: int = 1) -> Iterator[dict[str, Array]]:
    """Inputs for a graph, of the usual shapes and, if different, the largest; the same ones every time.

    Heads and masks get patches and whole levels, see `sample_patches`. Helper graphs get only the usual shapes, since
    their largest are frames of dozens of megapixels.

    Args:
        spec: Of the graph.
        ranges: The shapes that a plan of the graph supports.
        tokens: Size of the vocabulary, for a graph that takes token ids.
    """
    if isinstance(spec.input, ArraysInput) and spec.is_part:
        yield from sample_patches(spec, spec.input, ranges)
        return
    samples = _Samples(spec, tokens)
    usual = {name: each.usual for name, each in ranges.items()}
    largest = {name: each.largest for name, each in ranges.items()}
    runs = [usual] if usual == largest or isinstance(spec.input, ArraysInput) else [usual, largest]
    if isinstance(spec.input, ImageInput | TokenInput):
        counts = [shapes[spec.input.name][0] for shapes in runs]
        runs = [usual] * max(0, -(-(_LEAST - sum(counts)) // counts[0])) + runs
    for shapes in runs:
        yield {name: samples.array(name, shape) for name, shape in shapes.items()}


class _Samples:
    """Arrays for the inputs of a graph, all different."""

    def __init__(self, spec: ModelSpec, tokens: int) -> None:
        self._spec = spec
        self._tokens = tokens
        self._generator = np.random.default_rng(0)
        self._sample_images = SampleImages()
        self._taken = 0  # images

    def array(self, name: str, shape: Shape) -> Array:
        given = self._spec.input
        if isinstance(given, ImageInput):
            return self._images(given, shape)
        if isinstance(given, TokenInput):
            ids = self._generator.integers(0, self._tokens, shape)
            ids[np.arange(shape[1]) >= self._generator.integers(2, shape[1], (shape[0], 1))] = given.pad_id
            return ids.astype(np.int64)
        if isinstance(given, FeatureInput):
            return self._features(shape).astype(given.dtype)
        return self._helper_array(given, name, shape)

    def _images(self, image: ImageInput, shape: Shape) -> Array:
        planar = image.layout == "NCHW"
        height, width = shape[2:] if planar else shape[1:3]
        mean, std = (np.array(each, np.float32) for each in (image.mean, image.std))
        batch = np.empty(shape, image.dtype)
        for planes in batch:  # one at a time, since the largest batch is large
            levels = self._sample_images.image(self._taken, height, width)
            self._taken += 1
            ordered = levels if image.colour == "RGB" else levels[..., ::-1]
            if planar:
                planes[:] = ((ordered * np.float32(image.scale) - mean) / std).transpose(2, 0, 1)
            else:
                planes[:] = ordered
        return batch

    def _features(self, shape: Shape) -> Array:
        """Numbers around zero; in maps they change slowly from cell to cell."""
        drawn = self._generator.normal(size=shape)
        if len(shape) == 4:
            coarse = self._generator.normal(size=(*shape[:2], *(-(-n // _COARSE) for n in shape[2:])))
            slow = coarse.repeat(_COARSE, axis=2).repeat(_COARSE, axis=3)[:, :, : shape[2], : shape[3]]
            drawn = slow + 0.3 * drawn
        return drawn

    def _helper_array(self, given: ArraysInput, name: str, shape: Shape) -> Array:
        dtype = given.dtypes[given.names.index(name)]
        if dtype == "uint8":
            frame = self._sample_images.image(self._taken, *shape[:2])
            self._taken += 1
            return np.ascontiguousarray(frame)
        if shape[-1:] == (4,):  # boxes and windows, px
            corners = np.sort(self._generator.integers(0, 64, (*shape[:-1], 2, 2)), axis=-2)
            corners[..., 1, :] += 1
            return corners.reshape(shape).astype(dtype)
        if len(shape) == 1:  # coordinates
            return np.linspace(0, 30, shape[0]).astype(dtype)
        if self._spec.task == "preprocess":
            return _interpolation(*shape).astype(dtype)
        return self._features(shape).astype(dtype)


def _interpolation(after: int, before: int) -> Array:
    """Weights (after, before) of a linear resize along one axis, antialiased when it shrinks."""
    reach = max(before / after, 1.0)
    centres = (np.arange(after) + 0.5) * (before / after) - 0.5
    weights = np.maximum(1 - abs(np.arange(before) - centres[:, None]) / reach, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
