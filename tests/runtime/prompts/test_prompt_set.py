"""PromptSet: changed copies are checked, and the original stays as it is."""

from __future__ import annotations

import pytest

from fastsam_trt.errors import PromptError
from fastsam_trt.prompts.prompt_set import PromptSet

BOX = [0.0, 0.0, 9.0, 9.0]


def test_a_change_replaces_only_what_is_given() -> None:
    before = PromptSet().with_changes(prompts=[" a  cat "], boxes=[BOX], points=[[1, 2]], point_labels=[0])
    after = before.with_changes(excluded="dog", boxes=[])
    assert (before.prompts, before.excluded, before.boxes.tolist()) == (("a cat",), (), [BOX])
    assert (after.prompts, after.excluded, after.boxes.tolist()) == (("a cat",), ("dog",), [])
    assert (after.points.tolist(), after.point_labels.tolist(), after.labels_given) == ([[1, 2]], [0], True)


def test_new_points_without_labels_are_foreground() -> None:
    before = PromptSet().with_changes(points=[[1, 2]], point_labels=[0])
    after = before.with_changes(points=[[3, 4]])
    assert (after.point_labels.tolist(), after.labels_given) == ([1], False)


def test_labels_without_points_belong_to_the_points_there_are() -> None:
    after = PromptSet().with_changes(points=[[1, 2], [3, 4]]).with_changes(point_labels=[0, 1])
    assert (after.points.tolist(), after.point_labels.tolist()) == ([[1, 2], [3, 4]], [0, 1])


def test_replaced_points_keep_labels_that_were_given() -> None:
    labelled = PromptSet().with_changes(points=[[1, 2]], point_labels=[0])
    assert labelled.with_points([[3, 4]]).point_labels.tolist() == [0]
    assert labelled.with_points(None).point_labels.tolist() == []
    with pytest.raises(PromptError, match="expected one per point, found 1 labels for 2 points"):
        labelled.with_points([[3, 4], [5, 6]])
    plain = PromptSet().with_changes(points=[[1, 2]])
    assert plain.with_points([[3, 4], [5, 6]]).point_labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    "change", [{"prompts": [" "]}, {"excluded": [3]}, {"boxes": [[1, 2, 3]]}, {"point_labels": [1]}]
)
def test_an_invalid_change_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(PromptError):
        PromptSet().with_changes(**change)  # type: ignore[arg-type]
