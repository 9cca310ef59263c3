"""Test TensorRT's backends from build to run, on doubles of GPUs, of TensorRT and of its builder."""

from __future__ import annotations

import dataclasses
import enum
import errno
import json
import logging
import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastsam_engine import Session, find_graph, open_session, read_spec
from fastsam_engine.backend_choice import choose_builder
from fastsam_engine.backends import Readiness, all_backends
from fastsam_engine.errors import (
    BackendUnavailableError,
    BuildError,
    BuildRequestError,
    InputMismatchError,
    ModelFileError,
    OutputError,
)
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_engine.plans.plan_file import Plan, read_plan, sidecar, write_plan
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.store import atomic_files
from fastsam_trt import Pipeline
from fastsam_trt.cli.main import main
from support import colour_models, fake_builder
from support.fake_builder import FakeBuilder, FakeBuildingTensorRt, _BuilderFlag, _Hardware, _Pool
from support.fake_tensorrt import FakeDevice, make_plan
from support.tensorrt_machine import A10, BACKENDS, H100, L4, T4, Machine
from support.typed import double, present

_EXACT = {
    "output0 box_px": 0, "output0 anchor_box_px": 0, "output0 score_logit": 0, "output0 coefficient": 0,
    "output1 shift_cells": 0,
}  # fmt: skip


