"""The layers of each wing: a folder or module imports only from those before it in its list."""

from __future__ import annotations

LAYERS = {
    "engine/fastsam_engine": (
        "import_names", "rounding", "errors", "concurrency", "packages", "cpu_count", "gpus", "device_array", "graph",
        "store", "spec", "plans", "spec_reader", "input_check", "run_observers", "session", "backends",
        "backend_choice", "opener",
    ),
    "export/fastsam_export": (
        "errors", "onnx_file", "parity", "proof", "family", "installation", "helper_graphs", "frameworks", "fp16",
        "int8", "families", "sparse", "exporter", "adopt", "hub",
    ),
    "export/fastsam_export/adopt": (
        "adopted_from", "hub_files", "repository", "image_processor", "tokenizer_files", "opset", "outside_weights",
        "ready_graph", "original", "logit_constants", "tower", "agreement", "comparison", "ready_family", "segmenter",
        "two_towers", "families", "adopter",
    ),
    "export/fastsam_export/hub": (
        "pull_errors", "reference", "web_client", "repository", "file_check", "download", "hub_cache", "model_folder",
        "pull",
    ),
    "runtime/fastsam_trt": (
        "errors", "bundled_models", "default_models", "reports", "frames", "prompts", "masks", "drawing", "sparse",
        "demo", "segmentation", "tracking", "clip", "selectors", "results", "sources", "streaming", "pipeline",
        "sinks", "web", "preview", "serve", "comparison", "cli",
        "__main__",
    ),
    "runtime/fastsam_trt/sources": (
        "frame", "health", "source", "names", "media_clock", "live_clock", "demo_video", "demo_photo", "video", "files",
        "pipes", "live", "opener", "one_image",
    ),
    "benchmarks/fastsam_bench": (
        "errors", "results", "timing", "cases", "roofline", "scenarios", "run", "report",
    ),
}  # fmt: skip

WINGS = tuple(folder for folder in LAYERS if folder.count("/") == 1)
"""The packages at the top."""
