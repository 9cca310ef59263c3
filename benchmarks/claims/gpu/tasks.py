"""The tasks of `main.py`, the most important first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from claims.common.seeded_models import CLIP
from claims.common.seeded_weights import SEGMENTERS, SMALL
from claims.gpu.budget import Task
from claims.gpu.case import SCRIPT, ULTRALYTICS
from claims.gpu.families import FAMILIES
from claims.gpu.sides import Where
from fastsam_trt.bundled_models import CLIP as DEMO_CLIP
from fastsam_trt.bundled_models import SEGMENTER as DEMO_SEGMENTER

_ON_GPU = (Where("onnxruntime", "cuda"), Where("onnxruntime", "cuda", cuda_graph=True),
           Where("onnxruntime", "tensorrt"), Where("tensorrt", "cuda"), Where("tensorrt-rtx", "cuda"))  # fmt: skip
_ON_CPU = (Where("onnxruntime", "cpu"), Where("onnxruntime", "cpu", bound=True),
           Where("onnxruntime", "cpu", cuda_graph=True, bound=True))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to run.

    Attributes:
        folder: Folder of the models.
        device: `cuda`, or `cpu` for a rehearsal.
        names: Names of the segmenters to time.
        precisions, batches, crops: Values to time; the first of each comes first.
        imgsz: Longest side of the input, px; None: the model's default.
        rounds, warmup: Timed turns per case, and turns before them.
        case_s: Timed seconds per case.
        without: Packages to hide, for a rehearsal.
    """

    folder: Path
    device: str
    names: tuple[str, ...]
    precisions: tuple[str, ...]
    batches: tuple[int, ...]
    crops: tuple[int, ...]
    imgsz: int | None
    rounds: int
    warmup: int
    case_s: float
    without: tuple[str, ...] = ()

    @property
    def rehearsal(self) -> bool:
        """Whether this is a rehearsal on the CPU."""
        return self.device == "cpu"

    def size(self, name: str) -> int:
        """Longest side of a segmenter's input, px."""
        return self.imgsz or SEGMENTERS[name].imgsz_px

    def common(self) -> dict[str, Any]:
        """Arguments of every task."""
        return {
            "folder": str(self.folder),
            "tiny_clip": self.rehearsal,
            "device": self.device,
            "without": list(self.without),
        }


def making(wanted: Wanted) -> Iterator[Task]:
    """The tasks that make missing models and references; `--export` does only these."""
    for name in wanted.names:
        yield from _made(wanted, name, (*wanted.precisions, "script", "operations"))
        yield _reference(wanted, name, clip=False)
    for name in (*SMALL, "yolo26n-seg"):
        yield from _made(wanted, name, ("fp32", *(each for each in wanted.precisions if each != "fp32")))
    if any(wanted.crops):
        yield from _made(wanted, CLIP, (*wanted.precisions, "operations"))
        for precision in dict.fromkeys((*wanted.precisions, "fp32")):  # fp32 for the reference
            title = f"make {CLIP} {precision} without its weights"
            given = {**wanted.common(), "title": title, "name": CLIP, "what": "hollow", "precision": precision}
            yield Task(title, "make", given, 10, 300)
        yield from (_reference(wanted, name, clip=True) for name in wanted.names)


def first_look(wanted: Wanted) -> Task:
    """The task that looks for backends and tools; all other tasks depend on it."""
    return Task("what is there", "readiness", wanted.common(), 1, 60)


def measuring(wanted: Wanted, there: Mapping[str, Sequence[str]]) -> Iterator[Task]:
    """The tasks that measure.

    Args:
        wanted: What to run.
        there: Devices of each backend, or path of each tool; missing ones were reported already. It is read again for
            each task, so that backends which turn out not to work can be removed.
    """
    yield Task("limits", "limits", wanted.common(), 10, 60)
    wheres = [each for each in (_ON_CPU if wanted.rehearsal else _ON_GPU) if each.device in there.get(each.backend, ())]
    built = [each for each in wheres if _builds(each)]
    graphs = [each for each in wheres if each.cuda_graph]
    plain = [each for each in wheres if each not in built and each not in graphs]
    (first, *names), (half, *others) = wanted.names, wanted.precisions
    torch = _Torch(there)
    yield from _timed(wanted, first, half, plain, torch, crops=False)
    for where in plain[-1:] if wanted.rehearsal else plain:  # the plain CPU is the reference itself
        yield from _families(wanted, where)
    yield from _timed(wanted, first, half, graphs, None, crops=False)
    yield from _timed(wanted, first, half, plain, torch, crops=True)
    yield from _watched(wanted, plain[-1:], there, "memcheck")
    for name in names:
        yield from _timed(wanted, name, half, plain, torch, crops=False)
    for precision in others:
        yield from _timed(wanted, first, precision, plain, torch, crops=False)
    yield from _timed(wanted, first, half, graphs, None, crops=True)
    for name in names:
        yield from _timed(wanted, name, half, plain, torch, crops=True)
    for where in built:
        yield from _timed(wanted, first, half, [where], None, crops=False)
        yield from _families(wanted, where)
        yield from _timed(wanted, first, half, [where], None, crops=True)
    for precision in others:
        yield from _timed(wanted, first, precision, plain, torch, crops=True)
        for name in names:
            yield from _timed(wanted, name, precision, [*plain, *graphs], torch, crops=False)
    if torch.has_ultralytics:
        yield from _timed(wanted, first, half, (), _Torch({**there, "ultralytics": ()}), crops=False)
    yield from _watched(wanted, plain[-1:], there, "racecheck")


