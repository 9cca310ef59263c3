"""Open a pipe as a source: detect whether it carries an image or a video."""

from __future__ import annotations

from pathlib import Path

from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.frames.file_type import HEAD_B, FileType, sniff
from fastsam_trt.sources.pipes.image_bytes import is_image, read_image_bytes
from fastsam_trt.sources.pipes.image_source import ImageSource
from fastsam_trt.sources.pipes.pipe import Pipe, open_pipe
from fastsam_trt.sources.source import Source


def open_pipe_source(name: str, path: Path, vid_stride: int) -> Source:
    """Open a pipe, wait for its first bytes, and detect its content by them.

    Args:
        name: Name of the source, as given by the user.
        path: The path of the pipe.
        vid_stride: Yield every n-th frame of a video.

    Raises:
        SourceNotFoundError: The pipe can't be read.
        SourceUnreadableError: The data are not an image or a video.
    """
    pipe = open_pipe(name, path)
    try:
        content = _detect(name, pipe)
        data = read_image_bytes(name, pipe, content) if is_image(content) else None
        if data is not None:
            pipe.close()
            return ImageSource(name, data)
        from fastsam_trt.sources.pipes.pipe_source import PipeSource  # loads FFmpeg

        return PipeSource(name, pipe, vid_stride)
    except BaseException:
        pipe.close()
        raise


def _detect(name: str, pipe: Pipe) -> FileType:
    head = pipe.peek(HEAD_B)
    content = sniff(head)
    if content.kind == "empty":
        raise SourceUnreadableError(name, "expected a video or image, found an empty pipe")
    is_multipart = head.lstrip().startswith(b"--")  # MJPEG with HTTP headers, which are text
    if content.kind == "other" or (content.kind == "text" and not is_multipart):
        raise SourceUnreadableError(name, f"expected a video or image, found {content.name}")
    if _is_end_first(head):
        raise SourceUnreadableError(
            name,
            "expected a video that can be read from start to end, found an MP4 with its index at the end; "
            "move the index to the front: ffmpeg -i IN -c copy -movflags +faststart OUT.mp4  (or pipe MKV or MPEG-TS)",
        )
    return content


def _is_end_first(head: bytes) -> bool:
    """Whether the first bytes are those of an MP4 or QuickTime file whose data come before its index."""
    at = 0
    while at + 8 <= len(head):
        size, kind = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
        if kind == b"mdat":
            return True
        if kind not in (b"ftyp", b"free", b"skip", b"wide", b"pnot", b"uuid") or size < 8:
            return False
        at += size
    return False
