"""Writing files so that a stop half-way leaves the old file or none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fastsam_trt.errors import OutputError


def check_writable(path: Path) -> None:
    """Make sure, before any work, that a file can be made at a path.

    Raises:
        OutputError: It is a folder, or its folder is missing or can't be written.
    """
    if path.is_dir():
        raise OutputError(path, "expected a file, found a folder")
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(path, f"expected the folder {folder}, found none", f"run: mkdir -p {folder}")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        if path.exists():
            path.open("ab").close()
    except OSError as error:
        raise OutputError(path, f"it can't be written ({error.strerror})") from error


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file beside its target and rename it into place.

    Raises:
        OutputError: The file can't be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(path, f"it can't be written ({error.strerror})") from error
