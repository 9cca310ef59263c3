"""Locate the demo models that come with the package, and verify their checksums."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from fastsam_engine.errors import WorkError

SEGMENTER = "demo-seg"
CLIP = "demo-clip"

FOLDER = Path(__file__).parent / "demo" / "models"


class BundledModelError(WorkError, OSError):
    """A demo model is missing or damaged."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"{path}: expected the file that comes with the package, found {found}; "
            "run: pip install --force-reinstall --no-deps fastsam-trt"
        )


def locate(name: str | Path, folder: Path = FOLDER) -> str | Path:
    """Return the folder of a demo model; any other name is returned unchanged.

    Args:
        name: Name, folder or file of any model.
        folder: The folder of the demo models.

    Raises:
        BundledModelError: A file of the demo model is missing, or differs from the one in the package.
    """
    if str(name) not in (SEGMENTER, CLIP):
        return name
    checksums: dict[str, str] = json.loads((folder / "checksums.json").read_text())
    for file, expected in checksums.items():
        path = folder / file
        if path.parent.name == str(name):
            if not path.is_file():
                raise BundledModelError(path, "no file")
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != expected:
                raise BundledModelError(
                    path, f"different content (sha256 {found[:12]}... instead of {expected[:12]}...)"
                )
    return folder / str(name)


def write_checksums(folder: Path) -> None:
    """Write the checksums of the demo models in a folder to its `checksums.json`."""
    files = sorted(path for path in folder.glob("*/*") if path.is_file())
    sums = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / "checksums.json").write_text(json.dumps(sums, indent=1) + "\n")
