"""Video files of the overlay, with the source's sound."""

from fastsam_engine.import_names import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "VideoSink": "fastsam_trt.sinks.video.video_sink",
    },
)
