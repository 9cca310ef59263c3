"""What a folder or glob holds: images and videos in natural order, and a word about the rest."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from fastsam_trt.errors import SourceNotFoundError, SourceUnreadableError
from fastsam_trt.sources.files.source_file import has_image_name, has_video_name, look_into
from fastsam_trt.sources.names import printable

_logger = logging.getLogger(__name__)

_NAMED = 8  # how many suffixes are told
_MOST_BELOW = 20_000  # how many files of subfolders are looked at, to tell that there are some


def list_media(name: str, path: Path) -> list[Path]:
    """List the images and videos of a folder, or those that a glob finds (`**` with subfolders).

    Hidden files are passed over in silence; what else is no image or video is counted in a warning. Files named as
    neither are judged by their content. `f2` comes before `f10`.

    Args:
        name: What the user called it.
        path: The folder, or the pattern.

    Raises:
        SourceNotFoundError: There is none.
        SourceUnreadableError: The folder can't be read.
    """
    try:
        is_folder = path.is_dir()
        found = list(path.iterdir()) if is_folder else [Path(each) for each in glob.glob(str(path), recursive=True)]
    except (OSError, ValueError) as error:  # ValueError: a null byte in a pattern
        found_there = getattr(error, "strerror", None) or error
        raise SourceUnreadableError(name, f"it can't be read ({found_there})") from error
    visible = sorted({each for each in found if not each.name.startswith(".")} if is_folder else set(found), key=_order)
    folders: list[Path] = []
    media: list[Path] = []
    others: list[Path] = []
    for each in visible:
        (folders if each.is_dir() else media if _is_media(each) else others).append(each)
    rest = _describe(others, folders if is_folder else [], f"{name.rstrip('/')}/**/*")
    if not media:
        wanted = "images or videos there"
        raise SourceNotFoundError(name, wanted, rest) if rest else SourceNotFoundError(name, wanted)
    if rest:
        _logger.warning("source %r: passed over %s", name, rest)
    return media


def _is_media(path: Path) -> bool:
    """Whether it is an image or a video; one by its name that is broken counts, for a run to say so."""
    if not path.is_file():  # a link that leads nowhere, or a pipe, which is not to be opened
        return path.is_symlink() and not path.exists() and (has_image_name(path) or has_video_name(path))
    return has_image_name(path) or has_video_name(path) or look_into(path, count=False).is_media


def _order(path: Path) -> tuple[object, ...]:
    """The key of natural order: numbers by their value, letters without regard to case."""
    parts = tuple(
        tuple(int(piece) if place % 2 else piece for place, piece in enumerate(re.split(r"([0-9]+)", part.casefold())))
        for part in path.parts
    )
    return parts, str(path)


def _describe(files: Iterable[Path], folders: Iterable[Path], pattern: str) -> str:
    """What was passed over, in words; empty where nothing was."""
    texts = []
    suffixes = Counter(printable(file.suffix.lower()) or "without a suffix" for file in files)
    if suffixes:
        most = [f"{count} {suffix}" for suffix, count in suffixes.most_common(_NAMED)]
        if len(suffixes) > _NAMED:
            most.append(f"{sum(suffixes.values()) - sum(n for _, n in suffixes.most_common(_NAMED))} of other names")
        noun = "file that is no image or video" if suffixes.total() == 1 else "files that are no images or videos"
        texts.append(f"{suffixes.total()} {noun}: {', '.join(most)}")
    below, holders = _count_below(folders)
    if below:
        noun = "image or video" if below == 1 else "images or videos"
        where = "a subfolder" if holders == 1 else f"{holders} subfolders"
        texts.append(f"{below} {noun} in {where}, which {pattern!r} would find")
    return "; and ".join(texts)


def _count_below(folders: Iterable[Path]) -> tuple[int, int]:
    """How many files below are named as images or videos, and in how many of the folders."""
    seen = below = holders = 0
    for folder in folders:
        here = 0
        for _, inner, names in os.walk(folder):
            inner[:] = [] if seen > _MOST_BELOW else [each for each in inner if not each.startswith(".")]
            paths = [Path(each) for each in names if not each.startswith(".")]
            seen += len(paths)
            here += sum(has_image_name(each) or has_video_name(each) for each in paths)
        below += here
        holders += here > 0
    return below, holders
