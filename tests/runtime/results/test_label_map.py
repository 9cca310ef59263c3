"""Label maps: painted from masks, written as PNG that Pillow and OpenCV read back."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fastsam_engine.errors import OutputError
from fastsam_trt.results.label_map import encode, instance_map, label_map, save, voc_palette
from fastsam_trt.results.palette_png import encode_palette
from fastsam_trt.sinks import LabelMapSink
from fastsam_trt.sources import Frame
from support.made_results import HEIGHT, WIDTH, hard_masks, made_result

MASKS = hard_masks()

# PASCAL VOC's 20 classes after background, as the development kit's colour map has them.
VOC_COLOURS = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128),
               (128, 128, 128), (64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0), (64, 0, 128), (192, 0, 128),
               (64, 128, 128), (192, 128, 128), (0, 64, 0), (128, 64, 0), (0, 192, 0), (128, 192, 0),
               (0, 64, 128)]  # fmt: skip


def test_the_palette_is_that_of_voc() -> None:
    palette = voc_palette()
    assert palette.shape == (256, 3)
    assert [tuple(colour) for colour in palette[:21].tolist()] == VOC_COLOURS
    assert palette[255].tolist() == [224, 224, 192]
    assert len(np.unique(palette, axis=0)) == 256


@pytest.mark.parametrize("name", MASKS)
def test_a_single_mask_is_painted_unchanged(name: str) -> None:
    result = made_result([MASKS[name]], class_ids=[2])
    np.testing.assert_array_equal(label_map(result), MASKS[name] * 3)
    np.testing.assert_array_equal(instance_map(result), MASKS[name] * 1)


def test_the_higher_score_wins_a_pixel() -> None:
    scores, class_ids = [0.5, 0.9, 0.7, 0.7], [0, 1, 2, 0]
    masks = [MASKS["full frame"], MASKS["one pixel"], MASKS["disc"], MASKS["ring"] | MASKS["edges"]]
    result = made_result(masks, scores=scores, class_ids=class_ids)
    classes, instances = label_map(result), instance_map(result)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            best = max((i for i in range(4) if masks[i][y, x]), key=lambda i: (scores[i], -i))
            assert (classes[y, x], instances[y, x]) == (1 + class_ids[best], 1 + best)
    assert set(np.unique(instances)) == {1, 2, 3, 4}


def test_dtypes_of_label_maps() -> None:
    disc = [MASKS["disc"]]
    for classes, dtype in ((0, np.uint8), (1, np.uint8), (254, np.uint8), (255, np.uint16)):
        found = label_map(made_result(disc, class_names=[str(i) for i in range(classes)]))
        assert found.dtype == dtype
        assert found.max() == 1
    assert label_map(made_result(disc, class_ids=[300])).max() == 301  # an id that the model has no name for
    many = made_result(disc * 255)
    assert instance_map(many).dtype == np.uint16
    assert instance_map(made_result(disc * 254)).dtype == np.uint8


def test_nothing_selected_is_background() -> None:
    for painted in (label_map(made_result([])), instance_map(made_result([]))):
        assert painted.shape == (HEIGHT, WIDTH)
        assert painted.dtype == np.uint8
        assert not painted.any()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (37, 53)])
def test_pillow_and_opencv_read_a_palette_png(tmp_path: Path, size: tuple[int, int]) -> None:
    labels = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    path = tmp_path / "labels.png"
    save(path, labels)
    with Image.open(path) as image:
        assert image.mode == "P"
        assert image.getpalette() == voc_palette().ravel().tolist()
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), voc_palette()[labels])
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], voc_palette()[labels])


def test_the_chunks_are_those_of_the_specification() -> None:
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    data = encode_palette(indices, np.array([[0, 0, 0], [1, 2, 3], [255, 254, 253]], np.uint8))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, place = [], 8
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (check,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert check == zlib.crc32(kind + body)
        chunks.append((kind, body))
        place += 12 + length
    assert [kind for kind, _ in chunks] == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert chunks[0][1] == b"\0\0\0\x03\0\0\0\x02\x08\x03\0\0\0"
    assert chunks[1][1] == bytes([0, 0, 0, 1, 2, 3, 255, 254, 253])
    assert zlib.decompress(chunks[2][1]) == bytes([0, 0, 1, 2, 0, 2, 1, 0])


def test_arrays_that_are_not_contiguous() -> None:
    labels = np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8).T[::2, ::-3]
    found = cv2.imdecode(np.frombuffer(encode(labels), np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(found, voc_palette()[labels])


def test_more_labels_than_palette_colours(tmp_path: Path) -> None:
    labels = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    save(tmp_path / "labels.png", labels)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "labels.png"), cv2.IMREAD_UNCHANGED), labels)
    with Image.open(tmp_path / "labels.png") as image:
        np.testing.assert_array_equal(np.asarray(image), labels)


@pytest.mark.parametrize(("indices", "palette", "message"), [
    (np.zeros((2, 2), np.int64), np.zeros((1, 3), np.uint8), "expected indices"),
    (np.zeros((2, 2, 1), np.uint8), np.zeros((1, 3), np.uint8), "expected indices"),
    (np.zeros((0, 2), np.uint8), np.zeros((1, 3), np.uint8), "expected indices"),
    (np.zeros((2, 2), np.uint8), np.zeros((257, 3), np.uint8), "expected a palette"),
    (np.zeros((2, 2), np.uint8), np.zeros((0, 3), np.uint8), "expected a palette"),
    (np.zeros((2, 2), np.uint8), np.zeros((2, 4), np.uint8), "expected a palette"),
    (np.full((2, 2), 2, np.uint8), np.zeros((2, 3), np.uint8), "expected indices below 2, found 2"),
])  # fmt: skip
def test_invalid_palette_images_are_refused(indices: np.ndarray, palette: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_palette(indices, palette)


def test_label_maps_of_another_dtype_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected indices"):
        save(tmp_path / "out.png", np.zeros((2, 2), np.int64))
    with pytest.raises(OutputError, match=r"expected the suffix \.png, found '\.jpg'"):
        save(tmp_path / "out.jpg", np.zeros((2, 2), np.uint8))
    with pytest.raises(OutputError, match="can't be written"):
        save(tmp_path / "no" / "out.png", np.zeros((2, 2), np.uint8))
    assert not [each for each in tmp_path.iterdir() if each.is_file()]


def test_names_in_a_folder(tmp_path: Path) -> None:
    result = made_result([MASKS["disc"]])

    def names(kind: str, *frames: tuple[int, str]) -> list[str]:
        folder = tmp_path / f"{kind}{len(frames)}"
        with LabelMapSink(folder, kind) as sink:
            for index, source in frames:
                media_s = index / 30 if source.endswith(".mp4") else None
                sink.write(Frame(result.frame, index, source, media_s=media_s), result)
        return sorted(each.name for each in folder.iterdir())

    assert names("video", (0, "clip.mp4"), (5, "clip.mp4")) == ["000000.png", "000005.png"]
    assert names("live", (3, "http://camera/now.jpg")) == ["000003.png"]
    found = names("images", (0, "2007_32.jpg"), (1, "b/2007_32.png"), (0, "clip.mp4"), (1, "clip.mp4"))
    assert found == ["2007_32-2.png", "2007_32.png", "clip-000000.png", "clip-000001.png"]


@pytest.mark.parametrize(("name", "message"), [
    ("out.jpg", "expected a folder or a .png file, found the suffix '.jpg'"),
    ("no/out.png", "mkdir -p"),
    ("file", "expected a folder"),
    ("/proc/out.png", "can't be written"),
    ("/proc/maps", "expected a folder, found a path where none can be created"),
])  # fmt: skip
def test_unwritable_paths_are_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=message):
        LabelMapSink(tmp_path / name, "images")


def test_an_existing_folder_may_have_a_suffix(tmp_path: Path) -> None:
    (tmp_path / "maps.v2").mkdir()
    result = made_result([MASKS["disc"]])
    with LabelMapSink(tmp_path / "maps.v2", "video") as sink:
        sink.write(Frame(result.frame, 0, "clip.mp4"), result)
    assert (tmp_path / "maps.v2" / "000000.png").is_file()
