"""Cut-out and mask files: pixels, names, and no file overwritten."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_engine.errors import OutputError
from fastsam_trt.results.result import Result
from fastsam_trt.sinks import CutoutSink, MaskSink
from fastsam_trt.sinks.frame_names import FrameNames, bounded, slug
from fastsam_trt.sources import Frame, Kind
from support.made_results import HEIGHT, WIDTH, hard_masks, made_result

MASKS = hard_masks()


def _coloured(result: Result) -> Result:
    result.frame[:] = np.random.default_rng(0).integers(0, 256, result.frame.shape, np.uint8)
    return result


def _write(folder: Path, kind: Kind, frames: list[tuple[str, int, Result]], sink: type = MaskSink) -> list[str]:
    with sink(folder, FrameNames(kind)) as writer:
        for source, index, result in frames:
            writer.write(Frame(result.frame, index, source, media_s=1.0 if source.endswith(".mp4") else None), result)
    return sorted(path.name for path in folder.iterdir())


def test_cutouts_have_the_frames_pixels_inside_the_mask() -> None:
    result = _coloured(made_result(list(MASKS.values())))
    for crop, image in zip(result.mask_crops(), result.cutouts(), strict=True):
        height, width = crop.pixels.shape
        assert image.shape == (height, width, 4)
        assert image.dtype == np.uint8
        region = result.frame[crop.top : crop.top + height, crop.left : crop.left + width]
        np.testing.assert_array_equal(image[..., :3], region * crop.pixels[..., None])
        np.testing.assert_array_equal(image[..., 3], crop.pixels * 255)


def test_cutout_and_mask_files(tmp_path: Path) -> None:
    names = ["ring", "nothing", "first corner"]
    result = _coloured(made_result([MASKS[name] for name in names], class_ids=[0, 1, 2]))
    assert _write(tmp_path / "cutouts", "images", [("in/photo.jpg", 5, result)], CutoutSink) == [
        "photo-00-cat.png", "photo-02-bird.png"
    ]  # fmt: skip
    cut = cv2.imread(str(tmp_path / "cutouts" / "photo-00-cat.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(cut, result.cutouts()[0])
    found = _write(tmp_path / "masks", "images", [("in/photo.jpg", 5, result)])
    assert found == ["photo-00-cat.png", "photo-01-dog.png", "photo-02-bird.png"]
    for file, name in zip(found, names, strict=True):
        mask = cv2.imread(str(tmp_path / "masks" / file), cv2.IMREAD_UNCHANGED)
        assert mask.shape == (HEIGHT, WIDTH)
        np.testing.assert_array_equal(mask, MASKS[name] * np.uint8(255))


def test_no_file_overwrites_another(tmp_path: Path) -> None:
    result = made_result([MASKS["disc"]] * 2)
    frames = [(source, index, result) for index, source in enumerate(
        ("a/cat.jpg", "b/cat.png", "b/CAT.png", "cat-2.png", "c/clip.mp4", "scan.tif", "scan.tif#2"))]  # fmt: skip
    stems = ["cat", "cat-2", "CAT-3", "cat-2-2", "clip-000004", "scan", "scan-2"]
    expected = sorted(f"{stem}-0{index}-cat.png" for stem in stems for index in (0, 1))
    assert _write(tmp_path / "images", "images", frames) == expected
    frames = [("clip.mp4", index, result) for index in (0, 12, 1_000_000)]
    found = _write(tmp_path / "video", "video", frames)
    assert found == sorted(f"clip-{number}-0{k}-cat.png" for number in ("000000", "000012", "1000000") for k in (0, 1))


@pytest.mark.parametrize(("source", "stem"), [
    ("cam0", "cam0"),
    ("/dev/video0", "video0"),
    ("rtsp://me:secret@10.0.0.8:554/live/stream1?token=x", "stream1"),
    ("rtsp://me:secret@10.0.0.8:554", "10-0-0-8-554"),
    ("HTTP://host/a%20b*.mp4", "a-20b"),
    ("-", "stdin"),
    ("pipe:0", "stdin"),
    ("pipe:3", "3"),
    ("file:///in/my%20clip.mp4", "my clip"),
])  # fmt: skip
def test_cameras_and_streams(tmp_path: Path, source: str, stem: str) -> None:
    assert _write(tmp_path / "out", "live", [(source, 7, made_result([MASKS["disc"]]))]) == [
        f"{stem}-000007-00-cat.png"
    ]


@pytest.mark.parametrize(("text", "expected"), [
    ("a red/blue car", "a-red-blue-car"),
    ("../../etc/passwd", "etc-passwd"),
    ("Gr\u00fcne T\u00fcr", "grune-tur"),
    ("\u732b", "\u732b"),
    ("???", ""),
    ("a\nb\x00c\\d:e", "a-b-c-d-e"),
    ("\ud83d", ""),
    ("x" * 500, "x" * 40),
    ("\u732b" * 500, "\u732b" * 13),
])  # fmt: skip
def test_slugs(text: str, expected: str) -> None:
    assert slug(text) == expected


def test_long_names_are_cut(tmp_path: Path) -> None:
    prompts = ("\u732b" * 300,)
    result = made_result(
        [MASKS["disc"]] * 2, class_names=("object",), class_agnostic=True, prompts=prompts, prompt_ids=[0, -1]
    )
    source = "\u732b" * 83 + ".jpg"
    found = _write(tmp_path / "out", "images", [(f"a/{source}", 0, result), (f"b/{source}", 1, result)])
    assert len(found) == 4
    assert all(len(os.fsencode(name)) < 240 for name in found)
    assert sum(name.endswith("-01-object.png") for name in found) == 2
    assert bounded("\u732b" * 3, 7) == "\u732b" * 2


def test_unwritable_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for sink in (CutoutSink, MaskSink):
        with pytest.raises(OutputError, match="expected a folder"):
            sink(tmp_path / "file", FrameNames("video"))
