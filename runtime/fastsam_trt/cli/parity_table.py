"""Lay out the files of a new model with their sizes and how they were compared."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fastsam_engine.rounding import round_with_bound
from fastsam_engine.spec.model_spec import ModelSpec
from fastsam_trt.cli.text_table import table


def parity_table(files: Iterable[tuple[Path, ModelSpec | None]], reference: str, folder: Path | None = None) -> str:
    """A line per file and metric; parts of one network have one record, which is shown once.

    Args:
        files: Each with its spec; None for a file that is no graph.
        reference: What they were compared with.
        folder: Paths are shown as in this folder; None: whole.
    """
    rows: list[tuple[object, ...]] = []
    shown = None
    for path, spec in files:
        shown_path = path if folder is None else path.relative_to(folder)
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        parity = spec.parity if spec else None
        if parity is None or parity == shown:
            rows.append((shown_path, size, "", "", ""))
            continue
        shown = parity
        for i, (metric, worst) in enumerate(sorted(parity.worst.items())):
            first = (shown_path, size) if i == 0 else ("", "")
            rows.append((*first, metric, *round_with_bound(worst, parity.tolerance[metric])))
    return table(("file", "size", f"parity with {reference}", "worst", "bound"), rows)
