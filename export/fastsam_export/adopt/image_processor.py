"""ImageProcessor: what a repository's preprocessor_config.json states, as the runtime's preprocessing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fastsam_engine.spec.json_reader import shown
from fastsam_engine.spec.model_input import ImageInput, Interpolation, Resize
from fastsam_export.adopt.repository import Repository
from fastsam_export.errors import AdoptionError

_FILE = "preprocessor_config.json"
_INTERPOLATIONS: Mapping[int, Interpolation] = {2: "bilinear", 3: "bicubic"}  # by value of PIL.Image.Resampling
_NO_EFFECT = ("do_convert_rgb", "do_pad", "do_reduce_labels", "do_convert_annotations")  # on one picture in RGB
_KNOWN = ("do_resize", "do_rescale", "do_normalize", "do_center_crop", "do_flip_channel_order", *_NO_EFFECT)
_ASPECT = 4 / 3  # of the input if the processor keeps the aspect ratio of each picture, as most of COCO's have
_MOST_PX = 1 << 13
_LEAST_PX = 8


@dataclass(frozen=True, slots=True)
class ProcessorDefaults:
    """What a processor does where its settings do not say, by the class of transformers that reads them.

    Attributes:
        interpolation: Kernel of the resize.
        mean, std: Per channel, of values in 0..1.
        crop: Whether it crops the centre.
        square: Whether a size that is one number is that of both sides; otherwise it is the shorter side.
    """

    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop: bool = False
    square: bool = True


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and std of ImageNet."""


