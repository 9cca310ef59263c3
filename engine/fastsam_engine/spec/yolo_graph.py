"""Make the spec of a YOLO segmenter from its graph: names, dtype, batch, size, classes, and whether it includes NMS."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

from fastsam_engine.errors import ClassNamesError, ModelFileError
from fastsam_engine.graph.onnx_graph import Axes, OnnxGraph
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Source
from fastsam_engine.spec.yolo_seg import (
    detections_output,
    end_to_end_output,
    is_fastsam,
    letterbox_input,
    prototypes_output,
    thresholds,
)

_FIX = "export it again with: yolo export model=WEIGHTS.pt format=onnx, or fastsam-trt export NAME --weights WEIGHTS.pt"
_STRIDE, _SIDE, _CHANNELS = 32, 640, 32  # of YOLOv8, YOLO11, YOLO26 and FastSAM


def fit_spec(path: Path, spec: ModelSpec, graph: OnnxGraph, names: Sequence[str] | None) -> ModelSpec:
    """Correct a spec from ultralytics' metadata by the graph, which is what runs.

    Args:
        path: The file, for messages.
        spec: From the metadata.
        graph: The file's graph.
        names: Class names to use instead of the metadata's.

    Raises:
        ModelFileError: It is not the graph of a YOLO segmenter, or takes unsupported input.
        ClassNamesError: The number of names differs from the number of classes.
    """
    image = _image(path, cast("ImageInput", spec.input), graph)
    classes = tuple(spec.class_names if names is None else names)
    (detections, axes), (prototypes, channels) = _outputs(path, graph, len(classes))
    kind = _kind(axes, channels)
    if kind == "neither":
        raise ModelFileError(
            path, f"expected detections (n, 4 + classes + {channels}, anchors) or (n, k, {6 + channels}), found "
            f"({', '.join(map(str, axes))})", _FIX,
        )  # fmt: skip
    scored = axes[1] == 4 + len(classes) + channels  # a row per box side, class and coefficient
    end_to_end = kind == "end2end" or (kind == "either" and spec.family == "yolo-end2end" and not scored)
    if not end_to_end and isinstance(axes[1], int) and axes[1] - 4 - channels != len(classes):
        raise ClassNamesError(path, axes[1] - 4 - channels, len(classes))
    fastsam = spec.is_class_agnostic if names is None else is_fastsam(classes, path.stem)
    found = end_to_end_output(channels) if end_to_end else detections_output(len(classes), channels)
    return dataclasses.replace(
        spec,
        family="yolo-end2end" if end_to_end else "yolo-seg",
        input=image,
        outputs=(
            dataclasses.replace(found, name=detections),
            dataclasses.replace(prototypes_output(channels), name=prototypes),
        ),
        class_names=classes,
        class_agnostic=fastsam,
        defaults=thresholds(fastsam=fastsam, nms=not end_to_end),
    )


def is_yolo_segmenter(graph: OnnxGraph) -> bool:
    """Whether a graph has the inputs and outputs of a YOLO segmenter: images; detections and prototypes."""
    taken = [each.axes for each in graph.inputs.values()]
    ranks = [len(each.axes) for each in graph.outputs.values() if each.axes is not None]
    return len(taken) == 1 and len(taken[0] or ()) == 4 and 3 in ranks and 4 in ranks


def assume_spec(path: Path, graph: OnnxGraph, names: Sequence[str] | None) -> ModelSpec:
    """The spec of a graph without metadata that `is_yolo_segmenter`.

    Raises:
        ModelFileError, ClassNamesError: See `fit_spec`; or `names` is None.
    """
    if names is None:
        (_, axes), (_, channels) = _outputs(path, graph, None)
        raw = _kind(axes, channels) in ("raw", "either") and isinstance(axes[1], int)
        count = f"{cast('int', axes[1]) - 4 - channels} classes" if raw else "classes"
        raise ModelFileError(
            path, f"expected metadata that names its {count}, found none", "give their names with --names FILE"
        )
    image = letterbox_input(_SIDE, _SIDE, _STRIDE, (1, None))
    spec = ModelSpec(path.stem, "yolo-seg", "segment", image, (), source=Source(path.name))
    return fit_spec(path, spec, graph, names)


def _image(path: Path, image: ImageInput, graph: OnnxGraph) -> ImageInput:
    if len(graph.inputs) != 1:
        raise ModelFileError(path, f"expected one input, found {', '.join(graph.inputs) or 'none'}", _FIX)
    ((name, taken),) = graph.inputs.items()
    axes = taken.axes or ("", 3, "", "")
    if len(axes) != 4 or axes[1] not in (3, *(each for each in axes if isinstance(each, str))):
        raise ModelFileError(path, f"expected images (n, 3, h, w), found an input ({', '.join(map(str, axes))})", _FIX)
    if taken.dtype not in ("float32", "float16"):
        raise ModelFileError(path, f"expected images of float32 or float16, found {taken.dtype}", _FIX)
    batch, _, height, width = axes
    free = isinstance(height, str) and isinstance(width, str)
    return dataclasses.replace(
        image,
        name=name,
        height=height if isinstance(height, int) else image.height,
        width=width if isinstance(width, int) else image.width,
        size_multiple=(image.size_multiple or _STRIDE) if free else None,
        dtype=cast("Literal['float32', 'float16']", taken.dtype),
        batch=(batch, batch) if isinstance(batch, int) else (1, None),
    )


def _outputs(path: Path, graph: OnnxGraph, classes: int | None) -> tuple[tuple[str, Axes], tuple[str, int]]:
    """The outputs that fit best, independent of their names: detections with axes, prototypes with their number."""
    ranks: dict[int, list[tuple[str, Axes]]] = {3: [], 4: []}
    for name, tensor in graph.outputs.items():
        if tensor.axes is not None and len(tensor.axes) in ranks:
            ranks[len(tensor.axes)].append((name, tensor.axes))
    if not ranks[3] or not ranks[4]:
        found = ", ".join(f"{name} ({', '.join(map(str, each.axes or '?'))})" for name, each in graph.outputs.items())
        raise ModelFileError(
            path, f"expected detections and mask prototypes of a YOLO segmenter, found {found or 'no output'}", _FIX
        )
    pairs = [
        (detections, (name, axes[1] if isinstance(axes[1], int) else _CHANNELS))
        for name, axes in ranks[4]
        for detections in ranks[3]
    ]

    def fit(pair: tuple[tuple[str, Axes], tuple[str, int]]) -> int:
        (_, (_, rows, columns)), (_, channels) = pair
        if columns == 6 + channels or (classes is not None and rows == 4 + classes + channels):
            return 3
        return 0 if _kind(pair[0][1], channels) == "neither" else 1 + (channels == _CHANNELS)

    return max(pairs, key=fit)


def _kind(axes: Axes, channels: int) -> Literal["raw", "end2end", "either", "neither"]:
    """The kind of detections: `raw` (n, 4 + classes + c, anchors), or `end2end` (n, k, 6 + c), which need no NMS."""
    _, rows, columns = axes
    if columns == 6 + channels:
        return "end2end"
    if isinstance(rows, int) and rows <= 4 + channels:
        return "neither"
    return "either" if isinstance(columns, str) else "raw"
