"""Open the helper graphs of a model, which prepare frames, cut crops and decode masks on its device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastsam_engine import Session, open_session
from fastsam_engine.errors import ModelFileError
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.store.model_store import sibling_graph


def open_helper_sessions(
    session: Session,
    graph: Path,
    helpers: Sequence[str],
    wanted: bool | None,
    graph_part: str = "",
    threads: int | None = None,
) -> dict[str, Session]:
    """Open helper graphs on the device of a model's graph.

    Args:
        session: The model's graph, open.
        graph: Its file.
        helpers: Names of the helper graphs that the model may have. The first must exist if `wanted` is True.
        wanted: Whether to open them; None: only if the graph's arrays are on a device.
        graph_part: The part that `graph` is, see `sibling_graph`.
        threads: The number of threads that the graph was opened with.

    Returns:
        Name to session, for the helper graphs that exist.

    Raises:
        ModelFileError: They are wanted, and the first does not exist.
    """
    files = {helper: sibling_graph(graph, helper, graph_part) for helper in helpers}
    existing = {helper: file for helper, file in files.items() if file.is_file()}
    if wanted is False or (wanted is None and session.memory == "host"):
        return {}
    if wanted and helpers[0] not in existing:
        raise ModelFileError(graph, f"expected {files[helpers[0]].name} beside it, found none")
    # Pixel coordinates need full fp32. ONNX Runtime's TensorRT provider does not guarantee it. Its CUDA provider does,
    # and keeps its arrays in the same memory.
    device = session.device.replace("tensorrt", "cuda")
    return {
        helper: open_session(file, session.backend, device, "fp32", threads=threads)
        for helper, file in existing.items()
    }


def accepts_frame_size(session: Session, height: int, width: int) -> bool:
    """Whether a helper graph accepts frames of (height, width) px; TensorRT plans are built for a range of sizes."""
    axes = session.spec.input.axes if isinstance(session.spec.input, ArraysInput) else {}
    return all(low <= n <= high for n, (low, _, high) in ((height, axes["H"]), (width, axes["W"])))
