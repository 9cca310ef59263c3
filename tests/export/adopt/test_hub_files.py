"""Which files of a repository an adoption needs."""

from __future__ import annotations

import pytest

from fastsam_export.adopt.hub_files import wanted_files
from fastsam_export.errors import AdoptionError

SETTINGS = ("config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json")
GRAPHS = [
    f"onnx/{name}{suffix}.onnx"
    for name in ("model", "vision_model", "text_model")
    for suffix in ("", "_fp16", "_quantized", "_q4", "_bnb4")
]
OTHERS = ["README.md", "model.safetensors", ".gitattributes", "tokenizer.model"]


def test_the_whole_model_comes_before_its_towers() -> None:
    every = [*OTHERS, *SETTINGS, *GRAPHS]
    assert wanted_files(every) == ("onnx/model.onnx", *SETTINGS)
    assert wanted_files(every, "fp16") == ("onnx/model_fp16.onnx", *SETTINGS)
    assert wanted_files(every, "int8") == ("onnx/model_quantized.onnx", *SETTINGS)
    apart = [name for name in every if not name.startswith("onnx/model")]
    towers = "onnx/vision_model_quantized.onnx", "onnx/text_model_quantized.onnx"
    assert wanted_files(apart, "int8") == (*towers, *SETTINGS)


def test_weights_outside_a_graph_come_with_it() -> None:
    names = ["onnx/model.onnx", "onnx/model.onnx_data", "onnx/model_fp16.onnx", "config.json"]
    assert wanted_files(names) == ("onnx/model.onnx", "onnx/model.onnx_data", "config.json")
    assert wanted_files(names, "fp16") == ("onnx/model_fp16.onnx", "config.json")


def test_one_file_alone_is_taken_and_of_several_the_chosen_one() -> None:
    assert wanted_files(["README.md", "FastSAM-s.onnx"]) == ("FastSAM-s.onnx",)
    several = ["a.onnx", "b.onnx", "README.md"]
    assert wanted_files(several, file="b.onnx") == ("b.onnx",)
    with pytest.raises(AdoptionError, match=r"onnx/model.onnx: expected it in the repository, found a.onnx, b.onnx"):
        wanted_files(several)
    with pytest.raises(AdoptionError, match=r"c.onnx: expected it in the repository, found a.onnx, b.onnx"):
        wanted_files(several, file="c.onnx")


@pytest.mark.parametrize("names", [[], ["README.md", "model.safetensors"]])
def test_a_repository_without_onnx_is_refused(names: list[str]) -> None:
    with pytest.raises(AdoptionError, match="found no ONNX file; choose another precision or file"):
        wanted_files(names)


def test_a_precision_that_is_missing_is_named() -> None:
    with pytest.raises(AdoptionError, match=r"onnx/model_fp16.onnx: expected it .*, found onnx/model.onnx"):
        wanted_files(["onnx/model.onnx", "config.json"], "fp16")
