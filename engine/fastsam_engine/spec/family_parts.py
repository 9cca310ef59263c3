"""Check that the graphs of a model that was cut into parts belong together."""

from __future__ import annotations

from pathlib import Path

from fastsam_engine.errors import ModelFileError
from fastsam_engine.spec.model_spec import ModelSpec

_SHOWN_DIGITS = 12


def check_part_exists(trunk_path: Path, trunk_spec: ModelSpec, part_path: Path) -> None:
    """Check that a part of a model is where `sibling_graph` expects it.

    Args:
        trunk_path, trunk_spec: The model's first graph, `M.onnx`, and its spec.
        part_path: The part, such as `M.heads.onnx`.

    Raises:
        ModelFileError: There is no such file.
    """
    if not part_path.is_file():
        raise ModelFileError(
            trunk_path, f"expected {part_path.name} beside it, found no such file", _copy_or_export(trunk_spec)
        )


def check_part(trunk_path: Path, trunk_spec: ModelSpec, part_path: Path, part_spec: ModelSpec) -> None:
    """Check that a part of a model was cut from the same graph as the model's first graph.

    Args:
        trunk_path, trunk_spec: The model's first graph, `M.onnx`, and its spec.
        part_path, part_spec: The part, such as `M.heads.onnx`, and its spec.

    Raises:
        ModelFileError: A file is missing, is from a version without `export_id`, or is of another export, family or
            precision. The message names the file and what fixes it.
    """
    check_part_exists(trunk_path, trunk_spec, part_path)
    fix = _copy_or_export(trunk_spec)
    part = part_path.stem.rpartition(".")[2]
    if (part_spec.family, part_spec.task) != (trunk_spec.family, part):
        raise ModelFileError(
            part_path,
            f"expected {part} of the family {trunk_spec.family}, as {trunk_path.name} is, "
            f"found {part_spec.task} of the family {part_spec.family}",
            fix,
        )
    for path, spec in ((trunk_path, trunk_spec), (part_path, part_spec)):
        if not spec.export_id:
            raise ModelFileError(path, "expected an export_id in its spec, found an older spec without one", fix)
    if part == "masks" and "tile_cells" not in part_spec.input_names:
        raise ModelFileError(part_path, "expected an input tile_cells, found an older file without one", fix)
    if part_spec.export_id != trunk_spec.export_id:
        raise ModelFileError(
            part_path,
            f"expected a part of the same export as {trunk_path.name} ({trunk_spec.export_id[:_SHOWN_DIGITS]}...), "
            f"found one of another export ({part_spec.export_id[:_SHOWN_DIGITS]}...)",
            fix,
        )
    if part_spec.precision != trunk_spec.precision:
        raise ModelFileError(
            part_path, f"expected {trunk_spec.precision}, as {trunk_path.name} is, found {part_spec.precision}", fix
        )


def _copy_or_export(spec: ModelSpec) -> str:
    return f"copy all files of one export, or export it again with: fastsam-trt export {spec.name}"
