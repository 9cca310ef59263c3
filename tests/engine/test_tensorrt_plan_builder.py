"""Test building plans with TensorRT-RTX, which shares TensorRT's API and builds without a GPU."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.backend_choice import choose_builder
from fastsam_engine.backends.tensorrt import api
from fastsam_engine.backends.tensorrt.api_protocol import TensorRtApi
from fastsam_engine.backends.tensorrt.cached_plans import AvailablePlan, CachedPlans
from fastsam_engine.backends.tensorrt.plan_builder import build_plan
from fastsam_engine.errors import BackendUnavailableError, BuildError, BuildRequestError, ModelFileError
from fastsam_engine.plans.build_request import BuildOptions, BuildRequest
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_engine.plans.plan_file import read_plan
from fastsam_engine.plans.shape_ranges import ShapeRange, plan_spec, shape_ranges
from fastsam_engine.spec.model_input import ImageInput
from fastsam_engine.store.model_store import find_graphs
from fastsam_trt.cli.main import main
from support import colour_models
from support.typed import image_input

TARGETS = ("sm86", "sm89", "sm120")


@pytest.fixture(scope="session")
def rtx() -> TensorRtApi:
    """TensorRT-RTX; skips where it is not installed."""
    pytest.importorskip("tensorrt_rtx", reason="pip install 'fastsam-trt[tensorrt-rtx]'")
    return api.load("tensorrt-rtx")


def _request(name: str = "colours", part: str = "", **given: Any) -> BuildRequest:
    graph = find_graph(name, part)
    return BuildRequest(graph, read_spec(graph), options=BuildOptions(targets=TARGETS), **given)


def test_shapes_follow_the_spec_and_what_is_asked_for() -> None:
    spec = read_spec(find_graph("colours"))
    assert isinstance(spec.input, ImageInput)
    size, multiple = (spec.input.height, spec.input.width), spec.input.size_multiple
    assert multiple is not None
    (range_,) = shape_ranges(spec).values()
    assert range_.smallest == (1, 3, multiple, multiple)
    assert range_.largest == (8, 3, *size)
    assert all(a <= b <= c for a, b, c in zip(range_.smallest, range_.usual, range_.largest, strict=True))
    wide = (2 * multiple, 4 * multiple)
    (fixed,) = shape_ranges(spec, batch=(2, 4), imgsz=wide).values()
    assert fixed == ShapeRange((1, 3, *wide), (2, 3, *wide), (4, 3, *wide))
    taken = plan_spec(spec, {spec.input.name: fixed})
    assert isinstance(taken.input, ImageInput)
    assert (taken.input.batch, taken.input.size_multiple) == ((1, 4), None)
    assert (taken.input.height, taken.input.width) == wide


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch": (4, 2)}, "batch: expected 1 to any"),
        ({"batch": (0, 2)}, "batch: expected"),
        ({"imgsz": (7, 7)}, "imgsz: expected multiples of"),
    ],
)
def test_shapes_that_a_model_does_not_take_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BuildRequestError, match=message):
        shape_ranges(read_spec(find_graph("colours")), **given)


def test_every_graph_builds_for_gpus_that_are_not_here(rtx: TensorRtApi) -> None:
    plans = CachedPlans("tensorrt-rtx", rtx, "", EngineCache())
    for name in ("colours", "things", "clip-colours"):
        for graph in find_graphs(name):
            request = dataclasses.replace(_request(), graph=graph, spec=read_spec(graph))
            seen: set[str] = set()
            built = plans.find_or_build(request, progress=lambda phase, *_, seen=seen: seen.add(phase))
            assert seen
            assert built.path is not None
            assert len(built.plan.data) > 1000
            assert built.plan.facts.gpu == "sm86, sm89, sm120"
            assert plans.find_or_build(request) == AvailablePlan(built.plan, built.path, None)  # the cache has it


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_every_family_builds(rtx: TensorRtApi, fp32: dict[str, Path], fp16: dict[str, Path], precision: str) -> None:
    plans = CachedPlans("tensorrt-rtx", rtx, "", EngineCache())
    for folder in (fp32 if precision == "fp32" else fp16).values():
        for graph in find_graphs(folder):
            request = BuildRequest(graph, read_spec(graph), options=BuildOptions(targets=TARGETS))
            assert plans.find_or_build(request).built_s


def test_the_key_holds_all_that_decides_what_a_plan_is(rtx: TensorRtApi) -> None:
    plans = CachedPlans("tensorrt-rtx", rtx, "", EngineCache())
    requests = [
        _request(),
        _request(batch=(1, 2)),
        _request(imgsz=(128, 128)),
        dataclasses.replace(_request(), options=BuildOptions(targets=("sm89",))),
        dataclasses.replace(_request(), options=BuildOptions(targets=TARGETS, tf32=False)),
        _request("things"),
    ]
    assert len({plans.find_or_build(each).path for each in requests}) == len(requests)
    assert len(EngineCache().entries()) == len(requests)


def test_a_harmed_plan_is_built_again(rtx: TensorRtApi) -> None:
    plans = CachedPlans("tensorrt-rtx", rtx, "", EngineCache())
    first = plans.find_or_build(_request())
    assert first.path is not None
    data = bytearray(first.path.read_bytes())
    data[len(data) // 2] ^= 1
    first.path.write_bytes(data)
    again = plans.find_or_build(_request())
    assert again.built_s is not None
    assert read_plan(first.path) == again.plan


def test_a_cache_that_cannot_be_written_costs_the_plan_only(
    rtx: TensorRtApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    built = CachedPlans("tensorrt-rtx", rtx, "", EngineCache(blocked)).find_or_build(_request())
    assert built.path is None
    assert built.plan.data
    assert "is not cached" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_a_build_that_is_killed_leaves_nothing_that_is_loaded(rtx: TensorRtApi, home: Path) -> None:
    command = [sys.executable, "-m", "fastsam_trt", "build", "colours", "--target", *TARGETS]
    for delay in (0.4, 0.8, 1.2):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        EngineCache().prune()
    assert main(["build", "colours", "--target", *TARGETS]) == 0
    (entry,) = EngineCache().entries()
    assert entry.is_valid
    assert EngineCache().load(entry.path) is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (BuildOptions(targets=("sm33",)), "expected one of sm75, .*found sm33"),
        (BuildOptions(targets=TARGETS, optimization_level=6), "level: expected 0 to 5"),
        (BuildOptions(targets=TARGETS, workspace_mb=0), "workspace: expected 1 MiB"),
        (BuildOptions(targets=TARGETS, hardware="ampere-plus"), "TensorRT-RTX has targets instead"),
    ],
)
def test_options_that_a_builder_does_not_have_are_refused(
    rtx: TensorRtApi, options: BuildOptions, message: str
) -> None:
    with pytest.raises(BuildRequestError, match=message):
        CachedPlans("tensorrt-rtx", rtx, "", EngineCache()).find_or_build(
            dataclasses.replace(_request(), options=options)
        )


def test_a_graph_that_the_parser_refuses_is_named(rtx: TensorRtApi, tmp_path: Path) -> None:
    import onnx

    spec = colour_models.segmenter_spec()
    node = onnx.helper.make_node("Det", [spec.input_names[0]], [spec.outputs[0].name], name="odd")
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "odd",
        [value(spec.input_names[0], onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [value(spec.outputs[0].name, onnx.TensorProto.FLOAT, ["n"])],
    )
    path = colour_models.save(graph, tmp_path / "odd.onnx", spec)
    with pytest.raises(BuildError, match=r"odd\.onnx: the parser refused it .*Det"):
        build_plan(rtx, path, shape_ranges(spec), BuildOptions(targets=("sm89",)))


def test_the_command_builds_and_tells(rtx: TensorRtApi, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["build", "clip-colours", "--target", "sm89", "--batch", "4", "16", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "not run here" in told
    assert "clip-colours.image.plan" in told
    assert image_input(read_spec(tmp_path / "clip-colours.image.plan")).batch == (1, 16)
    assert not EngineCache().entries()
    assert main(["build", "colours", "--target", "sm86", "SM89"]) == 0
    assert main(["build", "colours", "--target", "sm86", "sm89"]) == 0
    assert "cached" in capsys.readouterr().out
    (entry,) = EngineCache().entries()
    assert main(["info", str(entry.path), "--json"]) == 0
    told_json = json.loads(capsys.readouterr().out)
    assert told_json["plan"]["gpu"] == "sm86, sm89"
    assert main(["doctor"]) in (0, 1)
    assert "sm86, sm89" in capsys.readouterr().out
    assert main(["doctor", "--prune", "30"]) in (0, 1)
    assert EngineCache().entries()
    assert main(["doctor", "--prune"]) in (0, 1)
    assert not EngineCache().entries()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "colours", "--backend", "onnxruntime"], "expected one that builds, found onnxruntime"),
        (["build", "colours", "--target", "sm89", "--imgsz", "100"], "imgsz: expected multiples of"),
        (["build", "colours", "--target", "sm89", "--batch", "1", "2", "3"], "batch: expected one number"),
        (["build", "nothing", "--target", "sm89"], "no model 'nothing'"),
        (["build", "colours", "--backend", "sparks"], "expected a backend among"),
    ],
)
def test_requests_that_cannot_be_built_are_refused(
    rtx: TensorRtApi, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_without_a_gpu_the_backend_says_what_it_needs(
    rtx: TensorRtApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("fastsam_engine.backends.tensorrt.backend.gpus", lambda: ())
    with pytest.raises(BackendUnavailableError, match="found no GPU with a driver"):
        open_session(find_graph("colours"), "tensorrt-rtx")
    with pytest.raises(BuildRequestError, match="a GPU in this machine, or targets to build for"):
        choose_builder("tensorrt-rtx").build(
            dataclasses.replace(_request(), options=BuildOptions()), "auto", lambda *_: None
        )
    plan = tmp_path / "colours.plan"
    choose_builder(targets=TARGETS).build(dataclasses.replace(_request(), out=plan), "auto", lambda *_: None)
    with pytest.raises(BackendUnavailableError, match="found no GPU with a driver"):
        open_session(plan)
    with pytest.raises(ModelFileError, match="expected a graph for onnxruntime, found a plan of tensorrt-rtx"):
        open_session(plan, "onnxruntime")