@pytest.fixture(params=BACKENDS)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Each flavour, on one A10."""
    return Machine(monkeypatch, request.param)


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch, "tensorrt")


@pytest.fixture
def rtx(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch, "tensorrt-rtx")


def _pictures(batch: int = 1, height: int = 96, width: int = 128) -> dict[str, np.ndarray]:
    return {"images": np.random.default_rng(batch).random((batch, 3, height, width), np.float32)}


def _same_as_onnxruntime(session: Session, inputs: dict[str, np.ndarray]) -> None:
    expected = open_session(session.path, "onnxruntime").run(inputs)
    found = session.run(inputs)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)


def _image(session: Session) -> ImageInput:
    assert isinstance(session.spec.input, ImageInput)
    return session.spec.input


# Opening graphs


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_first_open_builds_and_checks_and_the_next_one_loads(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    session = machine.open()
    assert len(machine.api.builds) == 1
    (told,) = _warnings(caplog)
    assert told.startswith("colours.onnx: building its plan for ")
    assert (session.backend, session.device, session.precision) == (machine.flavour, "cuda:0", "tf32")
    for batch in (1, 8, 1, 8, 3):
        _same_as_onnxruntime(session, _pictures(batch))
    (path,) = machine.kept()
    plan = read_plan(path)
    assert plan.facts.parity == _EXACT
    assert plan.facts.gpu == {"tensorrt": "NVIDIA A10 (sm86)", "tensorrt-rtx": "sm86"}[machine.flavour]
    machine.begin()
    again = machine.open()
    assert not machine.api.builds
    assert _warnings(caplog) == [told]
    assert again.spec == session.spec == plan.spec
    _same_as_onnxruntime(again, _pictures(2))


@pytest.mark.parametrize("backend", ["auto", "by name"])
def test_what_was_built_before_is_found_whatever_its_shapes(machine: Machine, backend: str) -> None:
    name = machine.flavour if backend == "by name" else "auto"
    arguments = ["--backend", name, "--batch", "2", "4", "--imgsz", "64", "96", "--device", "cuda:0"]
    assert main(["build", "colours", *arguments]) == 0
    assert [each.graph.name for each in machine.api.builds] == ["colours.onnx"]
    machine.begin()
    session = open_session(find_graph("colours"), name)
    assert not machine.api.builds
    image = _image(session)
    assert (image.batch, image.height, image.width, image.size_multiple) == ((1, 4), 64, 96, None)
    _same_as_onnxruntime(session, _pictures(4, 64, 96))


def test_the_plan_that_was_used_last_is_taken(machine: Machine) -> None:
    wide, narrow = machine.build(batch=(1, 4)), machine.build(batch=(1, 2))
    for first, second in ((wide, narrow), (narrow, wide)):
        os.utime(present(first.path), (0, 1000))
        os.utime(present(second.path), (0, 2000))
        assert _image(machine.open()).batch[1] == (4 if second is wide else 2)


def test_shapes_that_a_plan_does_not_support_are_reported_with_its_range(machine: Machine) -> None:
    machine.build(batch=(1, 4))
    session = machine.open()
    with pytest.raises(InputMismatchError, match=r"1 <= n <= 4, found \(5, 3, 96, 128\)"):
        session.run(_pictures(5))
    largest = r"shape \(1, 3, 32, 32\) to \(4, 3, 128, 128\), as the plan was built for, found \(1, 3, 512, 512\)"
    with pytest.raises(InputMismatchError, match=largest):
        session.run(_pictures(1, 512, 512))
    _same_as_onnxruntime(session, _pictures(4))


def test_another_graph_version_or_gpu_is_built_for_again(machine: Machine) -> None:
    machine.open()
    machine.become(A10, version="1.1")
    machine.open()
    assert len(machine.api.builds) == 1
    machine.become(L4, version="1.1")
    machine.open()
    assert len(machine.api.builds) == 1
    machine.become(A10)
    machine.open()
    assert not machine.api.builds
    graph = find_graph("colours")
    shutil.copy(find_graph("things"), graph)
    machine.open()
    assert [each.graph for each in machine.api.builds] == [graph]
    assert len(machine.kept()) == 4


def test_a_plan_of_the_cache_that_cannot_be_loaded_is_built_again(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.open()
    (path,) = machine.kept()
    EngineCache().store(path, dataclasses.replace(read_plan(path), data=b"of another operating system"))
    machine.begin()
    _same_as_onnxruntime(machine.open(), _pictures())
    assert len(machine.api.builds) == 1
    assert "in the engine cache can't be used" in caplog.text
    machine.begin()
    machine.open()
    assert not machine.api.builds


def test_plans_that_do_not_serve_are_not_marked_as_used(machine: Machine) -> None:
    machine.open()
    (old,) = machine.kept()
    os.utime(old, (0, 1000))
    machine.become(A10, version="1.1")
    machine.open()
    machine.begin()
    machine.open()
    assert old.stat().st_mtime == 1000


def test_a_plan_is_loaded_from_the_cache_or_by_name_only(machine: Machine, tmp_path: Path) -> None:
    machine.open()
    (path,) = machine.kept()
    good, graph = read_plan(path), find_graph("colours")
    wrong = dataclasses.replace(good, data=make_plan(graph, _ranges(good), gain=2))
    for planted in (graph.with_suffix(".plan"), path.parent / "sub" / path.name, EngineCache().folder / path.name):
        planted.parent.mkdir(exist_ok=True)
        write_plan(planted, wrong)
    write_plan(tmp_path / "elsewhere.plan", wrong)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere.plan")
    shutil.copy(sidecar(tmp_path / "elsewhere.plan"), sidecar(path))
    machine.begin()
    _same_as_onnxruntime(machine.open(), _pictures())
    assert len(machine.api.builds) == 1


def _ranges(plan: Plan) -> dict[str, Any]:
    image = plan.spec.input
    assert isinstance(image, ImageInput)
    return {image.name: ((1, 3, 32, 32), (image.batch[1], 3, image.height, image.width))}


# The CLIP pipeline


def test_the_pipeline_answers_as_on_onnxruntime_within_the_batches_of_its_plans(machine: Machine, home: Path) -> None:
    machine.build("clip-colours", "image", batch=(1, 2))
    machine.build("clip-colours", "text", batch=(1, 3))
    machine.begin()
    frame = colour_models.scene(("red", 1, 1), ("green", 1, 5), ("blue", 5, 1), ("red", 5, 5), ("green", 3, 3))
    prompts = ["a red shape", "the green one", "elephant"]

    def answer(backend: str) -> Any:
        shutil.rmtree(home / "text-features", ignore_errors=True)
        pipe = Pipeline("things", clip="clip-colours", prompts=prompts, backend=backend)
        return pipe, [pipe(each) for each in (frame, frame[:, ::-1].copy())]

    pipe, found = answer(machine.flavour)
    assert [each.graph.name for each in machine.api.builds] == ["things.onnx"]
    assert pipe.segmenter.session.backend == machine.flavour
    assert pipe.clip is not None
    assert pipe.clip.text.tower_runs > 1
    batches = {"pixel_values": set(), "input_ids": set()}  # type: dict[str, set[int]]
    for context in machine.api.contexts:
        for name in batches.keys() & context.shapes.keys():
            batches[name].add(context.shapes[name][0])
    assert batches["pixel_values"] == {1, 2}
    assert max(batches["input_ids"]) == 2, "the largest batch that the plan supports"
    for ours, theirs in zip(found, answer("onnxruntime")[1], strict=True):
        assert len(ours) == 4
        for name in ("boxes", "scores", "prompt_ids", "similarities"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        np.testing.assert_array_equal(ours.masks(), theirs.masks())


# Parity


@pytest.mark.parametrize(("gain", "found"), [(float("nan"), r"\d+ NaN or infinite in output0"), (1.1, r"\S+ \(median")])
def test_a_plan_that_computes_something_else_is_not_kept(machine: Machine, gain: float, found: str) -> None:
    machine.api.gain = gain
    with pytest.raises(BuildError, match=rf"colours\.onnx: expected .*found {found}.*the plan was discarded"):
        machine.open()
    with pytest.raises(BuildError, match="the plan was discarded"):
        machine.build()
    assert not [each for ending in ("plan", "json", "timings", "kernels") for each in machine.kept(ending)]
    machine.api.gain = 1
    _same_as_onnxruntime(machine.open(), _pictures())


def test_a_plan_for_a_file_is_checked_before_it_is_written(machine: Machine, tmp_path: Path) -> None:
    machine.api.gain = 2
    with pytest.raises(BuildError, match="the plan was discarded"):
        machine.build(out=tmp_path / "colours.plan")
    assert not list(tmp_path.glob("*.plan*"))
    machine.api.gain = 1
    assert machine.build(out=tmp_path / "colours.plan").parity == _EXACT
    assert not machine.kept()


def test_without_onnxruntime_nothing_is_built(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Readiness("", (), "onnxruntime is not installed", "pip install 'fastsam-trt[cpu]'")
    monkeypatch.setattr(all_backends()["onnxruntime"], "readiness", lambda: absent)
    message = (
        f"backend '{machine.flavour}' can't be used: a new plan is compared with ONNX Runtime, "
        r"and onnxruntime is not installed; pip install 'fastsam-trt\[cpu\]'"
    )
    for make in (machine.open, machine.build):
        with pytest.raises(BackendUnavailableError, match=message):
            make()
    assert not machine.api.builds
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        ("parse", r"the parser refused it \(Odd node 0: no way; Odd node 1: no way; Odd node 2: no way\)"),
        ("build", "can't build it .*Error Code 10.*; try a larger --workspace"),
    ],
)
def test_what_cannot_be_built_is_reported(machine: Machine, refused: str, message: str) -> None:
    machine.api.refused.add(refused)
    with pytest.raises(BuildError, match=message):
        machine.open()
    assert not machine.kept()


# How plans are built


def test_timings_are_kept_between_builds(tensorrt: Machine) -> None:
    tensorrt.open()
    tensorrt.build("things")
    first, second = tensorrt.api.builds
    assert (first.given, second.given) == ([b""], [b"timings+"])
    (file,) = tensorrt.kept("timings")
    file.write_bytes(file.read_bytes()[:-1])
    tensorrt.build(again=True)
    assert tensorrt.api.builds[-1].given == [b""], "a damaged file is started again"
    EngineCache().store_byproduct(file, b"another machine's")
    tensorrt.build(again=True)
    assert tensorrt.api.builds[-1].given == [b"another machine's", b""], "TensorRT refused the first"
    assert EngineCache().byproduct(file) == b"timings+"
    tensorrt.become(A10, version="1.1")
    tensorrt.build()
    assert tensorrt.api.builds[-1].given == [b""], "another version's serve for nothing"


def test_rtx_keeps_no_timings(rtx: Machine) -> None:
    rtx.open()
    assert rtx.api.builds[0].given == []
    assert not rtx.kept("timings")


def test_plans_are_built_as_asked(tensorrt: Machine) -> None:
    tensorrt.build()
    tensorrt.build(
        options={
            "workspace_mb": 64, "optimization_level": 5, "hardware": "ampere-plus", "version_compatible": True,
            "tf32": False,
        },
        batch=(2, 4), imgsz=(64, 128),
    )  # fmt: skip
    tensorrt.build(options={"hardware": "same-capability"})
    plain, asked, same = tensorrt.api.builds
    assert plain.typed
    assert (plain.pools, plain.builder_optimization_level) == ({}, 3)
    assert plain.flags == {_BuilderFlag.TF32}
    assert plain.hardware_compatibility_level is _Hardware.NONE
    assert plain.profiles[0].shapes == {"images": ((1, 3, 32, 32), (1, 3, 96, 128), (8, 3, 128, 128))}
    assert asked.typed
    assert (asked.pools, asked.builder_optimization_level) == ({_Pool.WORKSPACE: 64 << 20}, 5)
    assert asked.flags == {_BuilderFlag.VERSION_COMPATIBLE}
    assert asked.hardware_compatibility_level is _Hardware.AMPERE_PLUS
    assert asked.profiles[0].shapes == {"images": ((1, 3, 64, 128), (2, 3, 64, 128), (4, 3, 64, 128))}
    assert same.hardware_compatibility_level is _Hardware.SAME_COMPUTE_CAPABILITY


@pytest.mark.parametrize(
    ("flavour", "options", "message"),
    [
        ("tensorrt", {"targets": ("sm86",)}, "target: expected none, since TensorRT builds for this machine's GPU"),
        ("tensorrt-rtx", {"targets": ("sm90",)}, "target: expected one of sm86, sm89, sm120, found sm90"),
        ("tensorrt-rtx", {"hardware": "ampere-plus"}, "targets instead, found ampere-plus; use --target"),
        ("tensorrt-rtx", {"version_compatible": True}, "targets instead, found version compatible; use --target"),
        ("tensorrt", {"optimization_level": 6}, "level: expected 0 to 5, found 6"),
        ("tensorrt", {"workspace_mb": 0}, "workspace: expected 1 MiB or more, found 0"),
    ],
)
def test_options_that_a_flavour_lacks_are_refused(
    monkeypatch: pytest.MonkeyPatch, flavour: str, options: dict[str, Any], message: str
) -> None:
    machine = Machine(monkeypatch, flavour)
    with pytest.raises(BuildRequestError, match=message):
        machine.build(options=options)
    assert not machine.api.builds


def test_a_plan_is_built_on_the_gpu_that_runs_it(machine: Machine) -> None:
    machine.become(A10, L4)
    with FakeDevice().using():  # what another library left as the thread's
        second = machine.open(device="cuda:1")
        machine.build(device="cuda:0")
    assert [each.gpu for each in machine.api.builds] == [1, 0]
    assert second.device == "cuda:1"
    _same_as_onnxruntime(second, _pictures(2))
    machine.begin()
    _same_as_onnxruntime(machine.open(device="cuda:0"), _pictures(2))
    _same_as_onnxruntime(machine.open(device="cuda:1"), _pictures(2))
    assert not machine.api.builds
    with pytest.raises(BackendUnavailableError, match="no device 'cuda:2' here; use one of: auto, cuda, cuda:1"):
        machine.open(device="cuda:2")


def test_sessions_of_one_gpu_share_its_queue(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.build()
    machine.begin()
    together, places = threading.Barrier(2), []

    def slow(index: int) -> FakeDevice:
        time.sleep(0.1)
        return machine._device(index)

    monkeypatch.setattr("fastsam_engine.backends.tensorrt.cuda_device.CudaDevice", slow)

    def work() -> None:
        together.wait()
        places.append(machine.open().memory)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert places == [machine.open().memory] * 2
    assert len(machine.devices) == 1


# TensorRT-RTX


def test_rtx_builds_for_the_gpu_here_by_default(rtx: Machine) -> None:
    rtx.become(L4)
    rtx.open()
    (build,) = rtx.api.builds
    assert [each.name for each in build.capabilities.values()] == ["SM89"]
    assert rtx.build().built_s is None


def test_rtx_checks_a_plan_for_several_gpus_on_the_one_that_is_here(rtx: Machine) -> None:
    report = rtx.build(options={"targets": ("sm86", "sm120")})
    assert (report.target, report.parity) == ("sm86, sm120", _EXACT)
    assert rtx.build(options={"targets": ("sm89",)}).parity == {}
    rtx.begin()
    _same_as_onnxruntime(rtx.open(), _pictures())
    assert not rtx.api.builds


def test_rtx_builds_for_other_gpus_without_one(rtx: Machine, tmp_path: Path) -> None:
    rtx.become()
    plan = tmp_path / "colours.plan"
    report = rtx.build(options={"targets": ("sm86", "sm89")}, out=plan)
    assert (report.parity, rtx.api.builds[0].gpu) == ({}, None)
    assert not rtx.devices
    with pytest.raises(
        BuildRequestError, match="expected a GPU in this machine, or targets to build for, found neither"
    ):
        rtx.build()


def test_kernels_are_handed_to_the_next_session(rtx: Machine, tmp_path: Path) -> None:
    rtx.open()
    checked, opened = rtx.api.configs
    (kept,) = rtx.kept("kernels")
    assert checked.cache.data
    assert opened.cache.data == checked.cache.data
    before = kept.read_bytes()
    rtx.begin()
    with rtx.open() as session:
        assert [each.cache.data for each in rtx.api.configs] == [checked.cache.data]
        session.run(_pictures(2))
    assert kept.read_bytes() != before, "a shape that the check did not have"
    rtx.build(batch=(1, 2))
    assert len(rtx.kept("kernels")) == 2, "those of other shapes are others"


def test_kernels_of_a_plan_that_was_built_elsewhere_are_kept_after_a_run(rtx: Machine, tmp_path: Path) -> None:
    rtx.become(A10, L4)
    rtx.build(options={"targets": ("sm86", "sm89")}, out=tmp_path / "colours.plan")
    for each in rtx.kept("kernels"):
        each.unlink()
    rtx.begin()
    with open_session(tmp_path / "colours.plan", device="cuda:0") as session:
        session.run(_pictures(1))
    assert len(rtx.kept("kernels")) == 1
    open_session(tmp_path / "colours.plan", device="cuda:0")
    open_session(tmp_path / "colours.plan", device="cuda:1")
    first, again, other = (each.cache.data for each in rtx.api.configs)
    assert first
    assert first == again
    assert other == b"", "those are another GPU's"


def test_tensorrt_keeps_no_kernels(tensorrt: Machine) -> None:
    tensorrt.open()
    assert not tensorrt.kept("kernels")


# Plans that are named


@pytest.fixture
def plan(machine: Machine, tmp_path: Path) -> Path:
    """A plan that was built into a file, on the machine with the A10."""
    machine.build(out=tmp_path / "colours.plan")
    machine.begin()
    return tmp_path / "colours.plan"


@pytest.mark.parametrize("backend", ["auto", "by name"])
def test_a_plan_runs_by_name(machine: Machine, plan: Path, backend: str) -> None:
    session = open_session(plan, "auto" if backend == "auto" else machine.flavour)
    assert (session.path, session.backend) == (plan, machine.flavour)
    expected = open_session(find_graph("colours"), "onnxruntime").run(_pictures(3))
    for name, array in session.run(_pictures(3)).items():
        np.testing.assert_array_equal(array, expected[name])
    assert not machine.api.builds
    assert not machine.kept()
    pipe = Pipeline(plan, prompts=["red"])
    assert len(pipe(colour_models.scene(("red", 1, 1), ("green", 2, 3), height=128, width=128))) == 1


def test_plans_for_others_are_refused(machine: Machine, plan: Path) -> None:
    machine.become(A10, version="1.1")
    with pytest.raises(ModelFileError, match=rf"expected a plan of {machine.flavour} 1.1, found one of 1.0; build it"):
        open_session(plan)
    machine.become(L4)
    with pytest.raises(ModelFileError, match=r"expected a plan for .*sm89\)?, found one for .*sm86\)?; build it again"):
        open_session(plan)
    machine.become(A10, flavours=tuple(BACKENDS))
    (other,) = BACKENDS.keys() - {machine.flavour}
    for asked in (other, "onnxruntime"):
        with pytest.raises(ModelFileError, match=f"expected a graph for {asked}, found a plan of {machine.flavour}"):
            open_session(plan, asked)
    with pytest.raises(BackendUnavailableError, match="which is fp32, as it is, not in fp16"):
        open_session(plan, precision="fp16")


def test_a_plan_without_its_sidecar_or_of_no_known_kind_is_refused(machine: Machine, plan: Path) -> None:
    facts = json.loads(sidecar(plan).read_text())
    sidecar(plan).unlink()
    with pytest.raises(ModelFileError, match=r"expected colours\.plan\.json beside the plan, or an ultralytics"):
        open_session(plan)
    facts["plan"]["backend"] = "sparks"
    del facts["plan"]["sidecar_sha256"]
    sidecar(plan).write_text(json.dumps(facts))
    with pytest.raises(ModelFileError, match=r"expected a plan of tensorrt or tensorrt-rtx, found one of 'sparks'"):
        open_session(plan)


def test_plans_for_later_versions_run_on_them(tensorrt: Machine, tmp_path: Path) -> None:
    plan = tmp_path / "colours.plan"
    tensorrt.build(out=plan, options={"version_compatible": True})
    tensorrt.become(A10, version="1.1")
    open_session(plan).run(_pictures())
    tensorrt.become(L4, version="1.1")
    with pytest.raises(ModelFileError, match="found one for NVIDIA A10"):
        open_session(plan)


def test_plans_for_other_gpus_run_on_those(tensorrt: Machine, tmp_path: Path) -> None:
    same, later = tmp_path / "same.plan", tmp_path / "later.plan"
    tensorrt.become(A10, dataclasses.replace(A10, name="NVIDIA RTX A4000"), L4)
    tensorrt.build(out=same, options={"hardware": "same-capability"})
    tensorrt.build(out=later, options={"hardware": "ampere-plus"})
    open_session(same, device="cuda:1").run(_pictures())
    for device in ("cuda:1", "cuda:2"):
        open_session(later, device=device).run(_pictures())
    with pytest.raises(ModelFileError, match=r"expected a plan for NVIDIA L4 \(sm89\), found one for NVIDIA A10"):
        open_session(same, device="cuda:2")


def test_rtx_plans_run_on_every_one_of_their_targets(rtx: Machine, tmp_path: Path) -> None:
    plan = tmp_path / "colours.plan"
    rtx.become(A10, L4, dataclasses.replace(L4, name="RTX 5090", compute_capability=(12, 0)))
    rtx.build(out=plan, options={"targets": ("sm89", "sm120")})
    for device in ("cuda:1", "cuda:2"):
        open_session(plan, device=device).run(_pictures())
    with pytest.raises(ModelFileError, match="expected a plan for sm86, found one for sm89, sm120"):
        open_session(plan)


def test_engines_of_ultralytics_run(tensorrt: Machine, tmp_path: Path) -> None:
    metadata = {
        "task": "segment", "stride": 32, "names": {"0": "red", "1": "green", "2": "blue"}, "imgsz": [256, 256],
        "batch": 1, "args": {}, "description": "exported", "version": "8.3",
    }  # fmt: skip
    told = json.dumps(metadata).encode()
    ranges = {"images": ((1, 3, 256, 256), (1, 3, 256, 256))}
    engine = tmp_path / "colours.engine"
    engine.write_bytes(len(told).to_bytes(4, "little") + told + make_plan(find_graph("colours"), ranges))
    session = open_session(engine)
    assert (session.backend, session.precision, session.spec.class_names) == (
        "tensorrt", "fp32", ("red", "green", "blue")
    )  # fmt: skip
    assert len(Pipeline(engine, conf=0.5)(colour_models.scene(("red", 1, 1), ("green", 1, 5)))) == 2
    engine.write_bytes(engine.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        open_session(engine)
    assert not tensorrt.api.builds


# Precision


def test_a_graph_is_computed_in_its_own_precision(machine: Machine, home: Path) -> None:
    spec = dataclasses.replace(colour_models.segmenter_spec("halves"), precision="fp16")
    graph = home / "models" / "halves" / "halves.onnx"
    colour_models.save(colour_models.segmenter_graph(), graph, spec)
    message = "it computes this graph, which is fp16, as it is, not in fp32; use --precision auto, or export it with"
    with pytest.raises(BackendUnavailableError, match=message):
        machine.open("halves", precision="fp32")
    assert not machine.api.builds
    for asked in ("auto", "fp16"):
        assert machine.open("halves", precision=asked).precision == "fp16"
    assert len(machine.api.builds) == 1


def test_fp32_by_name_is_not_rounded(machine: Machine) -> None:
    assert machine.open().precision == "tf32"
    assert machine.open(precision="fp32").precision == "fp32"
    rounded, exact = machine.api.builds
    assert _BuilderFlag.TF32 in rounded.flags
    assert _BuilderFlag.TF32 not in exact.flags
    machine.begin()
    assert machine.open(precision="fp32").precision == "fp32"
    assert not machine.api.builds
    for path in machine.kept():
        if (options := read_plan(path).facts.options) is not None and options.tf32:
            with pytest.raises(
                BackendUnavailableError, match=r"may compute fp32 products in TF32; .* build it again with --no-tf32"
            ):
                open_session(path, precision="fp32")
        else:
            assert open_session(path, precision="fp32").precision == "fp32"


def test_gpus_without_tf32_compute_fp32(tensorrt: Machine) -> None:
    tensorrt.become(T4)
    assert tensorrt.open().precision == "fp32"


# The cache


@pytest.mark.parametrize("harm", ["read-only", "full"])
def test_a_cache_that_cannot_be_written_costs_the_build_only(
    machine: Machine, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    if harm == "read-only":
        (home / "engines").write_text("in the way")
    else:

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(atomic_files, "open_in_place", full)
    for _ in range(2):
        machine.begin()
        _same_as_onnxruntime(machine.open(), _pictures(2))
        assert len(machine.api.builds) == 1
    assert "the plan of colours.onnx is not cached" in caplog.text
    assert machine.build().path is None
    assert not machine.kept()


def test_a_cache_that_can_only_be_read_serves(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.build()
    machine.begin()

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for place, name in ((os, "utime"), (atomic_files, "open_in_place"), (Path, "mkdir")):
        monkeypatch.setattr(place, name, refuse)
    session = machine.open()
    assert machine.build().built_s is None
    assert not machine.api.builds
    _same_as_onnxruntime(session, _pictures())


def test_a_file_that_cannot_be_written_is_reported_before_the_build(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"expected the folder .* found none"):
        machine.build(out=tmp_path / "none" / "colours.plan")
    assert not machine.api.builds


@pytest.mark.parametrize("processes", [True, False])
def test_what_opens_at_once_builds_once(machine: Machine, monkeypatch: pytest.MonkeyPatch, processes: bool) -> None:
    """Threads stand for processes where each has a backend of its own: the lock is a file's, opened by each."""
    real, count = FakeBuilder.build_serialized_network, 4
    together = threading.Barrier(count)

    def slow(*arguments: Any) -> Any:
        time.sleep(0.3)
        return real(*arguments)

    monkeypatch.setattr(FakeBuilder, "build_serialized_network", slow)
    graph = find_graph("colours")
    spec = read_spec(graph)
    shared = BACKENDS[machine.flavour]()
    sessions: list[Session] = []

    def work() -> None:
        backend = BACKENDS[machine.flavour]() if processes else shared
        together.wait()
        sessions.append(backend.open(graph, spec, "cuda", "auto", double()))

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(machine.api.builds) == 1
    assert len(sessions) == count
    assert len({session.memory for session in sessions}) == (count if processes else 1)
    for session in sessions:
        _same_as_onnxruntime(session, _pictures())