@dataclass(frozen=True, slots=True)
class _Torch:
    """The side of PyTorch: ultralytics, or without it the TorchScript of its network with our own steps around it."""

    there: Mapping[str, Sequence[str]]

    @property
    def has_ultralytics(self) -> bool:
        return bool(self.there.get("ultralytics"))

    @property
    def has_torch(self) -> bool:
        return bool(self.there.get("torch"))


def _builds(where: Where) -> bool:
    """Whether a plan is built first, which takes long."""
    return where.backend.startswith("tensorrt") or where.device == "tensorrt"


def _timed(
    wanted: Wanted, name: str, precision: str, wheres: Sequence[Where], torch: _Torch | None, *, crops: bool
) -> Iterator[Task]:
    """The tasks that time the sides of a segmenter, after those that make what they need."""
    counts = [each for each in wanted.crops if bool(each) == crops]
    if not counts or not (wheres or (torch and torch.has_torch)):
        return
    if crops:
        yield from _made(wanted, CLIP, (precision, "operations"))
    yield from _made(wanted, name, ("fp32", precision, "operations"))
    yield _reference(wanted, name, clip=crops)
    cases = [
        (f"{name} {precision}, {batch} frames, {count} crops", batch, count)
        for batch in wanted.batches
        for count in counts
    ]
    for where in wheres:
        yield _side(wanted, name, precision, where.label, where, cases)
    if torch and torch.has_ultralytics:
        yield _side(wanted, name, precision, ULTRALYTICS, None, cases)
    if torch and torch.has_torch and not torch.has_ultralytics:
        yield from _made(wanted, name, ("script",))
        yield _side(wanted, name, precision, SCRIPT, None, cases)


def _side(
    wanted: Wanted, name: str, precision: str, label: str, where: Where | None, cases: Sequence[tuple[str, int, int]]
) -> Task:
    given = {
        **wanted.common(), "title": f"{name} {precision} {label}", "side": label, "name": name,
        "precision": precision, "imgsz": wanted.size(name), "where": None if where is None else asdict(where),
        "cases": cases, "rounds": wanted.rounds, "warmup": wanted.warmup, "case_s": wanted.case_s,
        "in_a_row": 1 if wanted.rehearsal else 10,
    }  # fmt: skip
    building_s = 60 if where is not None and _builds(where) else 0
    crops = "with" if cases[0][2] else "no"
    return Task(
        f"{given['title']}, {crops} crops", "side", given,
        usual_s=10 + building_s + len(cases) * (wanted.case_s + 2),
        limit_s=60 + 3 * building_s + len(cases) * (10 + 3 * wanted.case_s),
        cases=tuple(title for title, *_ in cases), closes="times", side=label,
    )  # fmt: skip


def _families(wanted: Wanted, where: Where) -> Iterator[Task]:
    """The task that compares every family on one device, in each precision, full precision first."""
    pairs = [
        (name, precision)
        for precision in sorted(wanted.precisions, reverse=True)
        for name in FAMILIES
        if not (precision != "fp32" and name in (DEMO_SEGMENTER, DEMO_CLIP))
        and (name not in SEGMENTERS or name == "yolo26n-seg" or name in wanted.names)
    ]
    for name in dict.fromkeys(name for name, _ in pairs if name not in (DEMO_SEGMENTER, DEMO_CLIP)):
        yield from _made(wanted, name, ("fp32", *(each for each in wanted.precisions if each != "fp32")))
    given = {**wanted.common(), "families": pairs, "where": asdict(where), "imgsz": wanted.imgsz}
    slow = _builds(where)
    yield Task(
        f"families {where.label}", "family", given,
        usual_s=60 if slow else 20,
        limit_s=300 if slow or wanted.rehearsal else 150,
        cases=tuple(f"{name} {precision}" for name, precision in pairs), closes="parity", side=where.label,
    )  # fmt: skip


def _watched(wanted: Wanted, wheres: Sequence[Where], there: Mapping[str, Sequence[str]], tool: str) -> Iterator[Task]:
    """The tasks with compute-sanitizer, if it is installed."""
    for where in wheres if there.get("compute-sanitizer") else ():
        title = f"{tool} {where.label}"
        given = {**wanted.common(), "title": title, "tool": tool, "where": asdict(where)}
        given["path"] = there["compute-sanitizer"][0]
        yield Task(title, "sanitize", given, 30, 100)


def _made(wanted: Wanted, name: str, what: Sequence[str]) -> Iterator[Task]:
    """The tasks that make missing models, decided when they are reached."""
    from claims.common.seeded_models import Models

    models = Models(wanted.folder)
    for each in dict.fromkeys(what):
        if each == "operations" and models.knows_operations(name):
            continue
        if each == "script" and any(wanted.folder.glob(f"{name}.*.torchscript")) and not wanted.rehearsal:
            continue
        if each not in ("script", "operations") and any(models.export_folder(name, each).glob("*.onnx")):
            continue
        kind = each if each in ("script", "operations") else "export"
        title = f"make {name} {each}"
        given = {**wanted.common(), "title": title, "name": name, "what": kind, "precision": each}
        given["imgsz"] = wanted.size(name) if name in SEGMENTERS else None
        usual_s = {"operations": 2.0, "script": 10.0}.get(kind, 15.0 if name == CLIP else 10.0)
        yield Task(title, "make", given, usual_s, 300 if wanted.rehearsal else 120)


def _reference(wanted: Wanted, name: str, *, clip: bool) -> Task:
    title = f"reference {name}{' with CLIP' if clip else ''}"
    given = {**wanted.common(), "title": title, "name": name, "imgsz": wanted.size(name), "clip": clip}
    return Task(title, "reference", given, 3, 120)
