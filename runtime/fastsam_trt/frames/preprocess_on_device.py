"""Preprocessing of frames on the device: the model's input is computed there and stays there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import DeviceArray
from fastsam_engine.spec.model_input import ImageInput
from fastsam_trt.frames.helper_inputs import frame_coordinates, stretch_weights
from fastsam_trt.frames.helper_sessions import accepts_frame_size
from fastsam_trt.frames.letterbox import Letterbox, fit
from fastsam_trt.frames.rectangles import Rectangle
from fastsam_trt.frames.uploads import FrameUploads


class DevicePreprocessor:
    """Prepares frames for one model by its preprocess graph. The geometry is uploaded once per letterbox."""

    def __init__(
        self, session: Session, image: ImageInput, uploads: FrameUploads, size: tuple[int, int] | None = None
    ) -> None:
        """Set up for a model's input.

        Args:
            session: The model's preprocess graph, open.
            image: The model's input.
            uploads: Uploads frames to the device.
            size: (height, width) px instead of the input's default; only for inputs with a `size_multiple`.
        """
        self._session, self._image, self._uploads, self._size = session, image, uploads, size
        self._output = session.spec.outputs[0].name
        self._letterbox: Letterbox | None = None
        self._geometry: dict[str, DeviceArray] = {}

    def accepts(self, frame: NDArray[np.uint8]) -> bool:
        """Whether the graph accepts frames of this size."""
        return accepts_frame_size(self._session, *frame.shape[:2])

    def prepare(self, frame: NDArray[np.uint8], rectangle: Rectangle = "smallest") -> tuple[DeviceArray, Letterbox]:
        """Prepare one frame.

        Args:
            frame: (H, W, 3) uint8 BGR.
            rectangle: Which rectangle the input shrinks to, where the model allows it; see `rectangles`.

        Returns:
            The model's input for one image, valid until the next call, and where the frame lies in it.
        """
        letterbox = fit(frame.shape[0], frame.shape[1], self._image, self._size, rectangle)
        if letterbox != self._letterbox:
            stretch = self._image.resize == "stretch"
            geometry = stretch_weights(letterbox, self._image) if stretch else frame_coordinates(letterbox)
            self._geometry = {name: self._session.upload(array) for name, array in geometry.items()}
            self._letterbox = letterbox
        inputs = {"frame": self._uploads.upload(self._session, frame), **self._geometry}
        return self._session.run_kept(inputs, [self._output])[1][self._output], letterbox
