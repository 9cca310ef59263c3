"""Results: pending segments, names to show, and old names that still work with a warning."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fastsam_trt.results.result import Result
from support.made_results import hard_masks, made_result

MASKS = list(hard_masks().values())[:3]


def test_pending_segments_are_indices_and_their_tracks_are_ids() -> None:
    made = made_result(MASKS, pending=(2, 0))
    tracked = replace(made.segments, track_ids=np.array([7, 8, 9], np.int32))
    result = Result(made.frame, tracked, made.selection, class_names=made.class_names, prompts=made.prompts, speed={})
    assert result.pending.tolist() == [2, 0]
    assert result.pending_tracks.tolist() == [9, 7]
    assert result.pending_tracks.dtype == np.int32


def test_a_segment_is_shown_by_its_prompt_or_else_by_its_label() -> None:
    result = made_result(MASKS, class_ids=[0, 1, 2], prompts=("a pet",), prompt_ids=[0, -1, 0])
    assert result.display_names == ["a pet", "dog", "a pet"]


def test_crops_is_the_deprecated_name_of_mask_crops() -> None:
    result = made_result(MASKS)
    with pytest.warns(DeprecationWarning, match=r"Result\.crops\(\) is now Result\.mask_crops\(\)") as caught:
        crops = result.crops()
    assert caught[0].filename == __file__
    assert crops is result.mask_crops()


def test_embedded_is_the_deprecated_name_of_crops_embedded() -> None:
    result = made_result(MASKS)
    result.crops_embedded = 5
    with pytest.warns(DeprecationWarning, match=r"Result\.embedded is now Result\.crops_embedded") as caught:
        assert result.embedded == 5
    assert caught[0].filename == __file__
