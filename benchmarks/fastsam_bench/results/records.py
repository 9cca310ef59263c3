"""The records of `results.jsonl`, one class per kind of line.

Times are in ms and rates in frames per second of wall-clock time, unless a name says otherwise. `low` and `high` are
the 95 percent interval of the median beside them. Fields that a machine does not report are None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from fastsam_trt.reports.machine import Machine

SCHEMA = "fastsam-trt.bench/1"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU: its name, memory in MB (1e6 bytes), and driver."""

    name: str
    memory_mb: float | None = None
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Host(Machine):
    """The machine of a run, with its GPUs."""

    gpus: tuple[Gpu, ...] = ()


@dataclass(frozen=True, slots=True)
class Interval:
    """A median time, ms, and its 95 percent interval."""

    p50: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rate:
    """A median of frames per second, or of a ratio, and its 95 percent interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of whole calls, ms; `low` and `high` belong to `p50`."""

    p50: float
    p90: float
    p99: float
    min: float
    max: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class StageTime:
    """Times of a stage, ms; `low` and `high` belong to `p50`."""

    p50: float
    p99: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class StageLimit:
    """The limit of a stage.

    Attributes:
        gflop: Operations, 1e9, two per multiply-add.
        gbytes: Bytes that must move, 1e9.
        compute_ms, memory_ms: Time of each at the measured ceiling.
        percent: The larger of the two times, in percent of the measured median.
        binds: Which of the two is larger.
    """

    gflop: float
    gbytes: float
    compute_ms: float
    memory_ms: float
    percent: float
    binds: Literal["compute", "memory"]


@dataclass(frozen=True, slots=True)
class Memory:
    """Peak memory, MB (1e6 bytes)."""

    host_peak: float | None = None
    device_peak: float | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """A live source: age of frames when their result is ready, ms; frames per second; dropped frames."""

    age_p50_ms: float
    age_p99_ms: float
    fps_in: float
    fps_out: float
    dropped: int
    source_fps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The first line of a run.

    Attributes:
        time: ISO 8601, UTC.
        machine: The machine.
        command: The command line.
        planned: Ids of the planned cells.
        memory_gb: Memory of the machine, 1e9 bytes.
    """

    kind: ClassVar[str] = "run"
    time: str
    machine: Host
    command: tuple[str, ...] = ()
    planned: tuple[str, ...] = ()
    memory_gb: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The ceilings of an engine: 1e9 operations per second (two per multiply-add), 1e9 bytes read and written."""

    kind: ClassVar[str] = "ceiling"
    backend: str
    device: str
    precision: str
    matmul_gflops: float
    copy_gbytes: float
    samples: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def or_higher(self, other: Ceiling) -> Ceiling:
        """The higher value of each ceiling: other work makes a ceiling lower, never higher."""
        better = self if self.matmul_gflops >= other.matmul_gflops else other
        faster = self if self.copy_gbytes >= other.copy_gbytes else other
        samples = {**better.samples, "copy": faster.samples.get("copy", ())}
        return replace(better, copy_gbytes=faster.copy_gbytes, samples=samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One measured case.

    Attributes:
        id: Unique in a run, and the same in every run.
        scenario: `single`, one frame at a time; `offline`, batches; `live`, a source with a fixed rate.
        clip: Name of the CLIP model, if one is used.
        precision: Actual precision of the session.
        frame, input: [H, W], px.
        crops, segments: Numbers per frame.
        runs, warmup_runs: Number of timed calls, and of calls before them.
        steady: Whether times were steady before the timed calls.
        fps: Frames per second.
        latency_ms: Times of whole calls; a call is a batch.
        samples_ms: Times of whole calls in order, evenly thinned.
        stages: Times of the parts of a call, which do not overlap.
        limits: Stage to its limit.
        set_aside: Number of timed blocks that do not count, since something else used the CPU.
        warnings: Reasons to doubt the results.
    """

    kind: ClassVar[str] = "cell"
    id: str
    scenario: Literal["single", "offline", "live"]
    model: str
    family: str
    backend: str
    device: str
    precision: str
    batch: int
    frame: tuple[int, int]
    input: tuple[int, int]
    crops: int
    segments: int
    runs: int
    warmup_runs: int
    steady: bool
    fps: Rate
    latency_ms: Latency
    stages: Mapping[str, StageTime]
    samples_ms: tuple[float, ...] = ()
    clip: str | None = None
    memory_mb: Memory | None = None
    power_w: float | None = None
    clock_mhz: float | None = None
    limits: Mapping[str, StageLimit] = field(default_factory=dict)
    set_aside: int = 0
    warnings: tuple[str, ...] = ()
    live: Live | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Time to select and decode a number of segments, in the way of this project or in the usual one."""

    kind: ClassVar[str] = "sweep"
    side: Literal["ours", "usual"]
    selector: Literal["labels", "clip"]
    segments: int
    frame: tuple[int, int]
    latency_ms: Interval
    model: str
    backend: str
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold:
    """A cold start: from a new process to the first result; `parts` are medians, ms."""

    kind: ClassVar[str] = "cold"
    model: str
    backend: str
    precision: str
    cached: bool
    first_result_ms: Interval
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another project on the same task; `ratio` is its time divided by ours, pair by pair."""

    kind: ClassVar[str] = "peer"
    peer: str
    version: str
    model: str
    ours: str
    latency_ms: Interval
    ours_ms: Interval
    ratio: Rate
    agreement: Mapping[str, float | None] = field(default_factory=dict)
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A planned cell that could not be measured."""

    kind: ClassVar[str] = "failed"
    id: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The last line of a run that was not stopped."""

    kind: ClassVar[str] = "end"
    cells: int
    failed: int
    seconds: float


Record = Run | Ceiling | Cell | Sweep | Cold | Peer | Failed | End
KINDS: Mapping[str, type[Record]] = {kind.kind: kind for kind in (Run, Ceiling, Cell, Sweep, Cold, Peer, Failed, End)}
