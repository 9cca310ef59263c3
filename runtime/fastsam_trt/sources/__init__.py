"""Sources of frames: images, videos, cameras, streams and pipes. `open_source` opens any of them by name.

Names are loaded on first use: reading the defaults of live sources loads no decoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastsam_engine.import_names import lazy_names

if TYPE_CHECKING:
    from fastsam_trt.sources.files.files_source import FilesSource
    from fastsam_trt.sources.frame import Frame
    from fastsam_trt.sources.health import RECONNECT_S, STALL_S, SourceHealth
    from fastsam_trt.sources.live.live_source import LiveSource
    from fastsam_trt.sources.names import DEMO
    from fastsam_trt.sources.opener import open_source
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

__getattr__ = lazy_names(
    __name__,
    {
        "DEMO": "fastsam_trt.sources.names",
        "RECONNECT_S": "fastsam_trt.sources.health",
        "STALL_S": "fastsam_trt.sources.health",
        "FilesSource": "fastsam_trt.sources.files.files_source",
        "Frame": "fastsam_trt.sources.frame",
        "Kind": "fastsam_trt.sources.source",
        "LiveSource": "fastsam_trt.sources.live.live_source",
        "Source": "fastsam_trt.sources.source",
        "SourceHealth": "fastsam_trt.sources.health",
        "open_source": "fastsam_trt.sources.opener",
    },
)
