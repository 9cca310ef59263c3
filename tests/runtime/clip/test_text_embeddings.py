"""TextEmbeddings: computed once, cached in memory and on disk, and computed again if a cached file is broken."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from fastsam_engine import find_graph, open_session, read_spec
from fastsam_engine.errors import ModelFileError
from fastsam_trt.clip import text_embeddings
from fastsam_trt.clip.model import Clip
from fastsam_trt.clip.tokenizer import TextTokenizer
from support.typed import token_input

TEMPLATES = ("a photo of a {}.", "{}")


def test_an_embedding_is_the_normalised_mean_over_templates() -> None:
    clip = Clip("clip-colours")
    found = clip.text.embed(["red", "blue"], TEMPLATES)
    graph = find_graph("clip-colours", "text")
    tower = open_session(graph)
    tokenizer = TextTokenizer(graph.with_name("tokenizer.json"), token_input(read_spec(graph)))
    for row, prompt in zip(found, ("red", "blue"), strict=True):
        texts = [template.replace("{}", prompt) for template in TEMPLATES]
        mean = tower.run({"input_ids": tokenizer.tokenize(texts)})["text_embeds"].mean(axis=0)
        np.testing.assert_allclose(row, mean / np.linalg.norm(mean), atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_the_tower_runs_once_for_new_prompts_and_never_for_old_ones() -> None:
    text = Clip("clip-colours").text
    first = text.embed(["red", "blue", "red"], TEMPLATES)
    assert text.tower_runs == 1
    np.testing.assert_array_equal(first[0], first[2])
    text.embed(["blue", "red"], TEMPLATES)
    assert text.tower_runs == 1
    text.embed(["blue", "green"], TEMPLATES)
    assert text.tower_runs == 2
    text.embed(["blue"], ("{}",))  # other templates give other embeddings
    assert text.tower_runs == 3


def test_a_second_process_loads_embeddings_from_disk(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Clip("clip-colours").text.embed(["red", "naïve \U0001f600"], TEMPLATES)
    again = Clip("clip-colours").text
    monkeypatch.setattr(again, "_open_tower", lambda: pytest.fail("the text tower was opened"))
    np.testing.assert_array_equal(again.embed(["red", "naïve \U0001f600"], TEMPLATES), expected)
    assert again.tower_runs == 0


def test_another_model_file_has_other_embeddings(home: Path) -> None:
    Clip("clip-colours").text.embed(["red"], TEMPLATES)
    graph = find_graph("clip-colours", "text")
    graph.write_bytes(graph.read_bytes() + b"\x12\x00")  # adds an empty producer_name: the same graph in another file
    text = Clip("clip-colours").text
    text.embed(["red"], TEMPLATES)
    assert text.tower_runs == 1


@pytest.mark.parametrize("content", [b"", b"rubbish", b"\x93NUMPY\x01\x00"])
def test_a_broken_file_is_replaced(home: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    expected = Clip("clip-colours").text.embed(["red"], TEMPLATES)
    (file,) = (home / "text-features").glob("*")
    file.write_bytes(content)
    text = Clip("clip-colours").text
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(text.embed(["red"], TEMPLATES), expected)
    assert text.tower_runs == 1
    assert "can't be read" in caplog.text
    np.testing.assert_array_equal(np.load(file), expected[0])


def test_an_unwritable_cache_is_only_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    text = Clip("clip-colours", cache=blocked / "features").text
    with caplog.at_level(logging.WARNING):
        assert text.embed(["red"], TEMPLATES).shape == (1, 4)
    assert "can't be cached" in caplog.text


def test_truncated_texts_keep_their_last_token() -> None:
    graph = find_graph("clip-colours", "text")
    tokenizer = TextTokenizer(graph.with_name("tokenizer.json"), token_input(read_spec(graph)))
    ids = tokenizer.tokenize(["red " * 200, "", "red"])
    assert ids.dtype == np.int64
    assert ids[0].tolist() == [1, *[4] * 14, 2]
    assert ids[1].tolist() == [1, 2, *[0] * 14]
    assert ids[2].tolist() == [1, 4, 2, *[0] * 13]


def test_a_missing_or_broken_tokenizer_is_an_error(home: Path) -> None:
    file = find_graph("clip-colours", "image").with_name("tokenizer.json")
    file.write_text("{}")
    with pytest.raises(ModelFileError, match="expected a tokenizer"):
        Clip("clip-colours")
    file.unlink()
    with pytest.raises(ModelFileError, match="expected the CLIP model's tokenizer, found no file"):
        Clip("clip-colours")


def test_a_text_that_is_too_long_is_a_warning_in_every_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    for _ in range(2):  # the second run loads it from disk
        caplog.clear()
        Clip("clip-colours").text.embed(["red " * 30, "blue"], TEMPLATES)
        (warning,) = caplog.records
        assert (
            "CLIP reads only the first 16 tokens of a text; this one is longer: 'a photo of a red red"
            in warning.message
        )
    caplog.clear()
    Clip("clip-colours").text.embed(["red " * 5], TEMPLATES)
    assert not caplog.records


def test_memory_keeps_the_newest_and_answers_do_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_embeddings, "_MOST_IN_MEMORY", 3)
    text = Clip("clip-colours").text
    prompts = [f"red {number}" for number in range(8)]
    together = text.embed(prompts, TEMPLATES)  # more than are kept
    assert len(text._memory) == 3
    assert text.tower_runs == 1
    for prompt, expected in zip(prompts, together, strict=True):
        np.testing.assert_array_equal(text.embed([prompt], TEMPLATES)[0], expected)
        assert len(text._memory) == 3
    assert text.tower_runs == 1  # the others came from the disk


def test_the_oldest_files_are_removed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_embeddings, "_MOST_ON_DISK", 8)
    monkeypatch.setattr(text_embeddings, "_PRUNED_EVERY", 2)
    text = Clip("clip-colours").text
    for number in range(20):
        text.embed([f"blue {number}"], TEMPLATES)
        files = list(text._folder.glob("*.npy"))
        assert len(files) <= 10
    assert text._file("blue 19", TEMPLATES) in files
    assert text._file("blue 0", TEMPLATES) not in files
