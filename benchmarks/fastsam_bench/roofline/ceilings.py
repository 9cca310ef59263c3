"""Measure the ceilings of the machine: the most operations and bytes per second of a backend in a precision.

Operations per second come from the fastest of several probes: products of square matrices, and convolutions, in several
sizes. Convolutions are included because a library may compute them with fewer operations than are counted, and no stage
should exceed the ceiling.

Bytes per second come from the fastest of copies and reads of host memory by all cores, and of products with a vector,
which read weights as the backend does. They are measured for working sets from some megabytes to well beyond the
caches: a network whose weights stay in a cache between runs does not wait for memory.

Probes run in turn, round by round, so that a passing load affects all of them. Other work makes a probe slower, never
faster, so the ceiling is the fastest sample of the best probe, not the median.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastsam_bench.results.records import Ceiling
from fastsam_bench.roofline.memory_bandwidth import HostMemory, free_memory, last_level_cache
from fastsam_bench.roofline.probe_graphs import Probe, draw_input, write_probe
from fastsam_engine import Session, open_session
from fastsam_engine.errors import BackendUnavailableError
from fastsam_engine.session import ComputePrecision
from fastsam_engine.spec.model_spec import Precision

_SAMPLES = 7
_SAMPLE_S = 0.1  # time limit of a sample
_LEAST_RUNS, _MOST_RUNS = 2, 50
_BYTES: Mapping[ComputePrecision, int] = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1}
_MB = 1 << 20
_BEYOND = 2  # times the last-level cache: a working set of this size does not fit into it

_ON_CPU = (
    Probe("square", 512), Probe("square", 1024, depth=4), Probe("square", 2048, depth=2),
    Probe("convolution", 64, 80, depth=4), Probe("convolution", 256, 40, depth=4),
    Probe("convolution", 512, 20, depth=4),
    Probe("vector", 1024), Probe("vector", 4096),
)  # fmt: skip
_ON_GPU = (
    Probe("square", 2048), Probe("square", 4096), Probe("square", 8192, depth=4),
    Probe("convolution", 128, 160), Probe("convolution", 256, 80), Probe("convolution", 512, 80),
    Probe("vector", 2048), Probe("vector", 4096), Probe("vector", 12288),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MemorySpeed:
    """Bytes read and written, 1e9 per second, for repeated passes over the same `working_set` of bytes."""

    working_set: int
    gbytes: float


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The ceilings of a backend on a device in a precision.

    Attributes:
        record: The record for the file of results; its `copy_gbytes` belongs to the largest working set.
        speeds: Speeds of memory, by working set.
    """

    record: Ceiling
    speeds: tuple[MemorySpeed, ...]

    @property
    def matmul_gflops(self) -> float:
        """Operations, 1e9 per second; a multiply-add counts as two."""
        return self.record.matmul_gflops

    def copy_gbytes(self, nbytes: float) -> float:
        """The ceiling, 1e9 bytes per second, of a run that moves `nbytes`.

        The working set of such a run is at least `nbytes`, and memory is not faster for larger sets. The ceiling is
        therefore the fastest speed of all measured sets from the largest one that is not larger than `nbytes`.
        """
        floor = max((each.working_set for each in self.speeds if each.working_set <= nbytes), default=0)
        return max(each.gbytes for each in self.speeds if each.working_set >= floor)


