"""Recording of the overlay to video files, with the sound of the source."""

from fastsam_engine.import_names import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "VideoSink": "fastsam_trt.sinks.video.video_sink",
    },
)
