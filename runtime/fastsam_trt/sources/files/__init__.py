"""Sources on disk: images, and the videos and animations among them."""

from fastsam_engine.import_names import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "FilesSource": "fastsam_trt.sources.files.files_source",
        "is_video": "fastsam_trt.sources.files.files_source",
    },
)
