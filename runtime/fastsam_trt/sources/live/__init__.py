"""Live sources: cameras and streams, and images at HTTP addresses."""

from fastsam_engine.import_names import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "LiveSource": "fastsam_trt.sources.live.live_source",
        "open_reader": "fastsam_trt.sources.live.live_source",
    },
)
