"""Adopt a segmenter of one graph in transformers' form: frame to logits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec, Output
from fastsam_export.adopt.comparison import prove_adopted
from fastsam_export.adopt.hub_files import WHOLE
from fastsam_export.adopt.image_processor import ImageProcessor, ProcessorDefaults
from fastsam_export.adopt.original import Original
from fastsam_export.adopt.ready_family import AdoptionRequest
from fastsam_export.adopt.ready_graph import ReadyGraph
from fastsam_export.adopt.repository import Repository
from fastsam_export.errors import AdoptionError
from fastsam_export.family import Exported
from fastsam_export.helper_graphs import export_helpers
from fastsam_export.parity import drawn_batches

_PIXELS, _MASK = "pixel_values", "pixel_mask"
_RANKS = {"class-logits": 4, "query-class-logits": 3, "query-mask-logits": 4}


@dataclass(frozen=True, slots=True)
class SegmenterKind:
    """What the segmenters of a family have in common.

    Attributes:
        family: Family whose decoder reads the outputs.
        meanings: Output of the graph to its meaning; the first has a number per class.
        classes_axis: Axis of the classes in that output.
        extra_classes: Number of classes without a name, such as "no object".
        size_multiple: Height and width are multiples of this, px.
        processor: What its image processor does by default.
        thresholds: Default thresholds.
    """

    family: str
    meanings: Mapping[str, str]
    classes_axis: int
    extra_classes: int
    size_multiple: int
    processor: ProcessorDefaults
    thresholds: Mapping[str, float]


def adopt_segmenter(
    kind: SegmenterKind, repository: Repository, request: AdoptionRequest, folder: Path, step: Callable[[str], None]
) -> list[Exported]:
    """Adopt a segmenter; see `ReadyFamily.adopt`."""
    path = repository.graphs.get(WHOLE)
    if path is None:
        raise AdoptionError(
            repository.folder, f"expected one graph of a segmenter, found {', '.join(repository.graphs)}"
        )
    names = repository.class_names()
    step("reading the graph")
    graph = ReadyGraph(path)
    image = _image(kind, graph, repository, request)
    batch = drawn_batches(image)[0]
    counts = sorted({1, len(batch)})
    what = f"{len(batch)} drawn picture{'s' if len(batch) > 1 else ''}"
    step("running the original graph")
    mask = _mask_axes(graph, image)
    with tempfile.TemporaryDirectory(dir=folder) as staging, Original(path, Path(staging)) as original:
        expected = [original.run(_inputs(batch[:count], mask), what) for count in counts]
    shapes = _shapes(kind, path, expected[0])
    found = shapes[next(iter(shapes))][kind.classes_axis] - kind.extra_classes
    if found != len(names):
        raise AdoptionError(repository.folder / "config.json", f"expected {found} class names, found {len(names)}")
    spec = ModelSpec(
        name=request.name,
        family=kind.family,
        task="segment",
        input=image,
        outputs=tuple(
            Output(name, meaning, " ".join(["N", *map(str, shapes[name][1:])]))
            for name, meaning in kind.meanings.items()
        ),
        class_names=names,
        defaults=dict(kind.thresholds),
        precision=request.precision,
        source=request.origin(path),
    )
    step("adapting the graph")
    adopted = folder / f"{request.name}.onnx"
    _adapt(graph, image, mask, shapes).save(adopted, spec)
    step("comparing with the original graph")
    inputs = [batch[:count] for count in counts]
    proven = prove_adopted(adopted, spec, request.precision, inputs, expected, what)
    return [proven, *export_helpers(spec, folder, step)]


def _image(kind: SegmenterKind, graph: ReadyGraph, repository: Repository, request: AdoptionRequest) -> ImageInput:
    """Check the inputs and outputs of the graph. Returns its input."""
    if missing := [name for name in kind.meanings if name not in graph.outputs]:
        raise AdoptionError(
            graph.path,
            f"expected the outputs {', '.join(kind.meanings)} of a segmenter, found {', '.join(graph.outputs)}: no "
            f"{', '.join(missing)}, so it is a graph of another task",
        )
    if _PIXELS not in graph.inputs or graph.inputs.keys() - {_PIXELS, _MASK}:
        raise AdoptionError(graph.path, f"expected the inputs {_PIXELS} and {_MASK}, found {', '.join(graph.inputs)}")
    axes = graph.inputs[_PIXELS].axes or ()
    if len(axes) != 4 or axes[1] not in (3, *(axis for axis in axes if isinstance(axis, str))):
        raise AdoptionError(graph.path, f"expected pictures (n, 3, h, w), found an input {axes}")
    if isinstance(axes[0], int) and axes[0] != 1:
        raise AdoptionError(graph.path, f"expected a graph that takes one picture, found a batch of {axes[0]}")
    image = ImageProcessor(repository, kind.processor).frame_input(_PIXELS, kind.size_multiple, axes, request.imgsz)
    return replace(image, batch=(1, 1) if axes[0] == 1 else (1, None))


def _shapes(kind: SegmenterKind, path: Path, outputs: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    """The shapes of the outputs of one picture."""
    shapes = {name: outputs[name].shape for name in kind.meanings}
    for name, meaning in kind.meanings.items():
        if len(shapes[name]) != _RANKS[meaning]:
            raise AdoptionError(
                path,
                f"output {name!r}: expected {_RANKS[meaning]} axes ({meaning}), found {shapes[name]}: it is a graph of "
                "another task",
            )
    return shapes


def _mask_axes(graph: ReadyGraph, image: ImageInput) -> tuple[int, ...]:
    """The lengths of the mask that marks the padding, without the batch; empty if the graph takes none."""
    if _MASK not in graph.inputs:
        return ()
    stated = (graph.inputs[_MASK].axes or ("", "", ""))[1:]
    sides = (image.height, image.width)
    return tuple(axis if isinstance(axis, int) else side for axis, side in zip(stated, sides, strict=True))


def _inputs(batch: Array, mask: tuple[int, ...]) -> dict[str, Array]:
    """The inputs of the original: no picture has padding."""
    given = {_PIXELS: batch}
    return {**given, _MASK: np.ones((len(batch), *mask), np.int64)} if mask else given


def _adapt(
    graph: ReadyGraph, image: ImageInput, mask: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]
) -> ReadyGraph:
    batch = 1 if image.batch[1] == 1 else "batch"
    if _MASK in graph.keep(tuple(shapes)):
        graph.fill_with_ones(_MASK, mask, like=_PIXELS)
    graph.set_input(_PIXELS, image.dtype, (batch, 3, image.height, image.width))
    for name, shape in shapes.items():
        graph.set_float32(name)
        graph.set_output(name, (batch, *shape[1:]))
    return graph
