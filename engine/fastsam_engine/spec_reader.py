"""The spec of an ONNX file or a plan, whoever made it."""

from __future__ import annotations

from pathlib import Path

from fastsam_engine import ultralytics_metadata
from fastsam_engine.errors import ModelFileError, ModelNotFoundError, SpecVersionError
from fastsam_engine.model_spec import METADATA_KEY, SCHEMA_VERSION, ModelSpec, schema_version
from fastsam_engine.onnx_metadata import read_metadata
from fastsam_engine.tensorrt.plan_file import is_plan, read_facts


def read_spec(path: Path) -> ModelSpec:
    """Read the spec of an ONNX file from its metadata, or of a plan from the file beside it.

    Args:
        path: A file of this project's export, or of ultralytics' own, or a plan built from one.

    Raises:
        ModelNotFoundError: There is no such file.
        SpecVersionError: The spec has another schema version.
        ModelFileError: The file is cut short, no ONNX, has no usable spec, or is no model that we run.
    """
    if not path.is_file():
        raise ModelNotFoundError(str(path), path.parent)
    if is_plan(path):
        return read_facts(path)[0]
    metadata = read_metadata(path)
    if METADATA_KEY not in metadata:
        if ultralytics_metadata.is_ultralytics(metadata):
            return ultralytics_metadata.read_spec(path, metadata)
        raise ModelFileError(
            path,
            f"expected a spec in the metadata ({METADATA_KEY}), found none and no metadata of ultralytics either",
        )
    try:
        found = schema_version(metadata[METADATA_KEY])
        if found != SCHEMA_VERSION:
            raise SpecVersionError(path, SCHEMA_VERSION, found)
        return ModelSpec.from_json(metadata[METADATA_KEY])
    except ModelFileError:
        raise
    except ValueError as error:
        raise ModelFileError(path, f"the spec in the metadata can't be read ({error})") from error
