"""Count the operations of models of true size in their graphs, and compare them with published numbers.

The architectures are those of ultralytics and transformers, with random weights, which do not affect counts. The YOLO
family is compared in the convention of its publications, which counts transposed convolutions over their output; the
true count is in the next column. Bytes, in fp32: the least that a run moves, and what moves if every node uses memory.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from claims.common import harness

# isort: split
from fastsam_bench.roofline.operations import count

_OPSET = 18
_BOUND = 0.02


@dataclass(frozen=True, slots=True)
class Case:
    """A graph: the function that writes it to a folder, the shape of its input, and its published 1e9 operations."""

    make: Callable[[Path], Path]
    shape: tuple[int, ...]
    published: float


def _yolo(layout: str, folder: Path) -> Path:
    import torch
    import ultralytics

    torch.manual_seed(0)
    os.chdir(folder)  # ultralytics writes to the current folder
    yolo = ultralytics.YOLO(f"{layout}.yaml", task="segment", verbose=False)
    made = yolo.export(format="onnx", imgsz=640, dynamic=True, simplify=False, opset=_OPSET, verbose=False)
    return folder / Path(str(made)).name


def _clip(tower: str, folder: Path) -> Path:
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.CLIPModel(transformers.CLIPConfig(text_config={"bos_token_id": 0, "eos_token_id": 1})).eval()
    encoder, projection, example = {
        "image": (model.vision_model, model.visual_projection, torch.zeros(1, 3, 224, 224)),
        "text": (model.text_model, model.text_projection, torch.zeros(1, 77, dtype=torch.int64)),
    }[tower]

    class Tower(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.projection = encoder, projection

        def forward(self, given: Any) -> Any:
            return self.projection(self.encoder(given).pooler_output)

    path = folder / f"{tower}.onnx"
    torch.onnx.export(Tower(), (example,), str(path), opset_version=_OPSET, dynamo=False, input_names=["given"])
    return path


CASES: Mapping[str, Case] = {
    **{
        layout: Case(partial(_yolo, layout), (1, 3, 640, 640), published)
        for layout, published in (
            ("yolov8n-seg", 12.6), ("yolov8s-seg", 42.6), ("yolov8m-seg", 110.2), ("yolov8l-seg", 220.5),
            ("yolov8x-seg", 344.1),
        )
    },
    "clip-vit-base-patch32 image": Case(partial(_clip, "image"), (1, 3, 224, 224), 8.82),
    "clip-vit-base-patch32 text": Case(partial(_clip, "text"), (1, 77), 5.96),
}  # fmt: skip


def main() -> int:
    """Write each graph, count its operations, and compare them with the published number."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(CASES), action="append", help="leave the others out")
    harness.add_options(parser)
    args = parser.parse_args()
    harness.require("torch", "ultralytics", "transformers", "onnx", "onnxruntime")
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    facts = harness.machine(("fastsam-trt", "onnx", "torch", "ultralytics", "transformers"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    start = Path.cwd()
    for name in args.only or CASES:
        case = CASES[name]
        with tempfile.TemporaryDirectory() as folder:
            graph = case.make(Path(folder))
            costs = count(graph, {"images": case.shape, "given": case.shape})
            os.chdir(start)
        rows.append(
            {
                "graph": name, "GFLOP": costs.operations / 1e9, "their convention": costs.published_operations / 1e9,
                "published": case.published, "moves at least, MB": costs.minimal_bytes / 1e6,
                "node by node, MB": costs.node_bytes / 1e6,
            }
        )  # fmt: skip
        difference = abs(costs.published_operations / 1e9 / case.published - 1)
        checks.append(harness.Check(f"{name}: relative difference from the published count", difference, "<=", _BOUND))
    return harness.finish(args, facts, harness.show_rows("operations of one run", rows), checks)


if __name__ == "__main__":
    harness.entry(main)
