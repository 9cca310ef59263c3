"""The photo that comes with the package: small, whole, and the same on every machine."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_trt import open_source
from fastsam_trt.errors import SourceUnreadableError
from fastsam_trt.sources.demo_photo import FILE, DemoPhoto
from support.typed import picture

ORIGINAL = Path(__file__).resolve().parents[3] / "docs" / "images" / "chelsea.png"


@pytest.mark.parametrize("name", ["demo-photo", "demo://photo"])
def test_the_photo_is_the_cat(name: str) -> None:
    with open_source(name) as source:
        assert (source.kind, source.frames, source.fps, source.files) == ("images", 1, None, ())
        (frame,) = source
    assert (frame.source, frame.index, frame.media_s) == ("demo-photo", 0, None)
    assert cv2.PSNR(frame.image, picture(ORIGINAL)) > 36


def test_the_photo_is_small_and_its_licence_is_beside_it() -> None:
    assert 30_000 < FILE.stat().st_size < 60_000
    text = (FILE.parent / "README.md").read_text()
    assert FILE.name in text
    assert "CC0" in text
    assert "van der Walt" in text


def test_a_stopped_source_has_no_photo() -> None:
    source = DemoPhoto()
    source.stop()
    assert not list(source)


def test_a_package_without_its_photo_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadableError, match=r"found no file .*chelsea\.jpg; run: pip install"):
        DemoPhoto(tmp_path / "chelsea.jpg")
    (tmp_path / "cut.jpg").write_bytes(FILE.read_bytes()[:2000])
    with pytest.raises(SourceUnreadableError, match="cut short"):
        list(DemoPhoto(tmp_path / "cut.jpg"))


def test_paths_of_that_name_are_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("x.png", np.zeros((4, 5, 3), np.uint8))
    Path("x.png").rename("demo-photo")
    for name in (Path("demo-photo"), "./demo-photo"):
        with open_source(name) as source:
            assert next(iter(source)).image.shape == (4, 5, 3)
