"""FrameNames: names for the output files of frames."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from fastsam_trt.sources import Frame, Kind
from fastsam_trt.sources.names import as_path, printable
from fastsam_trt.sources.pipes.pipe import STANDARD_INPUT, name_in_files

_LONGEST_BYTES = 220  # of a source's name: leaves room for a number and a suffix within the file system's 255
_LONGEST_SLUG = 40


class FrameNames:
    """Names for the frames of a run, made from their sources.

    Names of frames of one video or camera are unique; images in different folders may share a name.

    Attributes:
        kind: Kind of the source.
        folder: The common folder of all images; None if there is none.
    """

    def __init__(self, kind: Kind, files: Sequence[Path] = ()) -> None:
        """Find the common folder.

        Args:
            kind: Kind of the source.
            files: The images of the run, and videos among them.
        """
        self.kind = kind
        self.folder = _common_folder(files)
        self._files = {source_name(file): file for file in files}

    def image(self, frame: Frame) -> str:
        """The file name of the frame in a dataset: its path relative to the common folder, with `/`.

        Frames of videos are named as `ffmpeg -i clip.mp4 -start_number 0 clip_%d.png` would: `clip_12.png`.
        """
        if not self._is_image(frame):
            return f"{self.label(frame)}.png"
        path, page = self._locate(frame)
        return self._below(path).as_posix() + (f"#{page}" if page else "")

    def label(self, frame: Frame) -> str:
        """The path from `image` without its suffix, as ultralytics names labels: `photo`, `a/photo`, `clip_12`."""
        path, _ = self._locate(frame)
        return self._below(path).with_name(self._numbered(frame, "_{}", _LONGEST_BYTES)).as_posix()

    def stem(self, frame: Frame, longest: int = _LONGEST_BYTES) -> str:
        """A sortable name without folders: `photo`, `clip-000012`; at most `longest` bytes of the source's name."""
        return self._numbered(frame, "-{:06d}", longest)

    def _numbered(self, frame: Frame, number: str, longest: int) -> str:
        path, page = self._locate(frame)
        stem = bounded(slug(path.stem) if _is_address(frame.source) else path.stem, longest)
        if page:
            return f"{stem}{number[0]}{page}"
        return stem if self._is_image(frame) else stem + number.format(frame.index)

    def _is_image(self, frame: Frame) -> bool:
        return self.kind == "images" and frame.media_s is None

    def _locate(self, frame: Frame) -> tuple[PurePath, str]:
        """The file of a frame, and its page if the file has several: `scan.tif#2`."""
        file = self._files.get(frame.source)
        page = (
            re.fullmatch(r"(.*)#([0-9]+)", frame.source, re.DOTALL) if file is None and self.kind == "images" else None
        )
        if page and (not self._files or page[1] in self._files):
            return self._files.get(page[1], _path(page[1])), page[2]
        return file or _path(frame.source), ""

    def _below(self, path: PurePath) -> PurePath:
        if self.folder is not None and path.is_relative_to(self.folder):
            return path.relative_to(self.folder)
        return PurePath(path.name)


def source_name(file: Path) -> str:
    """The `Frame.source` of a file."""
    return printable(file)


def stem_of(source: str) -> str:
    """The stem for output files of a source; empty if the source has no name.

    For an address it is the last part of its path, or its host; never a password.
    """
    stem = _path(source).stem
    return slug(stem) if _is_address(source) else stem


def slug(text: str, longest: int = _LONGEST_SLUG) -> str:
    """A text as part of a file name: letters and digits in lower case, without accents; `-` for everything else."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()
    return bounded(re.sub(r"[^\w]+", "-", unicodedata.normalize("NFC", plain)).strip("-_"), longest).rstrip("-")


def bounded(name: str, longest: int) -> str:
    """A name cut to at most `longest` bytes, between characters."""
    data = os.fsencode(name)
    return name if len(data) <= longest else data[:longest].decode("utf-8", "ignore")


def _path(source: str) -> PurePath:
    """The source as a path."""
    if not _is_address(source):
        path = as_path(name_in_files(source))
        return PurePath("stdin") if path == STANDARD_INPUT else path
    address = urlsplit(source)
    return PurePath(PurePath(address.path).name or slug(address.netloc.rpartition("@")[2]))


def _is_address(source: str) -> bool:
    """Whether a source is the address of a stream."""
    return re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+://", source, re.IGNORECASE) is not None


def _common_folder(files: Sequence[Path]) -> Path | None:
    """The deepest folder that contains all files."""
    if not files:
        return None
    try:
        return Path(os.path.commonpath([file.parent for file in files]))
    except ValueError:  # absolute and relative paths, or two drives
        return None
