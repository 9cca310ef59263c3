"""Results as `supervision.Detections`."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fastsam_engine.errors import PackagesMissingError
from fastsam_engine.packages import owners
from fastsam_trt import Pipeline
from fastsam_trt.results.result import Result
from support.colour_models import scene
from support.made_results import hard_masks, made_result

MASKS = [hard_masks()[name] for name in ("disc", "ring", "one pixel", "nothing")]


def _made(**given: object) -> Result:
    return made_result(
        MASKS,
        class_ids=[0, 2, 1, 0],
        prompts=("a cat", "a bird"),
        prompt_ids=[0, 1, -1, 0],
        similarities=[0.9, 0.8, np.nan, 0.7],
        **given,
    )


def test_all_fields_are_converted() -> None:
    sv = pytest.importorskip("supervision")
    result = _made()
    found = result.to_supervision()
    assert isinstance(found, sv.Detections)
    np.testing.assert_array_equal(found.xyxy, result.boxes)
    np.testing.assert_array_equal(found.mask, MASKS)
    np.testing.assert_array_equal(found.confidence, result.scores)
    assert found.class_id.tolist() == [0, 2, 1, 0]
    assert found.tracker_id is None
    assert found["class_name"].tolist() == ["cat", "bird", "dog", "cat"]
    assert found["prompt"].tolist() == ["a cat", "a bird", "", "a cat"]
    np.testing.assert_array_equal(found["similarity"], result.similarities)


def test_supervision_uses_the_detections() -> None:
    sv = pytest.importorskip("supervision")
    found = _made().to_supervision()
    cats = found[found["prompt"] == "a cat"]
    assert len(cats) == 2
    assert cats["similarity"].tolist() == pytest.approx([0.9, 0.7])
    assert found.area.tolist() == [mask.sum() for mask in MASKS]
    merged = sv.Detections.merge([cats, made_result([]).to_supervision(), found])
    assert len(merged) == 6
    image = sv.MaskAnnotator().annotate(np.zeros((60, 80, 3), np.uint8), found)
    assert image[MASKS[0]].any(axis=1).all()
    assert sv.LabelAnnotator().annotate(image, found).shape == (60, 80, 3)


def test_tracks(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("supervision")
    monkeypatch.setattr(Result, "track_ids", np.array([4, -1, 2, -1], np.int32))
    assert _made().to_supervision().tracker_id.tolist() == [4, -1, 2, -1]


@pytest.mark.parametrize(("class_names", "expected"), [(("object",), "object"), ((), "")])
def test_models_of_one_class_and_of_none(class_names: tuple[str, ...], expected: str) -> None:
    pytest.importorskip("supervision")
    found = made_result(MASKS, class_names=class_names).to_supervision()
    assert found["class_name"].tolist() == [expected] * 4


def test_nothing_selected() -> None:
    pytest.importorskip("supervision")
    found = made_result([]).to_supervision()
    assert found.is_empty()
    assert found.mask.shape == (0, 60, 80)
    assert found["class_name"].dtype.kind == found["prompt"].dtype.kind == "U"


def test_detections_of_a_pipeline() -> None:
    pytest.importorskip("supervision")
    result = Pipeline("colours", prompts=["green"])(scene(("red", 1, 1), ("green", 5, 5)))
    found = result.to_supervision()
    assert found["class_name"].tolist() == found["prompt"].tolist() == ["green"]
    np.testing.assert_array_equal(found.mask, result.masks())


def test_supervision_installs_no_second_opencv() -> None:
    pytest.importorskip("supervision")
    assert len(owners("cv2")) == 1


@pytest.mark.parametrize("absent", ["supervision", "scipy"])
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in ("supervision", absent)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(PackagesMissingError, match=r"pip install 'fastsam-trt\[supervision\]'") as caught:
        made_result([]).to_supervision()
    assert f"expected {absent}" in str(caught.value)
