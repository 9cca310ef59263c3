"""CLIP: crops, texts, their embeddings, and embeddings kept along tracks."""

from fastsam_engine.import_names import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "Clip": "fastsam_trt.clip.model",
    },
)
