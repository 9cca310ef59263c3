"""Do a task of `main.py`: `python worker.py KIND JSON` prints its rows on lines that begin with `ROW `."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from claims.gpu.process import MARK

Given = Mapping[str, Any]
Rows = Iterator[dict[str, Any]]


def say(row: Mapping[str, Any]) -> None:
    """Send a row to the parent, in one write, so that no other thread's output is mixed in."""
    sys.stdout.write(f"\n{MARK}{json.dumps(row, default=float)}\n")
    sys.stdout.flush()


def readiness(_: Given) -> Rows:
    """Report which backends and tools are available, and what the others lack."""
    import shutil

    from fastsam_engine.backends import all_backends

    for name, backend in all_backends().items():
        try:
            found = backend.readiness()
        except Exception as error:  # noqa: BLE001 - such as two packages with the same module
            yield {"kind": "there", "title": name, "devices": [], "note": str(error)}
            continue
        note = " ".join(filter(None, [found.missing or ("" if found.devices else found.reason), found.fix]))
        yield {"kind": "there", "title": name, "version": found.version, "devices": list(found.devices), "note": note}
    for package in ("torch", "transformers", "ultralytics", "onnx"):
        why = _imports(package)
        yield {"kind": "there", "title": package, "devices": [] if why else ["python"], "note": why}
    tool = shutil.which("compute-sanitizer")
    yield {
        "kind": "there", "title": "compute-sanitizer", "devices": [tool] if tool else [],
        "note": "" if tool else "it is not on the PATH",
    }  # fmt: skip


def limits(given: Given) -> Rows:
    """Report the chip, and the operations per second that it reaches in each precision."""
    from claims.gpu import gpu_facts
    from claims.gpu.case import attempt

    cpu = given["device"] == "cpu"
    for precision in ("fp32",) if cpu else ("fp16", "tf32", "fp32"):
        limit, why = attempt(partial(gpu_facts.ceiling, given["device"], precision, (512,) if cpu else (8192,)))
        yield {"kind": "limit", "title": f"limit {precision}", "computes": precision, "limit": limit, "note": why}
    if not cpu:
        found, why = attempt(gpu_facts.chip)
        yield {"kind": "chip", "title": "chip", **(found or {}), "note": why}


def make(given: Given) -> Rows:
    """Make one model, if it is missing."""
    models, name = _models(given), given["name"]
    call: Callable[[], object] = partial(models.export, name, given.get("precision", "fp32"))
    if given["what"] == "script":
        from claims.gpu.reference import placed

        where = placed(models, name, given["imgsz"])
        call = partial(models.script, name, where.input_h, where.input_w)
    elif given["what"] == "hollow":
        call = partial(models.stripped_clip, given["precision"])
    elif given["what"] == "operations":
        call = partial(models.operations, name)
    yield _tried(given["title"], call)


def reference(given: Given) -> Rows:
    """Compute the reference for every side."""
    from claims.gpu.reference import load_reference

    yield _tried(
        given["title"],
        lambda: load_reference(_models(given), given["name"], given["imgsz"], clip=given["clip"]),
    )


def side(given: Given) -> Rows:
    """Open one side, then compare and time it case by case."""
    from claims.common.seeded_weights import TRAINED
    from claims.gpu.case import Case, Timing, attempt
    from claims.gpu.reference import load_reference, operations

    models, name, imgsz = _models(given), given["name"], given["imgsz"]
    start = time.perf_counter()
    opened, why = attempt(lambda: _open_side(given, models))
    cases = given["cases"]
    if opened is None:
        for title, *_ in cases:
            yield {"kind": "missing", "title": title, "side": given["side"], "note": why}
        return
    opened.name = given["side"]
    yield {"kind": "open", "title": f"{given['title']}: open", "side": opened.name, "ms": _ms_since(start)}
    timing = Timing(given["rounds"], given["warmup"], given["case_s"], given["in_a_row"])
    for title, batch, crops in cases:

        def rows(title: str = title, batch: int = batch, crops: int = crops) -> Rows:
            wanted = load_reference(models, name, imgsz, clip=crops > 0)
            yield from Case(title, wanted, batch, crops, name not in TRAINED).run(opened, timing)

        done, _ = attempt(partial(operations, models, name, imgsz, crops))
        for row in _answered(rows(), {"title": title, "side": opened.name}):
            limit = given["limits"].get(str(row.get("computes")))
            for what in ("p50", "networks"):
                if done and limit and row.get(f"{what} ms"):
                    row[f"limit {what}"] = done * batch / (row[f"{what} ms"] / 1e3) / limit
            yield row


def family(given: Given) -> Rows:
    """Compare one family after the other on one device."""
    from claims.gpu.families import Family
    from claims.gpu.sides import Where

    models = _models(given)
    for name, precision in given["families"]:
        each = Family(models, name, precision, Where(**given["where"]), given["device"], given["imgsz"])
        yield from _answered(each.rows(), {"title": f"{name} {precision}", "side": each.where.label})


