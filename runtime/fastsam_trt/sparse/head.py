"""Head: run a graph of convolutions for chosen anchors, on patches of the features or on whole levels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastsam_engine import Session
from fastsam_engine.device_array import Array, DeviceArray
from fastsam_trt.sparse.cell_uploads import CellUploads
from fastsam_trt.sparse.crossing import ComputeName, Crossing
from fastsam_trt.sparse.features import FrameFeatures
from fastsam_trt.sparse.patches import patches_around, picked, rung, whole_level

Outputs: TypeAlias = tuple[dict[str, Array], dict[str, DeviceArray]]


class Head:
    """A graph whose outputs are wanted at chosen anchors. Any thread may call it if its session is `parallel`."""

    def __init__(self, session: Session) -> None:
        """Use a graph, and compute patches or whole levels, whichever is less work.

        Args:
            session: The graph, open. Per level of stride s its inputs are `features_s`, `cells_s`, `inside_s` and
                `picks_s`; see `patches.Patches`.
        """
        self._session = session
        self._on_host = session.memory == "host"
        self._reach = int(session.spec.defaults["reach_cells"])
        self.use_compute("auto")
        self._whole = CellUploads(session)

    def use_compute(self, compute: ComputeName) -> None:
        """Set whether to compute patches or whole levels."""
        self._crossing = Crossing(compute, self._reach, on_host=self._on_host)

    def run(
        self,
        features: FrameFeatures,
        anchors: NDArray[np.intp],
        *,
        images: NDArray[np.intp] | None = None,
        more: Mapping[str, Array | DeviceArray] | None = None,
        keep: Collection[str] = (),
    ) -> tuple[Outputs, NDArray[np.intp]]:
        """Run the graph once.

        Args:
            features: Of the frame, or of a batch.
            anchors: (n,) indices of the wanted anchors.
            images: (n,) their images in the batch; None: all of the first image.
            more: Other inputs of the graph.
            keep: Outputs to keep on the device.

        Returns:
            The outputs, as `Session.run_kept` returns them, and the row of each anchor in them, (n,).
        """
        inputs: dict[str, Array | DeviceArray] = dict(more or {})
        row_of = np.empty(len(anchors), np.intp)
        rows = 0
        for level, positions in zip(features.grid.levels, features.grid.by_level(anchors), strict=True):
            features_map = features.maps[f"features_{level.stride}"]
            batch, height, width, _ = features_map.shape
            cells_of = anchors[positions] - level.first
            images_of = None if images is None else images[positions]
            cells: Array | DeviceArray
            inside: Array | DeviceArray
            if self._crossing.whole(level, len(positions)):
                cells, inside = self._whole.get(
                    height, width, batch, partial(whole_level, height, width, self._reach, batch)
                )
                base = 0 if images_of is None else images_of * level.cells
                picks = picked(cells_of + base, rung(max(len(positions), self._fewest)))
            else:
                cells, inside, picks = patches_around(cells_of, height, width, self._reach, images_of, self._fewest)
            inputs |= {
                f"features_{level.stride}": features_map,
                f"cells_{level.stride}": cells,
                f"inside_{level.stride}": inside,
                f"picks_{level.stride}": picks,
            }
            row_of[positions] = np.arange(rows, rows + len(positions))
            rows += len(picks)
        return self._session.run_kept(inputs, keep), row_of

    @property
    def computes_whole_maps(self) -> bool:
        """Whether everything is computed, for every frame."""
        return self._crossing.always_whole

    @property
    def _fewest(self) -> int:
        """The fewest anchors per level: a plan on a device may not take empty arrays."""
        return 0 if self._on_host else 1
