"""Build all families' graphs with TensorRT-RTX, in fp32 and fp16, for three generations of GPUs. No GPU is needed.

The transformers families have the sizes of `transformers_families.py`; YOLOv8n-seg and CLIP ViT-B/32 have their real
sizes. All weights are seeded: the results are that the graphs build, how long it takes, and how large the plans are.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from claims.common import harness

# isort: split
from claims import transformers_families
from claims.common.seeded_clip import save_clip
from fastsam_engine import read_spec
from fastsam_engine.backend_choice import choose_builder
from fastsam_engine.plans.build_request import BuildOptions, BuildRequest
from fastsam_engine.store.model_store import find_graphs

TARGETS = ("sm86", "sm89", "sm120")


def main() -> int:
    """Export, build, and print one row per graph."""
    makers: dict[str, tuple[Callable[[Path], Path], tuple[int, int] | None]] = {
        "yolov8n-seg": (_yolo("yolov8n-seg.yaml"), (640, 640)),
        "clip-vit-base-patch32": (save_clip, None),
        **{name: (_in_place(case.make), case.size) for name, case in transformers_families.CASES.items()},
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted(makers), action="append", help="skip the others")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the results to this file, one JSON line each")
    args = parser.parse_args()
    harness.require("torch", "transformers", "ultralytics", "onnx", "onnxruntime", "tensorrt_rtx")
    facts = harness.machine(("fastsam-trt", "tensorrt-rtx-cu13", "onnx", "torch"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only or makers:
            make, size = makers[name]
            for precision in ("fp32", "fp16"):
                rows += _built(make, name, size, precision, Path(folder) / f"{name}-{precision}")
    shown = harness.show_rows(f"plans for {', '.join(TARGETS)}", rows)
    return harness.finish(args, facts, shown, [])


def _built(
    make: Callable[[Path], Path], name: str, size: tuple[int, int] | None, precision: str, folder: Path
) -> list[dict[str, object]]:
    import torch

    from fastsam_export import export_model

    folder.mkdir()
    torch.manual_seed(0)
    export_model(name, weights=make(folder / "weights"), imgsz=size, out=folder / "out", precision=precision)
    builder = choose_builder(targets=TARGETS)
    rows: list[dict[str, object]] = []
    for graph in find_graphs(folder / "out"):
        spec = read_spec(graph)
        options = BuildOptions(targets=TARGETS)
        request = BuildRequest(graph, spec, options=options, out=folder / f"{graph.stem}.plan")
        report = builder.build(request, "auto", lambda _phase, _done, _of: None)
        rows.append(
            {
                "graph": graph.name,
                "precision": spec.precision,
                "graph MB": graph.stat().st_size / 1e6,
                "build s": report.built_s,
                "plan MB": report.size / 1e6,
            }
        )
    shutil.rmtree(folder)
    return rows


def _yolo(layout: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        import ultralytics

        folder.mkdir()
        ultralytics.YOLO(layout, task="segment").save(str(folder / "weights.pt"))
        return folder / "weights.pt"

    return make


def _in_place(make: Callable[[Path], None]) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        make(folder)
        return folder

    return made


if __name__ == "__main__":
    harness.entry(main)
