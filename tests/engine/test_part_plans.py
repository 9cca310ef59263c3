"""Test plans of a model that was cut into parts: their shapes, sample inputs, and the comparison with the graph."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fastsam_engine import open_session, read_spec
from fastsam_engine.backends.tensorrt import api
from fastsam_engine.backends.tensorrt.cached_plans import CachedPlans
from fastsam_engine.backends.tensorrt.plan_check.sample_inputs import sample_inputs
from fastsam_engine.errors import BuildError, BuildRequestError
from fastsam_engine.plans.build_request import BuildOptions, BuildRequest
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_engine.plans.shape_ranges import ShapeRange, plan_spec, shape_ranges
from fastsam_engine.spec.model_input import ArraysInput
from fastsam_engine.store.model_store import find_graph, find_graphs
from fastsam_trt.bundled_models import FOLDER, SEGMENTER
from support import cut_models
from support.output_faults import ANY, FAULTS
from support.plan_cases import Case
from support.rounded_graphs import Rounding
from support.tensorrt_machine import Machine
from support.typed import arrays_input

PARTS = ("", ".heads", ".masks")
SIDE = 2 * cut_models.REACH + 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the three graphs of a model."""
    folder = tmp_path_factory.mktemp("cut")
    cut_models.save_model(folder)
    return folder


@pytest.fixture(scope="module")
def cases(folder: Path) -> dict[str, Case]:
    return {part: Case(folder / f"cut{part}.onnx") for part in PARTS}


def test_one_profile_supports_patches_and_whole_levels(folder: Path) -> None:
    ranges = shape_ranges(read_spec(folder / "cut.heads.onnx"))
    assert ranges["cells_8"].smallest == (1, SIDE, SIDE)
    assert ranges["cells_8"].usual == (8, SIDE, SIDE)
    assert ranges["cells_8"].largest == (64, 16 + SIDE - 1, 16 + SIDE - 1)
    assert ranges["features_16"].largest == (8, 8, 8, cut_models.CHANNELS)
    assert ranges["picks_16"] == ShapeRange((1,), (8,), (64,))


def test_parts_follow_the_batch_and_size_of_their_trunk(folder: Path) -> None:
    spec = read_spec(folder / "cut.masks.onnx")
    ranges = shape_ranges(spec, batch=(2, 4), imgsz=(64, 96))
    assert ranges["features_8"] == ShapeRange(*((n, 8, 12, cut_models.CHANNELS) for n in (1, 2, 4)))
    assert ranges["cells_8"].largest == (64, 8 + SIDE - 1, 12 + SIDE - 1)
    assert ranges["picks_8"].largest == (8 * 12,)
    assert ranges["picks_16"] == ShapeRange((1,), (8,), (4 * 6,))
    around = 2 * cut_models.MARGIN
    assert ranges["tile_cells"].largest == (1, 8 + around, 12 + around)
    assert plan_spec(spec, ranges) == spec
    with pytest.raises(BuildRequestError, match="expected none for a graph that takes another graph's outputs"):
        shape_ranges(cut_models.heads_spec(task="decode"), batch=(1, 1))


