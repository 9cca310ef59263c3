"""OutputFolder: unique file names in a folder that a run fills."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from fastsam_engine.errors import OutputError
from fastsam_engine.store.atomic_files import check_writable
from fastsam_trt.sinks.frame_names import bounded

_LONGEST_BYTES = 232  # of a stem: leaves room for a suffix and the affixes of temporary files within 255
_FILE_SUFFIXES = frozenset({".jpeg", ".jpg", ".json", ".mp4", ".png", ".txt", ".yaml", ".zip"})


class OutputFolder:
    """Names for files in one folder."""

    def __init__(self, path: Path) -> None:
        """Create the folder.

        Args:
            path: The folder, created if missing.

        Raises:
            OutputError: It is a file, has the suffix of one, or can't be created or written.
        """
        if path.suffix.lower() in _FILE_SUFFIXES and not path.is_dir():
            raise OutputError(path, f"expected a folder, found the name of a {path.suffix} file")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                path, f"expected a folder, found a path where none can be created ({error.strerror})"
            ) from error
        check_writable(path / "probe.png")
        self._path = path
        self._taken: set[str] = set()

    def name(self, stem: str, suffix: str = ".png") -> Path:
        """The file for a stem that is unique to its frame."""
        return self._path / (bounded(stem, _LONGEST_BYTES) + suffix)

    def take(self, stem: str, suffix: str = ".png") -> Path:
        """A file that this run has not used yet, ignoring case: the stem, with a number if it is taken."""
        stem, number = bounded(stem, _LONGEST_BYTES), 1
        name = stem + suffix
        while (key := unicodedata.normalize("NFC", name).casefold()) in self._taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(key)
        return self._path / name
