"""Drawing of results on frames."""

from fastsam_engine.import_names import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "captions": "fastsam_trt.results.captions",
        "draw": "fastsam_trt.results.plot",
        "draw_panels": "fastsam_trt.results.panels",
        "drawn_name": "fastsam_trt.results.captions",
        "palette": "fastsam_trt.drawing.palette",
        "tint": "fastsam_trt.drawing.overlay",
    },
)
