"""DeviceDecode: a model's decode graph, with its inputs that depend on the frame's size only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import DeviceArray
from fastsam_trt.frames.helper_inputs import prototype_coordinates
from fastsam_trt.masks.map_to_frame import MapToFrame
from fastsam_trt.masks.prototype_on_device import DevicePrototypeMasks


class DeviceDecode:
    """Decodes masks where their prototypes are. Any thread may call it."""

    def __init__(self, session: Session) -> None:
        """Use the graph `M.decode.onnx`, open."""
        self._session = session
        self._coordinates: tuple[MapToFrame, Mapping[str, DeviceArray]] | None = None

    def masks(
        self,
        prototypes: DeviceArray,
        coefficients: NDArray[np.float32],
        boxes: NDArray[np.float32],
        resize: MapToFrame,
    ) -> DevicePrototypeMasks:
        """The undecoded masks of n segments.

        Args:
            prototypes: Over the model's input, in the layout of the graph.
            coefficients: (n, c) float32.
            boxes: (n, 4) float32 xyxy, px of the frame.
            resize: From the prototypes to the frame.
        """
        return DevicePrototypeMasks(self._session, prototypes, coefficients, boxes, self._uploaded(resize), resize)

    def _uploaded(self, resize: MapToFrame) -> Mapping[str, DeviceArray]:
        """The coordinates of the frame's pixels in the prototypes, uploaded once per size."""
        coordinates = self._coordinates
        if coordinates is None or coordinates[0] is not resize:
            fine = "row_cells" in self._session.spec.input_names
            arrays = prototype_coordinates(resize.letterbox, resize.cells_h, resize.cells_w, fine=fine)
            uploaded = {name: self._session.upload(array) for name, array in arrays.items()}
            self._coordinates = coordinates = resize, uploaded
        return coordinates[1]