class ImageProcessor:
    """The settings of a repository's image processor."""

    def __init__(self, repository: Repository, defaults: ProcessorDefaults) -> None:
        """Read and check the settings.

        Raises:
            AdoptionError: They are missing, or state what the runtime's preprocessing can't do exactly.
        """
        self._path = repository.folder / _FILE
        self._stated = repository.settings(_FILE)
        self._defaults = defaults
        unknown = [key for key, value in self._stated.items() if key.startswith("do_") and value and key not in _KNOWN]
        if unknown:
            raise self._refused(f"the steps {', '.join(_KNOWN)}", f"{unknown[0]} as well")
        if not self._flag("do_resize", True):
            raise self._refused("do_resize", "pictures that keep their size")
        if self._stated.get("pad_size"):
            raise self._refused("pictures without padding", f"pad_size {shown(self._stated['pad_size'])}")

    def crop_input(self, name: str) -> ImageInput:
        """The input of CLIP's or SigLIP's image tower, a square.

        Args:
            name: Its name in the graph.

        Raises:
            AdoptionError: The runtime can't prepare crops exactly as the settings state.
        """
        size = self._size("size")
        if self._flag("do_center_crop", self._defaults.crop):
            crop = self._size("crop_size") if "crop_size" in self._stated else size
            side = size.get("shortest_edge")
            if side is None or set(crop.values()) != {side} or "longest_edge" in size:
                raise self._refused("the shortest edge resized to the size of the crop", f"size {size}, crop {crop}")
            return self._input(name, "shortest-edge", side, side)
        if size.keys() != {"height", "width"} or size["height"] != size["width"]:
            raise self._refused("a size of equal height and width, or a centre crop", f"size {size}")
        return self._input(name, "stretch", size["height"], size["width"])

    def frame_input(
        self, name: str, multiple: int, axes: tuple[int | str, ...], imgsz: tuple[int, int] | None
    ) -> ImageInput:
        """The input of a segmenter, to which frames are stretched.

        A processor that keeps the aspect ratio of each picture gets the size of a 4:3 picture.

        Args:
            name: Its name in the graph.
            multiple: The sides are multiples of this, px.
            axes: (batch, channels, height, width) of the graph's input; a text is a free length.
            imgsz: (height, width) to use instead of the processor's, px.

        Raises:
            AdoptionError: The runtime can't prepare frames exactly as stated, or the graph has another size.
        """
        if self._flag("do_center_crop", False):
            raise self._refused("no centre crop", "do_center_crop")
        stated = self._size("size")
        height, width = self._frame_size(stated, multiple)
        fixed = tuple(length for length in axes[2:] if isinstance(length, int))
        if imgsz is not None:
            height, width = imgsz
        elif len(fixed) == 2 and "shortest_edge" in stated:
            height, width = fixed
        if min(height, width) < _LEAST_PX or max(height, width) > _MOST_PX or height % multiple or width % multiple:
            raise AdoptionError(
                self._path,
                f"imgsz: expected {_LEAST_PX} to {_MOST_PX} px in multiples of {multiple}, found {height} x {width}",
            )
        if any(isinstance(axis, int) and axis != side for axis, side in zip(axes[2:], (height, width), strict=True)):
            raise AdoptionError(
                self._path,
                f"expected the size of the graph, {' x '.join(map(str, axes[2:]))} px, found {height} x {width}",
            )
        return self._input(name, "stretch", height, width)

    def _frame_size(self, stated: Mapping[str, int], multiple: int) -> tuple[int, int]:
        if stated.keys() == {"height", "width"}:
            return stated["height"], stated["width"]
        height = stated.get("shortest_edge", 0)
        if not height or stated.keys() - {"shortest_edge", "longest_edge"}:
            raise self._refused("a size of height and width, or of the shortest edge", f"size {dict(stated)}")
        width = min(int(height * _ASPECT), stated.get("longest_edge", _MOST_PX))
        return height // multiple * multiple, width // multiple * multiple

    def _input(self, name: str, resize: Resize, height: int, width: int) -> ImageInput:
        scaled, normalised = self._flag("do_rescale", True), self._flag("do_normalize", True)
        plain = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        mean = self._channels("image_mean", self._defaults.mean) if normalised else plain[0]
        std = self._channels("image_std", self._defaults.std) if normalised else plain[1]
        if min(std) <= 0:
            raise self._refused("an image_std above 0", shown(std))
        colour: Literal["RGB", "BGR"] = "BGR" if self._flag("do_flip_channel_order", False) else "RGB"
        return ImageInput(
            name=name,
            height=height,
            width=width,
            size_multiple=None,
            resize=resize,
            interpolation=self._interpolation(),
            antialias=True,
            pad_value=0,
            colour=colour,
            scale=self._number("rescale_factor", 1 / 255) if scaled else 1.0,
            mean=mean,
            std=std,
        )

    def _interpolation(self) -> Interpolation:
        stated = self._stated.get("resample")
        if stated is None:
            return self._defaults.interpolation
        if isinstance(stated, bool) or not isinstance(stated, int) or stated not in _INTERPOLATIONS:
            raise self._refused("resample 2 (bilinear) or 3 (bicubic)", shown(stated))
        return _INTERPOLATIONS[stated]

    def _size(self, key: str) -> dict[str, int]:
        """A size by the names of transformers; older settings state one number."""
        stated = self._stated.get(key)
        if isinstance(stated, int) and not isinstance(stated, bool):
            square = self._defaults.square or key == "crop_size"
            stated = {"height": stated, "width": stated} if square else {"shortest_edge": stated}
            if "max_size" in self._stated and not square:
                stated["longest_edge"] = self._stated["max_size"]
        if not isinstance(stated, dict) or not stated:
            raise self._refused(f"{key} in px", shown(stated))
        for side in stated.values():
            if isinstance(side, bool) or not isinstance(side, int) or not _LEAST_PX <= side <= _MOST_PX:
                raise self._refused(f"{key} of {_LEAST_PX} to {_MOST_PX} px", shown(stated))
        return dict(stated)

    def _flag(self, key: str, default: bool) -> bool:
        stated = self._stated.get(key)
        if stated is not None and not isinstance(stated, bool):
            raise self._refused(f"{key} of true or false", shown(stated))
        return default if stated is None else stated

    def _channels(self, key: str, default: tuple[float, float, float]) -> tuple[float, ...]:
        stated = self._stated.get(key)
        if stated is None:
            return default
        if not isinstance(stated, list) or len(stated) != 3 or not all(map(_is_number, stated)):
            raise self._refused(f"{key} of 3 numbers", shown(stated))
        return tuple(float(value) for value in stated)

    def _number(self, key: str, default: float) -> float:
        stated = self._stated.get(key)
        if stated is None:
            return default
        if not _is_number(stated) or stated <= 0:
            raise self._refused(f"{key} above 0", shown(stated))
        return float(stated)

    def _refused(self, expected: str, found: str) -> AdoptionError:
        return AdoptionError(self._path, f"expected {expected}, found {found}", "its preprocessing is not supported")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
