"""Sources by name, as users of the field name them.

cam0, 0, /dev/video0          a camera
rtsp://, rtmp://, http://, tcp://, udp://   a stream
clip.mp4                      a video, every frame in order
demo                          coloured shapes that move, drawn on the spot
photo.jpg, folder/, *.jpg     images (a folder or glob may hold videos too), sorted by name
"""

from __future__ import annotations

import glob
import re
from pathlib import Path

from fastsam_trt.errors import OptionError, SourceNotFoundError, SourceUnreadableError
from fastsam_trt.sources.files import FilesSource, is_image, is_video
from fastsam_trt.sources.live import LiveSource
from fastsam_trt.sources.source import Source
from fastsam_trt.sources.video_file import VideoFile

DEMO = "demo"
"""The source that needs no file."""

RECONNECT_S = 30.0
"""How long a live source that was lost is sought, where nothing else is asked for."""

STALL_S = 5.0
"""How long a frame of a live source is waited for, where nothing else is asked for."""

# FFmpeg opens files of these names as videos of a terminal that prints them.
_TEXT_SUFFIXES = frozenset({".ans", ".art", ".asc", ".diz", ".ice", ".nfo", ".txt", ".vt"})


def open_source(
    source: str | int | Path, *, vid_stride: int = 1, reconnect_s: float = RECONNECT_S, stall_s: float = STALL_S
) -> Source:
    """Open a source of frames.

    Args:
        source: A camera (`cam0`, `0`, `/dev/video0`), stream address, video, image, folder or glob, or `demo`.
        vid_stride: Take every n-th frame of a video or camera.
        reconnect_s: How long a live source that was lost is sought before the run fails; 0: where it ends the run
            ends, as that of a video does; `math.inf`: for ever.
        stall_s: A live source that gives no frame for so long is lost.

    Returns:
        The open source.

    Raises:
        OptionError: `vid_stride` or `stall_s` is not positive, or `reconnect_s` negative.
        SourceNotFoundError: There is nothing of that name, or a camera or stream does not answer.
        SourceUnreadableError: It is there and no video or image.
    """
    if vid_stride < 1:
        raise OptionError("vid_stride", "a whole number of 1 or more", vid_stride)
    if not reconnect_s >= 0:
        raise OptionError("reconnect_s", "seconds, 0 or more, or inf", reconnect_s)
    if not stall_s > 0:
        raise OptionError("stall_s", "seconds, more than 0", stall_s)
    name = str(source)
    if name == DEMO:
        from fastsam_trt.demo.video import DemoVideo  # which is a source itself

        return DemoVideo(vid_stride=vid_stride)
    camera = re.fullmatch(r"(?:cam|/dev/video)?(\d+)", name)
    if camera:
        return LiveSource(name, int(camera[1]), vid_stride, reconnect_s=reconnect_s, stall_s=stall_s)
    if re.match(r"[a-z][a-z0-9+.-]+://", name):
        return LiveSource(name, name, vid_stride, reconnect_s=reconnect_s, stall_s=stall_s)
    path = Path(name).expanduser()
    if path.is_dir() or (glob.has_magic(name) and not path.exists()):
        return FilesSource(name, _list(name, path), vid_stride)
    if not path.is_file():
        raise SourceNotFoundError(name, "a camera, an address, or an existing file, folder or glob")
    if path.suffix.lower() in _TEXT_SUFFIXES:
        raise SourceUnreadableError(name, "expected a video or image, found a text file")
    if is_image(path):
        return FilesSource(name, [path])
    return VideoFile(name, path, vid_stride)


def _list(name: str, path: Path) -> list[Path]:
    found = path.iterdir() if path.is_dir() else map(Path, glob.glob(str(path), recursive=True))
    paths = sorted(each for each in found if not each.is_dir() and (is_image(each) or is_video(each)))
    if not paths:
        raise SourceNotFoundError(name, "images or videos there")
    return paths
