"""Masks that are decoded on demand, each inside its box only."""

from fastsam_engine.import_names import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "MaskCrop": "fastsam_trt.masks.mask_source",
        "MaskSource": "fastsam_trt.masks.mask_source",
        "MaskSubset": "fastsam_trt.masks.mask_source",
        "paste": "fastsam_trt.masks.mask_source",
    },
)
