"""CellUploads: the `cells` and `inside` of whole maps, uploaded once per size."""

from __future__ import annotations

from collections.abc import Callable

from fastsam_engine import Session
from fastsam_engine.device_array import Array, DeviceArray

_MOST_KEPT = 36  # maps; three for each size of the input, and frames are fitted into fewer than 12 sizes


class CellUploads:
    """Indices that are the same for every frame of a size, in the memory of a graph. Any thread may call it."""

    def __init__(self, session: Session) -> None:
        """Use the memory of a graph, open."""
        self._session = session
        self._uploaded: dict[tuple[int, int, int], tuple[DeviceArray, DeviceArray]] = {}

    def get(
        self, height: int, width: int, batch: int, make: Callable[[], tuple[Array, Array]]
    ) -> tuple[DeviceArray, DeviceArray]:
        """The `cells` and `inside` of a map.

        Args:
            height, width: Size of the map, cells.
            batch: Number of images.
            make: Makes them, if they are not uploaded yet.
        """
        key = height, width, batch
        found = self._uploaded.get(key)
        if found is None:
            cells, inside = make()
            self._uploaded[key] = found = self._session.upload(cells), self._session.upload(inside)
            for oldest in list(self._uploaded)[:-_MOST_KEPT]:  # other threads may add some
                self._uploaded.pop(oldest, None)
        return found