def measure_ceilings(
    backend: str,
    device: str,
    precision: ComputePrecision,
    probes: Sequence[Probe] | None = None,
    samples: int = _SAMPLES,
) -> Ceilings:
    """Measure the ceilings of a backend.

    Args:
        backend, device, precision: Those of a `Session`.
        probes: At least one `vector` and one of another kind; None: defaults for the device.
        samples: Number of samples per probe.

    Raises:
        BackendUnavailableError: The backend does not compute in this precision.
        PackagesMissingError: The extra `[bench]` is not installed.
    """
    sides: dict[str, Callable[[], float]] = {}
    sets: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for probe in probes or (_ON_CPU if device == "cpu" else _ON_GPU):
            run = _opened(Path(folder), probe, backend, device, precision)
            run()  # some backends read the file only now
            if probe.kind == "vector":
                sets[probe.name] = probe.size**2 * _BYTES[precision]
                sides[probe.name] = _rate(run, probe.depth * sets[probe.name])
            else:
                sides[probe.name] = _rate(run, probe.operations)
    for nbytes in _host_sets() if device == "cpu" else ():
        memory = HostMemory(nbytes)
        for what, side in (("copy", memory.copy_gbytes), ("read", memory.read_gbytes)):
            name = f"{what} of {nbytes // _MB} MB"
            sets[name], sides[name] = nbytes, partial(_fastest, side)
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(samples):
        for name, side in sides.items():
            found[name].append(side())
    best = {name: max(each) for name, each in found.items()}
    speeds = tuple(
        MemorySpeed(nbytes, max(best[name] for name, each in sets.items() if each == nbytes))
        for nbytes in sorted(set(sets.values()))
    )
    fastest = max((name for name in sides if name not in sets), key=best.__getitem__)
    beyond = max((name for name in sets if sets[name] == speeds[-1].working_set), key=best.__getitem__)
    recorded = {"matmul": fastest, "copy": beyond, **{name: name for name in sides}}
    record = Ceiling(
        backend=backend,
        device=device,
        precision=precision,
        matmul_gflops=best[fastest],
        copy_gbytes=best[beyond],
        samples={key: tuple(found[name]) for key, name in recorded.items()},
    )
    return Ceilings(record, speeds)


def higher_ceilings(first: Ceilings, second: Ceilings) -> Ceilings:
    """The higher value of each ceiling, from two measurements.

    If ceilings are measured before and after a benchmark, the higher value is nearer to what the machine can do.
    """
    both = (*first.speeds, *second.speeds)
    sets = sorted({each.working_set for each in both})
    return Ceilings(
        first.record.or_higher(second.record),
        tuple(MemorySpeed(each, max(speed.gbytes for speed in both if speed.working_set == each)) for each in sets),
    )


def _host_sets() -> Iterable[int]:
    """Working sets of the host, bytes: from the cache of a core to well beyond the last-level cache, if it fits."""
    largest = min(max(_BEYOND * last_level_cache(), 256 * _MB), free_memory() // 4)
    return [*(each * _MB for each in (4, 16, 64) if each * _MB < largest), largest]


def _opened(folder: Path, probe: Probe, backend: str, device: str, precision: ComputePrecision) -> Callable[[], object]:
    """A function that runs a probe once and waits for it, with the input in the session's memory."""
    stored: Precision = "fp32"
    requested: str = precision
    if precision == "int8" or (precision == "fp16" and backend != "openvino"):  # OpenVINO rounds fp32 graphs itself
        stored, requested = precision, "auto"
    elif precision == "tf32":
        requested = "auto"
    session: Session = open_session(write_probe(folder, probe, stored), backend, device, requested)
    if session.precision != precision:
        raise BackendUnavailableError(
            backend,
            f"it computes {stored} graphs in {session.precision} on {session.device}, not in {precision}",
            f"measure the ceilings of {session.precision}",
        )
    inputs = {"x": session.upload(draw_input(probe))}
    return lambda: session.run_kept(inputs, keep=())


def _fastest(side: Callable[[], float]) -> float:
    return max(side() for _ in range(_LEAST_RUNS))


def _rate(run: Callable[[], object], amount: int) -> Callable[[], float]:
    """A function that takes a sample: the rate of the fastest of several runs, 1e9 of the amount per second."""

    def sample() -> float:
        best_s, runs, start = float("inf"), 0, time.perf_counter()
        run()  # not timed: threads and caches still belong to the previous probe
        while runs < _LEAST_RUNS or (runs < _MOST_RUNS and time.perf_counter() - start < _SAMPLE_S):
            began = time.perf_counter()
            run()
            best_s = min(best_s, time.perf_counter() - began)
            runs += 1
        return amount / best_s / 1e9

    return sample
