"""Choose the shapes that a plan supports: per input the smallest, the usual (which it is tuned for), the largest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from fastsam_engine.errors import BuildRequestError
from fastsam_engine.plans.part_ranges import part_axes
from fastsam_engine.spec.model_input import ArraysInput, ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec

Shape = tuple[int, ...]
_WIDE = 9 / 16  # height to width of most sources' frames
_QUERIES = 300
_BATCHES = {"segment": (1, 1, 8), "embed-image": (1, 16, 32), "embed-text": (1, 16, 64)}


@dataclass(frozen=True, slots=True)
class ShapeRange:
    """The shapes that an input may have; if all three are equal, only that one."""

    smallest: Shape
    usual: Shape
    largest: Shape


def shape_ranges(
    spec: ModelSpec, *, batch: tuple[int, int] | None = None, imgsz: tuple[int, int] | None = None
) -> dict[str, ShapeRange]:
    """The shapes that a plan of a graph shall support, per input.

    Args:
        spec: Of the graph.
        batch: Usual and largest number of images or texts; None: by task, 1 and 8 for segmenters.
        imgsz: (height, width) px to restrict a model of several sizes to; None: every size up to its default one.

    Raises:
        BuildRequestError: The model does not support this batch or size.
    """
    given = spec.input
    if isinstance(given, ImageInput | TokenInput):
        low, usual, high = _batches(spec, given, batch)
    elif batch is not None and not spec.is_part:
        raise BuildRequestError("batch", "none for a graph that takes another graph's outputs", "omit it")
    if imgsz is not None and not (isinstance(given, ImageInput) or spec.is_part):
        raise BuildRequestError("imgsz", f"none, since {spec.name}'s graph takes no images", "omit it")
    if isinstance(given, TokenInput):
        return {given.name: ShapeRange(*((n, given.length) for n in (low, usual, high)))}
    if isinstance(given, ImageInput):
        sizes = _sizes(given, imgsz)
        shapes = (
            (n, 3, *size) if given.layout == "NCHW" else (n, *size, 3)
            for n, size in zip((low, usual, high), sizes, strict=True)
        )
        return {given.name: ShapeRange(*shapes)}
    most = int(spec.defaults.get("max_segments", _QUERIES))
    axes: Mapping[str, tuple[int, int, int]] = {"K": (1, 10, most)}
    if isinstance(given, ArraysInput):
        axes = part_axes(spec, given, batch, imgsz) if spec.is_part else given.axes
    return {name: _range(layout, axes) for name, layout in zip(given.names, given.layouts, strict=True)}


def plan_spec(spec: ModelSpec, ranges: Mapping[str, ShapeRange]) -> ModelSpec:
    """The spec of a plan: that of its graph, with the batch and image size that the plan supports."""
    given = spec.input
    if not isinstance(given, ImageInput | TokenInput):
        return spec
    range_ = ranges[given.name]
    batch = range_.smallest[0], range_.largest[0]
    if isinstance(given, TokenInput):
        return dataclasses.replace(spec, input=dataclasses.replace(given, batch=batch))
    at = 2 if given.layout == "NCHW" else 1
    size = range_.largest[at : at + 2]
    multiple = None if range_.smallest[at : at + 2] == size else given.size_multiple
    taken = dataclasses.replace(given, batch=batch, height=size[0], width=size[1], size_multiple=multiple)
    return dataclasses.replace(spec, input=taken)


def _batches(
    spec: ModelSpec, given: ImageInput | TokenInput, requested: tuple[int, int] | None
) -> tuple[int, int, int]:
    low, high = given.batch
    usual, most = requested or _BATCHES[spec.task][1:]
    if requested is None:
        most = max(low, most if high is None else min(most, high))
        usual = min(max(usual, low), most)
    if not low <= usual <= most or (high is not None and most > high):
        allowed = f"{low} to {high or 'any'}"
        raise BuildRequestError("batch", f"{allowed}, the usual no larger than the largest", f"{usual} {most}")
    return low, usual, most


def _sizes(image: ImageInput, requested: tuple[int, int] | None) -> tuple[tuple[int, int], ...]:
    whole, multiple = (image.height, image.width), image.size_multiple
    if multiple is None:
        if requested not in (None, whole):
            raise BuildRequestError("imgsz", f"{whole[0]} {whole[1]}, the only size of this model", f"{requested}")
        return whole, whole, whole
    if requested is not None:
        if min(requested) < multiple or requested[0] % multiple or requested[1] % multiple:
            raise BuildRequestError("imgsz", f"multiples of {multiple} px", f"{requested[0]} {requested[1]}")
        return requested, requested, requested
    wide = min(-(-round(whole[1] * _WIDE) // multiple) * multiple, whole[0])
    return (multiple, multiple), (wide, whole[1]), whole


def _range(layout: str, axes: Mapping[str, tuple[int, int, int]]) -> ShapeRange:
    lengths = [(int(axis),) * 3 if axis.isdigit() else axes[axis] for axis in layout.split()]
    return ShapeRange(*(tuple(each[i] for each in lengths) for i in range(3)))