# What can serve


def _put_onnxruntime_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime's package for GPUs, with all it needs."""
    module = "fastsam_engine.backends.onnxruntime.backend"
    monkeypatch.setattr(f"{module}.owners", lambda _module: ["onnxruntime-gpu"])
    monkeypatch.setattr(f"{module}.check_single_owner", lambda _module: None)
    monkeypatch.setattr(f"{module}.find_devices", lambda _distribution: (("cuda", "cpu"), ""))
    monkeypatch.setattr(f"{module}.OnnxRuntimeBackend.open", lambda _self, path, *_: SimpleNamespace(
        backend="onnxruntime", device="cuda", precision="tf32", path=path))  # fmt: skip


def test_auto_takes_the_fastest_that_is_there(tensorrt: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = find_graph("colours")
    tensorrt.build()
    _put_onnxruntime_on_cuda(monkeypatch)
    tensorrt.become(A10, flavours=("tensorrt", "tensorrt-rtx"))
    assert open_session(graph).backend == "tensorrt"
    assert open_session(graph, device="cuda:0").backend == "tensorrt"
    assert open_session(graph, device="cpu").backend in ("onnxruntime", "openvino")
    assert choose_builder().name == "tensorrt"
    tensorrt.become(flavours=("tensorrt", "tensorrt-rtx"))
    assert open_session(graph).device == "cuda", "no GPU that TensorRT sees"
    tensorrt.become(H100, flavours=("tensorrt-rtx",))
    assert open_session(graph).backend == "onnxruntime", "TensorRT-RTX does not support an H100"
    with pytest.raises(BackendUnavailableError, match=r"found NVIDIA H100 \(sm90\); use --backend auto"):
        open_session(graph, "tensorrt-rtx")
    tensorrt.become(A10)
    tensorrt.packages.clear()
    assert open_session(graph).backend == "onnxruntime", "TensorRT can't run without cuda-core"


def test_gpus_that_a_flavour_does_not_serve_are_none_of_its_devices(machine: Machine) -> None:
    ready = all_backends()[machine.flavour].readiness()
    assert (ready.version, ready.devices, ready.fix) == ("1.0", ("cuda",), "")
    old = dataclasses.replace(A10, name="Tesla P4", compute_capability=(6, 1))
    machine.become(old, H100, A10)
    ready = all_backends()[machine.flavour].readiness()
    assert ready.devices == {"tensorrt": ("cuda:1", "cuda:2"), "tensorrt-rtx": ("cuda:2",)}[machine.flavour]
    assert machine.open().device == {"tensorrt": "cuda:1", "tensorrt-rtx": "cuda:2"}[machine.flavour]
    machine.become(old)
    ready = all_backends()[machine.flavour].readiness()
    assert (ready.devices, ready.reason) == ((), "expected a GPU that it supports, found Tesla P4 (sm61)")
    with pytest.raises(BackendUnavailableError, match=r"found Tesla P4 \(sm61\)"):
        machine.open()
    with pytest.raises(BuildRequestError, match="a GPU in this machine, or targets to build for"):
        machine.build()


def test_without_cuda_core_the_backend_says_what_it_needs(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_index: int) -> None:
        raise ModuleNotFoundError("No module named 'cuda'")

    machine.packages.clear()
    monkeypatch.setattr("fastsam_engine.backends.tensorrt.cuda_device.CudaDevice", absent)
    for make in (machine.open, machine.build):
        with pytest.raises(BackendUnavailableError, match=r"cuda-core is not installed; pip install 'fastsam-trt\["):
            make()


def test_a_cuda_core_that_is_too_old_is_distinguished_from_none(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def old(_index: int) -> None:
        raise ModuleNotFoundError("No module named 'cuda.core.graph'")

    monkeypatch.setattr("fastsam_engine.backends.tensorrt.cuda_device.CudaDevice", old)
    machine.packages["cuda-core"] = "0.3.2"
    found = r"expected cuda-core 1, found 0\.3\.2 \(No module named 'cuda\.core\.graph'\); pip install 'fastsam-trt\["
    with pytest.raises(BackendUnavailableError, match=found):
        machine.build()


def test_doctor_tells_what_serves_and_why_not(tensorrt: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    tensorrt.become(H100, flavours=("tensorrt", "tensorrt-rtx"))
    tensorrt.open()
    assert main(["doctor"]) in (0, 1)
    told = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line for line in told if line.startswith("tensorrt")}
    (serves,) = (line for line in told if line.startswith("tensorrt ") and "runs a plan" in line)
    assert serves.split()[1] == "cuda"
    assert "expected a GPU that it supports, found NVIDIA H100 (sm90)" in rows["tensorrt-rtx"]
    assert told[told.index(rows["tensorrt-rtx"]) + 1].strip() == "use --backend auto"
    assert any("colours segment fp32, tensorrt 1.0, NVIDIA H100 (sm90)" in line for line in told)


def test_the_command_tells_what_it_built(machine: Machine, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["build", "clip-colours", "--no-tf32", "--workspace", "32"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("clip-colours")]
    assert "0 of 0.0005 (image_embeds cosine_distance)" in rows[0]
    assert "0 of 0.0005 (text_embeds cosine_distance)" in rows[1]
    assert main(["build", "clip-colours", "--no-tf32", "--workspace", "32"]) == 0
    assert capsys.readouterr().out.count("  cached  ") == 2
    assert main(["build", "colours", "--out", str(tmp_path / "plans")]) == 0
    plan = tmp_path / "plans" / "colours.plan"
    assert plan.is_file()
    assert main(["build", str(plan)]) == 2
    assert "model: expected ONNX graphs, found the plan colours.plan" in capsys.readouterr().err
    assert main(["build", "colours", "--out", str(plan)]) == 2
    assert "the folder can't be created (File exists)" in capsys.readouterr().err
    machine.api.gain = 3
    assert main(["build", "colours"]) == 1
    assert "the plan was discarded" in capsys.readouterr().err


# The doubles


@pytest.mark.parametrize("module", ["tensorrt", "tensorrt_rtx"])
def test_the_doubles_have_nothing_that_the_real_builders_lack(module: str) -> None:
    real = pytest.importorskip(module)
    ours = FakeBuildingTensorRt(rtx=module == "tensorrt_rtx")
    own = {"device", "rtx", "broken", "diagnosis", "contexts", "configs", "logger", "use", "say", "fail"}
    own |= {"builds", "gain", "capabilities", "refused"}
    own |= {"steps", "at_step"}
    assert not _public(ours) - own - set(dir(real))
    for fake, kind, own in (
        (fake_builder.FakeBuilder, real.Builder, set()),
        (fake_builder.FakeParser, real.OnnxParser, set()),
        (fake_builder.FakeNetwork, real.INetworkDefinition, set()),
        (fake_builder.FakeProfile, real.IOptimizationProfile, set()),
        (fake_builder.FakeTimings, real.ITimingCache, set()),
        (fake_builder.FakeConfig, real.IBuilderConfig, {
            "capabilities", "given", "gpu", "graph", "pools", "profiles", "timings", "typed"}),
    ):  # fmt: skip
        rtx_only = set() if ours.rtx else {"num_compute_capabilities", "set_compute_capability"}
        assert not _public(fake) - own - rtx_only - set(dir(kind)), fake
    enums: list[tuple[type[enum.Enum], Any]] = [
        (fake_builder._BuilderFlag, real.BuilderFlag),
        (fake_builder._Hardware, real.HardwareCompatibilityLevel),
        (fake_builder._Created, real.NetworkDefinitionCreationFlag),
        (fake_builder._Pool, real.MemoryPoolType),
    ]
    if ours.rtx:
        enums.append((fake_builder._Capability, real.ComputeCapability))
    for members, kind in enums:
        assert not set(members.__members__) - set(dir(kind)), members


def _public(thing: Any) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}
