"""Check that a built plan computes what its graph does, by running both on the same inputs.

A builder may choose kernels that are wrong for a graph, or fp16 may overflow. A plan that fails is discarded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fastsam_engine.backends.tensorrt.plan_check.output_bounds import nearest_bound
from fastsam_engine.backends.tensorrt.plan_check.output_comparison import compare
from fastsam_engine.backends.tensorrt.plan_check.output_pairs import OutputPairs
from fastsam_engine.backends.tensorrt.plan_check.sample_inputs import sample_inputs
from fastsam_engine.errors import BuildError, ModelFileError, one_line
from fastsam_engine.plans.shape_ranges import ShapeRange
from fastsam_engine.rounding import round_with_bound
from fastsam_engine.session import Session
from fastsam_engine.spec.json_reader import parse_json
from fastsam_engine.spec.model_spec import ModelSpec


def check_accuracy(
    graph: Path, spec: ModelSpec, plan: Session, reference: Session, ranges: Mapping[str, ShapeRange]
) -> dict[str, float]:
    """Compare a plan with its graph on sample inputs of the usual and the largest shapes.

    Args:
        graph: The ONNX file, for messages.
        spec: Of the graph.
        plan: A session of the plan.
        reference: A session of the graph on another backend.
        ranges: The shapes that the plan supports.

    Returns:
        `OUTPUT METRIC`, such as `output0 box_px`, to its worst value; see `output_bounds.BOUNDS` for the metrics.

    Raises:
        BuildError: An output is not finite, or differs by more than the precision explains.
    """
    worst: dict[str, float] = {}
    for inputs in sample_inputs(spec, ranges, tokens=_vocabulary(graph)):
        found, expected = plan.run(inputs), reference.run(inputs)
        for output in spec.outputs:
            array = found[output.name]
            if array.shape != expected[output.name].shape:
                raise BuildError(
                    graph,
                    f"expected {output.name} of shape {expected[output.name].shape} from the plan, found {array.shape}",
                    "the plan was discarded; try another --level",
                )
            if wrong := array.size - int(np.count_nonzero(np.isfinite(array))):
                raise BuildError(
                    graph,
                    f"expected finite numbers from the plan, found {wrong} NaN or infinite in {output.name}",
                    f"the plan was discarded; use a graph of another precision than {spec.precision}",
                )
        for name, value in compare(OutputPairs(spec, expected, found)).items():
            worst[name] = max(worst.get(name, 0.0), value)
    nearest = nearest_bound(worst, spec.precision)
    if nearest is not None and nearest.value > nearest.limit:
        error, limit = round_with_bound(nearest.value, nearest.limit)
        raise BuildError(
            graph,
            f"expected the plan's {nearest.name} to be within {limit} of {reference.backend}'s, found {error} "
            f"({nearest.description})",
            "the plan was discarded; try another --level" + (", or --no-tf32" if spec.precision == "fp32" else ""),
        )
    return worst


def _vocabulary(graph: Path) -> int:
    """Number of tokens of the tokenizer beside a graph; 1 if there is none.

    Raises:
        ModelFileError: The file is not a tokenizer.
    """
    file = graph.parent / "tokenizer.json"
    if not file.is_file():
        return 1
    try:
        return len(parse_json(file.read_bytes())["model"]["vocab"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(file, f"expected a tokenizer, found another file ({one_line(error)})") from error
