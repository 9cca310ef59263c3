"""SourceFile: a file to read frames from, with its detected content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastsam_engine.errors import FastsamError
from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.frames.file_type import FileType, sniff_file
from fastsam_trt.frames.image import IMAGE_SUFFIXES
from fastsam_trt.frames.pillow_reader import PillowReader
from fastsam_trt.sources.files.animation import Animation
from fastsam_trt.sources.source import Source

# Suffixes of videos, including those of cameras, camcorders and discs.
_VIDEO_SUFFIXES = frozenset({".3g2", ".3gp", ".amv", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264",
                             ".h265", ".hevc", ".ivf", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv",
                             ".mod", ".mov", ".mp4", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".ogm", ".ogv",
                             ".qt", ".rm", ".rmvb", ".tod", ".ts", ".vob", ".webm", ".wmv", ".y4m"})  # fmt: skip
# Suffixes that other kinds of files have as well.
_SHARED_SUFFIXES = frozenset({".dv", ".mod", ".mpv", ".nut", ".qt", ".rm", ".tod", ".ts"})


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file and its detected content.

    Attributes:
        path: The path of the file.
        content: Its type, by its first bytes; None if it can't be read.
        count: Number of images: pages, or frames of an animation; 1 for everything that is not an image.
        trouble: Why it can't be read; empty if it can.
    """

    path: Path
    content: FileType | None
    count: int = 1
    trouble: str = ""

    @property
    def is_video(self) -> bool:
        """Whether to open the file as a video; also true for unknown content without an image suffix."""
        if self.content is None:
            return has_video_name(self.path)
        if self.content.kind == "animation":
            return self.count > 1
        return self.content.kind == "video" or (self.content.kind == "unknown" and not has_image_name(self.path))

    @property
    def is_media(self) -> bool:
        """Whether the file contains images or a video."""
        return self.content is not None and self.content.kind in {"image", "animation", "video"}

    def check(self, name: str) -> None:
        """Check that the file may contain an image or a video.

        Args:
            name: Name of the source, as given by the user.

        Raises:
            SourceUnreadableError: It contains something else, or can't be read.
        """
        if self.content is None:
            raise SourceUnreadableError(name, f"it can't be read ({self.trouble})")
        if not self.is_media and self.content.kind != "unknown":
            raise SourceUnreadableError(name, f"expected a video or image, found {self.content.name}")

    def open_video(self, name: str, vid_stride: int) -> Source:
        """Open the file as a video.

        Raises:
            SourceUnreadableError: It is not a video.
        """
        if self.content is not None and self.content.kind == "animation":
            return Animation(name, self.open_images(name), vid_stride)
        from fastsam_trt.sources.video.video_file import VideoFile  # loads FFmpeg

        return VideoFile(name, self.path, vid_stride)

    def open_images(self, name: str) -> PillowReader:
        """Open the file as images.

        Raises:
            SourceUnreadableError: It is broken, or does not contain images.
            PackagesMissingError: The package that reads its format is not installed.
        """
        if self.content is None or self.content.image_format is None:
            found = "one that can't be read" if self.content is None else self.content.name
            raise SourceUnreadableError(name, f"expected an image file, found {found}")
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise SourceUnreadableError(name, f"it can't be read ({error.strerror})") from error
        return PillowReader(file, self.content, name)


def inspect_file(path: Path, *, count: bool = True) -> SourceFile:
    """Detect the content of a file.

    Args:
        path: The file.
        count: Whether to count the images of multi-page files and animations; otherwise only the file's head is read.
    """
    try:
        content = sniff_file(path)
    except OSError as error:
        return SourceFile(path, None, trouble=error.strerror or str(error))
    found = SourceFile(path, content)
    if not count or (content.kind != "animation" and content.image_format != "TIFF"):
        return found
    try:
        with found.open_images(str(path)) as images:
            return SourceFile(path, content, images.count)
    except FastsamError:  # raised again when the file is read
        return found


def has_image_name(path: Path) -> bool:
    """Whether a file has the suffix of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def has_video_name(path: Path) -> bool:
    """Whether a file has a suffix that only videos have."""
    return path.suffix.lower() in _VIDEO_SUFFIXES - _SHARED_SUFFIXES
