"""Convert a graph to another version of ONNX's operators."""

from __future__ import annotations

from pathlib import Path

from fastsam_engine.errors import one_line
from fastsam_export.errors import SplitError


def to_opset(path: Path, opset: int) -> None:
    """Convert a graph, in place, to the operators of another version. Its metadata stays.

    Args:
        path: An ONNX file with its weights.
        opset: The version.

    Raises:
        SplitError: It can't be converted.
    """
    import onnx
    from onnx import version_converter

    model = onnx.load(str(path))
    try:
        converted = version_converter.convert_version(model, opset)
    except Exception as error:  # the converter is compiled code, whose exceptions have no common base
        raise SplitError(f"its operators can't be converted to opset {opset} ({one_line(error)})") from error
    del converted.metadata_props[:]
    converted.metadata_props.extend(model.metadata_props)
    onnx.save(converted, str(path))
