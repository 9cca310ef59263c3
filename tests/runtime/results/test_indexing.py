"""Indexing and iterating over a result: as a NumPy array, cheaply, and with clear errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from fastsam_trt import Pipeline, Result, Segment
from fastsam_trt.errors import SegmentIndexError, SegmentIndexTypeError
from fastsam_trt.segmentation.segments import Segments
from support.colour_models import scene
from support.made_results import CropMasks, hard_masks, made_result

MASKS = list(hard_masks().values())[:5]
N = len(MASKS)


@pytest.fixture
def result() -> Result:
    return made_result(
        MASKS,
        class_ids=[0, 1, 2, 1, 0],
        prompts=("a pet", "a bird"),
        prompt_ids=[0, -1, 1, 0, -1],
        similarities=[0.9, np.nan, 0.7, 0.6, np.nan],
        pending=(1,),
    )


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The indices that each call decodes."""
    calls: list[list[int]] = []
    real = CropMasks.decode

    def decode(self: CropMasks, indices: Any) -> Any:
        wanted = list(indices)
        calls.append(wanted)
        return real(self, wanted)

    monkeypatch.setattr(CropMasks, "decode", decode)
    return calls


@pytest.mark.parametrize("kind", [int, np.int64, np.int32, np.uint8])
def test_an_int_is_one_segment(result: Result, kind: Any) -> None:
    for row in range(N):
        segment = result[kind(row)]
        assert isinstance(segment, Segment)
        assert segment.index == row
        np.testing.assert_array_equal(segment.box, result.boxes[row])
    for row in range(-N, 0):
        if kind is not np.uint8:
            assert result[kind(row)].index == row + N


@pytest.mark.parametrize(
    "index",
    [
        slice(None), slice(1, 3), slice(-2, None), slice(None, None, -1), slice(4, 1, -2), slice(9, 99), slice(3, 1),
        [], [2], [4, 0], [-1, 0], [1, 1, 1], np.array([3, 1]), np.array([-5, 4], np.int8), np.array([], np.intp),
        np.array([0, 4], np.uint64), np.array([True, False, True, False, True]), [False] * N, [True] * N,
        np.zeros(N, np.bool_),
    ],
)  # fmt: skip
def test_several_rows_are_a_result_as_numpy_indexes(result: Result, index: Any) -> None:
    taken = result[index]
    rows = np.arange(N)[np.asarray(index, np.intp) if isinstance(index, list) and not index else index]
    assert isinstance(taken, Result)
    assert len(taken) == len(rows)
    for name in ("boxes", "scores", "class_ids", "prompt_ids", "similarities", "track_ids"):
        np.testing.assert_array_equal(getattr(taken, name), getattr(result, name)[rows])
    np.testing.assert_array_equal(taken.masks(), result.masks()[rows])
    assert taken.labels == [result.labels[row] for row in rows]
    assert [segment.score for segment in taken] == [result[row].score for row in rows]
    assert taken.frame is result.frame
    assert taken.prompts == result.prompts
    assert taken.pending.tolist() == [1]
    assert len(taken.segments) == N


def test_selections_by_score_class_and_label(result: Result) -> None:
    assert len(result[result.scores > 0.7]) == 2
    assert len(result[result.class_ids == 1]) == 2
    assert len(result[np.isin(result.class_ids, [0, 2])]) == 3
    assert result[[label == "dog" for label in result.labels]].labels == ["dog", "dog"]
    assert result[np.array(result.labels) == "dog"].labels == ["dog", "dog"]
    assert len(result[result.similarities > 0.65]) == 2
    assert result[result.scores > 0.55][result[result.scores > 0.55].class_ids == 1].labels == ["dog", "dog"]
    assert result[np.argsort(result.scores)].scores.tolist() == sorted(result.scores.tolist())
    assert result[result.scores.argmax()].index == 0


@pytest.mark.parametrize("row", [N, -N - 1, 99, np.int64(N)])
def test_a_row_that_is_not_there(result: Result, row: Any) -> None:
    with pytest.raises(SegmentIndexError, match=f"segments: expected rows from -{N} to {N - 1}, found row {row}"):
        result[row]
    with pytest.raises(SegmentIndexError, match=f"found row {row}"):
        result[[0, row]]
    with pytest.raises(IndexError):
        result[row]


@pytest.mark.parametrize("length", [0, N - 1, N + 1, 1])
def test_a_mask_of_another_length(result: Result, length: int) -> None:
    expected = f"segments: expected a mask of {N} values, one for each, found one of {length}"
    with pytest.raises(SegmentIndexError, match=expected):
        result[np.ones(length, np.bool_)]
    if length:
        with pytest.raises(SegmentIndexError, match=expected):
            result[[True] * length]


