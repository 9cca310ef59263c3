"""Adopt segmenters that ultralytics exported: YOLOv8, YOLO11, YOLO26 and FastSAM."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from fastsam_engine.graph.onnx_graph import read_graph
from fastsam_engine.opener import open_session
from fastsam_engine.session import Array
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_engine.spec.onnx_metadata import read_metadata
from fastsam_engine.spec.ultralytics_metadata import is_ultralytics
from fastsam_engine.spec_reader import read_spec
from fastsam_export.adopt.comparison import ORIGINAL, compute_precision
from fastsam_export.adopt.opset import to_opset
from fastsam_export.adopt.ready_family import AdoptionRequest, ReadyFamily, register
from fastsam_export.adopt.ready_graph import ReadyGraph
from fastsam_export.adopt.repository import Repository
from fastsam_export.errors import AdoptionError, ParityError, SplitError
from fastsam_export.families import all_families
from fastsam_export.family import Exported
from fastsam_export.frameworks.ultralytics_models import Outputs, UltralyticsFamily
from fastsam_export.helper_graphs import export_helpers
from fastsam_export.onnx_file import write_spec
from fastsam_export.parity import cpu_backends, drawn_batches
from fastsam_export.proof import prove
from fastsam_export.sparse.dense_graph import OPSET as CUT_OPSET
from fastsam_export.sparse.split import split_files

_LOOSER: Mapping[str, Mapping[str, float]] = {  # than the tolerance of fp32, as backends round elsewhere
    "fp16": {"max_abs_score": 2e-2, "min_box_iou": 0.95, "min_mask_iou": 0.95, "min_class_agreement": 0.99},
    "int8": {"max_abs_score": 0.15, "min_box_iou": 0.8, "min_mask_iou": 0.7, "min_class_agreement": 0.85},
}


@register
class ReadyUltralytics(ReadyFamily):
    """One ONNX file with ultralytics' metadata."""

    description = "a segmenter that ultralytics exported (YOLOv8, YOLO11, YOLO26, FastSAM)"

    def recognises(self, repository: Repository) -> bool:
        graphs = tuple(repository.graphs.values())
        return len(graphs) == 1 and is_ultralytics(read_metadata(graphs[0]))

    def adopt(
        self, repository: Repository, request: AdoptionRequest, folder: Path, step: Callable[[str], None]
    ) -> list[Exported]:
        (path,) = repository.graphs.values()
        step("reading the graph")
        spec = _spec(path, request)
        graph = folder / f"{request.name}.onnx"
        write_spec(graph, spec, source=path)
        step("comparing with the original graph")
        dense = Exported(graph, _prove(path, graph, spec))
        helpers = export_helpers(spec, folder, step)
        parts = folder / "parts"
        parts.mkdir()
        try:
            cuttable = _cuttable(path, dense, folder, step)
        except (AdoptionError, SplitError, ParityError) as error:
            return [dataclasses.replace(dense, kept_whole=str(error)), *helpers]
        files = split_files([cuttable, *helpers], parts, step)
        return [dataclasses.replace(dense, kept_whole=files[0].kept_whole), *helpers] if files[0].kept_whole else files


def _cuttable(original: Path, dense: Exported, folder: Path, step: Callable[[str], None]) -> Exported:
    """The graph in a form that can be cut: with its nodes in order, and of another opset where that is needed.

    Raises:
        AdoptionError, SplitError: It has no such form.
        ParityError: That form computes something else than the original.
    """
    if dense.spec is None:
        return dense
    graph = ReadyGraph(dense.path)
    if graph.opset == CUT_OPSET and graph.is_in_order:
        return dense
    step("preparing the graph for cutting")
    prepared = folder / "prepared" / dense.path.name
    prepared.parent.mkdir()
    graph.keep(tuple(graph.outputs))
    graph.save(prepared, dense.spec)
    if graph.opset != CUT_OPSET:
        to_opset(prepared, CUT_OPSET)
    return Exported(prepared, _prove(original, prepared, dense.spec))


def _spec(path: Path, request: AdoptionRequest) -> ModelSpec:
    """The spec of the file, as the engine reads it from ultralytics' metadata, with the origin."""
    spec = read_spec(path)
    if external := read_graph(path).external:
        raise AdoptionError(path, f"expected a file with its weights, found them in {', '.join(external)}")
    if spec.precision != request.precision:
        raise AdoptionError(
            path,
            f"expected a graph in {request.precision}, found one in {spec.precision}",
            f"use --precision {spec.precision}",
        )
    image = spec.input
    if not isinstance(image, ImageInput) or image.batch[0] > 1:
        raise AdoptionError(path, f"expected a graph that takes one picture, found {image}")
    if request.imgsz is not None:
        height, width = request.imgsz
        if image.size_multiple is None and (height, width) != (image.height, image.width):
            raise AdoptionError(
                path, f"imgsz: expected {image.height} x {image.width}, its fixed size, found {height} x {width}"
            )
        if height % (image.size_multiple or 1) or width % (image.size_multiple or 1):
            raise AdoptionError(path, f"imgsz: expected multiples of {image.size_multiple}, found {height} x {width}")
        image = dataclasses.replace(image, height=height, width=width)
    origin = request.origin(path)
    source = dataclasses.replace(
        origin,
        versions={**origin.versions, **spec.source.versions},
        licence=origin.licence or spec.source.licence,
    )
    return dataclasses.replace(spec, name=request.name, input=image, source=source)


def _prove(original: Path, path: Path, spec: ModelSpec) -> ModelSpec:
    """Compare the adopted graph on every backend with the original on the first one."""
    family = all_families()[spec.family]
    if not isinstance(family, UltralyticsFamily) or not isinstance(spec.input, ImageInput):
        raise TypeError(f"expected a family of ultralytics, found {spec.family}")
    limits = family.tolerance if spec.precision == "fp32" else _LOOSER[spec.precision]
    name, (detections, prototypes) = spec.input.name, (output.name for output in spec.outputs)
    batches = [batch.astype(spec.input.dtype) for batch in drawn_batches(spec.input)]
    backends = cpu_backends()
    with open_session(original, backends[0], "cpu", compute_precision(spec.precision)) as session:
        expected = [session.run({name: batch}) for batch in batches]

    def of(outputs: Mapping[str, Array]) -> Outputs:
        return outputs[detections].astype(np.float32), outputs[prototypes].astype(np.float32)

    def comparisons() -> Iterator[tuple[str, Mapping[str, float]]]:
        for backend in backends:
            with open_session(path, backend, "cpu", compute_precision(spec.precision)) as session:
                for batch, reference in zip(batches, expected, strict=True):
                    count, _, height, width = batch.shape
                    found = session.run({name: batch})
                    metrics = family.compare(of(reference), of(found), len(spec.class_names))
                    what = (
                        f"{count} drawn pictures at {height} x {width} on {' and '.join(backends)}, against {ORIGINAL}"
                    )
                    yield what, {metric: metrics[metric] for metric in limits}

    return prove(path, spec, limits, comparisons(), ORIGINAL)
