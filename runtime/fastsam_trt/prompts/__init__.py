"""Check text, box and point prompts, and find the classes that texts name."""

from fastsam_engine.import_names import moved_names

__getattr__ = moved_names(
    __name__,
    {
        "Routes": "fastsam_trt.prompts.texts",
        "SelectorName": "fastsam_trt.prompts.texts",
        "check_prompts": "fastsam_trt.prompts.texts",
        "class_ids": "fastsam_trt.prompts.texts",
        "route": "fastsam_trt.prompts.texts",
    },
)