@pytest.mark.parametrize(
    ("index", "found"),
    [
        (True, "the bool True; to select by label, use a list of bool"),
        (np.False_, "the bool False; to select by label"),
        ("dog", "str 'dog'; to select by label"),
        (["dog"], "values of <U3; to select by label"),
        (None, "NoneType"),
        (1.0, "float"),
        ((0, 1), "tuple"),
        ([0.0, 1.0], "values of float64"),
        ([[0, 1]], r"an array of shape \(1, 2\)"),
        (np.array(1), r"an array of shape \(\)"),
        ([[1], [1, 2]], "list"),
        (np.ones((N, N), np.bool_), r"an array of shape \(5, 5\)"),
        ({0}, "set"),
        (range(2), "range"),
    ],
)
def test_other_indices_are_refused(result: Result, index: Any, found: str) -> None:
    with pytest.raises(SegmentIndexTypeError, match=f"segments: expected an int, a slice, .*found {found}"):
        result[index]
    with pytest.raises(TypeError):
        result[index]


def test_masks_of_other_libraries_are_read_as_arrays(result: Result) -> None:
    class Mask:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return np.array([True, False, True, False, False])

    index: Any = Mask()
    assert result[index].scores.tolist() == result.scores[[0, 2]].tolist()


def test_comparing_labels_with_a_text_is_an_error_and_not_a_row(result: Result) -> None:
    with pytest.raises(SegmentIndexTypeError, match=r"\[label == 'car' for label in result.labels\]"):
        result[result.labels == "dog"]


def test_a_result_without_segments() -> None:
    empty = made_result([])
    assert list(empty) == []
    for index in (slice(None), [], np.zeros(0, np.bool_), empty.scores > 0.5):
        taken = empty[index]
        assert len(taken) == 0
        assert taken.masks().shape == (0, 60, 80)
    for row in (0, -1):
        with pytest.raises(SegmentIndexError, match=f"expected no row, found row {row}, and nothing was selected"):
            empty[row]
    with pytest.raises(SegmentIndexError, match="expected no row, found row 0"):
        empty[[0]]


def test_iterating_yields_the_segments_in_order(result: Result) -> None:
    segments = list(result)
    assert [segment.index for segment in segments] == list(range(N))
    assert [segment.score for segment in reversed(result)] == result.scores.tolist()[::-1]
    first, *_, last = result
    assert (first.index, last.index) == (0, N - 1)
    for result_of_loop in (iter(result), iter(result)):  # each is a new iteration
        assert next(result_of_loop).index == 0


def test_nothing_is_decoded_before_a_mask_is_read(result: Result, decoded: list[list[int]]) -> None:
    segments = [*result, result[0], result[-1]]
    taken = result[result.scores > 0.6]
    for segment in [*segments, *taken]:
        _ = segment.box, segment.score, segment.label, segment.prompt, segment.similarity, repr(segment)
    _ = repr(result), repr(taken), result.to_dict(masks=False)
    assert decoded == []


def test_an_indexed_segment_decodes_its_mask_alone(result: Result, decoded: list[list[int]]) -> None:
    np.testing.assert_array_equal(result[2].mask, MASKS[2])
    assert decoded == [[2]]
    assert result.speed["decode"] > 0
    assert result.speed["total"] == pytest.approx(1 + result.speed["decode"])


def test_iterating_decodes_all_masks_together_and_once(result: Result, decoded: list[list[int]]) -> None:
    for segment, mask in zip(result, MASKS, strict=True):
        np.testing.assert_array_equal(segment.mask, mask)
        np.testing.assert_array_equal(segment.mask_crop.pixels, result.mask_crops()[segment.index].pixels)
    result[1:].masks()
    assert result[3].rle == result.rle()[3]
    assert decoded == [list(range(N))]


def test_selecting_from_a_result_decodes_what_it_needs(result: Result, decoded: list[list[int]]) -> None:
    taken = result[[3, 1]]
    assert taken.speed["decode"] == 0
    taken.masks()
    assert decoded == [[3, 1]]
    assert taken.speed["decode"] > 0
    assert result.speed["decode"] == 0


def test_no_mask_of_a_pipeline_is_decoded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pipeline("colours") as pipe:
        result = pipe(scene(("red", 1, 1), ("green", 1, 5), ("blue", 5, 1)))
    source = result.segments.masks._masks  # type: ignore[attr-defined]
    calls: list[int] = []
    real = type(source).decode
    monkeypatch.setattr(
        type(source), "decode", lambda self, indices: calls.extend(wanted := list(indices)) or real(self, wanted)
    )
    _ = result[1].mask, result[1:].masks(), [segment.mask for segment in result], result[::-1].masks()
    assert sorted(calls) == [0, 1, 2]


@pytest.mark.parametrize("act", [lambda each: pickle.loads(pickle.dumps(each)), copy.copy, copy.deepcopy])
def test_segments_and_selections_can_be_pickled_and_copied(result: Result, act: Any) -> None:
    for each, expected in ((act(result[[2, 0]]), [2, 0]), (act(result), [0, 1, 2, 3, 4])):
        np.testing.assert_array_equal(each.masks(), [MASKS[row] for row in expected])
        assert [segment.score for segment in each] == [result[row].score for row in expected]
    segment = act(result[2])
    assert segment.prompt == "a bird"
    np.testing.assert_array_equal(segment.mask, MASKS[2])


def test_a_subclass_and_its_fields_are_kept(result: Result) -> None:
    class Mine(Result):
        pass

    mine = Mine(result.frame, *result._found, class_names=("cat",) * 3, prompts=("x",) * 2, speed={})
    assert isinstance(mine[:2], Mine)
    assert isinstance(result[:2].segments, Segments)
