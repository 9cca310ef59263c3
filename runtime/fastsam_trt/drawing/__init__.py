"""Drawing of results on frames."""

from fastsam_engine.import_names import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "captions": "fastsam_trt.drawing.overlay",
        "draw": "fastsam_trt.drawing.overlay",
        "draw_panels": "fastsam_trt.drawing.overlay",
        "drawn_name": "fastsam_trt.drawing.overlay",
        "palette": "fastsam_trt.drawing.overlay",
        "tint": "fastsam_trt.drawing.overlay",
    },
)
