"""Keep a plan's bindings for the most recent input shapes."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping

from fastsam_engine.backends.tensorrt.binding import Binding
from fastsam_engine.backends.tensorrt.loaded_plan import Shape
from fastsam_engine.spec.model_input import ImageInput, TokenInput
from fastsam_engine.spec.model_spec import ModelSpec

_COUNTED = re.compile(r"[NK]")  # axes that count images and segments
_COUNTED_OF_PARTS = re.compile(
    r"N|[kmyx][0-9]*"
)  # those that count patches, anchors, rows and columns of heads and masks


class BindingCache:
    """A binding per set of input shapes, for the most recent sizes and, per size, the most recent batches.

    A size is the shapes without the axes that count images or segments: a source has one size, and the number of
    segments changes from frame to frame.
    """

    def __init__(
        self, spec: ModelSpec, bind: Callable[[Mapping[str, Shape]], Binding], sizes: int, batches: int
    ) -> None:
        """Make an empty cache.

        Args:
            spec: Of the plan.
            bind: Makes a binding for input shapes.
            sizes: How many sizes to keep.
            batches: How many batches to keep per size.
        """
        self._spec, self._bind = spec, bind
        self._counted = _COUNTED_OF_PARTS if spec.is_part else _COUNTED
        self._most_sizes, self._most_batches = sizes, batches
        self._sizes: OrderedDict[tuple[Shape, ...], OrderedDict[tuple[Shape, ...], Binding]] = OrderedDict()

    def get(self, shapes: Mapping[str, Shape]) -> Binding:
        """The binding for input shapes, by name in the order of the spec; a new one if there is none.

        Raises:
            InputMismatchError, ModelFileError, GpuError: See `Binding`.
        """
        size, key = self._size(tuple(shapes.values())), tuple(shapes.values())
        batches = self._sizes.get(size, OrderedDict())
        binding = batches.get(key) or self._bind(shapes)
        self._sizes[size], batches[key] = batches, binding
        batches.move_to_end(key)
        self._sizes.move_to_end(size)
        return binding

    def trim(self) -> None:
        """Drop the least recently used bindings, if there are too many."""
        while len(self._sizes) > self._most_sizes:
            self._sizes.popitem(last=False)
        for batches in self._sizes.values():
            while len(batches) > self._most_batches:
                batches.popitem(last=False)

    def clear(self) -> None:
        """Drop all."""
        self._sizes.clear()

    def _size(self, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        if isinstance(self._spec.input, ImageInput | TokenInput):
            return (shapes[0][1:],)
        return tuple(
            tuple(
                length for axis, length in zip(layout.split(), shape, strict=True) if not self._counted.fullmatch(axis)
            )
            for layout, shape in zip(self._spec.input.layouts, shapes, strict=True)
        )
