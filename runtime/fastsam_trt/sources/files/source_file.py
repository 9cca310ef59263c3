"""SourceFile: a file among the sources, and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastsam_engine.errors import FastsamError
from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.frames.content_type import Content, sniff_file
from fastsam_trt.frames.image import IMAGE_SUFFIXES
from fastsam_trt.frames.image_file import PictureFile
from fastsam_trt.sources.files.animation import Animation
from fastsam_trt.sources.source import Source

# Names that videos have, of cameras, camcorders and discs as well.
_VIDEO_SUFFIXES = frozenset({".3g2", ".3gp", ".amv", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264",
                             ".h265", ".hevc", ".ivf", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv",
                             ".mod", ".mov", ".mp4", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".ogm", ".ogv",
                             ".qt", ".rm", ".rmvb", ".tod", ".ts", ".vob", ".webm", ".wmv", ".y4m"})  # fmt: skip
_SHARED_SUFFIXES = frozenset({".dv", ".mod", ".mpv", ".nut", ".qt", ".rm", ".tod", ".ts"})  # other files' as well


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file and its content.

    Attributes:
        path: Where it is.
        content: What its first bytes tell; None where it can't be read.
        trouble: Why it can't be read.
        count: How many images it holds: pages, or frames of an animation; 1 for all that is no image.
    """

    path: Path
    content: Content | None
    count: int = 1
    trouble: str = ""

    @property
    def is_video(self) -> bool:
        """Whether its frames are those of a video. What is not known is tried as one."""
        if self.content is None:
            return has_video_name(self.path)
        if self.content.kind == "animation":
            return self.count > 1
        return self.content.kind == "video" or (self.content.kind == "unknown" and not has_image_name(self.path))

    @property
    def is_media(self) -> bool:
        """Whether it holds images or a video."""
        return self.content is not None and self.content.kind in {"picture", "animation", "video"}

    def check(self, name: str) -> None:
        """Refuse what is known to hold no image and no video.

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
            return Animation(name, self.open_images(name), vid_stride)
        from fastsam_trt.sources.video.video_file import VideoFile  # which loads FFmpeg

        return VideoFile(name, self.path, vid_stride)

    def open_images(self, name: str) -> PictureFile:
        """Open it as images.

        Raises:
            SourceUnreadableError: It is broken, or holds none.
            PackagesMissingError: Its reader is not installed.
        """
        if self.content is None or self.content.picture_format is None:
            found = "one that can't be read" if self.content is None else self.content.name
            raise SourceUnreadableError(name, f"expected a file of images, found {found}")
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise SourceUnreadableError(name, f"it can't be read ({error.strerror})") from error
        return PictureFile(file, self.content, name)


def look_into(path: Path, *, count: bool = True) -> SourceFile:
    """Find out what a file holds.

    Args:
        path: The file.
        count: Whether images that may be several are counted; else only the file's head is read.
    """
    try:
        content = sniff_file(path)
    except OSError as error:
        return SourceFile(path, None, trouble=error.strerror or str(error))
    found = SourceFile(path, content)
    if not count or (content.kind != "animation" and content.picture_format != "TIFF"):
        return found
    try:
        with found.open_images(str(path)) as images:
            return SourceFile(path, content, images.count)
    except FastsamError:  # told when it is read
        return found


def has_image_name(path: Path) -> bool:
    """Whether only images are named so."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def has_video_name(path: Path) -> bool:
    """Whether only videos are named so."""
    return path.suffix.lower() in _VIDEO_SUFFIXES - _SHARED_SUFFIXES
