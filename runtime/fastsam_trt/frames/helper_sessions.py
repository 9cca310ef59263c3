"""Opening the helper graphs of a model, which do around its graphs, on a device, what is done on the host else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastsam_engine import Session, open_session
from fastsam_engine.errors import ModelFileError
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.store.model_store import beside


def open_helper_sessions(
    session: Session,
    graph: Path,
    parts: Sequence[str],
    wanted: bool | None,
    own: str = "",
    threads: int | None = None,
) -> dict[str, Session]:
    """Open helper graphs where a model's graph runs.

    Args:
        session: The graph, open.
        graph: Its file.
        parts: Which helpers may be there; the first has to be if they are wanted.
        wanted: None: only where the graph's arrays do not lie on the host.
        own: Part of the model that `graph` is, see `beside`.
        threads: As the graph was opened with.

    Returns:
        Part to session, those that there are.

    Raises:
        ModelFileError: They are wanted, and the first is not there.
    """
    files = {part: beside(graph, part, own) for part in parts}
    there = {part: file for part, file in files.items() if file.is_file()}
    if wanted is False or (wanted is None and session.place == "host"):
        return {}
    if wanted and parts[0] not in there:
        raise ModelFileError(graph, f"expected {files[parts[0]].name} beside it, found none")
    # fp32 by name: places in the frame need all their digits. ONNX Runtime's TensorRT provider can't promise that, but
    # its CUDA provider, whose arrays lie at the same place.
    device = session.device.replace("tensorrt", "cuda")
    return {part: open_session(file, session.backend, device, "fp32", threads=threads) for part, file in there.items()}


def takes(session: Session, height: int, width: int) -> bool:
    """Whether a helper graph serves frames of a size, px: plans are built for a range of them."""
    axes = session.spec.input.axes if isinstance(session.spec.input, ArraysInput) else {}
    return all(low <= n <= high for n, (low, _, high) in ((height, axes["H"]), (width, axes["W"])))
