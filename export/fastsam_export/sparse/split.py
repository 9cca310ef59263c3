"""Cut a dense segmenter into trunk, heads and masks, and prove them against it."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from fastsam_engine.opener import open_session
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.spec.model_spec import Parity
from fastsam_export.errors import SplitError
from fastsam_export.family import Exported
from fastsam_export.onnx_file import sha256, write_spec
from fastsam_export.parity import ParityRecorder, cpu_backends, drawn_batches
from fastsam_export.sparse.agreement import BOUNDS, Comparison, write_reference
from fastsam_export.sparse.branches import find_branches
from fastsam_export.sparse.dense_graph import DenseGraph
from fastsam_export.sparse.parts import Parts

FAMILIES = ("yolo-seg", "yolo-end2end")
"""Families of dense graphs that can be cut."""

REFERENCE = "the dense graph"
"""The reference of the parts; it was itself compared with PyTorch, or with its fp32 graph."""


def split_files(files: Sequence[Exported], folder: Path, step: Callable[[str], None]) -> list[Exported]:
    """Cut the segmenter among the files of a model.

    Args:
        files: The files of one model. Those of a family that is never cut are returned as they are.
        folder: Folder for the new files, not that of the old ones.
        step: Called with a short description when a step begins.

    Returns:
        The parts and the other files; if the segmenter can't be cut, the old files, with the reason in `kept_whole`.

    Raises:
        ParityError: The parts compute something else.
    """
    first, *others = files
    spec = first.spec
    if spec is None or spec.family not in FAMILIES or not isinstance(spec.input, ImageInput):
        return list(files)
    try:
        return [*split_dense(first, folder, step), *others]
    except SplitError as error:
        step(f"keeping the dense graph: {error}")
        return [dataclasses.replace(first, kept_whole=str(error)), *others]


def split_dense(dense: Exported, folder: Path, step: Callable[[str], None]) -> list[Exported]:
    """Cut a dense segmenter into graphs that compute only what can be selected, and prove them against it.

    Args:
        dense: `M.onnx`, a segmenter of one of the families, with its spec.
        folder: Folder for `M.onnx`, `M.heads.onnx` and `M.masks.onnx`; a dense file of that name is replaced.
        step: Called with a short description when a step begins.

    Returns:
        The trunk, heads and masks. Their specs record the comparison with the dense graph beside the dense graph's own.

    Raises:
        SplitError: The graph can't be cut; nothing is written.
        ParityError: The parts compute something else; nothing is written.
    """
    spec = dense.spec
    if spec is None or spec.family not in FAMILIES or not isinstance(spec.input, ImageInput):
        raise SplitError(f"expected a model of family {' or '.join(FAMILIES)}, found {spec.family if spec else 'none'}")
    step("cutting the graph")
    graph = DenseGraph(dense.path, spec.input)
    parts = Parts(graph, spec, find_branches(graph, spec.input.height), sha256(dense.path))
    with tempfile.TemporaryDirectory(prefix=".parts-", dir=folder) as staging:
        trunk, heads, masks = (Path(staging) / f"{spec.name}{part}.onnx" for part in ("", ".heads", ".masks"))
        specs = {trunk: parts.build_trunk(trunk), heads: parts.build_heads(heads), masks: parts.build_masks(masks)}
        step("comparing the parts with the dense graph")
        reference = Path(staging) / f"{spec.name}.dense.onnx"
        write_reference(parts, reference)
        parity = _prove(parts, spec.input, (reference, trunk, heads, masks))
        made = []
        for path, part in specs.items():
            proven = dataclasses.replace(part, parity=parity)
            write_spec(path, proven)
            made.append(Exported(path.replace(folder / path.name), proven))
    return made


def _prove(parts: Parts, image: ImageInput, graphs: tuple[Path, Path, Path, Path]) -> Parity:
    """Compare the parts with their dense graph. Returns this record, joined with the dense graph's own.

    Raises:
        ParityError: They differ.
    """
    precision = parts.spec.precision
    bounds = BOUNDS[precision]
    recorder = ParityRecorder(bounds)
    for backend in cpu_backends() if precision == "fp32" else ("onnxruntime",):
        with contextlib.ExitStack() as opened:
            dense, trunk, heads, masks = (
                opened.enter_context(
                    open_session(path, backend, "cpu", precision="fp32" if precision == "fp32" else "auto")
                )
                for path in graphs
            )
            comparison = Comparison(parts, dense, trunk, heads, masks)
            for batch in drawn_batches(image):
                count, _, height, width = batch.shape
                what = f"parts on {count} drawn pictures at {height} x {width} on {backend}, against {REFERENCE}"
                for metrics in comparison.metrics(batch):
                    recorder.add(what, metrics)
    found = recorder.close(graphs[1].name, REFERENCE)
    before = parts.spec.parity
    if before is None:
        return found
    return Parity(
        before.inputs + found.inputs, {**before.worst, **found.worst}, {**before.tolerance, **found.tolerance}
    )
