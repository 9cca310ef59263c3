"""Ceilings: what the machine reaches at best, measured on the spot, through the very backend and in its precision.

Operations a second are those of the fastest probe among products of square matrices and convolutions, both of several
sizes: a library may do convolutions with fewer operations than are counted, and what a stage reaches must not lie above
the ceiling. Bytes a second are those of the fastest among copies and reads by all cores (of the host's memory) and
products of a vector, which read weights as the backend does; they are measured for working sets from some megabytes to
well beyond the caches, since a network whose weights stay in a cache from run to run does not wait for memory.

Probes are run in turn, round by round, so that load that comes and goes hits all of them. Other work makes a probe
slower, never faster: the ceiling is therefore the fastest sample of the best probe, not the usual one.
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
_SAMPLE_S = 0.1  # time that a sample may take
_LEAST_RUNS, _MOST_RUNS = 2, 50
_BYTES: Mapping[ComputePrecision, int] = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1}
_MB = 1 << 20
_BEYOND = 2  # times the last cache: a set that large is not in it

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
    """Bytes read and written, 1e9 a second, when the same `working_set` of bytes is gone through again and again."""

    working_set: int
    gbytes: float


@dataclass(frozen=True, slots=True)
class Ceilings:
    """What a backend reaches at best on a device in a precision.

    Attributes:
        record: For the file of results; its `copy_gbytes` is that of the largest working set.
        speeds: Of memory, by working set.
    """

    record: Ceiling
    speeds: tuple[MemorySpeed, ...]

    @property
    def matmul_gflops(self) -> float:
        """Operations, two a multiply-add, 1e9 a second."""
        return self.record.matmul_gflops

    def copy_gbytes(self, nbytes: float) -> float:
        """The most, 1e9 bytes a second, for what moves some bytes a run.

        Its working set is at least that large, and memory is no faster for larger sets than for smaller: so it is the
        fastest found from the largest set that is no larger on.
        """
        floor = max((each.working_set for each in self.speeds if each.working_set <= nbytes), default=0)
        return max(each.gbytes for each in self.speeds if each.working_set >= floor)


def measure_ceilings(
    backend: str,
    device: str,
    precision: ComputePrecision,
    probes: Sequence[Probe] | None = None,
    samples: int = _SAMPLES,
    working_sets: Iterable[int] | None = None,
) -> Ceilings:
    """Measure the ceilings of a backend.

    Args:
        backend, device, precision: As a `Session` says that it runs.
        probes: Of each use at least one: a `vector`, and one that is none; None: those that suit the device.
        samples: Of each probe.
        working_sets: Bytes that the host copies and reads; None: those that suit its caches. A GPU has none.

    Raises:
        BackendUnavailableError: The backend does not compute in that precision.
        PackagesMissingError: The extra `[bench]` is not installed.
    """
    sides: dict[str, Callable[[], float]] = {}
    sets: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for probe in probes or (_ON_CPU if device == "cpu" else _ON_GPU):
            run = _opened(Path(folder), probe, backend, device, precision)
            run()  # some backends read the file no sooner
            if probe.kind == "vector":
                sets[probe.name] = probe.size**2 * _BYTES[precision]
                sides[probe.name] = _rate(run, probe.depth * sets[probe.name])
            else:
                sides[probe.name] = _rate(run, probe.operations)
    if device != "cpu":
        working_sets = ()
    for nbytes in host_sets() if working_sets is None else working_sets:
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
    told = {"matmul": fastest, "copy": beyond, **{name: name for name in sides}}
    record = Ceiling(
        backend=backend,
        device=device,
        precision=precision,
        matmul_gflops=best[fastest],
        copy_gbytes=best[beyond],
        samples={key: tuple(found[name]) for key, name in told.items()},
    )
    return Ceilings(record, speeds)


def higher_ceilings(first: Ceilings, second: Ceilings) -> Ceilings:
    """The higher of two measurements of the same ceilings, figure by figure.

    Measured before and after what is held against it, the higher of each is nearer to what the machine can do.
    """
    both = (*first.speeds, *second.speeds)
    sets = sorted({each.working_set for each in both})
    return Ceilings(
        first.record.or_higher(second.record),
        tuple(MemorySpeed(each, max(speed.gbytes for speed in both if speed.working_set == each)) for each in sets),
    )


def host_sets() -> Iterable[int]:
    """Working sets of the host, bytes: from what the caches of the cores hold to well beyond the last, if it fits."""
    largest = min(max(_BEYOND * last_level_cache(), 256 * _MB), free_memory() // 4)
    return [*(each * _MB for each in (4, 16, 64) if each * _MB < largest), largest]


def _opened(folder: Path, probe: Probe, backend: str, device: str, precision: ComputePrecision) -> Callable[[], object]:
    """What runs a probe once and waits for it, with its input where the session computes."""
    own: Precision = "fp32"
    asked: str = precision
    if precision == "int8" or (precision == "fp16" and backend != "openvino"):  # OpenVINO rounds fp32 graphs itself
        own, asked = precision, "auto"
    elif precision == "tf32":
        asked = "auto"
    session: Session = open_session(write_probe(folder, probe, own), backend, device, asked)
    if session.precision != precision:
        raise BackendUnavailableError(
            backend,
            f"it computes {own} graphs in {session.precision} on {session.device}, not in {precision}",
            f"ask for the ceilings of {session.precision}",
        )
    given = {"x": session.upload(draw_input(probe))}
    return lambda: session.run_kept(given, keep=())


def _fastest(side: Callable[[], float]) -> float:
    return max(side() for _ in range(_LEAST_RUNS))


def _rate(run: Callable[[], object], amount: int) -> Callable[[], float]:
    """A call that gives the rate of a sample, 1e9 of the amount a second: that of the fastest of some runs."""

    def sample() -> float:
        best_s, runs, start = float("inf"), 0, time.perf_counter()
        run()  # the threads and caches of the probe before are not its own
        while runs < _LEAST_RUNS or (runs < _MOST_RUNS and time.perf_counter() - start < _SAMPLE_S):
            began = time.perf_counter()
            run()
            best_s = min(best_s, time.perf_counter() - began)
            runs += 1
        return amount / best_s / 1e9

    return sample
