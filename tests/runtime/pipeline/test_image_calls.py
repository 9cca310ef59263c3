"""Calls with any kind of image, alone and in lists: the same segments, and errors that say which image."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fastsam_engine.errors import ClosedError
from fastsam_trt import Pipeline, Result
from fastsam_trt.errors import (
    ImageFormatError,
    ImageTypeError,
    NotOneImageError,
    OptionError,
    SourceNotFoundError,
    TensorFormatError,
)
from fastsam_trt.pipeline.call_options import CallKeywords
from support.colour_models import scene
from support.made_tensors import DeviceTensor, HostTensor

FRAME = scene(("red", 1, 1), ("green", 1, 5), ("blue", 5, 1))
RGB = np.ascontiguousarray(FRAME[..., ::-1])


@pytest.fixture(scope="module")
def pipe(exact_models: Path) -> Pipeline:
    return Pipeline(exact_models / "models" / "colours", prompts=["red", "blue"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), FRAME)
    return path


def _kinds(path: Path) -> list[tuple[Any, dict[str, Any]]]:
    """The same image in every form, and the options that it needs."""
    read_only = FRAME.copy()
    read_only.flags.writeable = False
    return [
        (FRAME, {}),
        (read_only, {}),
        (RGB[..., ::-1], {}),
        (RGB, {"colours": "rgb"}),
        (RGB / 255, {"colours": "rgb"}),
        (str(path), {}),
        (path, {}),
        (Image.fromarray(RGB), {}),
        (Image.open(path), {}),
        (HostTensor(RGB.transpose(2, 0, 1)), {}),
        (HostTensor((RGB / 255).astype(np.float32)), {}),
        (HostTensor(FRAME), {"colours": "bgr"}),
    ]


def _same(result: Result, expected: Result) -> None:
    np.testing.assert_array_equal(result.frame, expected.frame)
    np.testing.assert_array_equal(result.boxes, expected.boxes)
    np.testing.assert_array_equal(result.masks(), expected.masks())
    assert result.labels == expected.labels


def test_every_kind_of_image_gives_the_same_result(pipe: Pipeline, path: Path) -> None:
    expected = pipe(FRAME)
    assert sorted(map(str, expected.labels)) == ["blue", "red"]
    for image, options in _kinds(path):
        _same(pipe(image, **options), expected)
        _same(pipe.select(pipe.segment(image, **options)), expected)
        (only,) = pipe([image], **options)
        _same(only, expected)


def test_a_frame_is_not_copied_and_not_written_to(pipe: Pipeline) -> None:
    before = FRAME.copy()
    assert np.shares_memory(pipe(FRAME).frame, FRAME)
    np.testing.assert_array_equal(FRAME, before)


def test_colours_matter(pipe: Pipeline) -> None:
    assert pipe(scene(("red", 1, 1))).labels == ["red"]
    assert pipe(scene(("red", 1, 1)), colours="rgb").labels == ["blue"]
    assert pipe(HostTensor(scene(("red", 1, 1)))).labels == ["blue"]  # tensors are RGB


def test_a_list_gives_a_list_in_its_order(pipe: Pipeline, path: Path) -> None:
    wide = scene(("blue", 1, 9), height=96, width=512)
    images: list[Any] = [wide, path, Image.fromarray(RGB), str(path), HostTensor(RGB), scene(), FRAME]
    for given in (images, tuple(images), deque(images)):
        results = pipe(given)
        assert isinstance(results, list)
        assert [result.size for result in results] == [(96, 512), *[(256, 256)] * 6]
        assert [len(result) for result in results] == [1, 2, 2, 2, 2, 0, 2]
    np.testing.assert_array_equal(results[0].boxes, pipe(wide).boxes)


@pytest.mark.parametrize("empty", [[], (), deque[Any]()])
def test_an_empty_list_gives_an_empty_list(pipe: Pipeline, empty: Any) -> None:
    assert pipe(empty) == []


def test_options_hold_for_all_images_of_the_call(pipe: Pipeline) -> None:
    assert [result.labels for result in pipe([FRAME, FRAME], prompts=["green"])] == [["green"]] * 2
    assert [len(result) for result in pipe([FRAME, FRAME], prompts=[], max_selected=1)] == [1, 1]
    assert pipe.prompts == ("red", "blue")


def test_tracked_lists_are_frames_of_one_stream() -> None:
    with Pipeline("colours", track=True) as tracked:
        first, second = tracked([FRAME, FRAME])
    assert sorted(first.track_ids) == sorted(second.track_ids)
    assert (first.track_ids >= 0).all()


@pytest.mark.parametrize(
    ("images", "error", "found"),
    [
        ([FRAME, None], ImageTypeError, "found NoneType at index 1 of the list; cv2.imread returns None"),
        ([[FRAME]], ImageTypeError, "found list at index 0 of the list"),
        ([FRAME, FRAME.astype(np.int32)], ImageFormatError, "found dtype int32 at index 1 of the list"),
        ([HostTensor(FRAME[:3, :, :])], TensorFormatError, "channels at index 0 of the list; pass tensor.permute"),
        ([FRAME, DeviceTensor(FRAME)], TensorFormatError, "CUDA device 3 at index 1 of the list; copy it to the host"),
        (range(3), ImageTypeError, "found int at index 0 of the list"),
        ([FRAME, "nothing.jpg"], SourceNotFoundError, "source 'nothing.jpg'"),
        (["demo"], NotOneImageError, "source 'demo'"),
    ],
)
def test_an_error_says_which_image(pipe: Pipeline, images: Any, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        pipe(images)


@pytest.mark.parametrize("images", [{}, {1}, iter([FRAME]), b"photo.jpg", bytearray(3), memoryview(b"x"), 0, object()])
def test_other_objects_are_no_images(pipe: Pipeline, images: Any) -> None:
    with pytest.raises(ImageTypeError):
        pipe(images)


def test_a_video_in_a_call_names_what_takes_it(
    pipe: Pipeline, tmp_path: Path, write_video: Callable[[Path, list[np.ndarray]], Path]
) -> None:
    video = write_video(tmp_path / "a clip.mp4", [FRAME])
    for call in (pipe, pipe.segment):
        with pytest.raises(NotOneImageError) as caught:
            call(video)
        assert f"iterate over pipeline.stream({str(video)!r})" in str(caught.value)
        assert f"fastsam-trt run --video '{video}'" in str(caught.value)
    with pytest.raises(NotOneImageError, match="found a folder"):
        pipe(tmp_path)


@pytest.mark.parametrize("times", [{"captured_s": 1.0}, {"media_s": 0.0}])
def test_the_time_of_one_frame_is_refused_for_a_list(pipe: Pipeline, times: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(times))}: expected no time for a list of images"):
        pipe([FRAME], **times)  # type: ignore[call-overload]


def test_unknown_options_are_refused(pipe: Pipeline) -> None:
    with pytest.raises(TypeError, match="colors"):
        pipe(FRAME, colors="rgb")  # type: ignore[call-overload]
    with pytest.raises(OptionError, match="colours: expected bgr or rgb"):
        pipe([FRAME], colours="RGB")  # type: ignore[call-overload]
    assert pipe([], colours="rgb") == []


def test_keywords_for_type_checkers_are_those_of_the_call() -> None:
    parameters = list(inspect.signature(Pipeline.process).parameters)
    assert list(CallKeywords.__annotations__) == parameters[2:]
    assert parameters[:2] == ["self", "frame"]
    assert CallKeywords.__required_keys__ == frozenset()


def test_threads_may_pass_paths_and_lists(pipe: Pipeline, path: Path) -> None:
    expected = pipe(FRAME).boxes
    with ThreadPoolExecutor(8) as pool:
        of_paths = pool.map(lambda _: pipe(path), range(24))
        of_lists = pool.map(lambda _: pipe([str(path), Image.fromarray(RGB)]), range(24))
        for result, (also, image) in zip(of_paths, of_lists, strict=True):
            for each in (result, also, image):
                np.testing.assert_array_equal(each.boxes, expected)


def test_a_closed_pipeline_refuses_every_kind(path: Path) -> None:
    with Pipeline("colours") as pipe:
        assert not pipe.closed
    assert pipe.closed
    for image in (FRAME, path, [path], Image.fromarray(RGB)):
        with pytest.raises(ClosedError):
            pipe(image)
