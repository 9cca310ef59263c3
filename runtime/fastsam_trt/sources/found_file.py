"""FoundFile: a file among the sources, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastsam_engine.errors import FastsamError
from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.frames.file_type import FileType, sniff_file
from fastsam_trt.frames.image import IMAGE_SUFFIXES
from fastsam_trt.frames.pillow_reader import PillowReader
from fastsam_trt.sources.animation import Animation
from fastsam_trt.sources.source import Source

# Names that videos have, of cameras, camcorders and discs as well.
_VIDEO_SUFFIXES = frozenset({".3g2", ".3gp", ".amv", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264",
                             ".h265", ".hevc", ".ivf", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv",
                             ".mod", ".mov", ".mp4", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".ogm", ".ogv",
                             ".qt", ".rm", ".rmvb", ".tod", ".ts", ".vob", ".webm", ".wmv", ".y4m"})  # fmt: skip
_SHARED_SUFFIXES = frozenset({".dv", ".mod", ".mpv", ".nut", ".qt", ".rm", ".tod", ".ts"})  # other files' as well


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file and its content.

    Attributes:
        path: Where it is.
        content: What its first bytes tell; None where it can't be read.
        trouble: Why it can't be read.
        count: How many pictures it holds: pages, or frames of an animation; 1 for all that is no picture.
    """

    path: Path
    content: FileType | None
    count: int = 1
    trouble: str = ""

    @property
    def is_video(self) -> bool:
        """Whether its frames are those of a video. What is not known is tried as one."""
        if self.content is None:
            return has_video_name(self.path)
        if self.content.kind == "animation":
            return self.count > 1
        return self.content.kind == "video" or (self.content.kind == "unknown" and not has_picture_name(self.path))

    @property
    def is_media(self) -> bool:
        """Whether it holds pictures or a video."""
        return self.content is not None and self.content.kind in {"image", "animation", "video"}

    def check(self, name: str) -> None:
        """Refuse what is known to hold no picture and no video.

        Args:
            name: What the user called it.

        Raises:
            SourceUnreadableError: It does not, or can't be read.
        """
        if self.content is None:
            raise SourceUnreadableError(name, f"it can't be read ({self.trouble})")
        if not self.is_media and self.content.kind != "unknown":
            raise SourceUnreadableError(name, f"expected a video or image, found {self.content.name}")

    def open_video(self, name: str, vid_stride: int) -> Source:
        """Open it as a video.

        Raises:
            SourceUnreadableError: It is none.
        """
        if self.content is not None and self.content.kind == "animation":
            return Animation(name, self.open_pictures(name), vid_stride)
        from fastsam_trt.sources.video_file import VideoFile  # which loads FFmpeg

        return VideoFile(name, self.path, vid_stride)

    def open_pictures(self, name: str) -> PillowReader:
        """Open it as pictures.

        Raises:
            SourceUnreadableError: It is broken, or holds none.
            PackagesMissingError: Its reader is not installed.
        """
        if self.content is None or self.content.image_format is None:
            found = "one that can't be read" if self.content is None else self.content.name
            raise SourceUnreadableError(name, f"expected a file of pictures, found {found}")
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise SourceUnreadableError(name, f"it can't be read ({error.strerror})") from error
        return PillowReader(file, self.content, name)


def look_into(path: Path, *, count: bool = True) -> FoundFile:
    """Find out what a file holds.

    Args:
        path: The file.
        count: Whether pictures that may be several are counted; else only the file's head is read.
    """
    try:
        content = sniff_file(path)
    except OSError as error:
        return FoundFile(path, None, trouble=error.strerror or str(error))
    found = FoundFile(path, content)
    if not count or (content.kind != "animation" and content.image_format != "TIFF"):
        return found
    try:
        with found.open_pictures(str(path)) as pictures:
            return FoundFile(path, content, pictures.count)
    except FastsamError:  # told when it is read
        return found


def has_picture_name(path: Path) -> bool:
    """Whether only pictures are named so."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def has_video_name(path: Path) -> bool:
    """Whether only videos are named so."""
    return path.suffix.lower() in _VIDEO_SUFFIXES - _SHARED_SUFFIXES
