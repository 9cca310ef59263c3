"""Compute the limit of a stage: the shortest time possible at the measured ceilings, compared with the measured time.

A stage computes and moves bytes at the same time, so its limit is the longer of the two times. Both are computed from
the minimum that any implementation needs (see `operations`). A stage at 40 percent of its limit took 2.5 times as long.
"""

from __future__ import annotations

from fastsam_bench.results.records import StageLimit
from fastsam_bench.roofline.ceilings import Ceilings
from fastsam_bench.roofline.operations import GraphCosts
from fastsam_trt.errors import OptionError


def stage_limit(operations: float, nbytes: float, measured_ms: float, ceilings: Ceilings) -> StageLimit:
    """The limit of a stage.

    Args:
        operations: Operations, two per multiply-add; 0 for a stage without products.
        nbytes: Bytes that must be read and written; see `GraphCosts.minimal_bytes`.
        measured_ms: Median time of the stage, above 0.
        ceilings: Ceilings of the backend, device and precision of the stage.

    Raises:
        OptionError: There are neither operations nor bytes, or the time is not above 0.
    """
    if not measured_ms > 0:
        raise OptionError("measured_ms", "a time above 0", measured_ms)
    if min(operations, nbytes) < 0 or max(operations, nbytes) <= 0:
        raise OptionError("operations and nbytes", "one of them above 0, and none below", (operations, nbytes))
    compute_ms = operations / ceilings.matmul_gflops / 1e6
    memory_ms = nbytes / ceilings.copy_gbytes(nbytes) / 1e6
    return StageLimit(
        gflop=operations / 1e9,
        gbytes=nbytes / 1e9,
        compute_ms=compute_ms,
        memory_ms=memory_ms,
        percent=100 * max(compute_ms, memory_ms) / measured_ms,
        binds="compute" if compute_ms >= memory_ms else "memory",
    )


def graph_limit(costs: GraphCosts, measured_ms: float, ceilings: Ceilings, runs: int = 1) -> StageLimit:
    """The limit of a stage that runs a graph `runs` times, one run after the other. See `stage_limit`."""
    limit = stage_limit(costs.operations, costs.minimal_bytes, measured_ms / runs, ceilings)
    return StageLimit(
        gflop=limit.gflop * runs,
        gbytes=limit.gbytes * runs,
        compute_ms=limit.compute_ms * runs,
        memory_ms=limit.memory_ms * runs,
        percent=limit.percent,
        binds=limit.binds,
    )
