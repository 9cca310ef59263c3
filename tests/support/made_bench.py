"""Synthetic benchmark results for tests: plausible, seeded, and not measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fastsam_bench.results.records import (
    Ceiling,
    Cell,
    Cold,
    End,
    Failed,
    Gpu,
    Host,
    Interval,
    Latency,
    Live,
    Memory,
    Peer,
    Rate,
    Record,
    Run,
    StageLimit,
    StageTime,
    Sweep,
)
from fastsam_bench.results.results_file import ResultsWriter
from fastsam_bench.results.runs import BenchRun, Results

BLOCKS, CALLS = 12, 20  # blocks a cell, calls a block
MODELS = {
    "yolov8n-seg": (9.0, 7.2),
    "yolo11s-seg": (24.0, 21.0),
    "fastsam-s": (29.0, 25.5),
    "detr-resnet-50": (210.0, 96.0),
}
HOST = Host("Intel(R) Xeon(R) Processor", 2, "Linux-6.18", "3.11.7", {"fastsam-trt": "0.1.0", "openvino": "2026.4.1"})
GPU_HOST = Host(
    "AMD EPYC 9354 32-Core Processor", 16, "Linux-6.8", "3.12.3", {"fastsam-trt": "0.1.0", "tensorrt": "11.0.0"},
    (Gpu("NVIDIA L4", 24_000.0, "590.12"),),
)  # fmt: skip


def ids() -> list[str]:
    """The cells of a synthetic run."""
    return [
        f"single/{model}/openvino/cpu/{precision}/b1/384x640/c{crops}"
        for model in MODELS
        for precision in ("bf16", "fp32")
        for crops in (0, 10, 40)
    ]


def stage_ms(cell: str) -> dict[str, float]:
    """Mean time of each stage of a cell."""
    _, model, _, device, precision, *_, crops = cell.split("/")
    network = MODELS[model][0] * (2.1 if precision == "fp32" else 1.0) * (0.06 if device != "cpu" else 1.0)
    stages = {"preprocess": 0.52, "engine": network, "select": 0.06, "decode": 0.9}
    if crops != "c0":
        stages["clip"] = 6.0 * int(crops[1:]) ** 0.9 * (0.05 if device != "cpu" else 1.0)
    return stages


def cell(
    name: str,
    random: np.random.Generator,
    slow: Mapping[tuple[str, str], float] | None = None,
    *,
    between: float = 0.0,
    drift: float = 0.01,
    each: float = 0.06,
) -> Cell:
    """A synthetic cell.

    Args:
        name: Id of the cell.
        random: Source of the noise.
        slow: Factor by which a stage of a cell is slower.
        between: Relative standard deviation of the time of a stage between processes.
        drift: The same between blocks.
        each: The same between calls.
    """
    scenario, model, backend, device, precision, batch, size, crops = name.split("/")
    times = {}
    images = int(batch[1:])
    for stage, mean in stage_ms(name).items():
        level = images * mean * (slow or {}).get((name, stage), 1.0) * np.exp(between * random.standard_normal())
        blocks = level * np.exp(drift * random.standard_normal((BLOCKS, 1)))
        times[stage] = blocks * (1 + each * random.standard_gamma(2.0, (BLOCKS, CALLS)))
    whole = sum(times.values()) + 0.04 * random.standard_gamma(8.0, (BLOCKS, CALLS)) / 8
    low, high = interval(whole, random)
    p50, p90, p99 = np.percentile(whole, [50, 90, 99])
    height, width = map(int, size.split("x"))
    gflop, gbytes = images * MODELS[model][1], 0.02 + MODELS[model][1] / 400
    peak, copy = (1100.0, 9.0) if precision in {"bf16", "fp16"} else (600.0, 9.0)
    if device != "cpu":
        peak, copy = peak * 20, copy * 20
    engine_p50 = float(np.median(times["engine"]))
    compute_ms, memory_ms = gflop / peak * 1e3, gbytes / copy * 1e3
    limit = StageLimit(
        gflop, gbytes, compute_ms, memory_ms, 100 * max(compute_ms, memory_ms) / engine_p50,
        "compute" if compute_ms > memory_ms else "memory",
    )  # fmt: skip
    return Cell(
        id=name,
        scenario=scenario,
        model=model,
        family="yolo-seg",
        clip=None if crops == "c0" else "clip-vit-base-patch32",
        backend=backend,
        device=device,
        precision=precision,
        batch=images,
        frame=(1080, 1920),
        input=(height, width),
        crops=int(crops[1:]),
        segments=max(int(crops[1:]), 12),
        runs=BLOCKS * CALLS,
        warmup_runs=20,
        steady=True,
        fps=Rate(1e3 * images / p50, 1e3 * images / high, 1e3 * images / low),
        latency_ms=Latency(p50, p90, p99, whole.min(), whole.max(), whole.mean(), low, high),
        samples_ms=tuple(whole.ravel().tolist()),
        stages={
            stage: StageTime(float(np.median(each)), float(np.percentile(each, 99)), *interval(each, random))
            for stage, each in times.items()
        },
        memory_mb=Memory(612.0, None if device == "cpu" else 1480.0),
        limits={"engine": limit},
        live=Live(31.0, 58.0, 30.0, 29.4, 12, 30.0) if scenario == "live" else None,
    )


def interval(times: np.ndarray, random: np.random.Generator) -> tuple[float, float]:
    """95 percent interval of the median over blocks, by bootstrap."""
    medians = np.median(times, axis=1)
    drawn = np.median(medians[random.integers(0, BLOCKS, (200, BLOCKS))], axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def results(
    seed: int,
    slow: Mapping[tuple[str, str], float] | None = None,
    names: list[str] | None = None,
    host: Host = HOST,
    **noise: float,
) -> Results:
    """A run with cells only."""
    random = np.random.default_rng(seed)
    records = tuple(cell(name, random, slow, **noise) for name in names or ids())
    head = Run(time="2026-11-23T08:00:00+00:00", machine=host)
    return Results(
        (BenchRun(f"run-{seed}", "made.jsonl", head, records, End(cells=len(records), failed=0, seconds=9.0)),)
    )


def whole_run(seed: int = 0, host: Host = HOST, *, end: bool = True) -> list[Record]:
    """Every kind of record, with doubts and failures."""
    random = np.random.default_rng(seed)
    on_gpu = bool(host.gpus)
    backend, device, precisions = (
        ("tensorrt", "cuda", ("fp16", "fp32")) if on_gpu else ("openvino", "cpu", ("bf16", "fp32"))
    )
    names = [name.replace("openvino/cpu/bf16", f"{backend}/{device}/{precisions[0]}") for name in ids()]
    names = [name.replace("openvino/cpu", f"{backend}/{device}") for name in names]
    names += [f"offline/yolov8n-seg/{backend}/{device}/{precisions[0]}/b8/384x640/c0"]
    names += [f"live/yolov8n-seg/{backend}/{device}/{precisions[0]}/b1/384x640/c10"]
    cells = [cell(name, random) for name in names]
    if on_gpu:
        cells = [dataclasses.replace(each, power_w=61.0, clock_mhz=1920.0) for each in cells]
    cells[1] = dataclasses.replace(cells[1], steady=False, warnings=("another process took 12 % of the processor",))
    failed = Failed(id=f"single/mask2former/{backend}/{device}/fp32/b1/384x384/c0", error="ran out of memory <b>|")
    records: list[Record] = [
        Run(
            time="2026-11-23T08:00:00+00:00",
            machine=host,
            command=("fastsam-trt", "bench"),
            planned=(*names, failed.id),
            memory_gb=25.2,
        )
    ]
    for precision, peak in zip(precisions, (1100.0, 600.0), strict=True):
        records.append(
            Ceiling(
                backend=backend, device=device, precision=precision, matmul_gflops=peak * (20 if on_gpu else 1),
                copy_gbytes=180.0 if on_gpu else 9.0, samples={"matmul": (peak,), "copy": (9.0,)},
            )
        )  # fmt: skip
    records += [*cells, failed]
    for segments in (0, 1, 3, 10, 30, 100, 300):
        for selector, ours, usual in (("labels", 0.2, 4.0), ("clip", 4.0, 9.0)):
            for side, cost in (("ours", ours), ("usual", usual)):
                p50 = 0.3 + cost * segments * (0.3 if side == "ours" else 1) + (8 if side == "usual" else 0)
                records.append(
                    Sweep(
                        side=side, selector=selector, segments=segments, frame=(1080, 1920),
                        latency_ms=Interval(p50, p50 * 0.97, p50 * 1.04), model="yolov8n-seg", backend=backend,
                        precision=precisions[0],
                    )
                )  # fmt: skip
    for cached, ms in ((False, 2900.0), (True, 840.0)):
        records.append(
            Cold(
                model="yolov8n-seg", backend=backend, precision=precisions[0], cached=cached,
                first_result_ms=Interval(ms, ms * 0.97, ms * 1.03),
                parts={"import": 210.0, "open": ms - 290, "first_frame": 80.0},
            )
        )  # fmt: skip
    for name, ratio in (("ultralytics, ONNX", 3.1), ("transformers", 1.9), ("another way", 0.95)):
        records.append(
            Peer(
                peer=name, version="8.4.190", model="yolov8n-seg", ours=names[0],
                latency_ms=Interval(11 * ratio, 10.8 * ratio, 11.3 * ratio), ours_ms=Interval(11, 10.8, 11.3),
                ratio=Rate(ratio, ratio * 0.96, ratio * 1.05), agreement={"box IoU": 0.991, "cosine": None},
                note="its masks have the network's size",
            )
        )  # fmt: skip
    if end:
        records.append(End(cells=len(cells), failed=1, seconds=431.0))
    return records


def write(path: Path, records: list[Record], run: str = "made") -> Path:
    """Write records as a file of results."""
    with ResultsWriter(path, run) as writer:
        for record in records:
            writer.write(record)
    return path
