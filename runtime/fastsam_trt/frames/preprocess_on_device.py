"""Preprocessing on the device: frame in, the model's input out, which stays there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import DeviceArray
from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.frames.helper_inputs import frame_coordinates, stretch_weights
from fastsam_trt.frames.helper_sessions import takes
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.frames.uploads import FrameUploads


class DevicePreprocessor:
    """Lays frames into one model's input by its preprocess graph; the geometry is uploaded once a placement."""

    def __init__(
        self, session: Session, image: ImageInput, uploads: FrameUploads, size: tuple[int, int] | None = None
    ) -> None:
        """Prepare for a model's input.

        Args:
            session: The model's preprocess graph, open.
            image: What the model takes.
            uploads: Where frames come from.
            size: (height, width) px instead of the input's default; only for inputs with a `size_multiple`.
        """
        self._session, self._image, self._uploads, self._size = session, image, uploads, size
        self._output = session.spec.outputs[0].name
        self._letterbox: Letterbox | None = None
        self._geometry: dict[str, DeviceArray] = {}

    def takes(self, frame: NDArray[np.uint8]) -> bool:
        """Whether the graph serves frames of this one's size."""
        return takes(self._session, *frame.shape[:2])

    def __call__(self, frame: NDArray[np.uint8], rectangle: Rectangle = "smallest") -> tuple[DeviceArray, Letterbox]:
        """Make the model's input of one frame.

        Args:
            frame: (H, W, 3) uint8 BGR.
            rectangle: Which size the input shrinks to, where it may; see `rectangles`.

        Returns:
            The input, one picture, valid until the next call; and where the frame lies in it.
        """
        placed = fit(frame.shape[0], frame.shape[1], self._image, self._size, rectangle)
        if placed != self._letterbox:
            stretch = self._image.resize == "stretch"
            geometry = stretch_weights(placed, self._image) if stretch else frame_coordinates(placed)
            self._geometry = {name: self._session.upload(array) for name, array in geometry.items()}
            self._letterbox = placed
        inputs = {"frame": self._uploads.upload(self._session, frame), **self._geometry}
        return self._session.run_kept(inputs, [self._output])[1][self._output], placed
