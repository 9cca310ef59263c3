"""Sources of frames: images, videos, cameras, streams and pipes. `open_source` opens any of them by name."""

from fastsam_trt.sources.files.files_source import FilesSource
from fastsam_trt.sources.frame import Frame
from fastsam_trt.sources.health import SourceHealth
from fastsam_trt.sources.live.live_source import LiveSource
from fastsam_trt.sources.opener import DEMO, RECONNECT_S, STALL_S, open_source
from fastsam_trt.sources.source import Kind, Source

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
    "open_source",
]
