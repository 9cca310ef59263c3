"""Sources: where frames come from. `open_source` is what others call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastsam_trt.sources.files import FilesSource
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.live import LiveSource
from fastsam_trt.sources.opening import DEMO, RECONNECT_S, STALL_S, open_source
from fastsam_trt.sources.source import Kind, Source

if TYPE_CHECKING:
    from fastsam_trt.sources.video_file import VideoFile

__all__ = [
    "DEMO",
    "RECONNECT_S",
    "STALL_S",
    "FilesSource",
    "Frame",
    "Kind",
    "LiveSource",
    "Source",
    "SourceHealth",
    "VideoFile",
    "open_source",
]


def __getattr__(name: str) -> Any:
    if name == "VideoFile":  # which loads FFmpeg
        from fastsam_trt.sources.video_file import VideoFile

        return VideoFile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
