"""Preprocessing from a repository's settings: of old and new versions, and refused where the runtime can't do it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastsam_engine.spec.model_input import ImageInput
from fastsam_export.adopt.image_processor import IMAGENET, ImageProcessor, ProcessorDefaults
from fastsam_export.adopt.repository import Repository
from fastsam_export.errors import AdoptionError

CLIP = ProcessorDefaults("bicubic", (0.5, 0.4, 0.3), (0.2, 0.2, 0.2), crop=True, square=False)
SIGLIP = ProcessorDefaults("bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
DETR = ProcessorDefaults("bilinear", *IMAGENET, square=False)
FREE = ("batch", 3, "height", "width")


@pytest.fixture
def processor(tmp_path: Path) -> Any:
    """Makes a processor of settings."""

    def make(defaults: ProcessorDefaults, **stated: Any) -> ImageProcessor:
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(stated))
        return ImageProcessor(Repository(tmp_path, "fp32", {}, {}), defaults)

    return make


def test_clips_settings_of_now_and_of_old_are_the_same(processor: Any) -> None:
    new = processor(
        CLIP, size={"shortest_edge": 224}, crop_size={"height": 224, "width": 224}, do_center_crop=True, resample=3,
        image_mean=[0.5, 0.4, 0.3], image_std=[0.2] * 3, rescale_factor=1 / 255, use_square_size=False,
        image_processor_type="CLIPImageProcessor",
    ).crop_input("pixel_values")  # fmt: skip
    old = processor(CLIP, size=224, crop_size=224, feature_extractor_type="CLIPFeatureExtractor").crop_input(
        "pixel_values"
    )
    expected = ImageInput(
        "pixel_values", 224, 224, None, "shortest-edge", "bicubic", True, 0, "RGB", 1 / 255, (0.5, 0.4, 0.3), (0.2,) * 3
    )
    assert new == old == expected


def test_siglips_pictures_are_stretched(processor: Any) -> None:
    second = processor(SIGLIP, size={"height": 256, "width": 256}, resample=2).crop_input("pixel_values")
    assert (second.resize, second.interpolation, second.height, second.mean) == ("stretch", "bilinear", 256, (0.5,) * 3)
    first = processor(SIGLIP, size=224, resample=None).crop_input("pixel_values")
    assert (first.resize, first.interpolation, first.width) == ("stretch", "bicubic", 224)


def test_steps_that_are_off_are_left_out(processor: Any) -> None:
    image = processor(SIGLIP, size=64, do_rescale=False, do_normalize=False, do_flip_channel_order=True).crop_input("x")
    assert (image.scale, image.mean, image.std, image.colour) == (1.0, (0.0,) * 3, (1.0,) * 3, "BGR")


@pytest.mark.parametrize(
    ("stated", "axes", "imgsz", "size"),
    [
        ({"size": {"shortest_edge": 800, "longest_edge": 1333}}, FREE, None, (800, 1066)),
        ({"size": 800, "max_size": 1333}, FREE, None, (800, 1066)),
        ({"size": {"shortest_edge": 800, "longest_edge": 1000}}, FREE, None, (800, 1000)),
        ({"size": {"height": 512, "width": 1024}}, FREE, None, (512, 1024)),
        ({"size": {"height": 512, "width": 1024}}, FREE, (480, 640), (480, 640)),
        ({"size": {"shortest_edge": 800}}, ("batch", 3, 480, 640), None, (480, 640)),
        ({"size": {"height": 512, "width": 512}}, (1, 3, 512, 512), (512, 512), (512, 512)),
    ],
)
def test_frames_are_stretched_to_the_size_of_the_settings_or_of_the_graph(
    processor: Any, stated: Any, axes: Any, imgsz: Any, size: tuple[int, int]
) -> None:
    image = processor(DETR, do_pad=True, **stated).frame_input("pixel_values", 1, axes, imgsz)
    assert ((image.height, image.width), image.resize, image.interpolation) == (size, "stretch", "bilinear")
    assert (image.mean, image.std) == IMAGENET


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ({"size": {"shortest_edge": 256}, "crop_size": 224}, "shortest edge resized to the size of the crop"),
        ({"size": {"shortest_edge": 224}, "do_center_crop": False}, "equal height and width, or a centre crop"),
        ({"size": {"height": 224, "width": 196}, "do_center_crop": False}, "equal height and width"),
        ({"size": 224, "resample": 0}, r"resample 2 \(bilinear\) or 3 \(bicubic\), found 0"),
        ({"size": 224, "resample": "cubic"}, "found 'cubic'"),
        ({"size": 224, "do_resize": False}, "pictures that keep their size"),
        ({"size": 224, "do_thumbnail": True}, "found do_thumbnail as well"),
        ({"size": 224, "do_rescale": "yes"}, "do_rescale of true or false"),
        ({"size": 224, "image_mean": [0.5, 0.5]}, "image_mean of 3 numbers"),
        ({"size": 224, "image_std": [0.5, 0, 0.5]}, "an image_std above 0"),
        ({"size": 224, "rescale_factor": -1}, "rescale_factor above 0"),
        ({"size": 224, "pad_size": {"height": 9}}, "without padding"),
        ({"size": 0}, "size of 8 to 8192 px"),
        ({"size": {"shortest_edge": 1e9}}, "size of 8 to 8192 px"),
        ({"size": {}}, "size in px"),
        ({}, "size in px, found None"),
    ],
)
def test_settings_that_the_runtime_cannot_follow_are_refused(processor: Any, stated: Any, expected: str) -> None:
    with pytest.raises(AdoptionError, match=f"{expected}.*its preprocessing is not supported"):
        processor(CLIP, **stated).crop_input("pixel_values")


def test_a_graph_of_another_size_than_stated_is_refused(processor: Any) -> None:
    with pytest.raises(AdoptionError, match="expected the size of the graph, 512 x 512 px, found 640 x 640"):
        processor(DETR, size={"height": 640, "width": 640}).frame_input("x", 32, (1, 3, 512, 512), None)
    with pytest.raises(AdoptionError, match="expected no centre crop"):
        processor(DETR, size=640, do_center_crop=True).frame_input("x", 32, FREE, None)
    with pytest.raises(AdoptionError, match="multiples of 32, found 100 x 100"):
        processor(SIGLIP, size=100).frame_input("x", 32, FREE, None)
