"""The package is typed: a user's script that claims a type for everything passes `mypy --strict`, and runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from support import typed_script
from support.colour_models import scene

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(typed_script.__file__)
FRAME = scene(("red", 1, 1), ("green", 5, 5))


def test_mypy_finds_the_types_that_a_script_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """With mypy's own defaults, as a user runs it, not with this project's settings."""
    api = pytest.importorskip("mypy.api", reason="mypy is not installed")
    monkeypatch.setenv("MYPYPATH", os.pathsep.join(str(ROOT / wing) for wing in ("engine", "runtime")))
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    text = SCRIPT.read_text(encoding="utf-8")
    right.write_text(text, encoding="utf-8")
    claim = "assert_type(result[:1], Result)"
    assert claim in text
    wrong.write_text(text.replace(claim, "assert_type(result[:1], Segment)"), encoding="utf-8")
    cache = str(pytestconfig.cache.mkdir("mypy")) if pytestconfig.cache else str(tmp_path / "cache")
    found, trouble, _ = api.run(
        ["--strict", "--config-file=", "--follow-imports=silent", f"--cache-dir={cache}", str(right), str(wrong)]
    )
    assert trouble == ""
    lines = [line for line in found.splitlines() if "error:" in line]
    assert len(lines) == 1, found  # in all of both files
    assert "wrong.py" in lines[0]
    assert "Expression is of type" in lines[0]


def test_the_script_runs(tmp_path: Path, write_video: Callable[[Path, list[np.ndarray]], Path]) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), FRAME)
    video = write_video(tmp_path / "clip.mp4", [FRAME] * 2)
    assert "found a video; iterate over pipeline.stream(" in typed_script.main("colours", photo, video)
