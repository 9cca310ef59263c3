"""Room for a file to grow."""

from __future__ import annotations

import shutil
from pathlib import Path


def growable_bytes(path: Path) -> int:
    """By how many bytes an existing file may still grow: the room on its disk, and below the process's limit."""
    room = shutil.disk_usage(path).free
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return room
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    return room if limit == resource.RLIM_INFINITY else min(room, max(limit - path.stat().st_size, 0))
