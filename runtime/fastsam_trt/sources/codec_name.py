"""The name of a codec that FFmpeg has no decoder for, as its file gives it. PyAV tells nothing of such a stream."""

from __future__ import annotations

import re
from typing import BinaryIO

_HEAD = 1 << 20
_NAMES = (
    re.compile(rb"stsd.{12}([ -~]{4})", re.DOTALL),  # MP4 and QuickTime: the sample entry
    re.compile(rb"(V_[A-Z0-9_/]+)"),  # Matroska: CodecID
    re.compile(rb"strh.{4}vids([ -~]{4})", re.DOTALL),  # AVI: fccHandler
)


def name_codec(file: BinaryIO) -> str:
    """What a file calls the codec of its first stream; `unknown` where that isn't found.

    Args:
        file: The file; its position is changed.
    """
    size = file.seek(0, 2)
    for at in (0, max(size - _HEAD, 0)):  # an MP4's index is at one of its ends
        file.seek(at)
        data = file.read(_HEAD)
        found = next((match for pattern in _NAMES if (match := pattern.search(data))), None)
        if found:
            return repr(found[1].decode("ascii"))
    return "unknown"
