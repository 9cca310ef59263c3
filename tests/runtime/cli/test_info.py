"""`info` says how models that were cut into parts compute."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from fastsam_trt.cli.main import main
from fastsam_trt.cli.text_table import table
from fastsam_trt.sparse import crossing
from support import sparse_models


@pytest.mark.parametrize(("kind", "without_nms"), [("nms", 0), ("end2end", 1)])
def test_the_table_says_what_is_computed_and_has_no_lists_of_axes(
    kind: str, without_nms: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, trunk = sparse_models.save(tmp_path, kind)
    assert main(["info", str(trunk.parent)]) == 0
    text = capsys.readouterr().out
    assert " ".join(text.split()).count(crossing.rule(2)) == 1  # of the heads
    assert text.count("\nNMS ") == without_nms
    assert re.search(r"\ninput cells_8 +int64 \(k8 y8 x8\)\n", text)
    assert "\naxis " not in text


def test_json_has_the_axes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, trunk = sparse_models.save(tmp_path, "one-class")
    assert main(["info", str(trunk.parent), "--json"]) == 0
    specs = [json.loads(line)["spec"] for line in capsys.readouterr().out.splitlines()]
    lengths = {spec["task"]: spec["input"].get("axes", {}).get("k8") for spec in specs}
    assert sorted(lengths) == ["heads", "masks", "segment"]
    assert lengths["segment"] is None
    assert lengths["heads"] == lengths["masks"]
    assert lengths["heads"][0] == 1


@pytest.mark.parametrize("columns", [None, 60])
@pytest.mark.parametrize("model", ["demo-seg", "demo-clip"])
def test_tables_fit_the_terminal_and_100_columns(
    model: str, columns: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns or 200))
    assert main(["info", model]) == 0
    wide = [line for line in capsys.readouterr().out.splitlines() if len(line) > (columns or 100)]
    assert all(" MB)" in line or len(line.split()) <= 3 for line in wide)  # paths and hashes stay whole
    assert columns or all(" MB)" in line for line in wide)


def test_what_the_graphs_share_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "demo-seg"]) == 0
    text = capsys.readouterr().out
    files = re.findall(r"^/.*/(\S+) \(\S+ MB\)$", text, re.MULTILINE)
    assert files[0] == "demo-seg.onnx"
    assert sorted(files[1:]) == [f"demo-seg.{part}.onnx" for part in ("decode", "heads", "masks", "preprocess")]
    assert text.count("precision ") == 1
    assert "\nas in demo-seg.onnx: name, family, " in text
    assert len(re.findall("^name ", text, re.MULTILINE)) == 1


def test_a_value_is_shown_beside_its_bound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "demo-clip"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"^parity max_abs_level_unaveraged +1, at most 2\.001$", text, re.MULTILINE)
    assert re.search(r"^parity min_cosine +1, at least 0\.9999$", text, re.MULTILINE)


def test_cells_are_wrapped_at_spaces_and_words_stay_whole() -> None:
    word = "x" * 40
    assert table(("a", "b"), [("one", f"1 2 {word} 3"), ("two", "")], width=30).splitlines() == [
        "a    b",
        f"---  {'-' * 40}",
        "one  1 2",
        f"     {word}",
        "     3",
        "two",
    ]
