"""What a pipeline says of itself."""

from __future__ import annotations

import pytest

from fastsam_trt import Pipeline
from fastsam_trt.prompts.prompt_set import PromptSet


def test_a_pipeline_says_what_runs_where_and_what_it_selects() -> None:
    pipe = Pipeline("colours", backend="onnxruntime", device="cpu", prompts=["red", "blue"])
    assert repr(pipe) == "<Pipeline colours on onnxruntime, cpu, fp32; selects 'red', 'blue'>"
    pipe.prompts, pipe.excluded = [], ["green"]
    assert repr(pipe).endswith("; selects everything, not 'green'>")
    pipe.close()
    assert repr(pipe).endswith("; closed>")


def test_an_open_clip_is_named() -> None:
    with Pipeline("things", clip="clip-colours", prompts=["a red shape"], backend="onnxruntime") as pipe:
        expected = "<Pipeline things on onnxruntime, cpu, fp32; clip clip-colours; selects 'a red shape'>"
        assert repr(pipe) == expected


def test_a_pipeline_that_did_not_open_has_a_repr() -> None:
    assert repr(Pipeline.__new__(Pipeline)) == "<Pipeline that failed to open>"


@pytest.mark.parametrize(
    ("prompts", "text"),
    [
        ({}, "everything"),
        ({"prompts": ["it's"]}, '"it\'s"'),
        ({"boxes": [[0, 0, 9, 9]]}, "1 box"),
        ({"boxes": [[0, 0, 9, 9]] * 2, "prompts": ["a"]}, "'a', 2 boxes"),
        ({"points": [[1, 1], [2, 2], [3, 3]], "point_labels": [1, 0, 1]}, "2 points, 1 background point"),
        ({"points": [[1, 1], [2, 2]], "point_labels": [0, 0]}, "everything, 2 background points"),
        ({"prompts": ["a"], "excluded": ["b", "c"]}, "'a', not 'b', not 'c'"),
    ],
)
def test_a_prompt_set_in_a_few_words(prompts: dict[str, object], text: str) -> None:
    assert str(PromptSet().with_changes(**prompts)) == text  # type: ignore[arg-type]
