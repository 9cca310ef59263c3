"""List the images and videos of a folder or glob, in natural order."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from fastsam_trt.errors import SourceNotFoundError, SourceUnreadableError
from fastsam_trt.sources.files.source_file import has_image_name, has_video_name, inspect_file
from fastsam_trt.sources.names import printable

_logger = logging.getLogger(__name__)

_NAMED = 8  # suffixes that a message lists
_MOST_BELOW = 20_000  # files in subfolders that are counted for a hint


def list_media(name: str, path: Path) -> list[Path]:
    """List the images and videos of a folder, or those that match a glob (`**` includes subfolders).

    Files without a known suffix are detected by their content. Hidden files of a folder are skipped silently; other
    files are counted in a warning. `f2` comes before `f10`.

    Args:
        name: Name of the source, as given by the user.
        path: The folder, or the glob pattern.

    Raises:
        SourceNotFoundError: There is no image or video.
        SourceUnreadableError: The folder can't be read.
    """
    try:
        is_folder = path.is_dir()
        paths = list(path.iterdir()) if is_folder else [Path(match) for match in glob.glob(str(path), recursive=True)]
    except (OSError, ValueError) as error:  # ValueError: a null byte in a pattern
        why = getattr(error, "strerror", None) or error
        raise SourceUnreadableError(name, f"it can't be read ({why})") from error
    visible = sorted({file for file in paths if not file.name.startswith(".")} if is_folder else set(paths), key=_order)
    folders: list[Path] = []
    media: list[Path] = []
    others: list[Path] = []
    for file in visible:
        (folders if file.is_dir() else media if _is_media(file) else others).append(file)
    rest = _describe(others, folders if is_folder else [], f"{name.rstrip('/')}/**/*")
    if not media:
        wanted = "images or videos there"
        raise SourceNotFoundError(name, wanted, rest) if rest else SourceNotFoundError(name, wanted)
    if rest:
        _logger.warning("source %r: skipped %s", name, rest)
    return media


def _is_media(path: Path) -> bool:
    """Whether a file is an image or a video. Broken ones with a known suffix count, so that a run reports them."""
    if not path.is_file():  # a broken link, or a pipe, which must not be opened
        return path.is_symlink() and not path.exists() and (has_image_name(path) or has_video_name(path))
    return has_image_name(path) or has_video_name(path) or inspect_file(path, count=False).is_media


def _order(path: Path) -> tuple[object, ...]:
    """The sort key of natural order: numbers by value, letters ignoring case."""
    parts = tuple(
        tuple(int(piece) if i % 2 else piece for i, piece in enumerate(re.split(r"([0-9]+)", part.casefold())))
        for part in path.parts
    )
    return parts, str(path)


def _describe(files: Iterable[Path], folders: Iterable[Path], pattern: str) -> str:
    """A description of skipped files; empty if there are none."""
    texts = []
    suffixes = Counter(printable(file.suffix.lower()) or "without a suffix" for file in files)
    if suffixes:
        most = [f"{count} {suffix}" for suffix, count in suffixes.most_common(_NAMED)]
        if len(suffixes) > _NAMED:
            most.append(f"{sum(suffixes.values()) - sum(n for _, n in suffixes.most_common(_NAMED))} others")
        noun = "file that is not an image or video" if suffixes.total() == 1 else "files that are not images or videos"
        texts.append(f"{suffixes.total()} {noun}: {', '.join(most)}")
    below, holders = _count_below(folders)
    if below:
        noun = "image or video" if below == 1 else "images or videos"
        where = "a subfolder" if holders == 1 else f"{holders} subfolders"
        texts.append(f"{below} {noun} in {where} (include subfolders with {pattern!r})")
    return "; and ".join(texts)


def _count_below(folders: Iterable[Path]) -> tuple[int, int]:
    """Number of files with an image or video suffix in folders, and number of folders that contain any."""
    seen = below = holders = 0
    for folder in folders:
        here = 0
        for _, inner, names in os.walk(folder):
            inner[:] = [] if seen > _MOST_BELOW else [subfolder for subfolder in inner if not subfolder.startswith(".")]
            paths = [Path(file) for file in names if not file.startswith(".")]
            seen += len(paths)
            here += sum(has_image_name(path) or has_video_name(path) for path in paths)
        below += here
        holders += here > 0
    return below, holders
