"""Move the files of a finished model to their folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from fastsam_engine.store.model_store import sibling_graph
from fastsam_export.family import Exported

_PARTS = ("heads", "masks")


def install(files: Sequence[Exported], folder: Path) -> list[Exported]:
    """Move files to a folder, and delete parts there that would not fit them.

    Args:
        files: The files of one model, the first graph first.
        folder: Created if its parent exists.

    Returns:
        The files with their new paths.
    """
    folder.mkdir(exist_ok=True)
    installed = []
    for file in files:
        target = folder / file.path.name
        file.path.replace(target)
        installed.append(dataclasses.replace(file, path=target))
    for part in _PARTS:
        stale = sibling_graph(installed[0].path, part)
        if stale not in [file.path for file in installed]:
            stale.unlink(missing_ok=True)
    return installed
