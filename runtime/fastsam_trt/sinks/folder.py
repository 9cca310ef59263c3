"""A folder that a run fills, a file for each picture."""

from __future__ import annotations

from pathlib import Path

from fastsam_engine.atomic_files import check_writable
from fastsam_engine.errors import OutputError
from fastsam_trt.sources import Frame


def frame_stem(frame: Frame) -> str:
    """What a picture of a frame is called, without a suffix: `photo`, and for the second page of a TIFF `scan-2`."""
    name, _, page = Path(frame.source).name.rpartition("#")
    if page.isdecimal() and name and not Path(frame.source).exists():
        return f"{Path(name).stem}-{page}"
    return Path(frame.source).stem


class OutputFolder:
    """Names for PNG files in one folder, none of them twice."""

    def __init__(self, path: Path) -> None:
        """Prepare.

        Args:
            path: The folder, made if it is missing.

        Raises:
            OutputError: It is a file, or can't be made or written.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(path, f"expected a folder or a place for one ({error.strerror})") from error
        check_writable(path / "probe.png")
        self._path = path
        self._taken: set[Path] = set()

    def take(self, stem: str) -> Path:
        """A name that this run has not taken yet: the stem, with a number where need be, and `.png`."""
        target, number = self._path / f"{stem}.png", 1
        while target in self._taken:
            number += 1
            target = self._path / f"{stem}-{number}.png"
        self._taken.add(target)
        return target
