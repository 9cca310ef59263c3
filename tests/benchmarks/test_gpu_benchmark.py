"""The GPU benchmark without a GPU or PyTorch: its time, its processes, its pieces, and rows for what is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from claims.common import stripped_graphs
from claims.gpu import pieces as gpu_pieces
from claims.gpu import tasks as gpu_tasks
from claims.gpu import worker
from claims.gpu.budget import Budget, Row, Task, run_tasks
from claims.gpu.case import Case, OtherAnswerError, Timing, timed
from claims.gpu.gpu_facts import command, errors_found
from claims.gpu.process import MARK, run_process, worker_environment
from claims.gpu.reference import Reference
from claims.gpu.sides import Side
from fastsam_engine.packages import library_folders

_KIB = 1 << 10


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _wanted(folder: Path, device: str = "cuda") -> gpu_tasks.Wanted:
    return gpu_tasks.Wanted(
        folder, device, ("yolov8n-seg", "fastsam-s"), ("fp16", "fp32"), (1, 8), (0, 10, 100), None, 200, 5, 3.0
    )


def _worker(tmp_path: Path, body: str) -> list[str]:
    script = tmp_path / "worker.py"
    head = f"import json, os, subprocess, sys, time\ndef say(**row): print({MARK!r} + json.dumps(row), flush=True)\n"
    script.write_text(head + body)
    return [sys.executable, str(script)]


# --- the time -----------------------------------------------------------------------------------------------------


def test_a_task_that_no_longer_fits_has_a_row_per_case():
    clock = Clock()
    budget = Budget(100, clock)
    limits = []

    def run(task: Task, limit_s: float) -> Iterator[Row]:
        limits.append((task.title, limit_s))
        yield {"kind": "times", "title": task.title}
        clock.now_s += 60

    tasks = [Task("first", "side", usual_s=50), Task("long", "side", usual_s=50, cases=("a", "b")),
             Task("short", "side", usual_s=5, limit_s=500)]  # fmt: skip
    rows = [row for _, row in run_tasks(tasks, budget, run)]
    assert [(row["kind"], row["title"]) for row in rows] == [
        ("times", "first"), ("task", "first"), ("skipped", "a"), ("skipped", "b"),
        ("times", "short"), ("task", "short"),
    ]  # fmt: skip
    assert "usually takes 50 s, and 37 s are left" in rows[2]["note"]
    assert limits == [("first", 60.0), ("short", 37.0)]  # never longer than what is left


def test_a_task_that_ends_early_has_rows_for_its_missing_cases():
    def run(task: Task, limit_s: float) -> Iterator[Row]:
        yield {"kind": "times", "title": "a"}
        yield {"kind": "parity", "title": "b"}  # it ends before the times
        yield {"kind": "end", "note": "its process ended with signal SIGSEGV"}

    task = Task("t", "side", cases=("a", "b", "c"), closes="times")
    rows = [row for _, row in run_tasks([task], Budget(100), run)]
    lacking = {row["title"]: row["note"] for row in rows if row["kind"] == "missing"}
    assert lacking == dict.fromkeys(("b", "c"), "its process ended with signal SIGSEGV")


def test_a_task_without_rows_is_reported():
    rows = [row for _, row in run_tasks([Task("t", "make")], Budget(100), lambda _task, _limit_s: iter(()))]
    assert [(row["kind"], row["title"]) for row in rows] == [("missing", "t"), ("task", "t")]


# --- the plan -----------------------------------------------------------------------------------------------------


def _measuring(folder: Path, there: dict[str, list[str]], device: str = "cuda") -> list[Task]:
    return list(gpu_tasks.measuring(_wanted(folder, device), there))


def test_the_most_telling_comes_first(tmp_path):
    there = {"onnxruntime": ["cuda", "tensorrt", "cpu"], "tensorrt": ["cuda"], "torch": ["python"],
             "ultralytics": ["python"], "compute-sanitizer": ["/usr/bin/compute-sanitizer"]}  # fmt: skip
    titles = [task.title for task in _measuring(tmp_path, there) if task.kind not in ("make", "reference")]
    assert titles[:5] == [
        "limits",
        "yolov8n-seg fp16 ours onnxruntime cuda, no crops",
        "yolov8n-seg fp16 PyTorch ultralytics, no crops",
        "families ours onnxruntime cuda",
        "yolov8n-seg fp16 ours onnxruntime cuda graph, no crops",
    ]
    place = titles.index
    assert place("yolov8n-seg fp16 ours onnxruntime cuda, with crops") < place("memcheck ours onnxruntime cuda")
    assert place("memcheck ours onnxruntime cuda") < place("fastsam-s fp16 ours onnxruntime cuda, no crops")
    assert place("fastsam-s fp16 ours onnxruntime cuda, no crops") < place(
        "yolov8n-seg fp16 ours tensorrt cuda, no crops"
    )
    assert titles[-1] == "racecheck ours onnxruntime cuda"


def test_every_case_of_every_count_of_crops_and_batch_is_planned(tmp_path):
    there = {"onnxruntime": ["cuda", "cpu"]}
    tasks = _measuring(tmp_path, there)
    cases = {title for task in tasks if task.kind == "side" for title in task.cases}
    assert {f"yolov8n-seg fp16, {b} frames, {c} crops" for b in (1, 8) for c in (0, 10, 100)} <= cases
    assert not any("PyTorch" in task.title for task in tasks)
    families = next(task for task in tasks if task.kind == "family")
    assert {"yolov8n-seg fp32", "fastsam-s fp32", "yolo26n-seg fp32", "demo-clip fp32", "small-detr fp32",
            "small-mask2former fp32", "small-segformer fp32", "small-detr fp16"} <= set(families.cases)  # fmt: skip


def test_with_no_backend_on_the_gpu_only_pytorch_is_planned(tmp_path):
    tasks = _measuring(tmp_path, {"onnxruntime": ["cpu"], "torch": ["python"]})
    assert {task.given["side"] for task in tasks if task.kind == "side"} == {"PyTorch script, our steps"}


def test_where_ultralytics_does_not_work_the_script_takes_its_part(tmp_path):
    there = {"onnxruntime": ["cuda", "cpu"], "torch": ["python"], "ultralytics": ["python"]}
    sides = []
    for task in gpu_tasks.measuring(_wanted(tmp_path), there):
        if task.side.startswith("PyTorch"):
            sides.append(task.side)
            there["ultralytics"] = []
    assert sides[:3] == ["PyTorch ultralytics", "PyTorch script, our steps", "PyTorch script, our steps"]
    assert "PyTorch ultralytics" not in sides[1:]


def test_packed_models_are_not_made_again(tmp_path):
    for name in ("yolov8n-seg", "yolov8n-seg-fp16"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "yolov8n-seg.onnx").touch()
    (tmp_path / "yolov8n-seg.384x640.torchscript").touch()
    (tmp_path / "operations.json").write_text('{"yolov8n-seg": 1.2e10}')
    tasks = _measuring(tmp_path, {"onnxruntime": ["cuda", "cpu"], "torch": ["python"]})
    made = {task.title for task in tasks if task.kind == "make"}
    assert not {title for title in made if " yolov8n-seg " in title}
    assert {"make fastsam-s fp16", "make fastsam-s script", "make clip-vit-base-patch32 fp16"} <= made


def test_the_tasks_of_eight_minutes_begin_within_them(tmp_path):
    """YOLOv8n-seg in fp16 with crops, and FastSAM-s without, fit into the time, including making CLIP."""
    there = {"onnxruntime": ["cuda", "cpu"], "torch": ["python"], "ultralytics": ["python"],
             "compute-sanitizer": ["/usr/bin/compute-sanitizer"]}  # fmt: skip
    tasks = [task for task in _measuring(tmp_path, there) if task.kind != "make" or "clip" in task.title]
    fastsam = [
        i for i, task in enumerate(tasks) if task.title.startswith("fastsam-s fp16") and "no crops" in task.title
    ]
    assert sum(task.usual_s for task in tasks[: fastsam[1] + 1]) < 8 * 60


# --- the times ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "rounds", "least", "most"), [(60.0, 7, 7, 7), (0.0, 50, 3, 3), (0.0, 2, 2, 2)])
def test_turns_end_with_their_rounds_or_their_time(seconds, rounds, least, most):
    calls = {"a": 0, "b": 0}

    def call(name: str) -> None:
        calls[name] += 1

    times = timed({name: partial(call, name) for name in calls}, Timing(rounds, 2, seconds, 1))
    assert least <= len(times["a"]) == len(times["b"]) <= most
    assert calls["a"] >= 2 * len(times["a"])  # each timed call follows one that is not


class Answering(Side):
    """A side with given results, and pauses instead of networks."""

    name, precision = "told", "fp32"

    def __init__(self, boxes: np.ndarray, cosine: float = 1.0) -> None:
        self._boxes, self._cosine = boxes, cosine

    def prepare(self, conf: float, *, clip: bool) -> None:
        pass

    def __call__(self, frames: Any) -> Any:
        return [(self._boxes, np.zeros(len(self._boxes), np.int32))] * len(frames)

    def networks(self, frames: Any) -> Any:
        return lambda: time.sleep(1e-4)

    def embed(self, frame: Any, windows: Any) -> np.ndarray:
        return np.array([[self._cosine, 0.0]] * len(windows), np.float32)


def _case(crops: int) -> Case:
    corners = np.arange(30, dtype=np.float32)[:, None] * [20, 10, 20, 10]
    boxes = np.add(corners, [0, 0, 15, 8]).astype(np.float32)
    embeddings = np.array([[1.0, 0.0]] * 10, np.float32)
    frame = np.zeros((400, 700, 3), np.uint8)
    return Case("case", Reference(frame, 0.3, 0.7, boxes, np.zeros(30, np.int32), embeddings), 2, crops)


def test_a_side_that_answers_right_is_timed():
    case = _case(20)
    parity, times = case.run(Answering(case.reference.boxes), Timing(5, 1, 10.0, 10))
    assert (parity["kind"], parity["kept"], parity["of"], parity["cosine"]) == ("parity", 20, 20, 1.0)
    assert times["kind"] == "times"
    assert times["rounds"] == 5
    assert times["p50 ms"] <= times["p99 ms"]
    assert times["FPS"] == pytest.approx(2e3 / times["p50 ms"])
    assert 0.1 <= times["networks ms"] < 50


@pytest.mark.parametrize(("shift_px", "cosine", "why"), [(4.0, 1.0, "expected the 20 segments"),
                                                         (0.0, 0.9, "expected CLIP's cosine")])  # fmt: skip
def test_a_side_with_other_results_is_reported_and_not_timed(shift_px, cosine, why):
    case = _case(20)
    rows = case.run(Answering(case.reference.boxes + np.float32(shift_px), cosine), Timing(5, 1, 10.0, 10))
    assert next(rows)["kind"] == "parity"
    with pytest.raises(OtherAnswerError, match=why):
        next(rows)


def test_boxes_of_random_weights_are_reported_but_not_checked():
    case = replace(_case(20), is_drawn=True)
    parity, times = case.run(Answering(case.reference.boxes + np.float32(4)), Timing(3, 0, 10.0, 1))
    assert parity["kept"] < 20
    assert times["rounds"] == 3


# --- the processes ------------------------------------------------------------------------------------------------


def test_rows_are_separated_from_the_output_of_libraries(tmp_path):
    body = f"say(a=1)\nprint('noise')\nprint({MARK!r} + '{{cut')\nsay(a=2)"
    assert list(run_process(_worker(tmp_path, body), 20, os.environ)) == [{"a": 1}, {"a": 2}]


def test_the_end_of_a_process_is_reported(tmp_path):
    rows = list(run_process(_worker(tmp_path, "say(a=1)\nprint('cudaErrorUnknown')\nos.abort()"), 20, os.environ))
    assert rows[0] == {"a": 1}
    assert rows[1]["kind"] == "end"
    assert "SIGABRT" in rows[1]["note"]
    assert "cudaErrorUnknown" in rows[1]["note"]


def test_a_process_past_its_limit_ends_with_its_children(tmp_path):
    child = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid"
    body = f"say(pid={child})\ntime.sleep(60)"
    start = time.monotonic()
    rows = list(run_process(_worker(tmp_path, body), 1.5, os.environ))
    assert time.monotonic() - start < 20
    assert "ended after 2 s, its limit" in rows[-1]["note"]
    assert _gone(rows[0]["pid"])


def _gone(pid: int) -> bool:
    for _ in range(100):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] in "ZX":
            return True
        time.sleep(0.05)
    return False


def test_lines_are_whole_after_a_kill(tmp_path):
    """A run that is killed keeps its rows so far, each a line of JSON."""
    worker = _worker(tmp_path, "for i in range(10**6): say(kind='times', title='x', i=i)")
    path = tmp_path / "rows.jsonl"
    runner = (
        f"import os, sys; sys.path[:0] = {sys.path!r}\nfrom pathlib import Path\nfrom claims.common import harness\n"
        "from claims.gpu.process import run_process\n"
        f"for row in run_process({worker!r}, 60, os.environ):\n"
        f"    harness.add_lines(Path({str(path)!r}), {{'gpu': 'x'}}, [row])"
    )
    with subprocess.Popen([sys.executable, "-c", runner]) as process:
        while process.poll() is None and not (path.is_file() and path.stat().st_size > 64 * _KIB):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["i"] for row in rows] == list(range(len(rows)))
    assert all(row["gpu"] == "x" and row["kind"] == "times" for row in rows)


def test_libraries_of_wheels_are_found_in_every_folder_of_packages(tmp_path):
    for name in ("base/nvidia/cu13/lib", "base/nvidia/cudnn/lib", "base/tensorrt_libs", "other/nvidia/cufft/lib"):
        (tmp_path / name).mkdir(parents=True)
    found = library_folders(["", str(tmp_path / "base"), str(tmp_path / "other"), str(tmp_path / "none")])
    assert [str(each.relative_to(tmp_path)) for each in found] == [
        "base/nvidia/cu13/lib", "base/nvidia/cudnn/lib", "base/tensorrt_libs", "other/nvidia/cufft/lib",
    ]  # fmt: skip
    environment = worker_environment({})
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["PYTHONPATH"].startswith(str(Path(worker.__file__).parents[3] / "export"))


def _real(kind: str, given: dict[str, Any], *, path: str | None = None) -> list[dict[str, Any]]:
    environment = worker_environment({} if path is None else {"PATH": path})
    return list(run_process([sys.executable, worker.__file__, kind, json.dumps(given)], 60, environment))


def test_missing_packages_have_rows_with_the_reason(tmp_path):
    rows = {row["title"]: row for row in _real("readiness", {"without": ["torch", "ultralytics"]}, path=str(tmp_path))}
    for name in ("torch", "ultralytics", "compute-sanitizer"):
        assert rows[name]["devices"] == []
        assert rows[name]["note"]
    assert {"onnxruntime", "openvino", "tensorrt", "tensorrt-rtx"} <= rows.keys()


def test_the_demo_models_are_compared_without_anything_carried(tmp_path):
    """The demo models on a CPU that imitates a GPU give the same results as on the plain CPU."""
    pytest.importorskip("onnxruntime")
    given = {
        "without": ["torch"], "folder": str(tmp_path), "tiny_clip": True, "device": "cpu", "imgsz": None,
        "families": [["demo-seg", "fp32"], ["demo-clip", "fp32"], ["small-detr", "fp32"]],
        "where": {"backend": "onnxruntime", "device": "cpu", "bound": True},
    }  # fmt: skip
    segmenter, clip, absent = _real("family", given)
    assert segmenter["kind"] == clip["kind"] == "parity"
    assert segmenter["segments"] == segmenter["kept"] >= 5
    assert segmenter["mask IoU"] > 0.9
    assert max(*segmenter["raw error"].values(), *clip["raw error"].values()) < 1e-3
    assert clip["cosine"] > 0.9999
    assert absent == {"kind": "missing", "title": "small-detr fp32", "side": "ours onnxruntime cpu bound",
                      "note": absent["note"]}  # fmt: skip
    assert "torch" in absent["note"]


def test_a_task_that_fails_has_a_reason(tmp_path):
    (row,) = _real("reference", {"without": []})
    assert row["kind"] == "end"
    assert "KeyError" in row["note"]


@pytest.mark.parametrize("side", ["PyTorch ultralytics", "PyTorch script, our steps", "ours onnxruntime cpu"])
def test_a_side_that_cannot_be_opened_has_a_row_for_each_case(tmp_path, side):
    given = {
        "without": ["torch", "ultralytics", "onnxruntime"], "folder": str(tmp_path), "tiny_clip": True, "device": "cpu",
        "title": side, "side": side, "name": "yolov8n-seg", "precision": "fp32", "imgsz": 256,
        "where": {"backend": "onnxruntime", "device": "cpu"}, "cases": [["a", 1, 0], ["b", 2, 0]],
    }  # fmt: skip
    rows = _real("side", given)
    assert [(row["kind"], row["title"]) for row in rows] == [("missing", "a"), ("missing", "b")]
    assert all("torch" in row["note"] or "onnx" in row["note"] for row in rows)


# --- compute-sanitizer --------------------------------------------------------------------------------------------


def test_errors_are_counted_over_processes():
    assert errors_found("========= ERROR SUMMARY: 0 errors\n========= ERROR SUMMARY: 3 errors\n") == 3
    assert errors_found("========= RACECHECK SUMMARY: 2 hazards displayed (1 errors, 1 warnings)") == 2
    assert errors_found("========= Error: Target application terminated before first instrumented API call") is None
    assert command("memcheck", "/x/compute-sanitizer", ["python", "run.py"])[-2:] == ["python", "run.py"]


@pytest.mark.parametrize(("counted", "fails"), [(0, False), (4, True)])
def test_a_run_is_watched(tmp_path, counted, fails):
    pytest.importorskip("onnxruntime")
    tool = tmp_path / "compute-sanitizer"
    tool.write_text(
        '#!/bin/sh\nwhile [ "$1" != "--print-limit" ]; do shift; done; shift 2\necho "========= COMPUTE-SANITIZER"\n'
        f'"$@"\necho "========= Invalid __global__ read"\necho "========= ERROR SUMMARY: {counted} errors"\n'
    )
    tool.chmod(0o755)
    given = {"title": "memcheck", "tool": "memcheck", "path": str(tool), "without": [],
             "where": {"backend": "onnxruntime", "device": "cpu", "bound": True, "cuda_graph": False}}  # fmt: skip
    (row,) = _real("sanitize", given)
    assert row["errors"] == counted
    assert row["note"] == ""
    assert bool(row["said"]) == fails


# --- the pieces ---------------------------------------------------------------------------------------------------

_GROUPS = (
    gpu_pieces.Group("core", "first", ("frame.png", "a/*", "small-*/*")),
    gpu_pieces.Group("wheels", "then", ("wheels/*.whl",)),
    gpu_pieces.Group("absent", "never", ("nothing/*",)),
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    sizes = {"frame.png": 10, "a/a.onnx": 1500 * _KIB, "small-b/b.onnx": 700 * _KIB, "wheels/c.whl": 2500 * _KIB}
    for index, (name, size) in enumerate(sizes.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes([index + 1]) * size)
    return folder


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_pieces_have_their_size_and_come_together_again(models, tmp_path):
    entries = gpu_pieces.split(models, tmp_path / "pieces", 1024 * _KIB, _GROUPS)
    assert [each["file"] for each in entries] == [
        "1-core.tar.00", "1-core.tar.01", "1-core.tar.02", "2-wheels.tar.00", "2-wheels.tar.01", "2-wheels.tar.02",
    ]  # fmt: skip
    assert all((tmp_path / "pieces" / each["file"]).stat().st_size == each["bytes"] <= 1024 * _KIB for each in entries)
    whole, lacking = gpu_pieces.join(tmp_path / "pieces", tmp_path / "there")
    assert (whole, lacking) == (["core", "wheels"], {})
    assert _contents(tmp_path / "there") == _contents(models)


def test_plain_cat_and_tar_put_them_together_too(models, tmp_path):
    gpu_pieces.split(models, tmp_path / "pieces", 1024 * _KIB, _GROUPS)
    there = tmp_path / "there"
    there.mkdir()
    subprocess.run(["sh", "-c", f"cat {tmp_path}/pieces/*.tar.* | tar x -i -C {there}"], check=True)
    assert _contents(there) == _contents(models)


def test_the_same_files_give_the_same_pieces(models, tmp_path):
    first = gpu_pieces.split(models, tmp_path / "one", 1024 * _KIB, _GROUPS)
    (models / "frame.png").touch()
    assert gpu_pieces.split(models, tmp_path / "two", 1024 * _KIB, _GROUPS) == first


@pytest.mark.parametrize(("spoil", "why"), [(lambda path: path.unlink(), "is missing"),
                                            (lambda path: path.write_bytes(b"x"), "is damaged")])  # fmt: skip
def test_a_group_that_is_not_whole_is_named_and_the_others_come(models, tmp_path, spoil, why):
    gpu_pieces.split(models, tmp_path / "pieces", 1024 * _KIB, _GROUPS)
    spoil(tmp_path / "pieces" / "2-wheels.tar.01")
    whole, lacking = gpu_pieces.join(tmp_path / "pieces", tmp_path / "there")
    assert whole == ["core"]
    assert why in lacking["wheels"]
    assert not (tmp_path / "there" / "wheels").exists()


def test_a_split_removes_the_pieces_of_an_earlier_one(models, tmp_path):
    gpu_pieces.split(models, tmp_path / "pieces", 1024 * _KIB, _GROUPS)
    entries = gpu_pieces.split(models, tmp_path / "pieces", 8192 * _KIB, _GROUPS)
    assert sorted(path.name for path in (tmp_path / "pieces").iterdir()) == [
        "1-core.tar.00", "2-wheels.tar.00", "manifest.json",
    ]  # fmt: skip
    assert len(entries) == 2


@pytest.mark.parametrize("manifest", [None, "{", '{"pieces": 3}', '{"pieces": [{}]}'])
def test_a_manifest_that_is_none_is_refused(tmp_path, manifest):
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(gpu_pieces.PiecesError, match="as split wrote it"):
        gpu_pieces.join(tmp_path, tmp_path / "there")


def test_nothing_to_carry_is_refused(tmp_path):
    with pytest.raises(gpu_pieces.PiecesError, match="expected models"):
        gpu_pieces.split(tmp_path, tmp_path / "pieces", 1024 * _KIB)
    with pytest.raises(gpu_pieces.PiecesError, match="1 MiB"):
        gpu_pieces.split(tmp_path, tmp_path / "pieces", 5)


# --- graphs without their weights ---------------------------------------------------------------------------------


def _graph(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Identity", [next(iter(arrays))], ["y"])],
        "g",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, {"fastsam_trt.spec": "{}"})
    onnx.save(model, str(path))
    return path


def _arrays(path: Path) -> dict[str, np.ndarray]:
    return {each.name: numpy_helper.to_array(each) for each in onnx.load(str(path)).graph.initializer}


def test_a_stripped_graph_is_restored_from_its_weights(tmp_path):
    made = np.random.default_rng(0)
    weights = {name: made.normal(size=shape).astype(np.float16).astype(np.float32)
               for name, shape in (("a", (64, 32)), ("b", (64, 64)), ("c", (64, 64)), ("d", (2000,)))}  # fmt: skip
    arrays = {"turned": weights["a"].T, "second": weights["c"], "half": weights["b"].T.astype(np.float16),
              "own": made.normal(size=(64, 32)).astype(np.float32), "small": weights["d"][:3],
              "flat": weights["d"]}  # fmt: skip
    graph = _graph(tmp_path / "graph.onnx", {name: np.ascontiguousarray(each) for name, each in arrays.items()})
    gone = stripped_graphs.strip_weights(graph, weights, tmp_path / "hollow.onnx")
    assert 0.5 < gone < 0.85  # all but its own
    assert (tmp_path / "hollow.onnx").stat().st_size < graph.stat().st_size / 2
    stripped_graphs.restore_weights(tmp_path / "hollow.onnx", weights, tmp_path / "filled.onnx")
    assert (tmp_path / "filled.onnx").read_bytes() == graph.read_bytes()
    others = {name: each + 1 for name, each in weights.items()}
    stripped_graphs.restore_weights(tmp_path / "hollow.onnx", others, tmp_path / "other.onnx")
    found = _arrays(tmp_path / "other.onnx")
    np.testing.assert_array_equal(found["turned"], arrays["turned"] + 1)
    np.testing.assert_array_equal(found["own"], arrays["own"])


@pytest.mark.parametrize(
    ("weights", "why"),
    [({}, "expected weights with a"), ({"a": np.zeros((3, 5), np.float32)}, "expected a of shape")],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, weights, why):
    array = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    stripped_graphs.strip_weights(_graph(tmp_path / "graph.onnx", {"x": array}), {"a": array}, tmp_path / "hollow.onnx")
    with pytest.raises(ValueError, match=why):
        stripped_graphs.restore_weights(tmp_path / "hollow.onnx", weights, tmp_path / "filled.onnx")
