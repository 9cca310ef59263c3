"""Open a source by its name.

cam0, 0, /dev/video0, a link to it          a camera
rtsp://, rtmp://, http://, tcp://, udp://   a stream, or a still image over HTTP
-, /dev/stdin, pipe:3, a FIFO               a video through a pipe, every frame in order, or an image
clip.mp4                                    a video or an animated image, every frame in order
demo, demo://                               a synthetic video of moving coloured shapes
demo-photo, demo://photo                    a photo of a cat, which comes with the package
photo.jpg, folder/, *.jpg                   images (a folder or glob may contain videos too), in natural order

The kind of a file is detected by its content, not by its suffix. `file:` addresses are files; a `Path` is always a
file, folder, glob or FIFO.
"""

from __future__ import annotations

import glob
import os
import stat
from numbers import Integral
from pathlib import Path

from fastsam_trt.errors import OptionError, SourceNotFoundError, SourceUnreadableError
from fastsam_trt.sources.files.files_source import FilesSource
from fastsam_trt.sources.files.folder import list_media
from fastsam_trt.sources.files.source_file import inspect_file
from fastsam_trt.sources.health import RECONNECT_S, STALL_S
from fastsam_trt.sources.live.address import open_address
from fastsam_trt.sources.live.live_source import LiveSource
from fastsam_trt.sources.names import as_path, check_type, find_address, find_camera, is_demo, is_demo_photo, printable
from fastsam_trt.sources.pipes.opener import open_pipe_source
from fastsam_trt.sources.pipes.pipe import is_pipe, name_in_files
from fastsam_trt.sources.source import Source

_WANTED = "a camera, an address, or an existing file, folder or glob"


def open_source(
    source: str | int | os.PathLike[str],
    *,
    vid_stride: int = 1,
    reconnect_s: float = RECONNECT_S,
    stall_s: float = STALL_S,
) -> Source:
    """Open a source of frames.

    Args:
        source: A camera (`cam0`, `0`, `/dev/video0`), stream address, video, image, folder or glob, pipe (`-`,
            `/dev/stdin`, `pipe:3`, a FIFO), `demo` or `demo-photo`. A path object is a file, folder, glob or FIFO.
        vid_stride: Yield every n-th frame of a video or camera.
        reconnect_s: How long to try to reconnect to a lost live source, s; 0: the source ends like a video, without
            an error; `math.inf`: forever.
        stall_s: A live source that sends no frame for this time is lost, s.

    Returns:
        The open source.

    Raises:
        OptionError: `vid_stride` is not an integer of 1 or more, `stall_s` is not positive, or `reconnect_s` is
            negative.
        AmbiguousSourceError: A string names a camera or the demo, and also a file or folder.
        SourceTypeError: The source is not a string, path or integer.
        SourceNotFoundError: There is nothing of that name, or a camera can't be opened.
        SourceUnreachableError: The server of an address does not answer.
        SourceUnreadableError: It exists, but is not a video or image.
    """
    if not isinstance(vid_stride, Integral) or vid_stride < 1:
        raise OptionError("vid_stride", "a whole number of 1 or more", vid_stride)
    if not reconnect_s >= 0:
        raise OptionError("reconnect_s", "seconds, 0 or more, or inf", reconnect_s)
    if not stall_s > 0:
        raise OptionError("stall_s", "seconds, more than 0", stall_s)
    source = check_type(source)
    if is_demo(source):
        from fastsam_trt.sources.demo_video import DemoVideo  # most runs need no drawn scenes

        return DemoVideo(vid_stride=vid_stride)
    if is_demo_photo(source):
        from fastsam_trt.sources.demo_photo import DemoPhoto

        return DemoPhoto()
    name = printable(str(source))
    camera = find_camera(source)
    if camera is not None:
        return LiveSource(name, camera, vid_stride, reconnect_s=reconnect_s, stall_s=stall_s)
    address = find_address(source)
    if address is not None:
        return open_address(name, address, vid_stride, reconnect_s=reconnect_s, stall_s=stall_s)
    path = as_path(source if isinstance(source, Path) else name_in_files(str(source)))
    if is_pipe(path):
        return open_pipe_source(name, path, vid_stride)
    return _open_path(name, path, vid_stride)


def _open_path(name: str, path: Path, vid_stride: int) -> Source:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if glob.has_magic(str(path)):
            return FilesSource(name, list_media(name, path), vid_stride)
        raise SourceNotFoundError(name, _WANTED, _why_missing(name, path, error)) from error
    if not name:  # would be the working directory
        raise SourceNotFoundError(name, _WANTED)
    if stat.S_ISDIR(mode):
        return FilesSource(name, list_media(name, path), vid_stride)
    if not stat.S_ISREG(mode):
        raise SourceUnreadableError(name, "expected a camera, video or image, found another kind of device file")
    found = inspect_file(path)
    found.check(name)
    return found.open_video(name, vid_stride) if found.is_video else FilesSource(name, [path])


def _why_missing(name: str, path: Path, error: Exception) -> str:
    """What there is instead of a readable file."""
    if os.path.islink(path):  # noqa: PTH114 - the method raises for names that are too long
        return "a broken link"
    stripped = name.strip()
    if stripped != name and os.path.lexists(stripped):
        return f"nothing of that name, which begins or ends with a space (but {stripped!r} exists)"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "nothing there"
    return f"a path that can't be accessed ({getattr(error, 'strerror', None) or error})"
