"""The demo models that come with the package, checked against their checksums before they are opened."""

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
            f"{path}: expected the file that came with the package, found {found}; "
            "run: pip install --force-reinstall --no-deps fastsam-trt"
        )


def locate(name: str | Path, folder: Path = FOLDER) -> str | Path:
    """The folder of a demo model, or the name itself where it is none of them.

    Args:
        name: Name, folder or file of any model.
        folder: Where the demo models lie.

    Raises:
        BundledModelError: A file of the demo model is missing, or not the one that came with the package.
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
                raise BundledModelError(path, f"another content (sha256 {found[:12]}... instead of {expected[:12]}...)")
    return folder / str(name)


def write_checksums(folder: Path) -> None:
    """Record the checksums of the demo models in a folder."""
    files = sorted(each for each in folder.glob("*/*") if each.is_file())
    sums = {each.relative_to(folder).as_posix(): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}
    (folder / "checksums.json").write_text(json.dumps(sums, indent=1) + "\n")