def test_a_plan_of_many_large_patches_takes_smaller_maps_then_fewer_patches() -> None:
    """A tensor of a plan has less than 2 ** 31 elements."""
    spec = cut_models.heads_spec()
    taken = arrays_input(spec)

    def largest(patches: int, side: int) -> tuple[int, ...]:
        axes = {"h8": (1, 60, side), "w8": (1, 60, side), "y8": (5, 5, side + 4), "x8": (5, 5, side + 4)}
        axes = {**taken.axes, **axes, "k8": (1, 16, patches), "m8": (1, 16, side * side)}
        wide = dataclasses.replace(spec, input=dataclasses.replace(taken, axes=axes))
        ranges = shape_ranges(wide)
        assert ranges["picks_8"].largest == (ranges["features_8"].largest[1] ** 2,)
        assert ranges["cells_16"] == shape_ranges(spec)["cells_16"]
        return ranges["cells_8"].largest

    assert largest(1000, 100) == (1000, 104, 104)
    assert largest(1000, 300) == (1000, 64, 64)
    assert largest(100_000, 300) == ((2**31 - 1) // 64 // 64**2, 64, 64)


@pytest.mark.parametrize("part", ["heads", "masks"])
def test_sample_inputs_are_patches_that_exist(folder: Path, part: str) -> None:
    graph = folder / f"cut.{part}.onnx"
    spec = read_spec(graph)
    assert isinstance(spec.input, ArraysInput)
    patches, whole = sample_inputs(spec, shape_ranges(spec))
    for inputs in (patches, whole):
        assert list(inputs) == list(spec.input_names)
        assert [str(array.dtype) for array in inputs.values()] == list(spec.input_dtypes)
        for s in cut_models.STRIDES:
            count, height, width, _ = inputs[f"features_{s}"].shape
            cells, inside, picks = (inputs[f"{name}_{s}"] for name in ("cells", "inside", "picks"))
            assert 0 <= cells.min() <= cells.max() < count * height * width
            assert set(np.unique(inside)) == {0.0, 1.0}  # some patches reach over the border
            inner = np.prod([len(cells), *(side - 2 * cut_models.REACH for side in cells.shape[1:])])
            assert 0 <= picks.min() <= picks.max() < inner
            if part == "masks" and s == cut_models.STRIDES[0]:
                assert 0 <= inputs["tile_cells"].min() <= inputs["tile_cells"].max() < height * width
                assert inputs["tile_inside"].shape == inputs["tile_cells"].shape
        assert open_session(graph, "onnxruntime").run(inputs)
    assert patches["cells_8"].shape == (8, SIDE, SIDE)
    assert whole["cells_8"].shape == (1, 16 + SIDE - 1, 16 + SIDE - 1)
    assert whole["inside_8"].sum() == 16 * 16
    if part == "masks":
        assert (patches["tile_inside"].sum(), whole["tile_inside"].sum()) == (8 * 8, 16 * 16)
    again = list(sample_inputs(spec, shape_ranges(spec)))
    assert all((array == again[0][name]).all() for name, array in patches.items())


@pytest.mark.parametrize("imgsz", [None, (384, 640), (640, 640)])
@pytest.mark.parametrize("part", ["heads", "masks"])
def test_plans_of_exported_parts_take_whole_maps(part: str, imgsz: tuple[int, int] | None) -> None:
    graph = find_graph(FOLDER / SEGMENTER, part)
    spec = read_spec(graph)
    ranges = shape_ranges(spec, imgsz=imgsz)
    if part == "masks":
        around = 2 * int(spec.defaults["margin_cells"])
        _, height, width, _ = ranges["features_8"].largest
        assert ranges["tile_cells"].largest == (1, height + around, width + around)
    if imgsz is not None:  # else the largest are the largest that a plan can hold
        for inputs in sample_inputs(spec, ranges):
            assert all(np.isfinite(each).all() for each in open_session(graph, "onnxruntime").run(inputs).values())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
@pytest.mark.parametrize("part", PARTS)
def test_what_a_user_would_see_is_refused(cases: dict[str, Case], part: str, precision: str) -> None:
    case, passed = cases[part], []
    for output in case.spec.outputs:
        faults = {**FAULTS[output.meaning], **ANY}
        if output.meaning == "mask-prototypes":
            faults = {"rows shifted": lambda array, _: np.roll(array, 1, 1), **ANY}
        for name, harm in faults.items():
            with contextlib.suppress(BuildError):
                case.check(case.harmed(output.name, harm), precision=precision)
                passed.append(f"{output.name}: {name}")
    assert not passed


@pytest.mark.parametrize("rounding", ["tf32", "bf16"])
@pytest.mark.parametrize("part", PARTS)
def test_rounding_of_factors_passes(cases: dict[str, Case], part: str, rounding: Rounding, tmp_path: Path) -> None:
    found = cases[part].rounded(tmp_path, rounding)
    metrics = cases[part].check(found, precision="fp32" if rounding == "tf32" else "bf16")
    assert max(metrics.values()) > 0


@pytest.mark.parametrize("part", PARTS)
def test_exact_answers_differ_by_nothing(cases: dict[str, Case], part: str) -> None:
    assert set(cases[part].check(cases[part].expected).values()) == {0.0}


def test_parts_build_for_three_generations_of_gpus(folder: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="pip install 'fastsam-trt[tensorrt-rtx]'")
    plans = CachedPlans("tensorrt-rtx", api.load("tensorrt-rtx"), "", EngineCache())
    for graph in find_graphs(folder):
        options = BuildOptions(targets=("sm86", "sm89", "sm120"))
        built = plans.find_or_build(BuildRequest(graph, read_spec(graph), options=options))
        assert built.plan.facts.gpu == "sm86, sm89, sm120"
        assert built.plan.spec.export_id == read_spec(graph).export_id


@pytest.mark.parametrize("flavour", ["tensorrt", "tensorrt-rtx"])
def test_parts_are_built_checked_and_run(folder: Path, monkeypatch: pytest.MonkeyPatch, flavour: str) -> None:
    machine = Machine(monkeypatch, flavour)
    features = {s: np.random.default_rng(s).random((1, 80 // s, 96 // s, 6), np.float32) for s in cut_models.STRIDES}
    for graph in find_graphs(folder):
        assert machine.build(graph=graph).parity
    with open_session(folder / "cut.heads.onnx", flavour) as session:
        plain = open_session(folder / "cut.heads.onnx", "onnxruntime")
        assert session.prefers_few_shapes
        for count in (1, 3, 1, 2, 3, 1):
            anchors = {s: [(row, row) for row in range(count)] for s in cut_models.STRIDES}
            inputs = cut_models.patches(anchors, features)
            kept = {name: session.upload(array) for name, array in inputs.items() if name.startswith("features")}
            found, _ = session.run_kept({**inputs, **kept}, [])
            np.testing.assert_array_equal(found["boxes"], plain.run(inputs)["boxes"])
        whole = cut_models.whole_levels(features)
        np.testing.assert_array_equal(session.run(whole)["boxes"], plain.run(whole)["boxes"])
        assert len(machine.api.contexts) >= 4
        cached = session._bindings._sizes  # type: ignore[attr-defined]
        assert [len(batches) for batches in cached.values()] == [4], "one size, whatever the patches"
