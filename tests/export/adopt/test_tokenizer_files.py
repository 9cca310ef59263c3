"""The tokenizer of a repository: padding, lower case, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, normalizers

from fastsam_export.adopt.repository import Repository
from fastsam_export.adopt.tokenizer_files import TokenizerFiles
from fastsam_export.errors import AdoptionError
from support import hub_colours


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    hub_colours.save_clip(tmp_path)
    return tmp_path


def _files(folder: Path) -> TokenizerFiles:
    return TokenizerFiles(Repository(folder, "fp32", {}, {}))


def test_padding_comes_from_any_of_the_settings(folder: Path) -> None:
    assert _files(folder).input("input_ids", 16).pad_id == 0
    hub_colours.change_json(folder, "tokenizer_config.json", pad_token=None)
    hub_colours.write_json(folder, "special_tokens_map.json", {"pad_token": {"content": "[UNK]"}})
    assert _files(folder).input("input_ids", 16).pad_id == 3
    (folder / "special_tokens_map.json").unlink()
    with pytest.raises(AdoptionError, match=r"expected a pad_token in tokenizer_config.json, found none"):
        _files(folder).input("input_ids", 16)
    padded = Tokenizer.from_file(str(folder / "tokenizer.json"))
    padded.enable_padding(pad_id=2, length=16)
    padded.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").unlink()
    assert _files(folder).input("input_ids", 16).pad_id == 2


def test_examples_have_the_length_and_padding_of_the_spec(folder: Path) -> None:
    tokenizer = _files(folder)
    ids = tokenizer.examples(tokenizer.input("input_ids", 16))
    assert ids.shape == (6, 16)
    assert (ids[-1] != 0).all()  # the long text is truncated
    assert ids[-2].tolist() == [1, 2] + [0] * 14  # the empty one
    tokenizer.save(folder / "saved.json")
    saved = Tokenizer.from_file(str(folder / "saved.json"))
    assert saved.padding is saved.truncation is None


@pytest.mark.parametrize("normalizer", [None, normalizers.NFC(), normalizers.Lowercase()])
def test_texts_are_lowered_once(folder: Path, normalizer: normalizers.Normalizer | None) -> None:
    made = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if normalizer is not None:
        made.normalizer = normalizer
    made.save(str(folder / "tokenizer.json"))
    plain, lowered = _files(folder), _files(folder)
    lowered.lowercase()
    for tokenizer, name in ((plain, "plain.json"), (lowered, "lowered.json")):
        tokenizer.save(folder / name)
    expected = Tokenizer.from_file(str(folder / "plain.json")).encode("a red shape").ids
    assert Tokenizer.from_file(str(folder / "lowered.json")).encode("A Red SHAPE").ids == expected
    assert (folder / "lowered.json").read_text().count("Lowercase") == 1


def test_what_the_runtime_cannot_do_is_refused(folder: Path) -> None:
    hub_colours.change_json(folder, "tokenizer_config.json", padding_side="left")
    with pytest.raises(AdoptionError, match="expected texts padded on the right, found left"):
        _files(folder)
    hub_colours.change_json(folder, "tokenizer_config.json", padding_side="right", pad_token="[NONE]")
    with pytest.raises(AdoptionError, match=r"expected the pad_token '\[NONE\]' in its vocabulary, found none"):
        _files(folder).input("input_ids", 16)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(AdoptionError, match="expected a tokenizer, found"):
        _files(folder)
