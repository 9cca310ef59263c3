"""Lay out the files of a new model with their sizes and how they were compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_trt.cli.text_table import table


def parity_table(files: Iterable[tuple[Path, ModelSpec | None]], reference: str) -> str:
    """A line per file and metric; parts of one network have one record, which is shown once.

    Args:
        files: Each with its spec; None for a file that is no graph.
        reference: What they were compared with.
    """
    rows: list[tuple[object, ...]] = []
    shown = None
    for path, spec in files:
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        parity = spec.parity if spec else None
        if parity is None or parity == shown:
            rows.append((path, size, "", "", ""))
            continue
        shown = parity
        for i, (metric, worst) in enumerate(sorted(parity.worst.items())):
            first = (path, size) if i == 0 else ("", "")
            rows.append((*first, metric, f"{worst:.6g}", f"{parity.tolerance[metric]:.6g}"))
    return table(("file", "size", f"parity with {reference}", "worst", "bound"), rows)
