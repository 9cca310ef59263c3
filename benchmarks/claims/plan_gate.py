"""Compare the accuracy check of new plans with correct rounding and with visible faults, per family.

Rounding is TF32 and bf16 before every product and fp16 after every operation (fp16 exports), emulated in the graph and
run by ONNX Runtime; and OpenVINO in fp32, bf16, fp16 and int8, if the CPU supports it. A fault is added to the
reference's outputs. Results are relative to the bound: the largest for rounding, the smallest for faults.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from claims.common import harness

# isort: split
import numpy as np

from fastsam_engine import open_session, read_spec
from fastsam_engine.backends.tensorrt.plan_check.output_bounds import BOUNDS, nearest_bound
from fastsam_engine.backends.tensorrt.plan_check.output_comparison import compare
from fastsam_engine.backends.tensorrt.plan_check.output_pairs import OutputPairs
from fastsam_engine.backends.tensorrt.plan_check.sample_inputs import sample_inputs
from fastsam_engine.errors import BackendUnavailableError
from fastsam_engine.plans.shape_ranges import shape_ranges
from fastsam_engine.session import Array
from fastsam_engine.spec.model_spec import ModelSpec, Precision
from fastsam_engine.store.model_store import find_graphs
from fastsam_trt.bundled_models import locate

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))  # the tests' rounding and faults
from support.output_faults import ANY, FAULTS
from support.rounded_graphs import Rounding, save_rounded

Outputs = dict[str, Array]
Run = Callable[[Mapping[str, Array]], Outputs]
_BATCHES = {"segment": 2, "embed-image": 8, "embed-text": 8}
_EMULATED: Mapping[Precision, tuple[Rounding, ...]] = {"fp32": ("tf32", "bf16"), "fp16": ("fp16",)}
_OPENVINO: Mapping[Precision, tuple[Precision, ...]] = {"fp32": ("fp32", "bf16"), "fp16": ("fp16",), "int8": ("int8",)}
_TOKENS = 100  # token ids that exist in every vocabulary


def main() -> int:
    """Measure every graph of the models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=["demo-seg", "demo-clip"], help="names, folders, files")
    harness.add_options(parser)
    args = parser.parse_args()
    harness.require("onnx", "onnxruntime", "openvino")
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "numpy"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    for model in args.models:
        for graph in find_graphs(locate(model)):
            made, held = _measure(graph)
            rows += made
            checks += held
    return harness.finish(args, facts, rows, checks)


def _measure(graph: Path) -> tuple[list[dict[str, Any]], list[harness.Check]]:
    spec = read_spec(graph)
    batch = _BATCHES.get(spec.task)
    ranges = shape_ranges(spec, batch=None if batch is None else (1, batch))
    inputs = list(sample_inputs(spec, ranges, tokens=_TOKENS))
    reference = open_session(graph, "onnxruntime", "cpu")
    expected = [reference.run(each) for each in inputs]
    title = f"{graph.name} ({spec.precision})"
    rows: list[dict[str, Any]] = []
    checks = []
    with tempfile.TemporaryDirectory() as folder:
        for side, precision, run in _rounding(graph, spec, Path(folder)):
            worst = _worst(spec, expected, [run(each) for each in inputs])
            rows += [
                {"side": side, "metric": name, "value": value, "bound": BOUNDS[name.rpartition(" ")[2]].at(precision)}
                for name, value in worst.items()
            ]
            checks.append(harness.Check(f"{title}, {side}: of its bound", _part(worst, precision), "<=", 1))
    for output in spec.outputs:
        for name, harm in {**FAULTS[output.meaning], **ANY}.items():
            harmed = [{**each, output.name: harm(each[output.name], spec)} for each in expected]
            worst = _worst(spec, expected, harmed)
            nearest = nearest_bound(worst, spec.precision)
            if nearest is None:
                continue
            side = f"fault: {name}"
            rows.append({"side": side, "metric": nearest.name, "value": nearest.value, "bound": nearest.limit})
            part = _part(worst, spec.precision)
            checks.append(harness.Check(f"{title}, {output.name}: {name}: of its bound", part, ">=", 1))
    return harness.show_rows(title, rows), checks


def _rounding(graph: Path, spec: ModelSpec, folder: Path) -> Iterator[tuple[str, Precision, Run]]:
    """Ways to run a graph: name, the precision whose bounds apply, and the function that runs it."""
    helper = spec.is_helper  # always built in fp32 without TF32
    if not helper:
        for rounding in _EMULATED.get(spec.precision, ()):
            precision: Precision = "fp32" if rounding == "tf32" else rounding
            yield rounding, precision, _emulated(save_rounded(graph, folder / rounding / graph.name, rounding))
    for precision in ("fp32",) if helper else _OPENVINO.get(spec.precision, ()):
        try:
            yield f"OpenVINO {precision}", precision, open_session(graph, "openvino", "cpu", precision).run
        except BackendUnavailableError as error:
            print(f"skipped: {error}")


def _emulated(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]

    def run(inputs: Mapping[str, Array]) -> Outputs:
        wide = {name: each.astype(np.float32) if each.dtype == np.float16 else each for name, each in inputs.items()}
        return dict(zip(names, session.run(names, wide), strict=True))

    return run


def _worst(spec: ModelSpec, expected: Sequence[Outputs], found: Sequence[Outputs]) -> dict[str, float]:
    worst: dict[str, float] = {}
    for a, b in zip(expected, found, strict=True):
        for name, value in compare(OutputPairs(spec, a, b)).items():
            worst[name] = max(worst.get(name, 0.0), value)
    return worst


def _part(worst: Mapping[str, float], precision: Precision) -> float:
    nearest = nearest_bound(worst, precision)
    return float("nan") if nearest is None else nearest.value / nearest.limit


if __name__ == "__main__":
    harness.entry(main)
