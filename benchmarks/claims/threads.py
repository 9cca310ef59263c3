"""Measure threads: on one CPU, next to another library in the process, and many that share a session."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from claims.common import harness
from claims.common.child_process import Child

# isort: split
import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session, find_graph, open_session
from fastsam_trt.bundled_models import locate

_SIZE_PX = 384, 640
_CALLERS = 8
_BUSY = 0.1  # share of the process's CPU time from which a thread counts as busy
_BACKENDS = "openvino", "onnxruntime"


@dataclass(frozen=True, slots=True)
class Case:
    """A side of a comparison: a session in a process of its own.

    Attributes:
        graph: The segmenter.
        backend: Backend that runs it.
        by_hand: Open it through the backend's API with this many threads instead of through `open_session`.
        one_cpu: Whether the process may use one CPU only.
        spin: As for `open_session`.
        beside: Whether an ONNX Runtime session runs before every timed run; `spin` then applies to that session.
        callers: Number of threads that share the runs of a call.
        runs: Number of runs per call.
    """

    graph: Path
    backend: str
    by_hand: int | None = None
    one_cpu: bool = False
    spin: bool = False
    beside: bool = False
    callers: int = 1
    runs: int = 1


def main() -> int:
    """Measure all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="yolov8n-seg", help="a segmenter of any size: name, folder or file")
    parser.add_argument("--runs", type=int, default=16, metavar="N", help="runs that the threads share in a turn (16)")
    harness.add_options(parser, rounds=20, warmup=2)
    args = parser.parse_args()
    harness.require(*_BACKENDS)
    if not hasattr(os, "sched_setaffinity"):
        raise harness.BenchmarkError("expected Linux, whose processes can be kept to one CPU")
    graph = find_graph(locate(args.model))
    facts = harness.machine(("fastsam-trt", "onnxruntime", "openvino", "numpy"))
    rows: list[dict[str, Any]] = []
    checks: list[harness.Check] = []
    for backend in _BACKENDS:
        one_cpu = {
            "ours": Case(graph, backend, one_cpu=True),
            "by hand, threads=1": Case(graph, backend, one_cpu=True, by_hand=1),
        }
        found, busy = _measured(f"{backend} on one CPU", one_cpu, args, rows)
        rows += harness.show_rows(f"{backend}: busy threads", [{"side": n, "threads": k} for n, k in busy.items()])
        checks += [
            harness.Check(f"{backend} on one CPU: busy threads", busy["ours"], "==", 1),
            harness.Check(f"{backend} on one CPU: ours / by hand", found, "<=", 1.05),
        ]
    spinning = {"no spin": Case(graph, "onnxruntime"), "spin": Case(graph, "onnxruntime", spin=True)}
    found, _ = _measured("ONNX Runtime alone", spinning, args, rows)
    checks.append(harness.Check("ONNX Runtime alone: no spin / spin", found, "<=", 1.05))
    beside = {
        "ONNX Runtime beside, no spin": Case(graph, "openvino", beside=True),
        "alone": Case(graph, "openvino"),
        "ONNX Runtime beside, spin": Case(graph, "openvino", beside=True, spin=True),
    }
    found, _ = _measured("OpenVINO, ONNX Runtime having run before each call", beside, args, rows)
    checks.append(harness.Check("OpenVINO: ONNX Runtime beside / alone", found, "<=", 1.10))
    for backend in _BACKENDS:
        shared = {
            f"{_CALLERS} threads": Case(graph, backend, callers=_CALLERS, runs=args.runs),
            "1 thread": Case(graph, backend, runs=args.runs),
        }
        found, _ = _measured(f"{backend}, {args.runs} runs that threads share", shared, args, rows)
        checks.append(harness.Check(f"{backend}: {_CALLERS} threads / 1 thread", found, "<=", 1.05))
    return harness.finish(args, facts, rows, checks)


def _measured(
    title: str, cases: dict[str, Case], args: argparse.Namespace, rows: list[dict[str, Any]]
) -> tuple[float, dict[str, int]]:
    """Time the sides in turn. Returns the first's time over the second's, and the number of busy threads per side."""
    with ExitStack() as stack:
        there = {
            name: stack.enter_context(Child(make_side, case, starting=_on_one_cpu() if case.one_cpu else None))
            for name, case in cases.items()
        }
        times = harness.measure([harness.Side(name, partial(each.ask, "time")) for name, each in there.items()],
                                args.rounds, args.warmup)  # fmt: skip
        busy = {name: each.ask("busy") for name, each in there.items()}
    first, second, *_ = cases
    rows += harness.show_times(title, times, [second])
    return harness.ratio(times, first, second).median, busy


@contextmanager
def _on_one_cpu() -> Iterator[None]:
    """Restrict this process, and those that it starts, to one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def make_side(case: Case) -> Callable[[Literal["time", "busy"]], float]:
    """Open a side. The function returns the ms of a call, or how many threads were busy in the calls so far."""
    call = _call(case)
    call()
    before = _thread_ticks()

    def answer(wanted: Literal["time", "busy"]) -> float:
        if wanted == "time":
            return call()
        spent = [ticks - before.get(thread, 0) for thread, ticks in _thread_ticks().items()]
        return sum(each > _BUSY * sum(spent) for each in spent)

    return answer


def _call(case: Case) -> Callable[[], float]:
    """A call of a side, which returns its duration in ms."""
    picture = np.random.default_rng(0).random((1, 3, *_SIZE_PX), np.float32)
    if case.by_hand is None:
        run = _run(open_session(case.graph, case.backend, spin=case.spin), picture)
    else:
        run = _run_by_hand(case, picture)
    if case.callers > 1 or case.runs > 1:
        return harness.wall_clock(lambda: _share(run, case.callers, case.runs // case.callers))
    timed = harness.wall_clock(run)
    if not case.beside:
        return timed
    other = _run(open_session(case.graph, "onnxruntime", spin=case.spin), picture)

    def after_the_other() -> float:
        other()
        return timed()

    return after_the_other


def _run(session: Session, picture: NDArray[np.float32]) -> Callable[[], object]:
    return lambda: session.run({session.spec.input_names[0]: picture})


def _run_by_hand(case: Case, picture: NDArray[np.float32]) -> Callable[[], object]:
    if case.backend == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = case.by_hand
        session = onnxruntime.InferenceSession(case.graph, options, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {session.get_inputs()[0].name: picture})
    import openvino

    core = openvino.Core()
    model = core.read_model(case.graph)
    model.reshape(list(picture.shape))
    chosen = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(case.by_hand)}
    request = core.compile_model(model, "CPU", chosen).create_infer_request()

    def run() -> list[NDArray[Any]]:
        request.infer([picture], share_inputs=True)
        return [np.array(tensor.data) for tensor in request.output_tensors]

    return run


def _share(run: Callable[[], object], callers: int, runs: int) -> None:
    """Run on several threads, `runs` times on each."""

    def work() -> None:
        for _ in range(runs):
            run()

    threads = [threading.Thread(target=work) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _thread_ticks() -> dict[str, int]:
    """CPU time per thread of this process, in the system's ticks."""
    found = {}
    for folder in Path("/proc/self/task").iterdir():
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        found[folder.name] = int(fields[11]) + int(fields[12])  # user and system time, by proc_pid_stat(5)
    return found


if __name__ == "__main__":
    harness.entry(main)
