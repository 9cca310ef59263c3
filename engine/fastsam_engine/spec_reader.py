"""Read the spec of an ONNX file or a plan of this project or of ultralytics."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from fastsam_engine.errors import ClassNamesError, ModelFileError, ModelNotFoundError, SpecVersionError
from fastsam_engine.graph.onnx_graph import read_graph
from fastsam_engine.plans.plan_file import is_plan, read_facts
from fastsam_engine.spec import ultralytics_metadata, yolo_graph
from fastsam_engine.spec.graph_agreement import check_graph
from fastsam_engine.spec.json_reader import shown
from fastsam_engine.spec.model_spec import METADATA_KEY, SCHEMA_VERSION, ModelSpec
from fastsam_engine.spec.onnx_metadata import read_metadata
from fastsam_engine.spec.spec_document import parse_spec, schema_version
from fastsam_engine.store.other_formats import refuse_other_formats


def read_spec(path: Path, class_names: Sequence[str] | None = None) -> ModelSpec:
    """Read the spec of an ONNX file from its metadata, or of a plan from the file beside it.

    Args:
        path: A file exported by this project or by ultralytics, or a plan built from one.
        class_names: Names to use instead of the file's; with them a YOLO segmenter needs no metadata.

    Raises:
        ModelNotFoundError: There is no such file.
        SpecVersionError: The spec has another schema version.
        ClassNamesError: The number of names differs from the number of classes.
        ModelFileError: The file is truncated, no ONNX file, has no usable spec, is an unsupported model, or its graph
            does not match its spec.
    """
    if not path.is_file():
        raise ModelNotFoundError(str(path), path.parent)
    refuse_other_formats(path)
    if is_plan(path):
        return _renamed(path, read_facts(path)[0], class_names)
    metadata = read_metadata(path)
    graph = read_graph(path)
    if METADATA_KEY in metadata:
        spec = _renamed(path, _own_spec(path, metadata[METADATA_KEY]), class_names)
    elif ultralytics_metadata.is_ultralytics(metadata):
        spec = yolo_graph.fit_spec(path, ultralytics_metadata.read_spec(path, metadata), graph, class_names)
    elif yolo_graph.is_yolo_segmenter(graph):
        spec = yolo_graph.assume_spec(path, graph, class_names)
    else:
        raise ModelFileError(
            path,
            f"expected a spec in the metadata ({METADATA_KEY}), found none and no metadata of ultralytics either",
        )
    check_graph(path, spec, graph)
    return spec


def _own_spec(path: Path, text: str) -> ModelSpec:
    try:
        found = schema_version(text)
        if found != SCHEMA_VERSION:
            raise SpecVersionError(path, SCHEMA_VERSION, shown(found))
        return parse_spec(text)
    except ModelFileError:
        raise
    except ValueError as error:
        raise ModelFileError(path, f"the spec in the metadata can't be read ({error})") from error


def _renamed(path: Path, spec: ModelSpec, class_names: Sequence[str] | None) -> ModelSpec:
    if class_names is None:
        return spec
    if len(class_names) != len(spec.class_names):
        raise ClassNamesError(path, len(spec.class_names), len(class_names))
    # `class_agnostic` was stated for other names.
    return dataclasses.replace(spec, class_names=tuple(class_names), class_agnostic=None)
