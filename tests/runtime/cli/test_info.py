"""`info` says how models that were cut into parts compute."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from fastsam_trt.cli.main import main
from fastsam_trt.sparse import crossing
from support import sparse_models


@pytest.mark.parametrize(("kind", "without_nms"), [("nms", 0), ("end2end", 1)])
def test_the_table_says_what_is_computed_and_has_no_lists_of_axes(
    kind: str, without_nms: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, trunk = sparse_models.save(tmp_path, kind)
    assert main(["info", str(trunk.parent)]) == 0
    text = capsys.readouterr().out
    assert text.count(crossing.rule(2)) == 1  # of the heads
    assert text.count("\nNMS ") == without_nms
    assert "input.layouts" in text
    assert "input.axes" not in text


def test_json_has_the_axes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, trunk = sparse_models.save(tmp_path, "one-class")
    assert main(["info", str(trunk.parent), "--json"]) == 0
    specs = [json.loads(line)["spec"] for line in capsys.readouterr().out.splitlines()]
    lengths = {spec["task"]: spec["input"].get("axes", {}).get("k8") for spec in specs}
    assert sorted(lengths) == ["heads", "masks", "segment"]
    assert lengths["segment"] is None
    assert lengths["heads"] == lengths["masks"]
    assert lengths["heads"][0] == 1
