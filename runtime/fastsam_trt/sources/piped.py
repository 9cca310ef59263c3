"""What comes through a pipe: a still picture, or a video that is read in order and once."""

from __future__ import annotations

from pathlib import Path

from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.frames.file_type import HEAD_B, FileType, sniff
from fastsam_trt.sources.picture_bytes import is_picture, read_picture_bytes
from fastsam_trt.sources.picture_source import PictureSource
from fastsam_trt.sources.pipe import Pipe, open_pipe
from fastsam_trt.sources.source import Source


def open_piped(name: str, path: Path, vid_stride: int) -> Source:
    """Open a pipe, wait for its first bytes, and tell by them what comes.

    Args:
        name: What the user called it.
        path: Its path.
        vid_stride: Take every n-th frame of a video.

    Raises:
        SourceNotFoundError: It can't be read.
        SourceUnreadableError: What comes is no picture and no video.
    """
    pipe = open_pipe(name, path)
    try:
        content = _look(name, pipe)
        data = read_picture_bytes(name, pipe, content) if is_picture(content) else None
        if data is not None:
            pipe.close()
            return PictureSource(name, data)
        from fastsam_trt.sources.pipe_source import PipeSource  # which loads FFmpeg

        return PipeSource(name, pipe, vid_stride)
    except BaseException:
        pipe.close()
        raise


def _look(name: str, pipe: Pipe) -> FileType:
    head = pipe.peek(HEAD_B)
    content = sniff(head)
    if content.kind == "empty":
        raise SourceUnreadableError(name, "expected a video or picture, found an empty pipe")
    is_multipart = head.lstrip().startswith(b"--")  # MJPEG with its HTTP headers, which are text
    if content.kind == "other" or (content.kind == "text" and not is_multipart):
        raise SourceUnreadableError(name, f"expected a video or picture, found {content.name}")
    if _is_end_first(head):
        raise SourceUnreadableError(
            name,
            "expected a video that can be read from start to end, found an MP4 with its index at the end; "
            "put it in front: ffmpeg -i IN -c copy -movflags +faststart OUT.mp4  (or pipe MKV or MPEG-TS)",
        )
    return content


def _is_end_first(head: bytes) -> bool:
    """Whether the first bytes are of an MP4 or QuickTime file whose data come before what describes them."""
    at = 0
    while at + 8 <= len(head):
        size, kind = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
        if kind == b"mdat":
            return True
        if kind not in (b"ftyp", b"free", b"skip", b"wide", b"pnot", b"uuid") or size < 8:
            return False
        at += size
    return False
