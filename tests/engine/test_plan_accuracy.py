"""Test the comparison of a plan with its graph: correct rounding passes, visible faults do not."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import tracemalloc
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from fastsam_engine import find_graph, open_session
from fastsam_engine.backends.tensorrt.plan_check.output_bounds import BOUNDS, nearest_bound
from fastsam_engine.backends.tensorrt.plan_check.sample_images import SampleImages
from fastsam_engine.backends.tensorrt.plan_check.sample_inputs import sample_inputs
from fastsam_engine.errors import BuildError
from fastsam_engine.plans.shape_ranges import shape_ranges
from fastsam_engine.spec.model_spec import ModelSpec
from support import colour_models
from support.output_faults import ANY, FAULTS
from support.plan_cases import Case
from support.rounded_graphs import Rounding
from support.typed import image_input

_SMALL = (
    "demo-seg/demo-seg", "demo-clip/demo-clip.image", "demo-clip/demo-clip.text", "yolo26/yolo26",
    "segformer/segformer", "mask2former/mask2former", "detr/detr", "detr/detr.masks",
)  # fmt: skip
_HELPERS = (
    "demo-seg/demo-seg.preprocess", "demo-seg/demo-seg.decode", "segformer/segformer.preprocess",
    "demo-clip/demo-clip.crops",
)  # fmt: skip
_IMGSZ = (160, 192)


@functools.cache
def _case(graph: Path, imgsz: tuple[int, int] | None = None) -> Case:
    return Case(graph, imgsz)


def _small(folders: Mapping[str, Path], name: str) -> Case:
    model, _, stem = name.partition("/")
    return _case(folders[model] / f"{stem}.onnx", _IMGSZ)


def _accepted(case: Case, precision: str = "") -> list[str]:
    """The faults of the outputs, one by one, that the gate lets pass, which should be none."""
    passed = []
    for output in case.spec.outputs:
        for name, harm in {**FAULTS[output.meaning], **ANY}.items():
            with contextlib.suppress(BuildError):
                case.check(case.harmed(output.name, harm), precision=precision)
                passed.append(f"{output.name}: {name}")
    return passed


# Every family


@pytest.mark.parametrize("name", [*_SMALL, *_HELPERS])
def test_what_a_user_would_see_is_refused(fp32: dict[str, Path], name: str) -> None:
    assert not _accepted(_small(fp32, name))


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
@pytest.mark.parametrize("name", _SMALL)
def test_what_a_user_would_see_is_refused_in_less_precision(fp32: dict[str, Path], name: str, precision: str) -> None:
    assert not _accepted(_small(fp32, name), precision)


@pytest.mark.parametrize("rounding", ["tf32", "bf16"])
@pytest.mark.parametrize("name", _SMALL)
def test_rounding_of_factors_passes(fp32: dict[str, Path], name: str, rounding: Rounding, tmp_path: Path) -> None:
    case = _small(fp32, name)
    found = case.rounded(tmp_path, rounding)
    metrics = case.check(found, precision="fp32" if rounding == "tf32" else "bf16")
    assert max(metrics.values()) > 0
    assert {each.rpartition(" ")[2] for each in metrics} <= BOUNDS.keys()


@pytest.mark.parametrize("name", _SMALL)
def test_rounding_of_half_precision_passes(fp16: dict[str, Path], name: str, tmp_path: Path) -> None:
    case = _small(fp16, name)
    assert max(case.check(case.rounded(tmp_path, "fp16")).values()) > 0


@pytest.mark.parametrize("name", _HELPERS)
def test_helper_graphs_pass_on_another_backend(fp32: dict[str, Path], name: str) -> None:
    pytest.importorskip("openvino")
    case = _small(fp32, name)
    session = open_session(case.graph, "openvino", "cpu", "fp32")
    case.check([session.run(each) for each in case.inputs])


# Every model, whatever it sees


def test_an_answer_that_is_not_finite_too_large_or_of_another_shape_is_refused() -> None:
    case = _case(find_graph("colours"), _IMGSZ)
    for value in (np.nan, np.inf):
        found = [{name: each.copy() for name, each in answer.items()} for answer in case.expected]
        found[-1]["output1"][0, 3, 5, 5] = value
        with pytest.raises(BuildError, match=r"colours\.onnx: expected finite .*, found 1 NaN or infinite in output1"):
            case.check(found)
    for output in case.spec.outputs:
        with pytest.raises(BuildError, match=f"{output.name} .* found inf"):
            case.check(case.harmed(output.name, lambda array, _: np.full_like(array, 3e38)))
    cut = [{**answer, "output1": answer["output1"][..., 1:]} for answer in case.expected]
    with pytest.raises(BuildError, match=r"expected output1 of shape \(1, 32, 40, 48\) from the plan, found"):
        case.check(cut)


def test_an_error_is_one_line_that_says_what_by_how_much_and_what_fixes_it() -> None:
    case = _case(find_graph("colours"), _IMGSZ)
    found = case.harmed("output0", FAULTS["yolo-detections"]["boxes + 3 px"])
    with pytest.raises(BuildError) as raised:
        case.check(found)
    assert str(raised.value) == (
        "colours.onnx: expected the plan's output0 box_px to be within 0.5 of onnxruntime's, found 3 (median error of "
        "the surest boxes, px); the plan was discarded; try another --level, or --no-tf32"
    )
    with pytest.raises(BuildError, match=r"try another --level$"):
        case.check(found, precision="fp16")


def test_exact_answers_differ_by_nothing_and_the_record_holds_what_is_bounded() -> None:
    case = _case(find_graph("colours"), _IMGSZ)
    metrics = case.check(case.expected)
    assert set(metrics.values()) == {0.0}
    nearest = nearest_bound({**metrics, "output0 box_px": 0.25, "of an earlier version": 9.0}, "fp32")
    assert nearest is not None
    assert (nearest.name, nearest.value, nearest.limit) == ("output0 box_px", 0.25, 0.5)
    assert nearest_bound({}, "fp32") is None


def test_each_class_of_an_exact_model_may_not_die() -> None:
    case = _case(find_graph("colours"), _IMGSZ)
    for channel in range(3):

        def kill(array: np.ndarray, _: ModelSpec, channel: int = channel) -> np.ndarray:
            return np.where(np.arange(array.shape[1])[:, None] == 4 + channel, 0, array)

        with pytest.raises(BuildError, match="output0 score_logit"):
            case.check(case.harmed("output0", kill))


@pytest.mark.parametrize("likely", [1e-2, 1e-4, 1e-5])
def test_a_model_that_is_sure_of_nothing_is_compared_as_well(likely: float) -> None:
    """Random weights, demo shapes, one class of things that the samples do not show."""
    case = _case(find_graph("colours"), _IMGSZ)
    faint = _Faint(case, likely)
    assert faint.check(faint.expected)["output0 score_logit"] == 0
    for fault in ("scores x 0.5", "no scores", "boxes + 3 px", "dead class"):
        with pytest.raises(BuildError):
            faint.check(faint.harmed("output0", FAULTS["yolo-detections"][fault]))


class _Faint(Case):
    """A case whose scores are as low as this everywhere, and noisy."""

    def __init__(self, case: Case, likely: float) -> None:
        self.__dict__.update(case.__dict__)
        generator = np.random.default_rng(0)
        self.expected = [{**answer, "output0": answer["output0"].copy()} for answer in case.expected]
        for answer in self.expected:
            scores = answer["output0"][:, 4:7]
            scores[:] = likely * generator.uniform(0.5, 1.5, scores.shape)


def test_a_fault_of_one_picture_of_a_batch_is_refused(fp32: dict[str, Path]) -> None:
    case = _small(fp32, "demo-seg/demo-seg")
    for output in case.spec.outputs:
        found = [{name: each.copy() for name, each in answer.items()} for answer in case.expected]
        found[-1][output.name][1] = found[-1][output.name][0]
        with pytest.raises(BuildError, match=output.name):
            case.check(found)


def test_a_fault_of_the_coarsest_anchors_is_refused(fp32: dict[str, Path]) -> None:
    case = _small(fp32, "demo-seg/demo-seg")
    coarsest = slice(-(_IMGSZ[0] // 32 * _IMGSZ[1] // 32), None)
    for rows, harm in ((slice(0, 4), lambda array: array + 3), (slice(4, 5), lambda array: array + 0.01)):
        found = [{name: each.copy() for name, each in answer.items()} for answer in case.expected]
        for answer in found:
            answer["output0"][:, rows, coarsest] = harm(answer["output0"][:, rows, coarsest])
        with pytest.raises(BuildError, match="output0"):
            case.check(found)


# End-to-end rows


def _rows(count: int = 300, seed: int = 0) -> np.ndarray:
    """Detections (1, count, 38) of five classes, best first, distinguished by their boxes."""
    generator = np.random.default_rng(seed)
    rows = generator.normal(size=(1, count, 38)).astype(np.float32)
    rows[..., :2] = generator.uniform(0, 500, (1, count, 2))
    rows[..., 2:4] = rows[..., :2] + generator.uniform(20, 120, (1, count, 2))
    rows[..., 4] = np.geomspace(0.95, 0.01, count)
    rows[..., 5] = generator.integers(0, 5, count)
    return rows


def _row_metrics(found: np.ndarray, expected: np.ndarray | None = None) -> dict[str, float]:
    from fastsam_engine.backends.tensorrt.plan_check.row_matching import compare_rows

    return compare_rows((_rows() if expected is None else expected)[0], found[0])


def test_near_ties_may_swap_their_ranks_and_fall_off_the_end() -> None:
    rows = _rows()
    found = rows[:, np.arange(300) ^ 1]  # each pair swapped
    found[0, -3:] = _rows(seed=1)[0, -3:]  # as unlikely, and others
    assert all(value <= BOUNDS[name].fp32 for name, value in _row_metrics(found).items())
    by_rank = abs(rows - found)[..., :4].max(axis=2)
    assert (by_rank > 10).mean() > 0.9  # which a comparison by rank would refuse


@pytest.mark.parametrize("lost", ["class", "row"])
def test_a_clear_detection_may_not_be_lost_or_invented(lost: str) -> None:
    rows = _rows()
    gone = rows[0, :, 5] == 2 if lost == "class" else np.arange(300) == 0
    rows[0, 0, 5] = 7  # the only one of its class
    kept = rows[:, ~gone]
    for expected, found in ((rows, kept), (kept, rows)):
        assert _row_metrics(found, expected)["missing_rows"] == 1


def test_rows_that_are_all_as_likely_are_compared_all_the_same() -> None:
    rows = _rows()
    rows[..., 4] = 0.01
    assert _row_metrics(rows, rows)["missing_rows"] == 0
    moved = rows.copy()
    moved[..., :4] += 3
    assert _row_metrics(moved, rows)["box_px"] == pytest.approx(3, abs=1e-3)
    renamed = rows.copy()
    renamed[..., 5] += 5
    assert _row_metrics(renamed, rows)["missing_rows"] == 1


def test_an_end_to_end_graph_passes_on_another_backend(fp32: dict[str, Path]) -> None:
    pytest.importorskip("openvino")
    case = _small(fp32, "yolo26/yolo26")
    session = open_session(case.graph, "openvino", "cpu", "fp32")
    case.check([session.run(each) for each in case.inputs])


# Real weights


@pytest.fixture(scope="session")
def yolov8n(shared: Path, export_extra: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """YOLOv8n-seg in fp32 and fp16, in one graph."""
    import shutil

    from fastsam_export import export_model

    weights = shutil.copy(shared / "models" / "yolov8n-seg.pt", tmp_path_factory.mktemp("weights"))
    folder = tmp_path_factory.mktemp("yolov8n")
    for precision in ("fp32", "fp16"):
        export_model("yolov8n", weights=weights, precision=precision, out=folder / precision, dense=True)
    return {precision: folder / precision / "yolov8n.onnx" for precision in ("fp32", "fp16")}


def test_what_a_user_would_see_of_real_weights_is_refused(yolov8n: dict[str, Path]) -> None:
    case = _case(yolov8n["fp32"])
    for precision in ("fp32", "fp16", "bf16", "int8"):
        assert not _accepted(case, precision)


@pytest.mark.parametrize("rounding", ["tf32", "bf16", "fp16"])
def test_rounding_of_real_weights_passes(yolov8n: dict[str, Path], rounding: Rounding, tmp_path: Path) -> None:
    case = _case(yolov8n["fp16" if rounding == "fp16" else "fp32"])
    case.check(case.rounded(tmp_path, rounding), precision="fp32" if rounding == "tf32" else rounding)


def test_the_samples_show_things_to_a_real_model(yolov8n: dict[str, Path]) -> None:
    case = _case(yolov8n["fp32"])
    first = case.expected[0]["output0"][0, 4:84].max(axis=1)
    for name in ("person", "cat", "cup"):  # in the first picture, since a plan of batch 1 may see no other
        assert first[case.spec.class_names.index(name)] > 0.5


# Samples


@pytest.mark.parametrize(("name", "part"), [("colours", ""), ("clip-colours", "image"), ("clip-colours", "text")])
def test_samples_fit_their_graph_and_are_the_same_every_time(name: str, part: str) -> None:
    graph = find_graph(name, part)
    session = open_session(graph, "onnxruntime")
    ranges = shape_ranges(session.spec, batch=(1, 3))
    runs = [list(sample_inputs(session.spec, ranges, tokens=9)) for _ in range(2)]
    rows = 0
    for first, again in zip(*runs, strict=True):
        assert all(np.isfinite(each).all() for each in session.run(first).values())
        for key, array in first.items():
            np.testing.assert_array_equal(array, again[key])
            rows += len(array)
    assert rows >= 4
    assert [each.shape for each in runs[0][-1].values()] == [each.largest for each in ranges.values()]


def test_sample_images_are_all_unlike() -> None:
    images = SampleImages()
    small = np.stack([images.image(index, 32, 48) for index in range(64)]).reshape(64, -1).astype(np.float32)
    apart = abs(small[:, None] - small).mean(axis=2) + 255 * np.eye(64)
    assert apart.min() > 2


def test_samples_need_little_more_memory_than_they_take() -> None:
    spec = colour_models.segmenter_spec()
    ranges = shape_ranges(
        dataclasses.replace(spec, input=dataclasses.replace(image_input(spec), height=640, width=640))
    )
    tracemalloc.start()
    try:
        largest = max(each.nbytes for inputs in sample_inputs(spec, ranges) for each in inputs.values())
        assert tracemalloc.get_traced_memory()[1] < 2 * largest
    finally:
        tracemalloc.stop()
