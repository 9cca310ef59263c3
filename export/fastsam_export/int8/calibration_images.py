"""Calibration pictures: choose them from a folder, and preprocess them as the runtime does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastsam_engine.spec.model_input import ImageInput
from fastsam_export.errors import CalibrationError, ExportError
from fastsam_export.frameworks.ultralytics_models import letterboxed

LEAST, MOST = 8, 128  # fewer give no reliable ranges; more cost minutes and change nothing
_HELD_BACK = 2  # every second picture: ranges need few pictures, a share of detections needs many
_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True, slots=True)
class CalibrationPictures:
    """Files of pictures like those that the model will see.

    Attributes:
        calibrating: Pictures on which the ranges of activations are measured.
        held_back: Pictures on which the quantised graph is compared with the fp32 graph.
    """

    calibrating: tuple[Path, ...]
    held_back: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> CalibrationPictures:
        """Choose at most `MOST` image files of a folder, evenly spread over the order of their names.

        Raises:
            CalibrationError: It is not a folder, has fewer than `LEAST` images, or one that OpenCV can't read.
        """
        import cv2

        if not folder.is_dir():
            raise CalibrationError(folder, "a folder of images", "no such folder" if not folder.exists() else "a file")
        images = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
        if len(images) < LEAST:
            raise CalibrationError(folder, f"{LEAST} images or more", f"{len(images)} ({', '.join(sorted(_SUFFIXES))})")
        count = min(len(images), MOST)
        used = [images[index] for index in np.linspace(0, len(images) - 1, count).round().astype(int)]
        for path in used:
            if not cv2.haveImageReader(str(path)):
                raise CalibrationError(path, "an image", "a file that OpenCV can't read as one")
        held_back = used[_HELD_BACK - 1 :: _HELD_BACK]
        return cls(tuple(each for each in used if each not in set(held_back)), tuple(held_back))


def pictures_for(paths: Sequence[Path], image: ImageInput) -> Iterator[NDArray[np.float32]]:
    """Preprocess pictures one by one, as the runtime does with frames: (1, 3, h, w).

    Args:
        paths: Image files.
        image: A letterboxed input gets each picture in its smallest rectangle. Any other input gets the picture and
            its four quarters, since such a model sees crops of frames.

    Raises:
        CalibrationError: A file is truncated, or not an image.
        ExportError: The input does not keep the aspect ratio.
    """
    import cv2

    mean, std = (np.array(each, np.float32)[:, None, None] for each in (image.mean, image.std))
    for path in paths:
        picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)  # this applies the EXIF orientation
        if picture is None:
            raise CalibrationError(path, "an image", "a file that OpenCV can't read as one")
        if image.resize == "letterbox":
            laid = [letterboxed(picture, (image.height, image.width), image.size_multiple)]
        elif image.resize == "shortest-edge":
            laid = [_centre_crop(part, image) for part in (picture, *_quarters(picture))]
        else:
            raise ExportError(f"int8: expected an input that keeps the aspect ratio, found {image.resize!r}")
        for each in laid:
            planes = np.moveaxis(each[..., ::-1] if image.colour == "RGB" else each, 2, 0)
            yield ((planes * np.float32(image.scale) - mean) / std)[None].astype(np.float32)


def _quarters(picture: NDArray[Any]) -> list[NDArray[Any]]:
    top, bottom = np.array_split(picture, 2)
    cuts = [each for half in (top, bottom) for each in np.array_split(half, 2, axis=1)]
    return [each for each in cuts if each.size]


def _centre_crop(picture: NDArray[Any], image: ImageInput) -> NDArray[np.uint8]:
    """Scale the shorter side to the input's by Pillow, and crop the centre, as CLIP's image processor does."""
    from PIL import Image

    height, width = picture.shape[:2]
    gain = max(image.height / height, image.width / width)
    size = max(round(width * gain), image.width), max(round(height * gain), image.height)
    kernel = Image.Resampling.BICUBIC if image.interpolation == "bicubic" else Image.Resampling.BILINEAR
    scaled = np.asarray(Image.fromarray(picture).resize(size, kernel))
    top, left = (size[1] - image.height) // 2, (size[0] - image.width) // 2
    return scaled[top : top + image.height, left : left + image.width]
