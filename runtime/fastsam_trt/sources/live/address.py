"""Open an address as a source: a stream, or a still image over HTTP."""

from __future__ import annotations

from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.sources.live.http_image import fetch_image
from fastsam_trt.sources.live.live_source import LiveSource
from fastsam_trt.sources.names import hide_password
from fastsam_trt.sources.pipes.image_source import ImageSource
from fastsam_trt.sources.source import Source


def open_address(name: str, address: str, vid_stride: int, *, reconnect_s: float, stall_s: float) -> Source:
    """Open a stream, or the image at an HTTP address, as its content says.

    The address is opened as a stream first, since many cameras serve only one client at a time.

    Args:
        name: Name of the source, as given by the user.
        address: An address for FFmpeg, with its scheme in lower case.
        vid_stride: Yield every n-th frame of a stream.
        reconnect_s: As for `open_source`.
        stall_s: As for `open_source`.

    Raises:
        SourceNotFoundError: There is nothing at the address.
        SourceUnreachableError: Its server does not answer: raised within 15 s.
        SourceUnreadableError: The answer is not a video or an image. A server that answers, and then sends no more, is
            waited for 20 s; an image that arrives slowly, one minute.
    """
    shown = hide_password(name)
    may_be_image = address.startswith(("http://", "https://"))
    try:
        source = LiveSource(name, address, vid_stride, reconnect_s=reconnect_s, stall_s=stall_s)
    except SourceUnreadableError:
        data = fetch_image(shown, address) if may_be_image else None  # its format may be unknown to FFmpeg
        if data is None:
            raise
        return ImageSource(shown, data)
    if may_be_image and source.is_image:
        data = fetch_image(shown, address)
        if data is not None:
            source.close()
            return ImageSource(shown, data)
    return source
