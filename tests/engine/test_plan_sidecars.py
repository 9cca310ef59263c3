"""Test plans with a wrong sidecar: they are refused with the reason before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastsam_engine import find_graph, open_session
from fastsam_engine.errors import ModelFileError
from fastsam_engine.plans.plan_file import sidecar
from support.tensorrt_machine import A10, BACKENDS, Machine

Document = dict[str, Any]


def _classes(document: Document) -> None:
    document["class_names"].append("violet")
    document["outputs"][0]["layout"] = "N 4+4+32 ANCHORS"


FOUND: dict[str, tuple[Callable[[Document], object], str]] = {
    "another plan": (lambda d: d["plan"].update(sha256="0" * 64), "it is cut short or was changed"),
    "input name": (lambda d: d["input"].update(name="pixels"), "pixels"),
    "output name": (lambda d: d["outputs"][0].update(name="boxes"), "boxes"),
    "input dtype": (lambda d: d["input"].update(dtype="float16"), "declares float16, found float32 in the plan"),
    "input layout": (lambda d: d["input"].update(layout="NHWC"), r"declares \(n, h, w, 3\), found \(\?, 3, \?, \?\)"),
    "output rank": (lambda d: d["outputs"][0].update(layout="N K"), r"declares 2 axes \(N, K\), found 3"),
    "more classes": (_classes, r"declares \(N, 40, ANCHORS\), found \(\?, 39, \?\) in the plan"),
    "class names": (lambda d: d["class_names"].pop(), "class_names: expected 3"),
    "version": (lambda d: d["plan"].update(version="0.9"), "expected a plan of .* 1.0, found one of 0.9"),
    "GPU": (lambda d: d["plan"].update(gpu="NVIDIA L4 (sm89)"), "found one for NVIDIA L4"),
    "backend": (lambda d: d["plan"].update(backend="openvino"), "expected a plan of tensorrt or tensorrt-rtx"),
}
SEALED: list[Callable[[Document], object]] = [
    *(change for change, _ in FOUND.values()),
    lambda d: d["input"].update(height=64, width=64),
    lambda d: d.update(precision="int8"),
    lambda d: d.update(class_names=["a", "b", "c"]),
    lambda d: d["plan"]["options"].update(version_compatible=True),
    lambda d: d["plan"]["options"].update(tf32=False),
    lambda d: d["plan"].update(parity={"output0": 0.5}),
]


@pytest.fixture(params=BACKENDS)
def plan(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    machine = Machine(monkeypatch, request.param)
    machine.build(out=tmp_path / "colours.plan")
    machine.begin()
    return tmp_path / "colours.plan"


def _rewrite(plan: Path, change: Callable[[Document], object], *, sealed: bool) -> None:
    document = json.loads(sidecar(plan).read_text())
    change(document)
    if not sealed:
        del document["plan"]["sidecar_sha256"]
    sidecar(plan).write_text(json.dumps(document))


@pytest.mark.parametrize("lie", FOUND)
def test_a_sidecar_without_its_checksum_is_compared_with_the_plan(plan: Path, lie: str) -> None:
    change, found = FOUND[lie]
    _rewrite(plan, change, sealed=False)
    with pytest.raises(ModelFileError, match=found) as caught:
        open_session(plan)
    assert plan.name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", SEALED)
def test_a_changed_sidecar_is_refused_whatever_was_changed(plan: Path, change: Callable[[Document], object]) -> None:
    _rewrite(plan, change, sealed=True)
    with pytest.raises(ModelFileError, match=r"colours\.plan\.json: .*changed after it was written\); build it again"):
        open_session(plan)


def test_a_sidecar_that_is_written_otherwise_is_the_same(plan: Path) -> None:
    document = json.loads(sidecar(plan).read_text())
    sidecar(plan).write_text(json.dumps(dict(reversed(document.items())), indent=2))
    assert open_session(plan).spec.class_names == open_session(find_graph("colours"), "onnxruntime").spec.class_names


def test_a_plan_that_claims_to_serve_later_versions_is_still_refused_by_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine, plan = Machine(monkeypatch, "tensorrt"), tmp_path / "colours.plan"
    machine.build(out=plan)
    _rewrite(plan, lambda d: d["plan"]["options"].update(version_compatible=True), sealed=False)
    machine.begin()
    machine.become(A10, version="1.1")
    with pytest.raises(ModelFileError, match="can't load this plan: expected one built by this version"):
        open_session(plan)
