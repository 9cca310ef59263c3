"""A folder that a run fills, with files for each frame."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import check_writable
from fastsam_trt.sinks.frame_names import bounded

_LONGEST_BYTES = 232  # of a stem: with a suffix, and what stands around it while it is written, it stays below 255
_FILE_SUFFIXES = frozenset({".jpeg", ".jpg", ".json", ".mp4", ".png", ".txt", ".yaml", ".zip"})


class OutputFolder:
    """Names for files in one folder, none of them twice."""

    def __init__(self, path: Path) -> None:
        """Prepare.

        Args:
            path: The folder, made if it is missing.

        Raises:
            OutputError: It is a file or called like one, or can't be made or written.
        """
        if path.suffix.lower() in _FILE_SUFFIXES and not path.is_dir():
            raise OutputError(path, f"expected a folder, found the name of a {path.suffix} file")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(path, f"expected a folder or a place for one ({error.strerror})") from error
        check_writable(path / "probe.png")
        self._path = path
        self._taken: set[str] = set()

    def name(self, stem: str, suffix: str = ".png") -> Path:
        """The file of a stem that no other frame has."""
        return self._path / (bounded(stem, _LONGEST_BYTES) + suffix)

    def take(self, stem: str, suffix: str = ".png") -> Path:
        """A name that this run has not taken yet, in any case of letters: the stem, with a number where need be."""
        stem, number = bounded(stem, _LONGEST_BYTES), 1
        name = stem + suffix
        while (key := unicodedata.normalize("NFC", name).casefold()) in self._taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(key)
        return self._path / name
