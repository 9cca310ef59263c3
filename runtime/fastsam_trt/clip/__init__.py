"""CLIP: embeddings of crops, texts and tracked objects."""

from fastsam_engine.import_names import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "Clip": "fastsam_trt.clip.model",
    },
)