def sanitize(given: Given) -> Rows:
    """Check a short run of ours by compute-sanitizer."""
    from claims.gpu.gpu_facts import command, errors_found

    tool, start = given["tool"], time.perf_counter()
    run = [sys.executable, __file__, "watched", json.dumps({**given, "without": []})]
    with subprocess.Popen(
        command(tool, given["path"], run), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    ) as process:  # fmt: skip
        output = process.stdout.read() if process.stdout else ""
    count = errors_found(output)
    lines = [line.strip(" =\n") for line in output.splitlines() if line.startswith("=====") and line.strip(" =\n")]
    ran = f"{MARK}{{" in output
    note = (
        "" if ran and count is not None else f"the run under it failed: {' / '.join(output.split(chr(10))[-4:])[-400:]}"
    )
    row = {"kind": "sanitizer", "title": given["title"], "errors": count, "ms": _ms_since(start)}
    yield {**row, "said": lines[:8] if count else [], "note": note}


def watched(given: Given) -> Rows:
    """The short run: the bundled segmenter of the demo, from frames to masks."""
    from claims.gpu.sides import Where, opened_at
    from fastsam_trt.bundled_models import SEGMENTER
    from fastsam_trt.demo.scenes import draw_scene
    from fastsam_trt.segmentation.segmenter import Segmenter

    where = Where(**given["where"])
    with opened_at(where):
        segmenter, found = Segmenter(SEGMENTER, backend=where.backend, device=where.device), 0
        for turn in range(3):
            segments = segmenter(draw_scene(turn, 120, 160).frame)
            segments.masks.decode(range(len(segments)))
            found += len(segments)
    yield {"kind": "watched", "title": given["title"], "segments": found}


def _answered(rows: Rows, whose: Given) -> Rows:
    """Rows; after an error the last one says why: kind `wrong` if results differ, `missing` if there are none."""
    from claims.gpu.case import OtherAnswerError, attempt

    wrong = ""

    def following() -> dict[str, Any] | None:
        nonlocal wrong
        try:
            return next(rows, None)
        except OtherAnswerError as error:
            wrong = str(error)
            return None

    while True:
        row, why = attempt(following)
        if row is not None:
            yield row
            continue
        if wrong or why:
            yield {"kind": "wrong" if wrong else "missing", **whose, "note": wrong or why}
        return


def _open_side(given: Given, models: Any) -> Any:
    from claims.gpu.case import SCRIPT, ULTRALYTICS
    from claims.gpu.reference import load_reference, placed
    from claims.gpu.sides import Ours, Where
    from claims.gpu.torch_sides import Scripted, Ultralytics

    name, imgsz, precision, device = given["name"], given["imgsz"], given["precision"], given["device"]
    half = precision == "fp16"
    if given["side"] == ULTRALYTICS:
        iou = load_reference(models, name, imgsz, clip=False).iou
        return Ultralytics(models.weights(name), models.clip_weights, imgsz, device, iou, half=half)
    if given["side"] == SCRIPT:
        where = placed(models, name, imgsz)
        script = models.script(name, where.input_h, where.input_w)
        return Scripted(models.export(name, "fp32"), script, models.clip_weights, imgsz, device, half=half)
    # By name fp32 is whole; TensorRT's provider can't promise that, nor a processor fp16.
    requested = "fp32" if precision == "fp32" and given["where"]["device"] != "tensorrt" else "auto"
    return Ours(models, name, precision, imgsz, Where(**given["where"]), requested)


def _models(given: Given) -> Any:
    from claims.common.seeded_models import Models

    return Models(Path(given["folder"]), tiny_clip=given["tiny_clip"])


def _tried(title: str, call: Callable[[], object]) -> dict[str, Any]:
    from claims.gpu.case import attempt

    start = time.perf_counter()
    _, why = attempt(call)
    return {"kind": "made", "title": title, "ms": _ms_since(start), "note": why}


def _imports(package: str) -> str:
    """Why a package can't be had; empty where it can."""
    import importlib.util

    try:
        return "" if importlib.util.find_spec(package) else "it is not installed"
    except (ImportError, ValueError) as error:
        return str(error)


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3


def _end_with_parent() -> None:
    """End this process when its parent is gone, which is when nothing holds the other end of its standard input."""
    while os.read(0, 1 << 12):
        pass
    os._exit(1)


KINDS: dict[str, Callable[[Given], Rows]] = {
    each.__name__: each for each in (readiness, limits, make, reference, side, family, sanitize, watched)
}


def main() -> None:
    """Do one task."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    kind, given = sys.argv[1], json.loads(sys.argv[2])
    for package in given.get("without", ()):
        sys.modules[package] = None  # type: ignore[assignment]  # its import fails, as if it were not installed
    code = 0
    try:
        for row in KINDS[kind](given):
            say(row)
    except Exception as error:  # noqa: BLE001 - printed as its last output
        traceback.print_exc()
        print(f"{type(error).__name__}: {error}")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # skip what libraries do at exit


if __name__ == "__main__":
    main()
